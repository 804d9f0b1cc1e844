/** Signs of life on a live connection: when to ask for one, and when none came. */

/** How long a ping may go unanswered. */
export const PONG_TIMEOUT_MS = 15_000;
/** Silence before a ping, if the broker does not say. */
const PING_EVERY_MS = 25_000;

/** The pulse of one connection at a time. */
export class Pulse {
  #pingAt = Infinity;
  #deadAt = Infinity;

  /** Something was heard. */
  heard(now: number, pingEveryMs: number | undefined): void {
    [this.#pingAt, this.#deadAt] = [now + (pingEveryMs || PING_EVERY_MS), Infinity];
  }

  /** There is no connection. */
  stop(): void {
    [this.#pingAt, this.#deadAt] = [Infinity, Infinity];
  }

  /** When {@link Pulse.time} must be called next. */
  deadline(): number {
    return Math.min(this.#pingAt, this.#deadAt);
  }

  /** What the silence asks for, if anything. */
  time(now: number): "ping" | "end" | undefined {
    if (this.#deadAt <= now) return "end";
    if (this.#pingAt > now) return undefined;
    [this.#pingAt, this.#deadAt] = [Infinity, now + PONG_TIMEOUT_MS];
    return "ping";
  }
}
