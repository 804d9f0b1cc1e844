/** The shell around a session: a clock, a timer, transports, promises. */

import { SampanError } from "./error.js";
import { report } from "./listeners.js";
import { type Carried, inflate, packed } from "./payload.js";
import type { Output, State } from "./session/output.js";
import { Session } from "./session/session.js";
import type { Lost, Setup } from "./session/setup.js";
import { openEvents } from "./transport/sse.js";
import type { Fetch } from "./transport/http.js";
import { type Transport, type WebSocketConstructor, socketAddress } from "./transport/transport.js";
import { openWebSocket, probeWebSocket } from "./transport/websocket.js";
import type { Told, Via, WireChange, WireGap, WireJob, WireMembers, WireMessage } from "./wire.js";

/** Where tokens come from. */
export type TokenProvider = () => string | Promise<string>;

/** What a driver is made of. */
export interface Parts {
  setup: Setup;
  base: string;
  WebSocket: WebSocketConstructor | undefined;
  fetch: Fetch | undefined;
  provider: TokenProvider | undefined;
}

/** What stands under a number hears of it here. */
export interface Sink {
  message?(message: WireMessage): void;
  gap?(gap: WireGap): void;
  job?(job: WireJob, connection: number): void;
  members?(members: WireMembers): void;
  change?(change: WireChange): void;
  /** It is over, for this reason. */
  ended?(error: SampanError): void;
}

/** What hears of the session as a whole. */
export interface Overhearer {
  state(state: State, cause: SampanError | undefined, retryInMs: number | undefined): void;
  welcome(resumed: boolean, via: Via): void;
  expiring(expiresMs: number): void;
  /** A message has come, whoever asked for it. */
  message(message: WireMessage): void;
}

interface Call {
  resolve(value: unknown): void;
  reject(error: SampanError): void;
}

/** Longest time that a timer takes. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** One session in real time. */
export class Driver {
  readonly #session: Session;
  readonly #parts: Parts;
  readonly #overhearer: Overhearer;
  readonly #calls = new Map<number, Call>();
  readonly #sinks = new Map<number, Sink>();
  #transport: Transport | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #isDraining = false;
  /** What came while something compressed is inflated waits behind it. */
  #inflating: Promise<void> | undefined;

  constructor(parts: Parts, overhearer: Overhearer) {
    this.#parts = parts;
    this.#overhearer = overhearer;
    this.#session = new Session(parts.setup);
  }

  /** Changes the session, and does what it then wants. */
  with<T>(change: (session: Session, now: number) => T): T {
    try {
      return change(this.#session, performance.now());
    } finally {
      this.#carryOut();
    }
  }

  /** Looks at the session. */
  get session(): Session {
    return this.#session;
  }

  /** Makes a call whose outcome is told under the number that it answers. */
  call<T>(change: (session: Session, now: number) => number, sink?: Sink): { number: number; outcome: Promise<T> } {
    const number = change(this.#session, performance.now());
    const outcome = new Promise<T>((resolve, reject) => {
      this.#calls.set(number, { resolve: resolve as (value: unknown) => void, reject });
    });
    if (sink) this.#sinks.set(number, sink);
    this.#carryOut();
    return { number, outcome };
  }

  /** Takes back what stands under a number. */
  cancel(number: number): void {
    this.#sinks.delete(number);
    const call = this.#calls.get(number);
    this.#calls.delete(number);
    call?.reject(new SampanError("closed", "it was taken back"));
    this.with((session) => session.cancel(number));
  }

  /** Does what the session wants, until it wants nothing more. */
  #carryOut(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let out = this.#session.take(); out.length > 0; out = this.#session.take()) {
        for (const output of out) {
          try {
            this.#do(output);
          } catch (error) {
            report(error);
          }
        }
      }
    } finally {
      this.#isDraining = false;
    }
    this.#setTimer();
  }

  #do(output: Output): void {
    switch (output.do) {
      case "connect":
        return this.#connect(output.connection, output.via);
      case "send":
        return this.#transport?.send(output.asked);
      case "disconnect":
        this.#transport?.close();
        this.#transport = undefined;
        return;
      case "probe":
        return this.#probe();
      case "token":
        void this.#fetchToken();
        return;
      case "state":
        return this.#overhearer.state(output.state, output.cause, output.retryInMs);
      case "welcome":
        return this.#overhearer.welcome(output.resumed, output.via);
      case "expiring":
        return this.#overhearer.expiring(output.expiresMs);
      case "answer": {
        const call = this.#calls.get(output.number);
        this.#calls.delete(output.number);
        return call?.resolve(output.value);
      }
      case "fail": {
        const [call, sink] = [this.#calls.get(output.number), this.#sinks.get(output.number)];
        this.#calls.delete(output.number);
        this.#sinks.delete(output.number);
        call?.reject(output.error);
        return sink?.ended?.(output.error);
      }
      case "message":
        for (const number of output.numbers) this.#tell(number, output.message);
        return this.#overhearer.message(output.message);
      case "gap":
        return this.#sinks.get(output.number)?.gap?.(output.gap);
      case "job":
        return this.#sinks.get(output.number)?.job?.(output.job, this.#session.connection);
      case "members":
        return this.#sinks.get(output.number)?.members?.(output.members);
      case "change":
        return this.#sinks.get(output.number)?.change?.(output.change);
    }
  }

  /** One listener that throws keeps nothing from the others. */
  #tell(number: number, message: WireMessage): void {
    try {
      this.#sinks.get(number)?.message?.(message);
    } catch (error) {
      report(error);
    }
  }

  #connect(connection: number, via: Via): void {
    const hearer = {
      open: () => this.with((session) => session.connected(connection)),
      told: (told: Told[]) => this.#hear(connection, told),
      heard: () => this.with((session, now) => session.heard(now, connection)),
      lost: (lost: Lost) => this.with((session, now) => session.lost(now, connection, lost)),
    };
    const { base, WebSocket, fetch } = this.#parts;
    try {
      if (via === "websocket" && WebSocket) this.#transport = openWebSocket(socketAddress(base), WebSocket, hearer);
      else if (fetch) this.#transport = openEvents(base, fetch, hearer);
      else hearer.lost({ reason: "there is no transport" });
    } catch (error) {
      hearer.lost({ reason: (error as Error).message });
    }
  }

  /** Passes on what the broker says, in order; what is compressed is inflated first. */
  #hear(connection: number, told: Told[]): void {
    const carried = told.flatMap(packed);
    if (!this.#inflating && carried.length === 0) return this.#pass(connection, told);
    const after = (this.#inflating ?? Promise.resolve()).then(async () => {
      await Promise.all(carried.map((one: Carried) => inflate(one)));
      this.#pass(connection, told);
      if (this.#inflating === after) this.#inflating = undefined;
    });
    this.#inflating = after;
  }

  #pass(connection: number, told: Told[]): void {
    this.with((session, now) => {
      try {
        for (const one of told) session.told(now, connection, one);
      } catch {
        session.lost(now, connection, { reason: "the broker broke the protocol" });
      }
    });
  }

  #probe(): void {
    const { base, WebSocket } = this.#parts;
    const probing = WebSocket ? probeWebSocket(socketAddress(base), WebSocket) : Promise.resolve(false);
    void probing
      .catch(() => false)
      .then((works) => this.with((session, now) => session.probed(now, works)));
  }

  async #fetchToken(): Promise<void> {
    try {
      const token = await this.#parts.provider?.();
      if (typeof token !== "string") throw new Error("the token provider gave no text");
      this.with((session, now) => session.gotToken(now, token));
    } catch (error) {
      const reason = `no token: ${error instanceof Error ? error.message : String(error)}`;
      this.with((session, now) => session.noToken(now, reason));
    }
  }

  #setTimer(): void {
    const at = this.#session.deadline();
    // A timer that comes too early finds nothing to do, and is set anew.
    if (at >= this.#timerAt && at !== Infinity) return;
    clearTimeout(this.#timer);
    [this.#timer, this.#timerAt] = [undefined, at];
    if (at === Infinity) return;
    const wait = Math.min(Math.max(0, Math.ceil(at - performance.now())), TIMER_MAX_MS);
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.with((session, now) => session.time(now));
    }, wait);
  }
}

