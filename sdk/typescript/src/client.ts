/** The client handle. */

import { SampanError } from "./error.js";
import { type ConsumeOptions, Consumer } from "./consumer.js";
import { Driver, type TokenProvider } from "./driver.js";
import { type Ack, type Message, type PublishOptions, ackOf, encoded, messageOf, outgoing, publishText } from "./message.js";
import { Listeners } from "./listeners.js";
import { randomName } from "./name.js";
import { GZIP_FROM, byteLength, canGzip, gzip, json, payloadOf } from "./payload.js";
import { Presence } from "./presence.js";
import type { State } from "./session/output.js";
import { type MessageListener, type SubscribeOptions, Subscription } from "./subscription.js";
import { checkedTopic } from "./topic.js";
import { type Fetch, Refused, answered } from "./transport/http.js";
import { type WebSocketConstructor, httpBase } from "./transport/transport.js";
import type { Via, WireAck, WireMessage, WirePage } from "./wire.js";

/** Payloads by the name of their event. */
export type EventMap = Record<string, any>;

/** How a client is set up. */
export interface Options {
  /** Where the broker is: `https://host`, `http://localhost:3001`; `ws:` and `wss:` mean the same. */
  url: string;
  /**
   * The access token, or what gives one: asked before the first connection, before the token expires
   * and once after a refusal.
   */
  token: string | TokenProvider;
  /** Name and version of the application, at most 128 bytes; it appears in the broker's logs. */
  client?: string;
  /** The WebSocket to be used; `false` for none. Default: the global one, if there is one. */
  WebSocket?: WebSocketConstructor | false;
  /** The `fetch` to be used where no WebSocket can be made; `false` for none. Default: the global one. */
  fetch?: Fetch | false;
  /** Publishes that may wait for their ack. Default 4,096. */
  pendingMax?: number;
  /** Length of the publishes that may wait for their ack. Default 8 MiB. */
  pendingBytesMax?: number;
  /** Whether payloads over 1 KiB are compressed where the platform can. Default true. */
  gzip?: boolean;
  /** Seed of the jitter, for tests that repeat. Default: random. */
  seed?: number;
}

/** The session at this moment. */
export interface Status {
  readonly state: State;
  /** Whether requests reach the broker. */
  readonly connected: boolean;
  /** How, while connected. */
  readonly via: Via | undefined;
  /** Id of the session. */
  readonly session: string | undefined;
  /** The user of the token. */
  readonly user: string | undefined;
  /** The role of the token. */
  readonly role: string | undefined;
  /** Why the connection was lost or the client is closed. */
  readonly error: SampanError | undefined;
  /** When the next attempt is made, milliseconds from when this was told. */
  readonly retryInMs: number | undefined;
}

/** The answer to a request. */
export interface Reply<T = unknown> {
  readonly event: string | undefined;
  readonly contentType: string | undefined;
  readonly payload: T;
}

/** Which kept messages are read. */
export interface HistoryOptions {
  /** Messages of a page, at most 1,000. Default 100. */
  limit?: number;
  /** Begins with this offset. */
  from?: number;
  /** Begins with the first message at or after this time. */
  since?: Date | number;
  /** Begins with the last so many messages. Default: a page of them. */
  last?: number;
}

/** A page of kept messages. */
export interface Page<T = unknown> {
  readonly epoch: number;
  /** First offset still kept. */
  readonly floor: number;
  /** Offset that the topic's next message will get. */
  readonly next: number;
  /** Messages by rising offset; none at the end. */
  readonly messages: readonly Message<T>[];
}

const PAYLOAD_BYTES_MAX = 1 << 20;
const TIMEOUT_MS = 15_000;
const FLUSH_MS = 5000;

/**
 * A session with a broker, which survives everything but {@link Sampan.close} and a refusal that no
 * retry can cure.
 *
 * ```ts
 * interface Events { "order:updated": { status: string } }
 * const client = new Sampan<Events>({ url: "http://localhost:3001", token });
 * client.on("order:updated", ({ status }) => console.log(status));
 * client.join("order.42");
 * await client.connect();
 * ```
 */
export class Sampan<Events extends EventMap = EventMap> {
  readonly #driver: Driver;
  readonly #statuses = new Listeners<(status: Status) => void>();
  readonly #expiring = new Listeners<(expiresMs: number) => void>();
  readonly #events = new Map<string, Listeners<(payload: never, message: never) => void>>();
  readonly #anyEvent = new Listeners<(event: string, payload: unknown, message: Message) => void>();
  readonly #gzips: boolean;
  readonly #base: string;
  readonly #fetch: Fetch | undefined;
  readonly #name = `ts-${randomName()}`;
  readonly #unacked = new Set<Promise<WireAck>>();
  #keys = 0;
  #status: Status;

  constructor(options: Options) {
    const { token, client = "@sampan/client", pendingMax = 4096, pendingBytesMax = 8 << 20 } = options;
    const WebSocket = options.WebSocket ?? (globalThis.WebSocket as WebSocketConstructor | undefined);
    const fetch = options.fetch ?? (globalThis.fetch ? (url, init) => globalThis.fetch(url, init) : undefined);
    const ways: Via[] = [];
    if (WebSocket) ways.push("websocket");
    if (fetch) ways.push("sse");
    if (ways.length === 0) {
      throw new SampanError("invalid", "there is no WebSocket and no fetch here: give one of them");
    }
    const isFixed = typeof token === "string";
    const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32);
    const setup = { token: isFixed ? token : undefined, renewable: !isFixed, client, inflates: canGzip(), ways, pendingMax, pendingBytesMax, seed };
    this.#gzips = (options.gzip ?? true) && canGzip();
    this.#base = httpBase(options.url);
    this.#fetch = fetch || undefined;
    this.#status = this.#statusNow(undefined, undefined, "idle");
    this.#driver = new Driver(
      {
        setup,
        base: this.#base,
        WebSocket: WebSocket || undefined,
        fetch: this.#fetch,
        provider: isFixed ? undefined : token,
      },
      {
        state: (state, cause, retryInMs) => this.#tellStatus(this.#statusNow(cause, retryInMs, state)),
        welcome: () => {},
        expiring: (expiresMs) => this.#expiring.tell(expiresMs),
        message: (message) => this.#tellEvent(message),
      },
    );
  }

  // The connection.

  /** Starts connecting, unless that has been done; resolves when the broker has welcomed the session. */
  connect(): Promise<void> {
    const connected = new Promise<void>((resolve, reject) => {
      const look = ({ connected, state, error }: Status) => {
        if (!connected && state !== "closed") return;
        stop();
        if (connected) resolve();
        else reject(error);
      };
      const stop = this.onStatus(look);
      look(this.#status);
    });
    this.#driver.with((session, now) => session.open(now));
    return connected;
  }

  /**
   * Waits until what was published is acked, then ends the session for good. What is not acked in time
   * fails.
   */
  async close(flushMs = FLUSH_MS): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, flushMs)));
    await Promise.race([this.flush(), patience]);
    clearTimeout(timer);
    this.end();
  }

  /** Ends the session for good, now. What is open fails. */
  end(): void {
    this.#driver.with((session) => session.close());
  }

  /** The session at this moment. */
  get status(): Status {
    return this.#status;
  }

  /** Tells every change of the status; the function that ends it. */
  onStatus(listener: (status: Status) => void): () => void {
    return this.#statuses.add(listener);
  }

  /** Tells that a token that was given as text expires soon; {@link Sampan.refresh} takes the next. */
  onExpiring(listener: (expiresMs: number) => void): () => void {
    return this.#expiring.add(listener);
  }

  /** Takes a fresh token of the same user, for the live session and for later connections. */
  refresh(token: string): void {
    this.#driver.with((session, now) => session.gotToken(now, token));
  }

  // Messages.

  /**
   * Publishes, and waits for the ack. Without a connection the message waits for the next one, and it
   * is sent again until it is acked or refused. Publishes keep the order of these calls; one without an
   * ack is sent at once, as it is, and waits for none of them.
   *
   * @throws {SampanError} `full` while too many wait; `refused`, `too_large`, `invalid`, `closed`.
   */
  async publish(topic: string, payload: unknown, options: PublishOptions = {}): Promise<Ack> {
    const head = outgoing(topic, options);
    const body = encoded(payload, this.#driver.session.welcome?.payload_bytes_max ?? PAYLOAD_BYTES_MAX);
    // Bytes without a type would come as a text where they happen to be one.
    if (typeof body !== "string") head.content_type ??= "application/octet-stream";
    if (options.ack === "none") return this.#publishOnce(publishText(head, body));
    head.idempotency_key ??= `${this.#name}-${(this.#keys += 1)}`;
    const isText = head.content_type !== undefined && typeof payload === "string";
    const isLarge = this.#gzips && !isText && body.length > GZIP_FROM;
    const { number, outcome } = this.#driver.call<WireAck>((session, now) =>
      isLarge ? session.reserve(body.length) : session.publish(now, publishText(head, body)),
    );
    if (isLarge) {
      void compressed(head, body).then((text) => this.#driver.with((session, now) => session.fill(now, number, text)));
    }
    this.#unacked.add(outcome);
    try {
      return ackOf(await outcome);
    } finally {
      this.#unacked.delete(outcome);
    }
  }

  #publishOnce(text: string): Ack {
    this.#driver.with((session) => session.publishUnacked(text));
    return { position: "0:0", epoch: 0, offset: 0, duplicate: false, level: "routed", stale: false };
  }

  /** Waits until every publish made so far is acked or refused. */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.#unacked]);
  }

  /** Publishes that wait for their ack. */
  get pending(): number {
    return this.#driver.session.pending;
  }

  /** Subscribes to a topic or pattern. With a listener it is told; without one the messages are iterated. */
  subscribe<T = unknown>(topic: string, options?: SubscribeOptions, listener?: MessageListener<T>): Subscription<T>;
  subscribe<T = unknown>(topic: string, listener: MessageListener<T>): Subscription<T>;
  subscribe<T = unknown>(
    topic: string,
    options: SubscribeOptions | MessageListener<T> = {},
    listener?: MessageListener<T>,
  ): Subscription<T> {
    if (typeof options === "function") return new Subscription(this.#driver, topic, {}, options);
    return new Subscription(this.#driver, topic, options, listener);
  }

  /** Subscribes for the listeners of {@link Sampan.on} alone. */
  join(topic: string, options: SubscribeOptions = {}): Subscription {
    return new Subscription(this.#driver, topic, options, () => {});
  }

  /**
   * Tells every message with this event, of all subscriptions, once; the function that ends it.
   * Listeners may be added before connecting, and stay over reconnects.
   */
  on<K extends keyof Events & string>(
    event: K,
    listener: (payload: Events[K], message: Message<Events[K]>) => void,
  ): () => void {
    let listeners = this.#events.get(event);
    if (!listeners) this.#events.set(event, (listeners = new Listeners()));
    return listeners.add(listener as (payload: never, message: never) => void);
  }

  /** Tells every message that has an event, of all subscriptions, once; the function that ends it. */
  onAny(listener: (event: string, payload: unknown, message: Message) => void): () => void {
    return this.#anyEvent.add(listener);
  }

  /** Asks whoever serves the topic. @throws {SampanError} what the responder or the broker said. */
  async request<T = unknown>(
    topic: string,
    payload: unknown = null,
    { event, timeoutMs = TIMEOUT_MS }: { event?: string; timeoutMs?: number } = {},
  ): Promise<Reply<T>> {
    json(payload);
    const body = { topic: checkedTopic(topic), event, payload };
    const wire = await this.#ask<{ event?: string; content_type?: string }>("request", body, timeoutMs);
    return { event: wire.event, contentType: wire.content_type, payload: payloadOf(wire) as T };
  }

  /** The address of a path at the broker, such as that of a signed link. */
  address(path: string): string {
    return new URL(path, `${this.#base}/`).href;
  }

  /**
   * Calls a path that needs no token, such as a signed link, without the session.
   *
   * @throws {SampanError} `refused`; `lost` if no answer came; `unavailable` without a `fetch`.
   */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    if (!this.#fetch) throw new SampanError("unavailable", "there is no fetch here: give one");
    try {
      return await answered(await this.#fetch(this.address(path), init));
    } catch (error) {
      if (error instanceof Refused) throw SampanError.refused(error.refusal);
      throw new SampanError("lost", String(error), { mayHaveHappened: true });
    }
  }

  /** Reads one page of kept messages. */
  async history<T = unknown>(topic: string, options: HistoryOptions = {}): Promise<Page<T>> {
    const { since, ...rest } = options;
    const body = { topic: checkedTopic(topic), ...rest, ...(since === undefined ? {} : { since: Number(since) }) };
    const { epoch, floor, next, messages } = await this.#ask<WirePage>("history", body, TIMEOUT_MS);
    return { epoch, floor, next, messages: messages.map(messageOf) as Message<T>[] };
  }

  /** Reads kept messages page by page, up to those that are newest when it gets there. */
  async *pages<T = unknown>(topic: string, options: HistoryOptions = { from: 1 }): AsyncGenerator<Page<T>> {
    for (let page = await this.history<T>(topic, options); page.messages.length > 0; ) {
      yield page;
      const from = (page.messages.at(-1)?.offset ?? 0) + 1;
      page = await this.history<T>(topic, { limit: options.limit, from });
    }
  }

  /** Takes part in a group, which is made if there is none of its name. Needs a WebSocket. */
  consume<T = unknown>(group: string, topic: string, options: ConsumeOptions = {}): Consumer<T> {
    return new Consumer<T>(this.#driver, group, topic, options);
  }

  /** The presence of one topic. */
  presence(topic: string): Presence {
    return new Presence(this.#driver, topic);
  }

  #ask<T>(name: "request" | "history", body: Record<string, unknown>, timeoutMs: number): Promise<T> {
    return this.#driver.call<T>((session, now) => session.ask(now, { name, body, timeoutMs })).outcome;
  }

  #tellEvent(wire: WireMessage): void {
    const { event } = wire;
    if (event === undefined) return;
    const listeners = this.#events.get(event);
    if (this.#anyEvent.isEmpty && !listeners) return;
    const message = messageOf(wire);
    listeners?.tell(message.payload as never, message as never);
    this.#anyEvent.tell(event, message.payload, message);
  }

  #tellStatus(status: Status): void {
    this.#status = status;
    this.#statuses.tell(status);
  }

  #statusNow(cause: SampanError | undefined, retryInMs: number | undefined, state: State): Status {
    const connected = state === "live" || state === "draining";
    const session = state === "idle" ? undefined : this.#driver.session;
    const { session: id, user, role } = session?.welcome ?? {};
    const error = connected ? undefined : (cause ?? this.#status?.error);
    const via = connected ? session?.via : undefined;
    return { state, connected, via, session: connected ? id : undefined, user, role, error, retryInMs };
  }
}

/** The JSON of a publish whose payload is compressed, where that makes it smaller. */
async function compressed(head: ReturnType<typeof outgoing>, body: Uint8Array | string): Promise<string> {
  const isJson = typeof body === "string";
  // The application may go on to change its bytes.
  const bytes = isJson ? new TextEncoder().encode(body) : body.slice();
  const small = await gzip(bytes).catch(() => undefined);
  // Base64 adds a third.
  if (!small || small.length * 4 >= (isJson ? byteLength(body) * 3 : bytes.length * 4)) return publishText(head, isJson ? body : bytes);
  const content_type = head.content_type ?? (isJson ? "application/json" : undefined);
  return publishText({ ...head, content_type, content_encoding: "gzip" }, small);
}
