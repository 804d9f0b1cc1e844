/** Listeners that come and go. */

/** A set of listeners, told in the order in which they were added. */
export class Listeners<F extends (...args: never[]) => void> {
  #all: { listener: F }[] = [];

  /** Whether there is none. */
  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Adds a listener, also one that is there already; the function that takes this one away. */
  add(listener: F): () => void {
    const entry = { listener };
    this.#all = [...this.#all, entry];
    return () => {
      this.#all = this.#all.filter((other) => other !== entry);
    };
  }

  /** Tells all of them. One that throws keeps nothing from the others. */
  tell(...args: Parameters<F>): void {
    for (const { listener } of this.#all) {
      try {
        listener(...args);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** What a listener throws is told to the platform, not to whoever caused the event. */
export function report(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}
