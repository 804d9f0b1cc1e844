/** A session in virtual time, with the broker's part played by the test. */

// The session is no part of the package's face, so it is named by its place.
import type { Output } from "../../src/session/output.js";
import { Session } from "../../src/session/session.js";
import type { Setup } from "../../src/session/setup.js";
import type { Asked, Told, Welcome } from "../../src/wire.js";

/** What a request asks. */
export interface Sent {
  id: number;
  name: string;
  body: any;
}

const WELCOME: Welcome = {
  session: "1",
  boot: "1",
  user: "ann",
  role: "customer",
  expires_ms: 0,
  now_ms: 1000,
  payload_bytes_max: 1 << 20,
  subscriptions_max: 1024,
  ping_every_ms: 25_000,
};

const SETUP: Setup = {
  token: "token",
  renewable: false,
  client: "test",
  inflates: true,
  ways: ["websocket"],
  pendingMax: 8,
  pendingBytesMax: 1 << 20,
  seed: 7,
};

/** One session, its clock, and everything that it wanted. */
export class Rig {
  readonly session: Session;
  now = 0;
  /** What was wanted and not yet looked at. */
  out: Output[] = [];

  constructor(setup: Partial<Setup> = {}) {
    this.session = new Session({ ...SETUP, ...setup });
  }

  /** Takes what the session wants. */
  drain(): Output[] {
    this.out.push(...this.session.take());
    const out = this.out;
    this.out = [];
    return out;
  }

  /** What is wanted of one sort; the rest is forgotten. */
  wanted<D extends Output["do"]>(sort: D): Extract<Output, { do: D }>[] {
    return this.drain().filter((output): output is Extract<Output, { do: D }> => output.do === sort);
  }

  /** The requests that were sent since the last look. */
  sent(): Sent[] {
    const asked = this.wanted("send").flatMap((output): Asked[] => output.asked);
    return asked.map(({ id, name, body }) => ({ id, name, body: JSON.parse(body) }));
  }

  /** The broker says this. */
  told(...told: Told[]): void {
    for (const one of told) this.session.told(this.now, this.session.connection, one);
  }

  /** The connection is lost. */
  lose(code?: number, retry_after_ms?: number): void {
    const refusal = code === undefined ? {} : { refusal: { code, retry_after_ms } };
    this.session.lost(this.now, this.session.connection, { ...refusal, reason: "cut" });
  }

  /** The transport is made, and the broker greets. */
  greet(welcome: Partial<Welcome> = {}): void {
    this.session.connected(this.session.connection);
    this.told({ welcome: { ...WELCOME, ...welcome } });
  }

  /** Opens the session and greets. */
  live(): this {
    this.session.open(this.now);
    this.greet();
    this.drain();
    return this;
  }

  /** The connection is lost, and the next one greeted. What was wanted up to the greeting is forgotten. */
  reconnect(): void {
    this.lose();
    this.pass();
    this.session.connected(this.session.connection);
    this.drain();
    this.told({ welcome: WELCOME });
  }

  /** Lets time pass up to the session's next deadline. */
  pass(): number {
    const before = this.now;
    this.now = Math.max(this.now, this.session.deadline());
    this.session.time(this.now);
    return this.now - before;
  }

  /** Lets so much time pass. */
  wait(ms: number): void {
    for (const end = this.now + ms; ; ) {
      if (this.session.deadline() > end) {
        this.now = end;
        return;
      }
      this.pass();
    }
  }
}

/** A message of a topic, as short as may be. */
export function message(topic: string, offset: number, epoch = 1): Told {
  return { message: { topic, epoch, offset, time_ms: 0, payload: offset } };
}

/** A gap of a topic. */
export function gap(topic: string, from: number, to: number, reason = "retention", epoch = 1): Told {
  return { gap: { topic, epoch, from, to, reason, lost: true } };
}
