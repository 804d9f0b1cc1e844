/**
 * Streams of server-sent events, as few as may be: a page has few connections.
 *
 * A subscription begins on a stream of its own, since only that joins where it is asked to. Then it is
 * taken together with others: single topics have positions, so that any number of them goes with one
 * pattern, whose join is that of the stream.
 */

import type { Start, Told } from "../wire.js";
import { type Http, Refused } from "./http.js";
import { EventParser, type StreamEvent } from "./parser.js";

/** Streams at a time before they are taken together. */
const STREAMS_MAX = 3;
/** Topics and patterns of one stream. */
const TOPICS_MAX = 16;
/** Characters of the id that a stream resumes from. */
const ID_LENGTH = 2000;
/** Silence after which a stream is taken for dead; the broker breaks it every 15 s. */
const SILENCE_MAX_MS = 40_000;

/** What hears of all streams together. */
export interface StreamsHearer {
  told(told: Told[]): void;
  heard(): void;
  /** The streams cannot go on. */
  failed(error: unknown): void;
}

interface Subscription {
  id: number;
  topic: string;
  /** What `last` was to replay. */
  replayed: number;
  isConfirmed: boolean;
}

interface Stream {
  subscriptions: Subscription[];
  lastId: string;
  heardAt: number;
  isReady: boolean;
  end: AbortController;
}

/** All streams of one connection. */
export class Streams {
  readonly #http: Http;
  readonly #hearer: StreamsHearer;
  readonly #all = new Set<Stream>();
  /** Subscriptions whose beginning is looked up. */
  readonly #beginning = new Set<number>();

  constructor(http: Http, hearer: StreamsHearer) {
    this.#http = http;
    this.#hearer = hearer;
  }

  /** Opens a stream for one more subscription. */
  async subscribe(id: number, { topic, ...start }: Start & { topic: string }): Promise<void> {
    this.#beginning.add(id);
    const from = await this.#from(topic, start);
    // It was taken back meanwhile, or the connection has ended.
    if (!this.#beginning.delete(id)) return;
    const subscription = { id, topic, replayed: start.last ?? 0, isConfirmed: false };
    void this.#open([subscription], from, []);
  }

  /** Ends a subscription. What still comes for it is dropped by whoever asked for it. */
  unsubscribe(id: number): void {
    this.#beginning.delete(id);
    for (const stream of this.#all) {
      stream.subscriptions = stream.subscriptions.filter((subscription) => subscription.id !== id);
      if (stream.subscriptions.length === 0) this.#endStream(stream);
    }
  }

  /** Opens every stream anew, with the token of now. */
  renew(): void {
    for (const stream of [...this.#all]) void this.#open(stream.subscriptions, stream.lastId, [stream]);
  }

  /** Whether there is no stream. */
  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Whether something has been heard of every stream lately. */
  areAlive(): boolean {
    const since = Date.now() - SILENCE_MAX_MS;
    return [...this.#all].every(({ heardAt }) => heardAt > since);
  }

  close(): void {
    this.#beginning.clear();
    for (const stream of this.#all) this.#endStream(stream);
  }

  /** The id that a stream of one topic begins from; empty for what comes from now on. */
  async #from(topic: string, { last, since, positions, joined_ms }: Start): Promise<string> {
    if (since !== undefined) return idOf(since, []);
    if (positions !== undefined || joined_ms !== undefined) return idOf(joined_ms ?? 0, Object.entries(positions ?? {}));
    if (last === undefined) return "";
    if (isPattern(topic)) {
      throw new Refused({ code: 109, reason: "the last messages of a pattern need a WebSocket" });
    }
    const path = `/v1/topics/${encodeURIComponent(topic)}/history?last=1&limit=1`;
    const page = (await this.#http.get(path, new AbortController().signal)) as Record<"epoch" | "floor" | "next", number>;
    return idOf(1, [[topic, `${page.epoch}:${Math.max(page.floor - 1, page.next - 1 - last, 0)}`]]);
  }

  async #open(subscriptions: Subscription[], lastId: string, replaces: Stream[]): Promise<void> {
    const stream: Stream = { subscriptions, lastId, heardAt: Date.now(), isReady: false, end: new AbortController() };
    this.#all.add(stream);
    try {
      const query = new URLSearchParams([...new Set(subscriptions.map(({ topic }) => topic))].map((t) => ["topic", t]));
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (lastId !== "") headers["last-event-id"] = lastId;
      const response = await this.#http.call(`/v1/sse?${query}`, { headers, signal: stream.end.signal });
      if (!response.body) throw new Error("this fetch cannot read streams; a WebSocket is needed");
      await this.#read(stream, response.body, replaces);
      throw new Error("the stream has ended");
    } catch (error) {
      if (!stream.end.signal.aborted) this.#failed(stream, error);
    }
  }

  async #read(stream: Stream, body: ReadableStream<Uint8Array>, replaces: Stream[]): Promise<void> {
    const [reader, decoder, parser] = [body.getReader(), new TextDecoder(), new EventParser()];
    for (;;) {
      const { done, value } = await reader.read();
      if (done || stream.end.signal.aborted) return;
      stream.heardAt = Date.now();
      this.#hearer.heard();
      const told = parser.feed(decoder.decode(value, { stream: true })).flatMap((event) => this.#event(stream, event));
      if (told.length > 0) this.#hearer.told(told);
      if (!stream.isReady) continue;
      replaces.splice(0).forEach((old) => this.#endStream(old));
      this.#takeTogether();
    }
  }

  /** What an event says, as a WebSocket would say it. */
  #event(stream: Stream, { id, name, data }: StreamEvent): Told[] {
    if (id !== "") stream.lastId = id;
    const body = JSON.parse(data);
    if (name !== "ready") return [{ [name]: body }];
    stream.isReady = true;
    const positions = positionsOf(id);
    const confirmed = stream.subscriptions.filter(({ isConfirmed }) => !isConfirmed);
    return confirmed.map((subscription) => {
      subscription.isConfirmed = true;
      const { topic, replayed } = subscription;
      const at = positions.get(topic);
      const joined = at === undefined ? {} : { [topic]: later(at, replayed) };
      return { id: subscription.id, subscribed: { joined_ms: body.joined_ms, positions: joined } };
    });
  }

  /** A first stream's failure is that of its subscription; any other ends the connection. */
  #failed(stream: Stream, error: unknown): void {
    this.#endStream(stream);
    const [first] = stream.subscriptions;
    const isRefused = error instanceof Refused && error.refusal.code < 400;
    if (isRefused && first && !first.isConfirmed) this.#hearer.told([{ id: first.id, error: error.refusal }]);
    else this.#hearer.failed(error);
  }

  #endStream(stream: Stream): void {
    this.#all.delete(stream);
    stream.end.abort();
  }

  /** Replaces two streams by one, while there are too many. */
  #takeTogether(): void {
    const ready = [...this.#all].filter(({ isReady }) => isReady);
    if (this.#all.size <= STREAMS_MAX || ready.length < this.#all.size) return;
    const pairs = ready.flatMap((one, at) => ready.slice(at + 1).map((other): [Stream, Stream] => [one, other]));
    const pair = pairs.find(([one, other]) => canShare([...one.subscriptions, ...other.subscriptions]));
    if (!pair) return;
    const subscriptions = pair.flatMap((stream) => stream.subscriptions);
    void this.#open(subscriptions, together(pair), [...pair]);
  }
}

function isPattern(topic: string): boolean {
  return /[*>]/.test(topic);
}

function canShare(subscriptions: Subscription[]): boolean {
  return subscriptions.length <= TOPICS_MAX && subscriptions.filter(({ topic }) => isPattern(topic)).length <= 1;
}

/** The id that two streams go on from as one. */
function together(pair: [Stream, Stream]): string {
  const joined = ({ lastId }: Stream) => Number(lastId.split(";", 1)[0]);
  const owner = pair.find(({ subscriptions }) => subscriptions.some(({ topic }) => isPattern(topic)));
  const positions = new Map(pair.flatMap(({ lastId }) => [...positionsOf(lastId)]));
  const own = new Set(pair.flatMap(({ subscriptions }) => subscriptions.map(({ topic }) => topic)));
  // Single topics last: where there is no room for all, the first are left out.
  const order = [...positions].sort(([one], [other]) => Number(own.has(one)) - Number(own.has(other)));
  return idOf(owner ? joined(owner) : Math.min(...pair.map(joined)), order.reverse());
}

/** `JOINED_MS;TOPIC=EPOCH:OFFSET;...`, from positions with the most wanted first. */
function idOf(joined: number, positions: [string, string][]): string {
  const parts: string[] = [];
  let length = 0;
  for (const [topic, position] of positions) {
    length += topic.length + position.length + 2;
    if (length > ID_LENGTH) break;
    parts.unshift(`${topic}=${position}`);
  }
  // At 0 a stream would begin with what comes from now on.
  return [String(Math.max(1, joined)), ...parts].join(";");
}

function positionsOf(id: string): Map<string, string> {
  const pairs = id.split(";").slice(1).map((part) => part.split("=") as [string, string]);
  return new Map(pairs);
}

/** A position so many messages later. */
function later(position: string, count: number): string {
  const [epoch, offset] = position.split(":");
  return `${epoch}:${Number(offset) + count}`;
}
