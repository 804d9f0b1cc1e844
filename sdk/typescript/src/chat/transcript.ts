/** What is known of one conversation: a snapshot and the events around it, in whatever order they come. */

import type { ChatEvents, ChatMessage, Conversation, QueuePlace, Receipt, Snapshot } from "./model.js";

/** Messages that are kept, beside those that were asked for. */
const KEEP = 500;
/** Users who are shown as typing at once. */
const TYPISTS_MAX = 64;
const ORDER: readonly Receipt[] = ["sent", "delivered", "read"];

/** One conversation. */
export class Transcript {
  #conversation: Conversation | undefined;
  /** What was told of it before anything was known: the last of each kind. */
  readonly #early = new Map<string, () => void>();
  #place: QueuePlace | undefined;
  #keep = KEEP;
  readonly #messages = new Map<string, ChatMessage>();
  readonly #cursors = new Map<string, { delivered: number; read: number }>();
  readonly #typists = new Map<string, number>();

  /** The conversation as it stands, once that is known. */
  get conversation(): Conversation | undefined {
    return this.#conversation;
  }

  /** Its place among those that wait, while it waits and has been told. */
  get place(): QueuePlace | undefined {
    return this.#conversation?.status === "waiting" ? this.#place : undefined;
  }

  /** Sequence of the last message that is known. */
  get last(): number {
    return Math.max(0, ...[...this.#messages.values()].map(({ seq }) => seq));
  }

  /** Whether a message is known. */
  has(id: string): boolean {
    return this.#messages.has(id);
  }

  /** Messages by sequence, each with how far it is known to have come. */
  messages(): ChatMessage[] {
    const sorted = [...this.#messages.values()].sort((one, other) => one.seq - other.seq);
    return sorted.map((message) => ({ ...message, status: this.#receipt(message) }));
  }

  /** How far a user has come. */
  cursor(user: string): { delivered: number; read: number } {
    return this.#cursors.get(user) ?? { delivered: 0, read: 0 };
  }

  /** Who types at this time. */
  typing(now: number): string[] {
    return [...this.#typists].filter(([, until]) => until > now).map(([user]) => user);
  }

  /** When the next one who types is shown no longer. */
  deadline(now: number): number {
    return Math.min(Infinity, ...[...this.#typists.values()].filter((until) => until > now));
  }

  /** The conversation as it stood when somebody came to look. */
  snapshot({ conversation, participants, messages }: Snapshot): void {
    if (conversation.version >= (this.#conversation?.version ?? 0)) this.#conversation = conversation;
    // A status says whether anybody has it at all.
    for (const kind of ["agent", "status"]) this.#early.get(kind)?.();
    this.#early.clear();
    for (const { user_id, delivered_seq, read_seq } of participants) this.#come(user_id, delivered_seq, read_seq);
    for (const message of messages) this.add(message);
  }

  /** Messages of the past, which are kept too. */
  earlier(messages: readonly ChatMessage[]): void {
    this.#keep += messages.length;
    for (const message of messages) this.add(message);
  }

  /** A message has come, or has changed. */
  add(message: ChatMessage): void {
    const known = this.#messages.get(message.id);
    if (known && known.updated_at > message.updated_at) return;
    this.#messages.set(message.id, message);
    this.#typists.delete(message.sender_id);
    if (this.#messages.size <= this.#keep) return;
    const [oldest] = [...this.#messages.values()].sort((one, other) => one.seq - other.seq);
    if (oldest) this.#messages.delete(oldest.id);
  }

  /** An event has come, which says how long what it says holds; `own` is who looks. */
  event<K extends keyof ChatEvents>(name: K, payload: ChatEvents[K], own: string, now: number, toldMs: number): void {
    const events: { [E in keyof ChatEvents]: (payload: ChatEvents[E]) => void } = {
      "message:receive": (message) => this.add(message),
      "message:delivered": ({ userId, up_to_seq }) => this.#come(userId, up_to_seq, 0),
      "message:read": ({ userId, up_to_seq }) => this.#come(userId, up_to_seq, up_to_seq),
      "user:typing": ({ userId, typing, expires_at }) => {
        if (userId === own) return;
        this.#typists.delete(userId);
        const [oldest] = this.#typists.keys();
        if (oldest !== undefined && this.#typists.size >= TYPISTS_MAX) this.#typists.delete(oldest);
        // Both times are the shop's, so that it does not matter what the clock here says.
        if (typing && expires_at) this.#typists.set(userId, now + Date.parse(expires_at) - toldMs);
      },
      "conversation:status": ({ new: status, version }) => this.#change(version, { status }),
      "conversation:archived": () => this.#change(Infinity, { status: "archived" }),
      "agent:assigned": ({ agentId, epoch }) => this.#given(agentId, epoch),
      "agent:transfer": ({ toAgent, epoch }) => this.#given(toAgent, epoch),
      "queue:position": (place) => (this.#place = place),
    };
    if (Object.hasOwn(events, name)) events[name](payload);
  }

  #come(user: string, delivered: number, read: number): void {
    const before = this.cursor(user);
    this.#cursors.set(user, { delivered: Math.max(before.delivered, delivered), read: Math.max(before.read, read) });
  }

  #change(version: number, change: Partial<Conversation>): void {
    const before = this.#conversation;
    if (!before) this.#early.set("status", () => this.#change(version, change));
    if (!before || version <= before.version) return;
    this.#conversation = { ...before, ...change, ...(version === Infinity ? {} : { version }) };
    if (this.#conversation.status !== "active") this.#conversation.agent_id = undefined;
  }

  #given(agent_id: string, epoch: number): void {
    const before = this.#conversation;
    if (!before) this.#early.set("agent", () => this.#given(agent_id, epoch));
    if (before && epoch > before.epoch) this.#conversation = { ...before, agent_id, epoch };
  }

  #receipt({ seq, sender_id, status }: ChatMessage): Receipt {
    const others = [...this.#cursors].filter(([user]) => user !== sender_id).map(([, cursor]) => cursor);
    const known = others.some(({ read }) => read >= seq) ? 2 : others.some(({ delivered }) => delivered >= seq) ? 1 : 0;
    return ORDER[Math.max(known, ORDER.indexOf(status))] ?? "sent";
  }
}
