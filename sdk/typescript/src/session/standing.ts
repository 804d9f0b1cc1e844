/** What stands until it is taken back: subscriptions, presence entries, watches, consumers. */

import { Code, isRetryable } from "../code.js";
import type { Refusal } from "../error.js";
import { SampanError } from "../error.js";
import { parsePosition } from "../position.js";
import type { Chance } from "../chance.js";
import type { Pattern } from "../topic.js";
import type { Asked, Consume, Start, Via, WireChange, WireMembers } from "../wire.js";
import { Places } from "./places.js";

/** Registrations that one client holds. */
const STANDING_MAX = 8192;
/** How often in a row a confirmed registration may be refused as not authorized. */
const AUTHORIZER_TRIES = 4;

/** What stands. */
export type What =
  | { kind: "subscription"; pattern: Pattern; start: Start }
  | { kind: "entry"; topic: string }
  | { kind: "watch"; topic: string }
  | { kind: "consumer"; consume: Consume };

interface Standing {
  what: What;
  /** The broker has confirmed it once. */
  ready: boolean;
  /** The id it was asked for under on this connection. */
  asked: number | undefined;
  /** Refusals in a row since the last confirmation. */
  refusals: number;
  /** Of a subscription: where topics without a position resume. */
  joinedMs: number | undefined;
  /** Of a subscription: its reader has too much, and nothing is asked for. */
  held: boolean;
  /** Of a consumer: jobs that it has asked for and that have not come. */
  credit: number;
  /** Of a consumer: the broker has confirmed it on this connection. */
  pulls: boolean;
  /** Of a watch: the last change seen, once the members are known. */
  sequence: number | undefined;
}

/** What became of a refusal. */
export type Refused = { number: number; error: SampanError | undefined };

/** Registrations by their number, in the order in which they were first asked for. */
export class Registrations {
  readonly places = new Places();
  readonly #all = new Map<number, Standing>();
  readonly #byAsked = new Map<number, number>();
  /** When those that were refused are asked for again. */
  readonly #again = new Map<number, number>();
  readonly #nextId: () => number;
  readonly #chance: Chance;

  constructor(nextId: () => number, chance: Chance) {
    this.#nextId = nextId;
    this.#chance = chance;
  }

  /** Takes a registration. @throws {SampanError} `too_many`. */
  add(number: number, what: What): void {
    if (this.#all.size >= STANDING_MAX) {
      throw new SampanError("too_many", "too many registrations are open");
    }
    this.#all.set(number, {
      what,
      ready: false,
      asked: undefined,
      refusals: 0,
      joinedMs: what.kind === "subscription" && what.start.joined_ms ? what.start.joined_ms : undefined,
      held: false,
      credit: 0,
      pulls: false,
      sequence: undefined,
    });
    if (what.kind !== "subscription") return;
    this.places.add(number, what.pattern);
    for (const [topic, text] of Object.entries(what.start.positions ?? {})) {
      const at = parsePosition(text);
      if (at && what.pattern.matches(topic)) this.places.joined(number, topic, at);
    }
  }

  /** What asks for one registration; nothing if it is held or already asked for. */
  ask(number: number, via: Via): Asked[] {
    const standing = this.#all.get(number);
    if (!standing || standing.held || standing.asked !== undefined) return [];
    if (!isOffered(standing.what, via)) return [];
    const id = this.#nextId();
    standing.asked = id;
    this.#again.delete(number);
    this.#byAsked.set(id, number);
    const [name, body] = this.#request(number, standing);
    return [{ id, name, body: JSON.stringify(body) }];
  }

  /** What asks for everything that stands, on a new connection. */
  askAll(via: Via): Asked[] {
    return [...this.#all.keys()].flatMap((number) => this.ask(number, via));
  }

  /** Registrations that wait for their first answer and that this transport cannot give. */
  notOffered(via: Via): number[] {
    const all = [...this.#all];
    return all.filter(([, { what, ready }]) => !ready && !isOffered(what, via)).map(([number]) => number);
  }

  #request(number: number, { what, joinedMs }: Standing): [string, unknown] {
    switch (what.kind) {
      case "subscription": {
        const topic = what.pattern.text;
        if (joinedMs === undefined) return ["subscribe", { topic, ...what.start }];
        return ["subscribe", { topic, positions: this.places.positions(number), joined_ms: joinedMs }];
      }
      case "entry":
        return ["presence", { topic: what.topic, act: "enter" }];
      case "watch":
        return ["presence", { topic: what.topic, act: "watch" }];
      case "consumer":
        return ["consume", what.consume];
    }
  }

  /** Takes a registration back; what tells the broker so. */
  remove(number: number): Asked[] {
    const standing = this.#all.get(number);
    if (!standing) return [];
    this.#all.delete(number);
    this.#again.delete(number);
    this.places.remove(number);
    return this.#withdraw(standing);
  }

  #withdraw(standing: Standing): Asked[] {
    const { asked: id, what } = standing;
    if (id === undefined) return [];
    this.#byAsked.delete(id);
    [standing.asked, standing.pulls] = [undefined, false];
    if (what.kind === "subscription") return [{ id, name: "unsubscribe", body: "{}" }];
    if (what.kind === "consumer") return [{ id, name: "leave", body: "{}" }];
    // The last one of its topic tells the broker.
    const isSame = ({ what: other }: Standing) => other.kind === what.kind && other.topic === what.topic;
    if ([...this.#all.values()].some(isSame)) return [];
    const act = what.kind === "entry" ? "leave" : "unwatch";
    return [{ id: this.#nextId(), name: "presence", body: JSON.stringify({ topic: what.topic, act }) }];
  }

  /** What hands the jobs of all consumers back, once on a connection. */
  handBack(): Asked[] {
    const all = [...this.#all.values()];
    return all.flatMap((standing) => (standing.what.kind === "consumer" ? this.#withdraw(standing) : []));
  }

  /** A job has come for the consumer that was asked for under an id on this connection: its number. */
  job(id: number): number | undefined {
    const number = this.#byAsked.get(id);
    const standing = number === undefined ? undefined : this.#all.get(number);
    if (standing) standing.credit = Math.max(0, standing.credit - 1);
    return number;
  }

  /** A consumer wants so many jobs; what asks for those that have not been asked for. */
  pull(number: number, count: number): Asked[] {
    const standing = this.#all.get(number);
    const missing = count - (standing?.credit ?? count);
    if (!standing || missing <= 0) return [];
    standing.credit = count;
    return pulled(standing, missing);
  }

  /** Jobs that a consumer has asked for and that have not come. */
  credit(number: number): number {
    return this.#all.get(number)?.credit ?? 0;
  }

  /** Stops a subscription whose reader has too much; what tells the broker so. */
  hold(number: number, welcomedMs: number): Asked[] {
    const standing = this.#all.get(number);
    if (!standing || standing.held) return [];
    standing.held = true;
    this.#again.delete(number);
    this.#join(number, standing, welcomedMs);
    this.places.hold(number);
    return this.#withdraw(standing);
  }

  /** Lets a held subscription go on where it was stopped. */
  release(number: number, via: Via | undefined): Asked[] {
    const standing = this.#all.get(number);
    if (!standing?.held) return [];
    standing.held = false;
    this.places.release(number);
    return via ? this.ask(number, via) : [];
  }

  /** The connection is lost, whose greeting showed this time. */
  disconnected(welcomedMs: number): void {
    for (const [number, standing] of this.#all) {
      if (standing.asked !== undefined) this.#join(number, standing, welcomedMs);
      [standing.asked, standing.pulls, standing.sequence] = [undefined, false, undefined];
    }
    this.#byAsked.clear();
    this.#again.clear();
    this.places.reconnected();
  }

  /** What was given messages before its confirmation could arrive has joined all the same. */
  #join(number: number, standing: Standing, welcomedMs: number): void {
    if (standing.joinedMs === undefined && this.places.hasSeen(number)) {
      standing.joinedMs = joinedMs(standing.what, welcomedMs);
    }
  }

  /** A subscription is confirmed: its number, or nothing if it is not known. */
  subscribed(id: number, at: { joined_ms: number; positions: Record<string, string> }): number | undefined {
    const number = this.#byAsked.get(id);
    const standing = number === undefined ? undefined : this.#all.get(number);
    if (number === undefined || standing?.what.kind !== "subscription") return undefined;
    const { pattern, start } = standing.what;
    if (standing.joinedMs === undefined || (!standing.ready && start.joined_ms !== undefined)) {
      standing.joinedMs = joinedMs(standing.what, at.joined_ms);
      const text = at.positions[pattern.text];
      const position = text === undefined ? undefined : parsePosition(text);
      // A single topic resumes before what it was to replay, until a message says better.
      if (pattern.isTopic && position && start.since === undefined) {
        const offset = Math.max(0, position.offset - (start.last ?? 0));
        this.places.joined(number, pattern.text, { ...position, offset });
      }
    }
    return this.#confirmed(number, standing);
  }

  /** A presence entry or a consumer is confirmed: its number, and what it asks for. */
  done(id: number): { number: number; asked: Asked[] } | undefined {
    const number = this.#byAsked.get(id);
    const standing = number === undefined ? undefined : this.#all.get(number);
    if (number === undefined || (standing?.what.kind !== "entry" && standing?.what.kind !== "consumer")) return undefined;
    standing.pulls = standing.what.kind === "consumer";
    return { number: this.#confirmed(number, standing), asked: pulled(standing, standing.credit) };
  }

  /** The watches of a topic whose members are known. */
  watching(topic: string): number[] {
    const isMeant = ({ what, sequence }: Standing) =>
      what.kind === "watch" && what.topic === topic && sequence !== undefined;
    return [...this.#all].filter(([, standing]) => isMeant(standing)).map(([number]) => number);
  }

  /** All members came for a watch: its number, or nothing if it is not known. */
  members(id: number, { sequence }: WireMembers): number | undefined {
    const number = this.#byAsked.get(id);
    const standing = number === undefined ? undefined : this.#all.get(number);
    if (number === undefined || standing?.what.kind !== "watch") return undefined;
    standing.sequence = sequence;
    return this.#confirmed(number, standing);
  }

  #confirmed(number: number, standing: Standing): number {
    standing.ready = true;
    standing.refusals = 0;
    return number;
  }

  /** The watches that a change reaches, and those that saw a hole and must start over. */
  changed({ topic, sequence }: WireChange): { reached: number[]; broken: number[] } {
    const [reached, broken]: [number[], number[]] = [[], []];
    for (const [number, standing] of this.#all) {
      const { what, sequence: known } = standing;
      if (what.kind !== "watch" || what.topic !== topic || known === undefined || sequence <= known) continue;
      const follows = sequence === known + 1;
      standing.sequence = follows ? sequence : undefined;
      if (!follows && standing.asked !== undefined) this.#byAsked.delete(standing.asked);
      if (!follows) standing.asked = undefined;
      (follows ? reached : broken).push(number);
    }
    return { reached, broken };
  }

  /** A registration is refused. One that was confirmed before is asked for again if that can pass. */
  refused(now: number, id: number, refusal: Refusal): Refused | undefined {
    const number = this.#byAsked.get(id);
    const standing = number === undefined ? undefined : this.#all.get(number);
    if (number === undefined || !standing) return undefined;
    const { code, retryable, retry_after_ms: wait = 0 } = refusal;
    // An authorizer that has not come back after a restart may say yes a little later.
    const mayPass = (retryable ?? isRetryable(code)) || wait > 0
      || (code === Code.NOT_AUTHORIZED && standing.refusals < AUTHORIZER_TRIES);
    this.#byAsked.delete(id);
    standing.asked = undefined;
    if (standing.ready && mayPass) {
      standing.refusals += 1;
      this.#again.set(number, now + wait + this.#chance.backoff(standing.refusals));
      return { number, error: undefined };
    }
    this.remove(number);
    return { number, error: SampanError.refused(refusal) };
  }

  /** When a refused registration is asked for again. */
  deadline(): number {
    let next = Infinity;
    for (const at of this.#again.values()) next = Math.min(next, at);
    return next;
  }

  /** What asks again for what was refused long enough ago. */
  askAgain(now: number, via: Via): Asked[] {
    const due = [...this.#again].filter(([, at]) => at <= now);
    return due.flatMap(([number]) => this.ask(number, via));
  }

  /** From where a subscription could go on, in another client too. */
  resume(number: number): Start {
    const standing = this.#all.get(number);
    return { positions: this.places.positions(number), joined_ms: standing?.joinedMs ?? 0 };
  }

  /** Takes everything out. */
  clear(): number[] {
    const numbers = [...this.#all.keys()];
    numbers.forEach((number) => this.places.remove(number));
    this.#all.clear();
    this.#byAsked.clear();
    this.#again.clear();
    return numbers;
  }
}

/** What asks for jobs, once the broker knows the consumer. */
function pulled({ asked, pulls }: Standing, count: number): Asked[] {
  if (!pulls || asked === undefined || count === 0) return [];
  return [{ id: asked, name: "pull", body: JSON.stringify({ count }) }];
}

/** Whether a transport carries it: events carry subscriptions, and presence is asked for again and again. */
function isOffered({ kind }: What, via: Via): boolean {
  return via === "websocket" || kind === "subscription" || kind === "watch";
}

/** From when topics without a position resume, for a subscription that joined at this time. */
function joinedMs(what: What, joined: number): number {
  if (what.kind !== "subscription") return joined;
  const { since, joined_ms } = what.start;
  // At 0 a topic would resume with what comes from now on.
  return since === undefined ? joined_ms || joined : Math.max(1, Math.min(since, joined));
}
