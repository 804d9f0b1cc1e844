/**
 * The client's end of a session: a state machine without sockets and timers.
 *
 * Law: give it one input, then carry out everything in {@link Session.take}, then give it the next.
 * {@link Session.deadline} says when it wants to be told the time. Times are milliseconds that only rise.
 */

import { Chance } from "../chance.js";
import { Code, reaction } from "../code.js";
import type { Refusal } from "../error.js";
import { SampanError } from "../error.js";
import type { Start, Told, Via, Welcome, WireAway } from "../wire.js";
import { Exchange } from "./exchange.js";
import type { Output, State } from "./output.js";
import { Pulse } from "./pulse.js";
import type { Question } from "./requests.js";
import type { Lost, Setup } from "./setup.js";
import type { What } from "./standing.js";

/** How long connecting and greeting may take together. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** A session that lived this long sets the backoff back to its start. */
export const STABLE_AFTER_MS = 10_000;
/** How often a renewal that waits for replies looks again. */
const RENEWAL_STEP_MS = 250;
/** When a WebSocket is tried again after a fallback; doubles up to the maximum. */
export const PROBE_MIN_MS = 30_000;
const PROBE_MAX_MS = 600_000;

type Phase =
  | { state: "idle" | "token" }
  | { state: "waiting"; until: number }
  | { state: "connecting" | "greeting"; until: number }
  | { state: "live"; since: number }
  | { state: "draining"; since: number; renew: number; until: number }
  | { state: "closed"; error: SampanError };

/** One client's session. */
export class Session {
  #phase: Phase = { state: "idle" };
  #out: Output[] = [];
  #connection = 0;
  #attempt = 0;
  #token: string | undefined;
  #tokenWanted = false;
  #tokenRenewed = false;
  #welcome: Welcome | undefined;
  /** The way in use, as an index into the ways. */
  #way = 0;
  #probeAt = Infinity;
  #probeInMs = PROBE_MIN_MS;
  readonly #pulse = new Pulse();
  readonly #setup: Setup;
  readonly #chance: Chance;
  readonly #exchange: Exchange;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#token = setup.token;
    this.#chance = new Chance(setup.seed);
    const put = (output: Output) => this.#put(output);
    this.#exchange = new Exchange(setup.pendingMax, setup.pendingBytesMax, this.#chance, put);
  }

  /** Where the session stands. */
  get state(): State {
    const { state } = this.#phase;
    return state === "token" ? "connecting" : state;
  }

  /** Why the session is closed, if it is. */
  get closed(): SampanError | undefined {
    return this.#phase.state === "closed" ? this.#phase.error : undefined;
  }

  /** The greeting of the last connection. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** The way in use. */
  get via(): Via {
    return this.#setup.ways[this.#way] ?? "websocket";
  }

  /** The number of the connection in use. */
  get connection(): number {
    return this.#connection;
  }

  /** Publishes that wait for their ack. */
  get pending(): number {
    return this.#exchange.pending;
  }

  /** The token in use. */
  get token(): string {
    return this.#token ?? "";
  }

  /** Whether requests reach the broker. */
  get isLive(): boolean {
    return this.#phase.state === "live" || this.#phase.state === "draining";
  }

  /** What is to be done, in this order. */
  take(): Output[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** When {@link Session.time} must be called next; `Infinity` for never. */
  deadline(): number {
    const phase = this.#phase;
    const own = phase.state === "draining" ? phase.renew : "until" in phase ? phase.until : Infinity;
    return Math.min(own, this.#pulse.deadline(), this.#probeAt, this.#exchange.deadline());
  }

  // What the application does.

  /** Starts connecting. Does nothing on a session that was opened before. */
  open(now: number): void {
    if (this.#phase.state === "idle") this.#connect(now);
  }

  /** Publishes; answers the number under which the outcome is told. @throws {SampanError} */
  publish(now: number, body: string): number {
    return this.#open.publish(now, body);
  }

  /** Takes a publish of this length whose body is still made; those after it wait. @throws {SampanError} */
  reserve(length: number): number {
    return this.#open.reserve(length);
  }

  /** The body of a publish is made. */
  fill(now: number, number: number, body: string): void {
    this.#exchange.fill(now, number, body);
  }

  /** Publishes once, now, without an ack. @throws {SampanError} `lost` without a connection. */
  publishUnacked(body: string): void {
    this.#open.publishUnacked(body);
  }

  /** Asks; answers the number under which the outcome is told. @throws {SampanError} */
  ask(now: number, question: Question): number {
    return this.#open.ask(now, question);
  }

  /** Registers what stands until it is cancelled. @throws {SampanError} */
  stand(what: What): number {
    return this.#open.stand(what);
  }

  /** Takes a registration back. Nothing more is told about it. */
  cancel(number: number): void {
    this.#exchange.cancel(number);
  }

  /** The reader of a subscription has too much: what follows stays with the broker. */
  hold(number: number): void {
    this.#exchange.hold(number);
  }

  /** The reader has room again. */
  release(number: number): void {
    this.#exchange.release(number);
  }

  /** A consumer wants so many jobs; those that are asked for and have not come count. */
  pull(number: number, count: number): void {
    this.#exchange.pull(number, count);
  }

  /** Jobs that a consumer has asked for and that have not come. */
  credit(number: number): number {
    return this.#exchange.credit(number);
  }

  /** From where a subscription could go on, in another client too. */
  resume(number: number): Start {
    return this.#exchange.resume(number);
  }

  /** Ends the session at once. What is open fails. */
  close(): void {
    if (this.#phase.state === "closed") return;
    this.#finish(new SampanError("closed", "the client is closed", { code: Code.CLOSED }));
  }

  // What the shell reports.

  /** The transport of this connection is there. */
  connected(connection: number): void {
    const phase = this.#phase;
    if (connection !== this.#connection || phase.state !== "connecting") return;
    this.#phase = { state: "greeting", until: phase.until };
    const { client, inflates } = this.#setup;
    const body = JSON.stringify({ token: this.token, client, inflates });
    this.#put({ do: "send", asked: [{ id: 0, name: "connect", body }] });
    this.#tellState();
  }

  /** The transport of this connection is gone, or could not be made. */
  lost(now: number, connection: number, lost: Lost): void {
    if (connection === this.#connection && this.#hasTransport) this.#end(now, lost);
  }

  /** The broker has said something on this connection. */
  told(now: number, connection: number, told: Told): void {
    if (connection !== this.#connection || !this.#hasTransport) return;
    this.heard(now, connection);
    if (told.welcome) return this.#welcomed(now, told.welcome);
    if (told.close) return this.#closedByBroker(now, told.close);
    if (!this.isLive) return;
    if (told.goaway) return this.#goingAway(now, told.goaway);
    if (told.expiring) return this.#expiring(told.expiring.expires_ms);
    this.#exchange.told(now, told);
  }

  /** There is a sign of life on this connection. */
  heard(now: number, connection: number): void {
    if (connection !== this.#connection || !this.isLive) return;
    this.#pulse.heard(now, this.#welcome?.ping_every_ms);
  }

  /** A fresh token; also one that was not asked for. */
  gotToken(now: number, token: string): void {
    this.#tokenWanted = false;
    this.#token = token;
    if (this.#phase.state === "token") return this.#connect(now);
    if (this.isLive) this.#exchange.ask(now, { name: "refresh", body: { token }, timeoutMs: CONNECT_TIMEOUT_MS });
  }

  /** No token could be had; the next attempt follows with backoff. */
  noToken(now: number, reason: string): void {
    this.#tokenWanted = false;
    if (this.#phase.state === "token") this.#wait(now, { reason });
  }

  /** Whether a WebSocket can be made by now. */
  probed(now: number, works: boolean): void {
    if (!this.isLive || this.#way === 0) return;
    if (works) {
      [this.#way, this.#probeAt, this.#probeInMs] = [0, Infinity, PROBE_MIN_MS];
      return this.#renew(now, "a WebSocket can be made again");
    }
    this.#probeInMs = Math.min(this.#probeInMs * 2, PROBE_MAX_MS);
    this.#probeAt = now + this.#probeInMs;
  }

  /** The time has come. */
  time(now: number): void {
    this.#exchange.time(now);
    const phase = this.#phase;
    if (phase.state === "waiting" && phase.until <= now) return this.#connect(now);
    if ((phase.state === "connecting" || phase.state === "greeting") && phase.until <= now) {
      return this.#end(now, { reason: "the broker did not answer in time" });
    }
    if (phase.state === "draining" && phase.renew <= now) return this.#drained(now, phase);
    if (!this.isLive) return;
    const wanted = this.#pulse.time(now);
    if (wanted === "end") return this.#end(now, { reason: "nothing was heard from the broker in time" });
    if (wanted === "ping") this.#put({ do: "send", asked: [{ id: 0, name: "ping", body: "{}" }] });
    if (this.#probeAt <= now) {
      this.#probeAt = Infinity;
      this.#put({ do: "probe" });
    }
  }

  // The connection.

  get #hasTransport(): boolean {
    return this.isLive || this.#phase.state === "connecting" || this.#phase.state === "greeting";
  }

  #connect(now: number): void {
    if (this.#token !== undefined) {
      this.#connection += 1;
      this.#phase = { state: "connecting", until: now + CONNECT_TIMEOUT_MS };
      this.#put({ do: "connect", connection: this.#connection, via: this.via });
    } else if (this.#setup.renewable) {
      this.#phase = { state: "token" };
      this.#wantToken();
    } else {
      return this.#finish(SampanError.refused({ code: Code.BAD_TOKEN, reason: "there is no token" }, false, "closed"));
    }
    this.#tellState();
  }

  #wantToken(): void {
    if (this.#tokenWanted) return;
    this.#tokenWanted = true;
    this.#put({ do: "token" });
  }

  #welcomed(now: number, welcome: Welcome): void {
    if (this.#phase.state !== "greeting") return;
    const resumed = this.#welcome !== undefined;
    this.#phase = { state: "live", since: now };
    this.#welcome = welcome;
    this.#tokenRenewed = false;
    this.#probeAt = this.#way > 0 ? now + this.#probeInMs : Infinity;
    this.heard(now, this.#connection);
    this.#put({ do: "welcome", welcome, via: this.via, resumed });
    this.#tellState();
    this.#exchange.welcomed(now, welcome.now_ms, this.via);
  }

  #closedByBroker(now: number, refusal: Refusal): void {
    this.#end(now, { refusal, reason: refusal.reason ?? "" });
  }

  /** The connection is over. */
  #end(now: number, lost: Lost): void {
    const phase = this.#phase;
    const wasLive = this.isLive;
    const isStable = "since" in phase && now - phase.since >= STABLE_AFTER_MS;
    if (isStable) this.#attempt = 0;
    this.#put({ do: "disconnect" });
    this.#disconnected(lost.reason);
    const code = lost.refusal?.code;
    if (code === undefined) {
      const isLast = this.#way + 1 >= this.#setup.ways.length;
      // Where the best way cannot be gone, the next one is tried before any wait.
      if (!wasLive && !isLast) {
        this.#way += 1;
        return this.#connect(now);
      }
      if (!wasLive) this.#way = 0;
      return this.#wait(now, lost);
    }
    const isToken = code === Code.BAD_TOKEN || code === Code.TOKEN_EXPIRED;
    if (isToken && this.#setup.renewable && !this.#tokenRenewed) {
      this.#tokenRenewed = true;
      this.#token = undefined;
      return this.#connect(now);
    }
    const mayReturn = code >= 300 && code < 600 && code !== Code.TOKEN_EXPIRED;
    if (mayReturn) return this.#wait(now, lost);
    this.#finish(SampanError.refused(lost.refusal ?? { code }, false, "closed"));
  }

  /** Waits for the next attempt: the broker's hint plus full jitter, or not at all. */
  #wait(now: number, { refusal, reason }: Lost): void {
    const isAtOnce = refusal !== undefined && reaction(refusal.code) === "reconnect" && this.#attempt === 0;
    const jitter = isAtOnce ? 0 : this.#chance.backoff(this.#attempt);
    this.#attempt += 1;
    const retryInMs = (refusal?.retry_after_ms ?? 0) + jitter;
    this.#phase = { state: "waiting", until: now + retryInMs };
    const lost = () => new SampanError("lost", `the connection was lost: ${reason}`);
    const cause = refusal ? SampanError.refused(refusal) : lost();
    this.#put({ do: "state", state: "waiting", cause, retryInMs });
  }

  /** What a lost connection takes with it. */
  #disconnected(reason: string): void {
    this.#pulse.stop();
    this.#probeAt = Infinity;
    this.#exchange.lost(reason);
  }

  /** Closes the client for good. */
  #finish(error: SampanError): void {
    this.#exchange.handBack();
    if (this.#hasTransport) this.#put({ do: "disconnect" });
    this.#phase = { state: "closed", error };
    this.#pulse.stop();
    this.#probeAt = Infinity;
    this.#exchange.close(error);
    this.#put({ do: "state", state: "closed", cause: error });
  }

  #renew(now: number, reason: string): void {
    this.#put({ do: "disconnect" });
    this.#disconnected(reason);
    this.#connect(now);
  }

  #goingAway(now: number, { reconnect_within_ms: within, close_after_ms: close }: WireAway): void {
    const phase = this.#phase;
    if (phase.state !== "live") return;
    const renewIn = this.#chance.within(Math.min(within, close));
    const until = now + Math.max(close, renewIn);
    this.#phase = { state: "draining", since: phase.since, renew: now + renewIn, until };
    this.#tellState();
  }

  #drained(now: number, phase: Extract<Phase, { state: "draining" }>): void {
    // Jobs are handed back first, and a step later the broker knows.
    const hadJobs = this.#exchange.handBack();
    if (now < phase.until && (this.#exchange.awaitsReply || hadJobs)) {
      phase.renew = Math.min(now + RENEWAL_STEP_MS, phase.until);
      return;
    }
    this.#renew(now, "moving as asked");
  }

  #expiring(expiresMs: number): void {
    if (this.#setup.renewable) this.#wantToken();
    else this.#put({ do: "expiring", expiresMs });
  }

  // Small things.

  /** What may be asked for, as long as the session is not closed. */
  get #open(): Exchange {
    if (this.#phase.state === "closed") throw this.#phase.error;
    return this.#exchange;
  }

  #tellState(): void {
    this.#put({ do: "state", state: this.state });
  }

  #put(output: Output): void {
    this.#out.push(output);
  }
}
