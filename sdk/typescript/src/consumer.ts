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
  /**
   * Takes jobs in batches instead of by a window: so many are asked for when the last batch has been
   * read, and none before anybody reads. 1 to 10,000.
   */
  batch?: number;
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
const BATCH_MAX = 10_000;
/** How long a batch is waited for. */
const BATCH_WAIT_MS = 5000;
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
  /** Jobs of a batch; 0 for a consumer with a window. */
  readonly #batch: number;
  /** The connection whose jobs are in the queue. */
  #connection = 0;
  // The window bounds it, or what was asked for.
  readonly #queue = new Queue<Job<T>>(Infinity, () => {});

  /** @internal */
  constructor(driver: Driver, group: string, topic: string, options: ConsumeOptions) {
    this.#driver = driver;
    this.#batch = options.batch === undefined ? 0 : Math.min(Math.max(1, options.batch), BATCH_MAX);
    const consume = consumeOf(group, new Pattern(topic).text, options);
    const { number, outcome } = driver.call<void>((session) => session.stand({ kind: "consumer", consume }), {
      job: (job, connection) => this.#take(new Job<T>(driver, job, connection), connection),
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

  /**
   * Waits until there are so many jobs, but at most that long; the jobs that are there, none when the
   * consumer has ended. With {@link ConsumeOptions.batch} so many are asked for, whatever it says.
   *
   * @throws {SampanError} when the broker has ended the consumer.
   */
  async nextBatch(max: number, waitMs = BATCH_WAIT_MS): Promise<Job<T>[]> {
    const until = performance.now() + waitMs;
    let jobs: Job<T>[] = [];
    while (jobs.length < max) {
      if (this.#batch > 0) this.#pull(max - jobs.length - this.#queue.size);
      const next = await this.#queue.nextWithin(Math.max(0, until - performance.now()));
      // What a lost connection had brought comes again.
      jobs = jobs.filter(({ isHeld }) => isHeld);
      if (!next || next.done) break;
      if (next.value.isHeld) jobs.push(next.value);
    }
    return jobs;
  }

  #pull(count: number): void {
    this.#driver.with((session) => session.pull(this.#number, Math.min(count, BATCH_MAX)));
  }

  #take(job: Job<T>, connection: number): void {
    if (connection !== this.#connection) this.#queue.clear();
    this.#connection = connection;
    this.#queue.push(job);
  }

  /** The next job that is still held; what a lost connection had brought is forgotten. */
  async #next(): Promise<IteratorResult<Job<T>>> {
    for (;;) {
      const isEmpty = this.#queue.size === 0 && this.#driver.session.credit(this.#number) === 0;
      if (this.#batch > 0 && isEmpty) this.#pull(this.#batch);
      const next = await this.#queue.next();
      if (next.done || next.value.isHeld) return next;
    }
  }

  /**
   * Works on jobs, each acked when the handler is done. What it throws is a failed attempt, and the
   * message comes again.
   */
  handle(handler: (job: Job<T>) => unknown, { concurrency = 1, onError }: HandleOptions = {}): Worker {
    const work = async () => {
      for (let next = await this.#next(); !next.done; next = await this.#next()) {
        await workOn(next.value, handler, onError);
      }
    };
    const hands = Array.from({ length: Math.max(1, concurrency) }, work);
    const done = Promise.all(hands).then(() => {});
    done.catch(() => {});
    return {
      done,
      stop: async () => {
        // What has not begun goes back with leaving.
        this.#queue.clear();
        this.#queue.end();
        await Promise.allSettled(hands);
        this.close();
      },
    };
  }
}

async function workOn<T>(job: Job<T>, handler: (job: Job<T>) => unknown, onError: HandleOptions["onError"]): Promise<void> {
  try {
    try {
      await handler(job);
    } catch (error) {
      onError?.(error, job);
      if (job.isHeld) await job.nak(error instanceof Error ? error.message : String(error));
      return;
    }
    await job.ack();
  } catch (error) {
    onError?.(error, job);
  }
}

function consumeOf(group: string, topic: string, options: ConsumeOptions): Consume {
  const { batch, window = WINDOW, order, from = "start", ackWaitMs, attemptsMax } = options;
  const start = from === "now" ? {} : from === "start" ? { since: 0 } : "last" in from ? from : { since: Number(from.since) };
  return { group, topic, window: batch === undefined ? Math.max(1, window) : 0, order, ...start, ack_wait_ms: ackWaitMs, attempts_max: attemptsMax };
}
