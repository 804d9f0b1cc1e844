/**
 * Streams of server-sent events, as few as may be: a page has few connections.
 *
 * Subscriptions that begin alike begin on one stream, any other on its own, since only that joins where it
 * is asked to. Then streams are taken together: single topics have positions, so that any number of them
 * goes with one pattern, whose join is that of the stream. What finds no stream waits until there is one
 * less.
 */

import type { Start, Told } from "../wire.js";
import { type Http, Refused } from "./http.js";
import { EventParser, type StreamEvent } from "./parser.js";

/** Streams at a time before they are taken together. */
const STREAMS_REST = 3;
/** Streams with a pattern: six connections are all that a page has to one host. */
const PATTERNS_MAX = "location" in globalThis ? STREAMS_REST : 64;
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

/** Subscriptions, and the id that their stream goes on from. */
interface Part {
  subscriptions: Subscription[];
  lastId: string;
}

/** A subscription that waits for a stream. */
interface Beginning extends Part {
  /** It was refused together with others, and finds out by itself. */
  isAlone: boolean;
}

interface Stream extends Part {
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
  readonly #looking = new Set<number>();
  #waiting: Beginning[] = [];

  constructor(http: Http, hearer: StreamsHearer) {
    this.#http = http;
    this.#hearer = hearer;
  }

  /** Finds a stream for one more subscription. */
  async subscribe(id: number, { topic, ...start }: Start & { topic: string }): Promise<void> {
    this.#looking.add(id);
    const lastId = await this.#from(topic, start);
    // It was taken back meanwhile, or the connection has ended.
    if (!this.#looking.delete(id)) return;
    const subscription = { id, topic, replayed: start.last ?? 0, isConfirmed: false };
    this.#begin([{ subscriptions: [subscription], lastId, isAlone: false }]);
  }

  /** Ends a subscription. What still comes for it is dropped by whoever asked for it. */
  unsubscribe(id: number): void {
    this.#looking.delete(id);
    for (const part of [...this.#all, ...this.#waiting]) {
      part.subscriptions = part.subscriptions.filter((subscription) => subscription.id !== id);
    }
    this.#waiting = this.#waiting.filter(({ subscriptions }) => subscriptions.length > 0);
    for (const stream of this.#all) if (stream.subscriptions.length === 0) this.#endStream(stream);
    this.#next();
  }

  /** Opens every stream anew, with the token of now. */
  renew(): void {
    for (const stream of [...this.#all]) void this.#open(stream, [stream]);
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
    this.#looking.clear();
    this.#waiting = [];
    for (const stream of this.#all) this.#endStream(stream);
  }

  #begin(beginnings: Beginning[]): void {
    this.#waiting.push(...beginnings);
    // What is asked in one go begins together.
    queueMicrotask(() => this.#next());
  }

  /** Opens streams for what waits, and takes streams together where there are too many. */
  #next(): void {
    for (;;) {
      const [first] = this.#waiting;
      const patterns = [...this.#all].filter(hasPattern).length;
      if (first && hasPattern(first) && patterns >= PATTERNS_MAX) {
        this.#waiting.shift();
        this.#refuse(first, `without a WebSocket a page has at most ${PATTERNS_MAX} patterns`);
      } else if (first && this.#all.size < Math.max(STREAMS_REST, patterns) + 1) {
        void this.#open(this.#gathered(first), []);
      } else {
        break;
      }
    }
    const isTooMany = this.#waiting.length > 0 || this.#all.size > STREAMS_REST;
    if (!isTooMany || [...this.#all].some(({ isReady }) => !isReady)) return;
    const shift = this.#shift();
    if (shift) void this.#open(together([shift.to, shift.moved]), [shift.to, shift.from]);
    else for (const one of this.#waiting.splice(0)) this.#refuse(one, "without a WebSocket there are too many topics");
  }

  /** Takes what may begin on one stream with the first out of what waits. */
  #gathered(first: Beginning): Part {
    let gathered: Beginning[] = [];
    for (const one of this.#waiting) {
      const isAlike = one === first || (!one.isAlone && !first.isAlone && beginAlike(one, first));
      if (isAlike && canShare([...gathered, one])) gathered = [...gathered, one];
    }
    this.#waiting = this.#waiting.filter((one) => !gathered.includes(one));
    return first.lastId === "" ? { lastId: "", subscriptions: gathered.flatMap(({ subscriptions }) => subscriptions) } : together(gathered);
  }

  /** The next step towards one stream less, if all that it carries fits into the others. */
  #shift(): { from: Stream; to: Stream; moved: Part } | undefined {
    const bySize = [...this.#all].sort((one, other) => one.subscriptions.length - other.subscriptions.length);
    const from = bySize.find((stream) => !hasPattern(stream));
    const to = bySize.find((stream) => stream !== from);
    if (!from || !to) return undefined;
    const rooms = bySize.map((stream) => (stream === from ? 0 : roomOf(stream)));
    if (rooms.reduce((sum, room) => sum + room, 0) < from.subscriptions.length) return undefined;
    const moved = { subscriptions: from.subscriptions.slice(0, roomOf(to)), lastId: from.lastId };
    return { from, to, moved };
  }

  #refuse({ subscriptions }: Part, reason: string): void {
    this.#hearer.told(subscriptions.map(({ id }) => ({ id, error: { code: 304, reason } })));
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

  async #open({ subscriptions, lastId }: Part, replaces: Stream[]): Promise<void> {
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
      if (!stream.end.signal.aborted) this.#failed(stream, error, replaces);
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
      this.#replaced(stream, replaces);
      this.#next();
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

  /** A refusal is that of one subscription, which shows where each asks alone; else the connection ends. */
  #failed(stream: Stream, error: unknown, replaces: Stream[]): void {
    this.#endStream(stream);
    const [first, ...others] = stream.subscriptions;
    const code = error instanceof Refused ? error.refusal.code : Infinity;
    const isAlone = others.length === 0;
    // A broker that is busy is not asked more often.
    if (code >= (isAlone && first && !first.isConfirmed ? 400 : 300)) return this.#hearer.failed(error);
    this.#replaced(stream, replaces);
    if (!isAlone) this.#begin(stream.subscriptions.map((one) => alone(one, stream.lastId)));
    else if (first && error instanceof Refused) this.#hearer.told([{ id: first.id, error: error.refusal }]);
    this.#next();
  }

  /** What a stream has taken over is no matter of those before it. */
  #replaced({ subscriptions }: Stream, olds: Stream[]): void {
    for (const old of olds.splice(0)) {
      old.subscriptions = old.subscriptions.filter((subscription) => !subscriptions.includes(subscription));
      if (old.subscriptions.length === 0) this.#endStream(old);
    }
  }

  #endStream(stream: Stream): void {
    this.#all.delete(stream);
    stream.end.abort();
  }
}

function isPattern(topic: string): boolean {
  return /[*>]/.test(topic);
}

function hasPattern({ subscriptions }: Part): boolean {
  return subscriptions.some(({ topic }) => isPattern(topic));
}

function roomOf({ subscriptions }: Part): number {
  return TOPICS_MAX - subscriptions.length;
}

/** Whether one stream can carry all of these. */
function canShare(parts: Part[]): boolean {
  const subscriptions = parts.flatMap((part) => part.subscriptions);
  return subscriptions.length <= TOPICS_MAX && subscriptions.filter(({ topic }) => isPattern(topic)).length <= 1;
}

/** Whether both begin now, or where no other's beginning matters. */
function beginAlike(one: Part, other: Part): boolean {
  const hasPlace = ({ subscriptions, lastId }: Part) =>
    subscriptions.every(({ topic }) => isPattern(topic) || positionsOf(lastId).has(topic));
  if (one.lastId === "" || other.lastId === "") return one.lastId === other.lastId;
  return hasPlace(one) && hasPlace(other);
}

/** One subscription of a stream, as it goes on by itself. */
function alone(subscription: Subscription, lastId: string): Beginning {
  const { topic } = subscription;
  const at = positionsOf(lastId).get(topic);
  const own = isPattern(topic) || at === undefined ? lastId : idOf(joinedOf(lastId), [[topic, at]]);
  return { subscriptions: [subscription], lastId: own, isAlone: true };
}

/** What several go on from as one. */
function together(parts: Part[]): Part {
  const owner = parts.find(hasPattern);
  const positions = new Map(parts.flatMap(({ lastId }) => [...positionsOf(lastId)]));
  const subscriptions = parts.flatMap((part) => part.subscriptions);
  const own = new Set(subscriptions.map(({ topic }) => topic));
  // Single topics last: where there is no room for all, the first are left out.
  const order = [...positions].sort(([one], [other]) => Number(own.has(one)) - Number(own.has(other)));
  const joined = owner ? joinedOf(owner.lastId) : Math.min(...parts.map(({ lastId }) => joinedOf(lastId)));
  return { subscriptions, lastId: idOf(joined, order.reverse()) };
}

function joinedOf(id: string): number {
  return Number(id.split(";", 1)[0]);
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
