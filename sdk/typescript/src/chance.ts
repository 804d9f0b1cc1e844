/** The client's only randomness: a seeded generator, and the delays drawn from it. */

/** Ceiling of the first delay, milliseconds. */
export const BACKOFF_MIN_MS = 500;
/** Ceiling of every later delay at most, milliseconds. */
export const BACKOFF_MAX_MS = 30_000;

/** Mulberry32: small, seeded, and good enough to spread clients over time. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number from 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A delay from zero to `maxMs`, evenly spread, in whole milliseconds. */
  within(maxMs: number): number {
    return Math.floor(this.next() * (maxMs + 1));
  }

  /** Full jitter: evenly spread below a ceiling that doubles with every attempt. */
  backoff(attempt: number): number {
    return this.within(Math.min(BACKOFF_MIN_MS * 2 ** Math.min(attempt, 16), BACKOFF_MAX_MS));
  }
}
