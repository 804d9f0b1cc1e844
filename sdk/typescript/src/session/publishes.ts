/** Publishes that wait for their ack, in the order in which they were made. */

import { SampanError } from "../error.js";
import type { Asked } from "../wire.js";

/** Publishes on their way at a time; the broker takes 1,024 of one connection. */
const WINDOW = 1000;
/** For how long a publish that was sent may be sent again: less than the broker remembers it. */
export const RESEND_MS = 240_000;

interface Waiting {
  /** Nothing while it is still made: what was published later waits for it. */
  body: string | undefined;
  length: number;
  /** When it was first sent. */
  sentAt: number | undefined;
  /** On how many connections it was sent. */
  tries: number;
}

/** The bounded queue of publishes. */
export class Publishes {
  readonly #waiting = new Map<number, Waiting>();
  /** Not sent on this connection, in order. */
  #unsent: number[] = [];
  #next = 0;
  #bytes = 0;
  readonly #max: number;
  readonly #bytesMax: number;

  constructor(max: number, bytesMax: number) {
    this.#max = max;
    this.#bytesMax = bytesMax;
  }

  /** Publishes that wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Takes a publish of this length. @throws {SampanError} `full` when too many wait. */
  add(number: number, length: number): void {
    if (this.#waiting.size >= this.#max || this.#bytes + length > this.#bytesMax) {
      throw new SampanError("full", "too many publishes wait for their ack");
    }
    this.#waiting.set(number, { body: undefined, length, sentAt: undefined, tries: 0 });
    this.#bytes += length;
    this.#unsent.push(number);
  }

  /** The body of a publish that still waits. */
  fill(number: number, body: string): void {
    const waiting = this.#waiting.get(number);
    if (!waiting) return;
    this.#bytes += body.length - waiting.length;
    [waiting.body, waiting.length] = [body, body.length];
  }

  /** What may be sent now, marked as sent. */
  take(now: number): Asked[] {
    const out: Asked[] = [];
    const inFlight = this.#waiting.size - (this.#unsent.length - this.#next);
    for (let room = WINDOW - inFlight; room > 0 && this.#next < this.#unsent.length; room -= 1) {
      const id = this.#unsent[this.#next] ?? 0;
      const waiting = this.#waiting.get(id);
      if (waiting && waiting.body === undefined) break;
      this.#next += 1;
      if (!waiting?.body) continue;
      waiting.sentAt ??= now;
      waiting.tries += 1;
      out.push({ id, name: "publish", body: waiting.body });
    }
    if (this.#next === this.#unsent.length) [this.#unsent, this.#next] = [[], 0];
    return out;
  }

  /** A publish has its answer: on how many connections it was sent; `undefined` if there is none. */
  settle(number: number): number | undefined {
    const waiting = this.#waiting.get(number);
    if (!waiting) return undefined;
    this.#waiting.delete(number);
    this.#bytes -= waiting.length;
    return waiting.tries;
  }

  /**
   * A new connection: all that waits is to be sent again, in order. Answers those that were sent so
   * long ago that the broker may no longer tell a repeat.
   */
  connected(now: number): number[] {
    const isStale = ({ sentAt }: Waiting) => sentAt !== undefined && now - sentAt > RESEND_MS;
    const stale = [...this.#waiting].filter(([, waiting]) => isStale(waiting)).map(([number]) => number);
    stale.forEach((number) => this.settle(number));
    [this.#unsent, this.#next] = [[...this.#waiting.keys()], 0];
    return stale;
  }

  /** Takes everything out: each number, and whether it was ever sent. */
  clear(): [number, boolean][] {
    const all = [...this.#waiting].map(([number, { tries }]): [number, boolean] => [number, tries > 0]);
    this.#waiting.clear();
    [this.#unsent, this.#next, this.#bytes] = [[], 0, 0];
    return all;
  }
}
