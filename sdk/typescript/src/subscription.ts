/** A subscription: messages of a topic or a pattern, to a listener or to `for await`. */

import type { Driver } from "./driver.js";
import { SampanError } from "./error.js";
import { type Gap, type Message, gapOf, messageOf } from "./message.js";
import { checkedPosition } from "./position.js";
import { Queue } from "./queue.js";
import { Pattern } from "./topic.js";
import type { Start, WireMessage } from "./wire.js";

/** Where a subscription starts. */
export type From =
  /** With the next message. */
  | "now"
  /** With the oldest kept message. */
  | "start"
  /** With the last so many kept messages of each topic. */
  | { last: number }
  /** With the first message at or after this time. */
  | { since: Date | number }
  /** After this position of the one topic, `EPOCH:OFFSET`. */
  | { after: string }
  /** Where another subscription was, as {@link Subscription.place} said. */
  | Place;

/** Where a subscription is: what is to be kept to go on there later. */
export interface Place {
  /** `EPOCH:OFFSET` of the last message seen, by topic. */
  positions: Record<string, string>;
  /** Where topics without a position resume, Unix milliseconds; 0 for the oldest kept message. */
  joinedMs: number;
}

/** How a subscription is made. */
export interface SubscribeOptions {
  /** Where it starts. Default: now. */
  from?: From;
  /** Messages that wait for `for await`; then the broker is told to keep what follows. Default 4,096. */
  queueMax?: number;
  /** Hears of offsets that will not come, ahead of the message after them. */
  onGap?: (gap: Gap) => void;
  /** Hears when the broker has ended it. */
  onEnd?: (error: SampanError) => void;
}

/** What a subscription knows when the broker has confirmed it. */
export interface Joined {
  /** When it joined, by the broker's clock. */
  joinedMs: number;
  /** Of a single topic: the position there. */
  position: string | undefined;
}

/** Hears of one message. */
export type MessageListener<T = unknown> = (message: Message<T>) => void;

const QUEUE_MAX = 4096;

/** Messages of a topic or a pattern; survives reconnects without loss or doubles. */
export class Subscription<T = unknown> implements AsyncIterable<Message<T>> {
  /** Topic or pattern. */
  readonly topic: string;
  /** Resolves when the broker has confirmed it, and rejects when it is refused. */
  readonly ready: Promise<Joined>;
  readonly #driver: Driver;
  readonly #number: number;
  readonly #queue: Queue<Message<T>> | undefined;
  readonly #listener: MessageListener<T> | undefined;

  /** @internal */
  constructor(driver: Driver, topic: string, options: SubscribeOptions, listener: MessageListener<T> | undefined) {
    const pattern = new Pattern(topic);
    this.topic = topic;
    this.#driver = driver;
    this.#listener = listener;
    const room = (hasRoom: boolean) =>
      driver.with((session) => (hasRoom ? session.release(this.#number) : session.hold(this.#number)));
    this.#queue = listener ? undefined : new Queue(options.queueMax ?? QUEUE_MAX, room);
    const start = startOf(pattern, options.from ?? "now");
    const { number, outcome } = driver.call<{ joined_ms: number; positions: Record<string, string> }>(
      (session) => session.stand({ kind: "subscription", pattern, start }),
      {
        message: (message) => this.#take(message),
        gap: (gap) => options.onGap?.(gapOf(gap)),
        ended: (error) => {
          this.#queue?.end(error.kind === "closed" && error.code === undefined ? undefined : error);
          options.onEnd?.(error);
        },
      },
    );
    this.#number = number;
    this.ready = outcome.then(({ joined_ms, positions }) => ({ joinedMs: joined_ms, position: positions[topic] }));
    // Whoever does not wait for it hears of a refusal by `onEnd` or the iterator.
    this.ready.catch(() => {});
  }

  /** Where the subscription is: `from` of one that is to go on there, in this client or another. */
  get place(): Place {
    const { positions = {}, joined_ms = 0 } = this.#driver.session.resume(this.#number);
    return { positions, joinedMs: joined_ms };
  }

  /** Ends it. What waits can still be read. */
  close(): void {
    this.#driver.cancel(this.#number);
    this.#queue?.end();
  }

  /** The messages as they come; leaving the loop ends the subscription. */
  [Symbol.asyncIterator](): AsyncIterator<Message<T>> {
    const queue = this.#queue;
    if (!queue) throw new SampanError("invalid", "a subscription with a listener is not iterated");
    return {
      next: () => queue.next(),
      return: () => {
        this.close();
        queue.clear();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #take(wire: WireMessage): void {
    const message = messageOf(wire) as Message<T>;
    if (this.#listener) this.#listener(message);
    else this.#queue?.push(message);
  }
}

function startOf(pattern: Pattern, from: From): Start {
  if (from === "now") return {};
  if (from === "start") return { since: 0 };
  if ("last" in from) return { last: from.last };
  if ("since" in from) return { since: Number(from.since) };
  if ("after" in from) {
    if (!pattern.isTopic) throw new SampanError("invalid", "a position is one of a topic, not of a pattern");
    return { positions: { [pattern.text]: textOf(from.after) }, joined_ms: 1 };
  }
  const positions = Object.entries(from.positions).map(([topic, text]) => [topic, textOf(text)]);
  return { positions: Object.fromEntries(positions), joined_ms: Math.max(1, from.joinedMs) };
}

function textOf(text: string): string {
  const { epoch, offset } = checkedPosition(text);
  return `${epoch}:${offset}`;
}
