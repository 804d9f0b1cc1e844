/** A service seen through a client. */

import type { Sampan } from "../client.js";
import type { Message } from "../message.js";
import { token } from "../topic.js";

/** What ends a look. */
export interface Look {
  /** Settles when it has begun; what has changed before is not told. */
  readonly ready: Promise<unknown>;
  close(): void;
}

/** A service whose requests are on the topics below a name. */
export class Service<Q> {
  protected readonly client: Sampan;
  readonly #name: string;

  constructor(client: Sampan, name: string) {
    this.client = client;
    this.#name = name;
  }

  /** Asks the service. @throws {SampanError} what it refuses. */
  async ask<K extends keyof Q & string>(
    name: K,
    question: Q[K] extends [infer Question, unknown] ? Question : never,
  ): Promise<Q[K] extends [unknown, infer Answer] ? Answer : never> {
    const { payload } = await this.client.request<Q[K] extends [unknown, infer Answer] ? Answer : never>(
      `${this.#name}.${name}`,
      question,
    );
    return payload;
  }

  /** Listens to the topic of an id, `prefix` and the id's token. */
  protected look<T>(prefix: string, id: string, listener: (told: T, message: Message<T>) => void): Look {
    return this.client.subscribe<T>(`${prefix}.${token(id)}`, (message) => listener(message.payload, message));
  }
}
