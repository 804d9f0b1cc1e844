/** A client seen as a socket of named events: for code that says `emit`, `on` and `off`. */

import { type Options, Sampan } from "./client.js";
import type { TokenProvider } from "./driver.js";
import { SampanError } from "./error.js";
import { AGENTS, EVENTS, type Rooms, idOf, topicOf, topicsAtConnect } from "./events.js";
import { Listeners } from "./listeners.js";
import type { Standing } from "./presence.js";
import type { Subscription } from "./subscription.js";

/** Hears of an event. */
// An event may have any data, as it had before.
export type EventListener = (data: any) => void;

/** The outcome of an event, for whoever asked for it. */
export type Acknowledge = (
  answer: { ok: true; [member: string]: unknown } | { error: { code: number | undefined; message: string; retry_after_ms?: number } },
) => void;

/** What a component renders of a socket. */
export interface SocketState {
  /** Whether there is a session, or one is being made. */
  readonly open: boolean;
  /** Whether events reach the broker. */
  readonly connected: boolean;
  /** Why not, if there is a reason. */
  readonly error: SampanError | undefined;
}

interface Room {
  subscription: Subscription;
  entry: Standing | undefined;
  watch: Standing | undefined;
}

interface Emitted {
  event: string;
  data: unknown;
  acknowledge: Acknowledge | undefined;
}

/** The code of a request that nobody serves. */
const NO_RESPONDER = 302;
/** Events that wait for `connect`. */
const WAITING_MAX = 256;
const CLOSED: SocketState = { open: false, connected: false, error: undefined };

/**
 * A socket of named events. Listeners may be added before `connect`, and survive reconnects and another
 * `connect`. Beside those of the broker there are the events `connect`, `disconnect`, `connect_error`,
 * `gap` and `emit_error`, and `user:online` and `user:offline` `{userId, timestamp, topic}` of the rooms
 * where the user is present itself.
 */
export class EventSocket {
  readonly #options: Omit<Options, "token">;
  readonly #listeners = new Map<string, Map<EventListener, () => void>>();
  readonly #told = new Map<string, Listeners<EventListener>>();
  readonly #states = new Listeners<() => void>();
  readonly #rooms = new Map<string, Room>();
  #waiting: Emitted[] = [];
  #client: Sampan | undefined;
  #token: string | TokenProvider = "";
  #state: SocketState = CLOSED;

  constructor(options: Omit<Options, "token">) {
    this.#options = options;
  }

  /** Id of the session, while connected. */
  get id(): string | undefined {
    return this.#client?.status.session;
  }

  /** Whether events reach the broker. */
  get connected(): boolean {
    return this.#state.connected;
  }

  /** What a component renders; the same object until it changes. */
  get state(): SocketState {
    return this.#state;
  }

  /** The client behind it, for everything that events do not say. */
  get client(): Sampan | undefined {
    return this.#client;
  }

  /** Tells every change of the state; the function that ends it. */
  readonly watch = (listener: () => void): (() => void) => this.#states.add(listener);

  /**
   * Connects. While there is a session, the same token changes nothing, another token makes another
   * session, and a function takes the place of the function before.
   */
  readonly connect = (token: string | TokenProvider): void => {
    const isSame = token === this.#token || (typeof token === "function" && typeof this.#token === "function");
    this.#token = token;
    if (this.#client && isSame && this.#client.status.state !== "closed") return;
    this.#end();
    const provider = () => (typeof this.#token === "function" ? this.#token() : this.#token);
    const client = new Sampan({ ...this.#options, token: typeof token === "function" ? provider : token });
    this.#client = client;
    client.onStatus(() => this.#statusChanged(client));
    client.onAny((event, payload) => this.#tell(event, payload));
    this.#setState({ open: true, connected: false, error: undefined });
    client.connect().catch(() => {});
    for (const emitted of this.#waiting.splice(0)) this.#emit(client, emitted);
  };

  /** Ends the session. Listeners stay. */
  readonly disconnect = (): void => {
    const wasConnected = this.#state.connected;
    this.#end();
    this.#setState(CLOSED);
    if (wasConnected) this.#tell("disconnect", "io client disconnect");
  };

  /**
   * Says an event. Without a connection it waits for one; what fails is told to `acknowledge`, or as an
   * event `emit_error` `{event, error}`.
   */
  readonly emit = (event: string, data?: unknown, acknowledge?: Acknowledge): void => {
    const emitted = { event, data, acknowledge };
    if (this.#client && this.#client.status.state !== "closed") return this.#emit(this.#client, emitted);
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(emitted);
    else this.#failed(emitted, new SampanError("full", "too many events wait for a connection"));
  };

  /** Adds a listener; one that is there stays there once. */
  readonly on = (event: string, listener: EventListener): void => {
    let own = this.#listeners.get(event);
    if (!own) this.#listeners.set(event, (own = new Map()));
    let told = this.#told.get(event);
    if (!told) this.#told.set(event, (told = new Listeners()));
    if (!own.has(listener)) own.set(listener, told.add(listener));
  };

  /** Takes away a listener, or all of this socket's for the event. */
  readonly off = (event: string, listener?: EventListener): void => {
    const own = this.#listeners.get(event);
    for (const [other, remove] of own ?? []) {
      if (listener !== undefined && other !== listener) continue;
      remove();
      own?.delete(other);
    }
  };

  /** Ends the session and forgets all listeners and what waits. */
  readonly destroy = (): void => {
    this.#end();
    for (const emitted of this.#waiting.splice(0)) {
      if (emitted.acknowledge) this.#failed(emitted, new SampanError("closed", "the socket is closed"));
    }
    for (const event of [...this.#listeners.keys()]) this.off(event);
    this.#setState(CLOSED);
  };

  #end(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#rooms.clear();
    client?.end();
  }

  #statusChanged(client: Sampan): void {
    if (client !== this.#client) return;
    const before = this.#state;
    const { connected, error, user = "", role = "", state } = client.status;
    this.#setState({ open: state !== "closed", connected, error });
    if (connected && !before.connected) {
      // They stand from the first connection on, and so are resumed with every other.
      for (const topic of topicsAtConnect(user, role)) this.#join(client, topic, topic === AGENTS);
      this.#tell("connect", undefined);
    }
    if (!connected && before.connected) this.#tell("disconnect", error?.message ?? "transport close");
    if (!connected && error && error !== before.error) this.#tell("connect_error", error);
  }

  #emit(client: Sampan, emitted: Emitted): void {
    const done = async () => {
      const action = Object.hasOwn(EVENTS, emitted.event) ? EVENTS[emitted.event] : undefined;
      if (!action) throw new SampanError("invalid", `there is no event ${emitted.event}`, { code: 101 });
      if ("ask" in action) return (await client.request(action.ask, emitted.data)).payload;
      const rooms = "join" in action ? action.join : action.leave;
      const id = idOf(rooms, emitted.data);
      return "join" in action ? this.#enter(client, rooms, id) : this.#exit(client, rooms, id);
    };
    done().then(
      (answer) => emitted.acknowledge?.({ ok: true, ...(typeof answer === "object" ? answer : { answer }) }),
      (error: unknown) => {
        // Who asked hears of it in any case, the others only of the session that there is.
        if (emitted.acknowledge || client === this.#client) this.#failed(emitted, error);
      },
    );
  }

  #failed({ event, acknowledge }: Emitted, error: unknown): void {
    const { code, message, retryAfterMs } = error as SampanError;
    if (acknowledge) acknowledge({ error: { code, message, retry_after_ms: retryAfterMs } });
    else this.#tell("emit_error", { event, error });
  }

  /** Joins a room and what goes with it; how things stand there. */
  async #enter(client: Sampan, rooms: Rooms, id: string): Promise<object> {
    const topic = topicOf(rooms.prefix, id);
    await this.#join(client, topic, rooms.present ?? false).subscription.ready;
    const also = this.#rooms.has(topic) ? (rooms.also ?? []) : [];
    // Whoever may not be there is not.
    await Promise.allSettled(also.map((prefix) => this.#join(client, topicOf(prefix, id), false).subscription.ready));
    return { topic, ...(await this.#look(client, rooms.joined, id)) };
  }

  /** Leaves a room and what goes with it. */
  async #exit(client: Sampan, rooms: Rooms, id: string): Promise<object> {
    const topic = topicOf(rooms.prefix, id);
    const wasIn = this.#rooms.has(topic);
    for (const prefix of [rooms.prefix, ...(rooms.also ?? [])]) this.#leave(topicOf(prefix, id));
    return { topic, ...(wasIn ? await this.#look(client, rooms.left, id) : {}) };
  }

  /** Asks how things stand in a room. Where nobody serves it the room is there all the same. */
  async #look(client: Sampan, asked: string | undefined, id: string): Promise<object> {
    if (asked === undefined) return {};
    try {
      const { payload } = await client.request(asked, { conversation_id: id });
      return typeof payload === "object" && payload !== null ? payload : {};
    } catch (error) {
      if ((error as SampanError).code === NO_RESPONDER) return {};
      throw error;
    }
  }

  #join(client: Sampan, topic: string, isPresent: boolean): Room {
    const there = this.#rooms.get(topic);
    if (there) return there;
    const room: Room = {
      subscription: client.join(topic, {
        onGap: (gap) => this.#tell("gap", gap),
        onEnd: () => {
          leavePresence(room);
          if (this.#rooms.get(topic) === room) this.#rooms.delete(topic);
        },
      }),
      entry: isPresent ? client.presence(topic).enter() : undefined,
      watch: isPresent ? this.#watch(client, topic) : undefined,
    };
    this.#rooms.set(topic, room);
    return room;
  }

  #leave(topic: string): void {
    const room = this.#rooms.get(topic);
    this.#rooms.delete(topic);
    if (room) leavePresence(room);
    room?.subscription.close();
  }

  /** Tells who comes to a room, and who is gone from it. */
  #watch(client: Sampan, topic: string): Standing {
    const there = new Set<string>();
    return client.presence(topic).watch(({ members }) => {
      for (const { user, sessions, sinceMs } of members) {
        if (sessions === 0 || there.has(user)) continue;
        there.add(user);
        this.#tell("user:online", { userId: user, timestamp: sinceMs, topic });
      }
      const still = new Set(members.map(({ user }) => user));
      for (const user of [...there].filter((user) => !still.has(user))) {
        there.delete(user);
        this.#tell("user:offline", { userId: user, timestamp: Date.now(), topic });
      }
    });
  }

  #tell(event: string, data: unknown): void {
    this.#told.get(event)?.tell(data);
  }

  #setState(state: SocketState): void {
    const { open, connected, error } = this.#state;
    if (open === state.open && connected === state.connected && error === state.error) return;
    this.#state = state;
    this.#states.tell();
  }
}

function leavePresence({ entry, watch }: Room): void {
  watch?.close();
  entry?.close();
}
