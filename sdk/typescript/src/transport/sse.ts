/**
 * Server-sent events and HTTP, where no WebSocket can be made: the same requests and answers, each
 * carried by the route that does it.
 */

import type { Refusal } from "../error.js";
import type { Asked, Told, Welcome, WireMembers } from "../wire.js";
import { type Fetch, Http, Refused, claims, isProblem, refusalOf } from "./http.js";
import { Streams } from "./streams.js";
import type { Hearer, Transport } from "./transport.js";

/** Messages of one batch. */
const BATCH_MAX = 256;
/** Characters of one batch. */
const BATCH_LENGTH = 256 * 1024;
/** Time between looks at who is present. */
const LOOK_EVERY_MS = 5000;
/** What the broker allows if it does not say otherwise. */
const ALLOWED = { payload_bytes_max: 1 << 20, subscriptions_max: 1024, ping_every_ms: 25_000 };

type Body = Record<string, any>;

/** A topic whose presence is looked at. */
interface Watch {
  timer: ReturnType<typeof setInterval>;
  /** What was seen last. */
  before: string | undefined;
}

/** Opens what stands for a connection; `connect` shows whether the broker can be reached. */
export function openEvents(base: string, fetch: Fetch, hearer: Hearer): Transport {
  const events = new Events(base, fetch, hearer);
  queueMicrotask(() => hearer.open());
  return events;
}

class Events implements Transport {
  readonly #http: Http;
  readonly #hearer: Hearer;
  readonly #streams: Streams;
  readonly #end = new AbortController();
  readonly #publishes: Asked[] = [];
  readonly #watches = new Map<string, Watch>();
  #isPosting = false;

  constructor(base: string, fetch: Fetch, hearer: Hearer) {
    this.#http = new Http(base, fetch);
    this.#hearer = hearer;
    this.#streams = new Streams(this.#http, {
      told: (told) => this.#told(told),
      heard: () => this.#unlessEnded(() => hearer.heard()),
      failed: (error) => this.#lost(error),
    });
  }

  send(asked: Asked[]): void {
    for (const one of asked) {
      if (one.name === "publish") this.#publishes.push(one);
      else void this.#ask(one);
    }
    void this.#post();
  }

  close(): void {
    this.#end.abort();
    this.#streams.close();
    for (const topic of [...this.#watches.keys()]) this.#unwatch(topic);
  }

  async #ask({ id, name, body: text }: Asked): Promise<void> {
    const body: Body = JSON.parse(text);
    try {
      const told = await this.#does(name, id, body);
      if (told) this.#told([{ id, ...told }]);
    } catch (error) {
      this.#failed(id, error);
    }
  }

  /** Does what is asked; the answer, unless it comes later. */
  async #does(name: string, id: number, body: Body): Promise<Told | undefined> {
    const { signal } = this.#end;
    const of = (rest: string) => `/v1/topics/${encodeURIComponent(body.topic)}/${rest}`;
    switch (name) {
      case "connect":
        this.#http.token = body.token;
        // Nothing is asked yet but whether the broker is there and takes the token.
        await this.#http.post("/v1/sse/ticket", "", signal);
        return { welcome: welcome(body.token) };
      case "refresh":
        this.#http.token = body.token;
        await this.#http.post("/v1/sse/ticket", "", signal);
        this.#streams.renew();
        return { refreshed: { expires_ms: expires(body.token) } };
      case "ping":
        // Without a stream only a question shows whether the broker is there.
        if (this.#streams.isEmpty) await this.#http.post("/v1/sse/ticket", "", signal);
        return this.#streams.areAlive() ? { pong: {} } : undefined;
      case "subscribe":
        await this.#streams.subscribe(id, body as { topic: string });
        return undefined;
      case "unsubscribe":
        this.#streams.unsubscribe(id);
        return { done: {} };
      case "history": {
        const { topic: _, ...rest } = body;
        return { history: await this.#http.get(of(`history?${new URLSearchParams(rest)}`), signal) } as Told;
      }
      case "presence":
        return this.#presence(body.topic, body.act, of(body.after ? `presence?after=${encodeURIComponent(body.after)}` : "presence"));
      case "request":
        return { reply: await this.#request(body) };
      default:
        return undefined;
    }
  }

  async #presence(topic: string, act: string, path: string): Promise<Told> {
    const read = async () => (await this.#http.get(path, this.#end.signal)) as WireMembers;
    if (act === "read") return { members: await read() };
    if (act !== "watch") {
      this.#unwatch(topic);
      return { done: {} };
    }
    const isFirst = !this.#watches.has(topic);
    const watch = this.#watches.get(topic) ?? this.#watch(topic, read);
    try {
      return { members: await this.#look(watch, read) };
    } catch (error) {
      if (isFirst) this.#unwatch(topic);
      throw error;
    }
  }

  /** Looks at a topic again and again, once for all who watch it. */
  #watch(topic: string, read: () => Promise<WireMembers>): Watch {
    // A look that fails is followed by another.
    const timer = setInterval(() => void this.#look(watch, read).catch(() => {}), LOOK_EVERY_MS);
    const watch: Watch = { timer, before: undefined };
    this.#watches.set(topic, watch);
    return watch;
  }

  async #look(watch: Watch, read: () => Promise<WireMembers>): Promise<WireMembers> {
    const members = await read();
    const now = JSON.stringify(members);
    const isNew = watch.before !== undefined && watch.before !== now;
    watch.before = now;
    if (isNew) this.#told([{ members }]);
    return members;
  }

  #unwatch(topic: string): void {
    clearInterval(this.#watches.get(topic)?.timer);
    this.#watches.delete(topic);
  }

  async #request({ topic, event, payload = null, timeout_ms }: Body): Promise<unknown> {
    const query = new URLSearchParams({ ...(event && { event }), timeout_ms });
    const headers = { "content-type": "application/json" };
    const path = `/v1/request/${encodeURIComponent(topic)}?${query}`;
    const { signal } = this.#end;
    const response = await this.#http.call(path, { method: "POST", headers, body: JSON.stringify(payload), signal });
    // The route says so where the responder says nothing.
    const given = response.headers.get("content-type");
    const content_type = given === null || given === "application/octet-stream" ? undefined : given;
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { content_type, bytes };
  }

  /** Publishes what waits, one batch after the other, so that the order stays. */
  async #post(): Promise<void> {
    if (this.#isPosting) return;
    this.#isPosting = true;
    while (this.#publishes.length > 0 && !this.#end.signal.aborted) await this.#batch();
    this.#isPosting = false;
  }

  async #batch(): Promise<void> {
    let length = 0;
    const isLast = ({ body }: Asked, at: number) => at >= BATCH_MAX || ((length += body.length) > BATCH_LENGTH && at > 0);
    const cut = this.#publishes.findIndex(isLast);
    const batch = this.#publishes.splice(0, cut < 0 ? this.#publishes.length : cut);
    const texts = batch.map(({ id, body }) => (id > 0 ? body : withAck(body)));
    try {
      const answer = await this.#http.post("/v1/publish/batch", `{"messages":[${texts.join(",")}]}`, this.#end.signal);
      const { results } = answer as { results: unknown[] };
      if (results.length !== batch.length) throw new Error("the broker broke the protocol");
      const outcome = (result: unknown): Told =>
        isProblem(result) ? { error: refusalOf(result) } : { published: result as NonNullable<Told["published"]> };
      this.#told(batch.map(({ id }, at) => ({ id, ...outcome(results[at]) })));
    } catch (error) {
      for (const { id } of batch) this.#failed(id, error);
    }
  }

  #failed(id: number, error: unknown): void {
    const ends = !(error instanceof Refused) || error.refusal.code >= 400;
    if (ends && !isAnswer(error)) this.#lost(error);
    else if (error instanceof Refused) this.#told([{ id, error: error.refusal }]);
  }

  #lost(error: unknown): void {
    if (this.#end.signal.aborted) return;
    this.close();
    const refusal: { refusal?: Refusal } = error instanceof Refused ? { refusal: error.refusal } : {};
    this.#hearer.lost({ ...refusal, reason: error instanceof Error ? error.message : String(error) });
  }

  #told(told: Told[]): void {
    this.#unlessEnded(() => this.#hearer.told(told));
  }

  #unlessEnded(then: () => void): void {
    if (!this.#end.signal.aborted) then();
  }
}

/** Whether a failure is the answer of the one who was asked, and says nothing of the connection. */
function isAnswer(error: unknown): boolean {
  return error instanceof Refused && error.refusal.code >= 900;
}

/** Over HTTP every publish has an ack. */
function withAck(body: string): string {
  const { ack: _, ...rest }: Body = JSON.parse(body);
  return JSON.stringify(rest);
}

function expires(token: string): number {
  return (claims(token).exp ?? 0) * 1000;
}

/** A greeting as a WebSocket has it, as far as it is known. */
function welcome(token: string): Welcome {
  const { sub = "", role = "" } = claims(token);
  return { session: "", boot: "", user: sub, role, expires_ms: expires(token), now_ms: Date.now(), ...ALLOWED };
}
