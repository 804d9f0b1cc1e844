// The doubles of Google and Apple that our senders are tested with, as a child process.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { example } from "../broker.js";

/** Running doubles. */
export class Doubles {
  #child;
  #lines;
  /** Where they are, and with which keys they are asked. */
  known;

  static async start() {
    const doubles = new Doubles();
    doubles.#child = spawn(example("doubles"), { stdio: ["pipe", "pipe", "inherit"] });
    const failed = new Promise((_, reject) => doubles.#child.once("error", reject));
    doubles.#lines = createInterface({ input: doubles.#child.stdout })[Symbol.asyncIterator]();
    doubles.known = await Promise.race([doubles.#said(), failed]);
    return doubles;
  }

  async #said() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the doubles have ended");
    return JSON.parse(value);
  }

  /** Has one of them do something next; resolves when it will. */
  obey(order) {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    return this.#said();
  }

  /** What they were asked. */
  asked() {
    return this.obey({ do: "tell" });
  }

  async stop() {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
  }
}
