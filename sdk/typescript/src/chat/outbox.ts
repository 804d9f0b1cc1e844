/** Messages on their way to the chat service: in order, and sent again until they are answered. */

import { SampanError } from "../error.js";
import type { ChatMessage, Draft } from "./model.js";

/** Messages that may wait. */
const WAITING_MAX = 256;
/** Time between two attempts: at first, and at most. */
const RETRY_MS = [500, 10_000] as const;
/** Failures after which the same draft may be sent again: by its id it stays one message. */
const PASSING: ReadonlySet<string> = new Set(["lost", "deadline", "full", "too_many"]);

interface Waiting {
  draft: Draft;
  resolve(message: ChatMessage): void;
  reject(error: unknown): void;
}

/** The outbox of one conversation. */
export class Outbox {
  readonly #ask: (draft: Draft) => Promise<ChatMessage>;
  readonly #changed: () => void;
  #waiting: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;
  #isClosed = false;
  #failures = 0;

  constructor(ask: (draft: Draft) => Promise<ChatMessage>, changed: () => void) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** What waits, in order. */
  get drafts(): Draft[] {
    return this.#waiting.map(({ draft }) => draft);
  }

  /** Sends a draft after those before it. @throws {SampanError} `full`, or what the service refuses. */
  send(draft: Draft): Promise<ChatMessage> {
    if (this.#isClosed) return Promise.reject(closed(false));
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(new SampanError("full", "too many messages wait to be sent"));
    }
    const sent = new Promise<ChatMessage>((resolve, reject) => this.#waiting.push({ draft, resolve, reject }));
    this.#changed();
    if (!this.#timer) void this.#next();
    return sent;
  }

  /** Ends it: what waits fails. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const [at, { reject }] of this.#waiting.splice(0).entries()) {
      reject(closed(at === 0 && (this.#isAsking || this.#failures > 0)));
    }
  }

  async #next(): Promise<void> {
    const [first] = this.#waiting;
    if (!first || this.#isAsking) return;
    this.#isAsking = true;
    this.#timer = undefined;
    const settle = (how: () => void) => {
      // It may have been closed meanwhile.
      if (this.#waiting[0] !== first) return;
      this.#waiting.shift();
      this.#failures = 0;
      how();
      this.#changed();
    };
    try {
      const message = await this.#ask(first.draft);
      settle(() => first.resolve(message));
    } catch (error) {
      const wait = this.#retryIn(error);
      if (wait === undefined) settle(() => first.reject(error));
      else if (this.#waiting[0] === first) this.#timer = setTimeout(() => void this.#next(), wait);
    }
    this.#isAsking = false;
    if (!this.#timer) void this.#next();
  }

  #retryIn(error: unknown): number | undefined {
    if (!(error instanceof SampanError) || !(PASSING.has(error.kind) || error.retryable)) return undefined;
    const wait = error.retryAfterMs ?? Math.min(RETRY_MS[0] * 2 ** this.#failures, RETRY_MS[1]);
    this.#failures += 1;
    return wait;
  }
}

function closed(mayHaveHappened: boolean): SampanError {
  return new SampanError("closed", "the conversation is closed", { mayHaveHappened });
}
