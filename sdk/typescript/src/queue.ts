/** A queue between the session and one reader of the application. */

/** Items that wait for `for await`; its writer is told when it is full and when it has room again. */
export class Queue<T> {
  #items: T[] = [];
  #at = 0;
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  #ended: { error: unknown } | undefined;
  #isFull = false;
  readonly #max: number;
  readonly #room: (hasRoom: boolean) => void;

  /** `room` is told `false` when so many items wait, and `true` when half of them are read. */
  constructor(max: number, room: (hasRoom: boolean) => void) {
    this.#max = Math.max(1, max);
    this.#room = room;
  }

  /** Items that wait. */
  get size(): number {
    return this.#items.length - this.#at;
  }

  /** Appends an item. */
  push(item: T): void {
    if (this.#ended) return;
    const reader = this.#waiting.shift();
    if (reader) return reader.resolve({ done: false, value: item });
    this.#items.push(item);
    if (!this.#isFull && this.size >= this.#max) this.#setFull(true);
  }

  /** Ends the queue: what is in it can still be read. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = { error };
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
    }
  }

  /** Drops what waits. */
  clear(): void {
    [this.#items, this.#at] = [[], 0];
  }

  /** The next item, when there is one. */
  next(): Promise<IteratorResult<T>> {
    if (this.size > 0) {
      const value = this.#items[this.#at++] as T;
      if (this.#at * 2 > this.#items.length) [this.#items, this.#at] = [this.#items.slice(this.#at), 0];
      if (this.#isFull && this.size * 2 <= this.#max) this.#setFull(false);
      return Promise.resolve({ done: false, value });
    }
    if (this.#ended) {
      const { error } = this.#ended;
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The next item, or nothing if none comes within that time. */
  nextWithin(ms: number): Promise<IteratorResult<T> | undefined> {
    if (this.size > 0 || this.#ended) return this.next();
    return new Promise((resolve, reject) => {
      const reader = {
        resolve: (result: IteratorResult<T>) => {
          clearTimeout(timer);
          resolve(result);
        },
        reject: (error: unknown) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== reader);
        resolve(undefined);
      }, ms);
      this.#waiting.push(reader);
    });
  }

  #setFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#room(!isFull);
  }
}
