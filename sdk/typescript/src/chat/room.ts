/** One conversation, live: what is said there, by whom it was read, and who types. */

import type { Sampan } from "../client.js";
import { SampanError } from "../error.js";
import { Listeners } from "../listeners.js";
import type { Message } from "../message.js";
import { randomName } from "../name.js";
import type { Subscription } from "../subscription.js";
import { token } from "../topic.js";
import type { Chat } from "./chat.js";
import type { ChatEvents, ChatMessage, Conversation, Draft, QueuePlace } from "./model.js";
import { Outbox } from "./outbox.js";
import { Transcript } from "./transcript.js";

/** A conversation at this moment; another object after every change. */
export interface RoomState {
  /** Whether the conversation has been joined. */
  readonly ready: boolean;
  /** Why it is not, or is no longer, if there is a reason that does not pass. */
  readonly error: SampanError | undefined;
  readonly conversation: Conversation | undefined;
  /** Messages in order, each with how far it has come. */
  readonly messages: readonly ChatMessage[];
  /** What is on its way, in order: each until it is among the messages. */
  readonly outgoing: readonly Draft[];
  /** Others who type. */
  readonly typing: readonly string[];
  /** The place among those that wait, while the conversation waits. */
  readonly place: QueuePlace | undefined;
}

/** What is said: a text, or content with what belongs to it. */
export type Saying = string | Omit<Draft, "conversation_id" | "client_message_id">;

/** How often who goes on typing says so. */
const TYPING_EVERY_MS = 3000;
/** Messages of a page. */
const PAGE = 100;
/** Time between two attempts to ask how things stand. */
const RETRY_MS = 1000;

/** A conversation that somebody looks at. */
export class Room {
  /** Its id. */
  readonly id: string;
  /** Resolves when the conversation has been joined, and rejects when that is refused. */
  readonly ready: Promise<void>;
  readonly #client: Sampan;
  readonly #chat: Chat;
  readonly #transcript = new Transcript();
  readonly #outbox: Outbox;
  readonly #listeners = new Listeners<(state: RoomState) => void>();
  readonly #subscriptions: Subscription[] = [];
  /** What the shop has but has not yet told, by the ids of its messages. */
  readonly #answered = new Map<string, Draft>();
  #state: RoomState = {
    ready: false, error: undefined, conversation: undefined, messages: [], outgoing: [], typing: [], place: undefined,
  };
  #isReady = false;
  #error: SampanError | undefined;
  #isClosed = false;
  #typedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The last message of which was said that it has come, and whether somebody is saying so. */
  #told = 0;
  #isTelling = false;

  /** @internal */
  constructor(client: Sampan, chat: Chat, id: string) {
    [this.id, this.#client, this.#chat] = [id, client, chat];
    this.#outbox = new Outbox((draft) => this.#say(draft), () => this.#changed());
    this.ready = this.#join();
    this.ready.catch((error: unknown) => this.#failed(error));
  }

  /** The conversation at this moment. */
  get state(): RoomState {
    return this.#state;
  }

  /** Tells every change; the function that ends it. */
  readonly onChange = (listener: (state: RoomState) => void): (() => void) => this.#listeners.add(listener);

  /**
   * Says something; resolves with the message when the shop has it. Without a connection it waits, and it is
   * one message however often it is sent.
   *
   * @throws {SampanError} `full`, `closed`, or what the service refuses.
   */
  readonly send = (saying: Saying): Promise<ChatMessage> => {
    const said = typeof saying === "string" ? { content: { text: saying } } : saying;
    this.#typedAt = -Infinity;
    return this.#outbox.send({ ...said, conversation_id: this.id, client_message_id: randomName() });
  };

  /** The user types, or has stopped. May be called with every key. */
  readonly type = (typing = true): void => {
    const now = performance.now();
    const isSaid = now - this.#typedAt < TYPING_EVERY_MS;
    if (this.#isClosed || !this.#client.status.connected || typing === isSaid) return;
    this.#typedAt = typing ? now : -Infinity;
    // The next one says the same, or it ends by itself.
    this.#chat.ask("user_typing", { conversation_id: this.id, typing }).catch(() => {});
  };

  /** The user has read everything up to the last message. */
  readonly read = async (): Promise<void> => {
    const [last, own] = [this.#transcript.last, this.#client.status.user ?? ""];
    if (last > this.#transcript.cursor(own).read) {
      await this.#chat.ask("message_read", { conversation_id: this.id, up_to_seq: last });
    }
  };

  /** Loads messages ahead of the first one; whether there were any. */
  readonly earlier = async (limit = PAGE): Promise<boolean> => {
    const [first] = this.#state.messages;
    const messages = await this.#chat.history(this.id, { limit, before: first?.seq });
    this.#transcript.earlier(messages);
    this.#changed();
    return messages.length > 0;
  };

  /** Looks no longer. What waits to be sent fails. */
  readonly close = (): void => {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.close();
    this.#outbox.close();
  };

  /** Says that the user takes part no longer, and closes. */
  async leave(): Promise<void> {
    await this.#chat.ask("leave_conversation", { conversation_id: this.id }).finally(this.close);
  }

  /** Whoever subscribes before asking how things stand misses nothing between. */
  async #join(): Promise<void> {
    await this.#subscribe("conversation").ready;
    const { role } = this.#client.status;
    // What is worth nothing a moment later is no reason to fail.
    for (const kind of role === "customer" ? ["typing", "position"] : ["typing", "note"]) {
      await this.#subscribe(kind).ready.catch(() => {});
    }
    await this.#look();
  }

  #subscribe(kind: string): Subscription {
    const isMain = kind === "conversation";
    const subscription = this.#client.subscribe(
      `chat.${kind}.${token(this.id)}`,
      {
        onGap: ({ lost }) => {
          if (isMain && lost && this.#isReady) this.#catchUp().catch((error: unknown) => this.#failed(error));
        },
        onEnd: (error) => {
          if (isMain) this.#failed(error);
        },
      },
      (message) => this.#take(kind, message),
    );
    if (this.#isClosed) subscription.close();
    this.#subscriptions.push(subscription);
    return subscription;
  }

  async #say(draft: Draft): Promise<ChatMessage> {
    const message = await this.#chat.ask("send_message", draft);
    this.#answered.set(message.id, draft);
    return message;
  }

  /** How the conversation stands. */
  async #look(): Promise<void> {
    this.#transcript.snapshot(await this.#persist(() => this.#chat.join(this.id)));
    this.#isReady = true;
    this.#changed();
  }

  /** What the subscription could not bring is read from the service. */
  async #catchUp(): Promise<void> {
    // What comes live meanwhile is further on: a page begins where the one before has ended.
    for (let after = this.#transcript.last; ; ) {
      const messages = await this.#persist(() => this.#chat.history(this.id, { after, limit: PAGE }));
      for (const message of messages) this.#transcript.add(message);
      const last = messages.at(-1)?.seq;
      // A page of long messages ends early: only one without any is the last.
      if (last === undefined) break;
      after = last;
    }
    await this.#look();
  }

  /** Asks until there is an answer, or a refusal that does not pass. */
  async #persist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      if (this.#isClosed) throw new SampanError("closed", "the conversation is closed");
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof SampanError) || !error.retryable) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? RETRY_MS));
      }
    }
  }

  #take(kind: string, { event, payload, timeMs }: Message): void {
    // What stands on one topic is no word on another.
    if (event === undefined || (event === "user:typing") !== (kind === "typing")) return;
    const own = this.#client.status.user ?? "";
    this.#transcript.event(event as keyof ChatEvents, payload as never, own, performance.now(), timeMs);
    this.#changed();
  }

  /** Says how far messages have come. One that fails is made good by the next. */
  async #deliver(): Promise<void> {
    const own = this.#client.status.user ?? "";
    const last = Math.max(0, ...this.#transcript.messages().filter(({ sender_id }) => sender_id !== own).map(({ seq }) => seq));
    const known = Math.max(this.#told, this.#transcript.cursor(own).delivered);
    if (this.#isTelling || !this.#isReady || this.#isClosed || last <= known) return;
    [this.#isTelling, this.#told] = [true, last];
    await this.#chat.ask("message_delivered", { conversation_id: this.id, up_to_seq: last }).catch(() => {});
    this.#isTelling = false;
    void this.#deliver();
  }

  #failed(error: unknown): void {
    if (this.#isClosed) return;
    this.#error = error instanceof SampanError ? error : new SampanError("invalid", String(error));
    this.#isReady = false;
    this.#changed();
  }

  #changed(): void {
    const [known, now] = [this.#transcript, performance.now()];
    for (const id of this.#answered.keys()) if (known.has(id)) this.#answered.delete(id);
    // An answer may be here before its draft is taken from the outbox.
    const outgoing = new Set([...this.#answered.values(), ...this.#outbox.drafts]);
    this.#state = {
      ready: this.#isReady,
      error: this.#error,
      conversation: known.conversation,
      messages: known.messages(),
      outgoing: [...outgoing],
      typing: known.typing(now),
      place: known.place,
    };
    clearTimeout(this.#timer);
    const wait = known.deadline(now) - now;
    if (wait !== Infinity && !this.#isClosed) this.#timer = setTimeout(() => this.#changed(), Math.ceil(wait));
    this.#listeners.tell(this.#state);
    void this.#deliver();
  }
}
