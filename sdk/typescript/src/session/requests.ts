/** Requests that wait for their answer. */

import { SampanError } from "../error.js";
import type { Asked } from "../wire.js";

/** Requests open at a time. */
const OPEN_MAX = 4096;
/** How much later than the broker the client gives up on a request that was sent. */
const GRACE_MS = 2000;

/** A request to be made. */
export interface Question {
  name: "request" | "history" | "presence" | "refresh" | "settle";
  body: Record<string, unknown>;
  timeoutMs: number;
}

interface Open {
  question: Question;
  until: number;
  sent: boolean;
}

/** Whether a request of this name may have an effect. */
const hasEffect = (question: Question) => ["request", "refresh", "settle"].includes(question.name);

/** Requests by their number, in the order in which they were made. */
export class Requests {
  readonly #open = new Map<number, Open>();

  /** Takes a request. @throws {SampanError} `too_many`. */
  add(now: number, number: number, question: Question): void {
    if (this.#open.size >= OPEN_MAX) throw new SampanError("too_many", "too many requests are open");
    this.#open.set(number, { question, until: now + question.timeoutMs, sent: false });
  }

  /** What is to be sent now, marked as sent. */
  take(now: number): Asked[] {
    const out: Asked[] = [];
    for (const [id, open] of this.#open) {
      if (open.sent) continue;
      open.sent = true;
      const { name, body } = open.question;
      const left = Math.max(1, Math.ceil(open.until - now));
      out.push({ id, name, body: JSON.stringify(name === "request" ? { ...body, timeout_ms: left } : body) });
    }
    return out;
  }

  /** A request has its answer; whether there is one. */
  settle(number: number): boolean {
    return this.#open.delete(number);
  }

  /** Whether a reply is on its way. */
  get awaitsReply(): boolean {
    return [...this.#open.values()].some(({ sent, question }) => sent && question.name === "request");
  }

  /** When the next request gives up. */
  deadline(): number {
    let next = Infinity;
    for (const open of this.#open.values()) next = Math.min(next, givesUp(open));
    return next;
  }

  /** Takes out what has waited too long. */
  expired(now: number): [number, SampanError][] {
    return this.#failed((open) => givesUp(open) <= now, (open) => {
      const mayHaveHappened = open.sent && hasEffect(open.question);
      return new SampanError("deadline", "no answer came in time", { mayHaveHappened });
    });
  }

  /** Takes out what was sent on a connection that is lost. */
  lost(reason: string): [number, SampanError][] {
    return this.#failed((open) => open.sent, (open) => {
      const mayHaveHappened = hasEffect(open.question);
      return new SampanError("lost", `the connection was lost: ${reason}`, { mayHaveHappened });
    });
  }

  /** Takes everything out. */
  clear(error: (mayHaveHappened: boolean) => SampanError): [number, SampanError][] {
    return this.#failed(() => true, (open) => error(open.sent && hasEffect(open.question)));
  }

  #failed(which: (open: Open) => boolean, error: (open: Open) => SampanError): [number, SampanError][] {
    const failed = [...this.#open].filter(([, open]) => which(open));
    failed.forEach(([number]) => this.#open.delete(number));
    return failed.map(([number, open]) => [number, error(open)]);
  }
}

function givesUp({ sent, until }: Open): number {
  return sent ? until + GRACE_MS : until;
}
