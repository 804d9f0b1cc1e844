/** Taking part in a group: each message goes to one consumer, and again to one until it is settled. */

import type { Driver } from "./driver.js";
import { SampanError } from "./error.js";
import { type Message, messageOf } from "./message.js";
import { Queue } from "./queue.js";
import { Pattern } from "./topic.js";
import type { Consume, WireJob } from "./wire.js";

/** What a consumer asks for. Order and start are decided by the first consumer of the group's name. */
export interface ConsumeOptions {
  /** Jobs that the consumer holds at most, 1 to 10,000. Default 100. */
  window?: number;
  /** `key`: messages of one key of a topic come one after the other. Default `any`. */
  order?: "any" | "key";
  /** Where a new group begins. Default: with the oldest kept message. */
  from?: "now" | "start" | { last: number } | { since: Date | number };
  /** How long a consumer may take for a job, milliseconds. Default 30 s. */
  ackWaitMs?: number;
  /** How often a message is handed out before it becomes a dead letter. Default 10. */
  attemptsMax?: number;
}

/** How jobs are worked on. */
export interface HandleOptions {
  /** Jobs that are worked on at a time. Default 1. */
  concurrency?: number;
  /** Hears of what a handler threw, and of settlements that failed. */
  onError?: (error: unknown, job: Job) => void;
}

/** A handler at work. */
export interface Worker {
  /** Resolves when the consumer has ended, and rejects when the broker has ended it. */
  readonly done: Promise<void>;
  /** Begins nothing more, sees what is being worked on to its end, and leaves the group. */
  stop(): Promise<void>;
}

const WINDOW = 100;
const TIMEOUT_MS = 15_000;

/**
 * A message to be worked on. Each settlement resolves when it is stored, with whether it came late: the
 * job had gone to somebody else by then.
 */
export class Job<T = unknown> {
  /** The message. */
  readonly message: Message<T>;
  /** How often it has been handed out, this time included. */
  readonly attempt: number;
  readonly #driver: Driver;
  readonly #handle: string;
  readonly #connection: number;

  /** @internal */
  constructor(driver: Driver, { attempt, handle, message }: WireJob, connection: number) {
    this.message = messageOf(message) as Message<T>;
    this.attempt = attempt;
    this.#driver = driver;
    this.#handle = handle;
    this.#connection = connection;
  }

  /** Whether the broker still counts on this consumer: the connection that brought the job is there. */
  get isHeld(): boolean {
    const { session } = this.#driver;
    return session.isLive && session.connection === this.#connection;
  }

  /** The message is done. */
  ack(): Promise<{ late: boolean }> {
    return this.#settle("ack");
  }

  /** The message is done, with all that the consumer holds of its topic before it. */
  ackThrough(): Promise<{ late: boolean }> {
    return this.#settle("ack_through");
  }

  /** The attempt failed: the message comes again after the delay, or by the group's own rule. */
  nak(reason?: string, delayMs?: number): Promise<{ late: boolean }> {
    return this.#settle("nak", { reason, delay_ms: delayMs });
  }

  /** Hands the message back at once; the attempt does not count. */
  release(): Promise<{ late: boolean }> {
    return this.#settle("release");
  }

  /** The message can never be done: it becomes a dead letter. */
  reject(reason?: string): Promise<{ late: boolean }> {
    return this.#settle("reject", { reason });
  }

  /** The job takes longer: its time ends so much later from now, or after the ack wait. */
  extend(delayMs?: number): Promise<{ late: boolean }> {
    return this.#settle("extend", { delay_ms: delayMs });
  }

  async #settle(act: string, more: { reason?: string; delay_ms?: number } = {}): Promise<{ late: boolean }> {
    if (!this.isHeld) throw new SampanError("lost", "the connection that brought the job is gone: it comes again");
    const question = { name: "settle" as const, body: { handle: this.#handle, act, ...more }, timeoutMs: TIMEOUT_MS };
    return this.#driver.call<{ late: boolean }>((session, now) => session.ask(now, question)).outcome;
  }
}

/**
 * One of a group's consumers; survives reconnects. What a lost connection had brought comes again, to
 * this consumer or another, so that work must bear being done twice.
 */
export class Consumer<T = unknown> implements AsyncIterable<Job<T>> {
  /** Resolves when the broker has confirmed it, and rejects when it is refused. */
  readonly ready: Promise<void>;
  readonly #driver: Driver;
  readonly #number: number;
  // The window bounds it.
  readonly #queue = new Queue<Job<T>>(Infinity, () => {});

  /** @internal */
  constructor(driver: Driver, group: string, topic: string, options: ConsumeOptions) {
    this.#driver = driver;
    const consume = consumeOf(group, new Pattern(topic).text, options);
    const { number, outcome } = driver.call<void>((session) => session.stand({ kind: "consumer", consume }), {
      job: (job, connection) => this.#queue.push(new Job<T>(driver, job, connection)),
      ended: (error) => this.#queue.end(error),
    });
    this.#number = number;
    this.ready = outcome;
    outcome.catch(() => {});
  }

  /** Leaves the group: what is not settled goes to others, and does not count as an attempt. */
  close(): void {
    this.#driver.cancel(this.#number);
    this.#queue.clear();
    this.#queue.end();
  }

  /** The jobs as they come; leaving the loop leaves the group. */
  [Symbol.asyncIterator](): AsyncIterator<Job<T>> {
    return {
      next: () => this.#next(),
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** The next job that is still held; what a lost connection had brought is forgotten. */
  async #next(): Promise<IteratorResult<Job<T>>> {
    for (;;) {
      const next = await this.#queue.next();
      if (next.done || next.value.isHeld) return next;
    }
  }

  /**
   * Works on jobs, each acked when the handler is done. What it throws is a failed attempt, and the
   * message comes again.
   */
  handle(handler: (job: Job<T>) => unknown, { concurrency = 1, onError }: HandleOptions = {}): Worker {
    let isStopped = false;
    const stopped = new Error("stopped");
    let stop: () => void = () => {};
    const stopping = new Promise<never>((_, reject) => (stop = () => reject(stopped)));
    stopping.catch(() => {});
    const work = async () => {
      while (!isStopped) {
        const next = await Promise.race([this.#next(), stopping]);
        if (next.done) return;
        await workOn(next.value, handler, onError);
      }
    };
    const hands = Array.from({ length: Math.max(1, concurrency) }, () =>
      work().catch((error: unknown) => {
        if (error !== stopped) throw error;
      }),
    );
    const done = Promise.all(hands).then(() => {});
    done.catch(() => {});
    return {
      done,
      stop: async () => {
        isStopped = true;
        stop();
        await Promise.allSettled(hands);
        this.close();
      },
    };
  }
}

async function workOn<T>(job: Job<T>, handler: (job: Job<T>) => unknown, onError: HandleOptions["onError"]): Promise<void> {
  try {
    await handler(job);
    await job.ack();
  } catch (error) {
    onError?.(error, job);
    if (!job.isHeld) return;
    await job.nak(error instanceof Error ? error.message : String(error)).catch((failed: unknown) => onError?.(failed, job));
  }
}

function consumeOf(group: string, topic: string, options: ConsumeOptions): Consume {
  const { window = WINDOW, order, from = "start", ackWaitMs, attemptsMax } = options;
  const start = from === "now" ? {} : from === "start" ? { since: 0 } : "last" in from ? from : { since: Number(from.since) };
  return { group, topic, window: Math.max(1, window), order, ...start, ack_wait_ms: ackWaitMs, attempts_max: attemptsMax };
}
