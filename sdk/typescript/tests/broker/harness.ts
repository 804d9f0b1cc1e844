/** A real broker as a child process. */

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../../../", import.meta.url));

const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(REPOSITORY, "target");
/** The broker's program: `SAMPAN` names it, or it is where cargo puts it. */
const PROGRAM = process.env.SAMPAN ?? path.join(TARGET, "debug/sampan");

/** A role that a token may have. */
export type Role = "customer" | "agent" | "admin" | "service";

/** A running broker. */
export class Broker {
  readonly #directory = mkdtempSync(path.join(tmpdir(), "sampan-ts-"));
  readonly #environment: Record<string, string>;
  readonly #examples: ChildProcess[] = [];
  #child: ChildProcess | undefined;
  /** Its HTTP address, which stays over restarts. */
  url = "";
  #quic = "127.0.0.1:0";

  constructor(environment: Record<string, string> = {}) {
    this.#environment = environment;
  }

  /** Starts it on free ports, or where it was before. */
  async start(): Promise<this> {
    const http = this.url === "" ? "127.0.0.1:0" : this.url.slice("http://".length);
    const flags = ["serve", "--data", this.#directory, "--quic", this.#quic, "--http", http];
    const env = { ...process.env, SAMPAN_SHARDS_COUNT: "1", ...this.#environment };
    const child = spawn(PROGRAM, flags, { env, stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    const failed = new Promise<never>((_, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the broker ended with ${code}`)));
    });
    failed.catch(() => {});
    const listening = new Promise<RegExpExecArray>((resolve) => {
      let told = "";
      child.stderr.on("data", (piece: Buffer) => {
        told += piece.toString();
        const found = /^listening .*quic=(\S+) .*http=(\S+)$/m.exec(told);
        if (found) resolve(found);
      });
    });
    const [, quic = "", found = ""] = await Promise.race([listening, failed]);
    [this.#quic, this.url] = [quic, `http://${found}`];
    return this;
  }

  /** Waits until its services answer. */
  async served(): Promise<void> {
    const headers = { authorization: `Bearer ${this.token("shop")}`, "content-type": "application/json" };
    let isServed = false;
    const look = async () => {
      const answer = await fetch(`${this.url}/v1/request/chat.agents`, { method: "POST", headers, body: "{}" });
      isServed = answer.ok;
    };
    for (const end = Date.now() + 60_000; !isServed; await look()) {
      if (Date.now() > end) throw new Error("the services never answered");
    }
  }

  /** Starts an example of the client for Rust as the user "shop", and ends it with the broker. */
  async example(name: string, opened: string): Promise<void> {
    const directory = process.env.SAMPAN ? path.dirname(process.env.SAMPAN) : path.join(TARGET, "debug");
    const env = {
      ...process.env,
      SAMPAN_URL: `quic://${this.#quic}`,
      SAMPAN_TOKEN: this.token("shop"),
      SAMPAN_CERT: path.join(this.#directory, "dev-certificate.pem"),
    };
    const child = spawn(path.join(directory, "examples", name), { env, stdio: ["ignore", "pipe", "inherit"] });
    this.#examples.push(child);
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${name} ended with ${code}`)));
      let told = "";
      child.stdout.on("data", (piece: Buffer) => {
        told += piece.toString();
        if (told.includes(opened)) resolve();
      });
    });
  }

  /** Kills it as a crash would. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }

  /** Ends it, and removes what it kept. */
  async remove(): Promise<void> {
    this.#examples.forEach((child) => child.kill("SIGKILL"));
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A token of this user. */
  token(user: string, role: Role = "service", ttl = "1h"): string {
    const flags = ["token", "--user", user, "--role", role, "--ttl", ttl, "--data", this.#directory];
    return execFileSync(PROGRAM, flags, { encoding: "utf8" }).trim();
  }
}

/** Resolves when the condition holds; looks again and again. */
export async function until(condition: () => boolean, what: string, patienceMs = 60_000): Promise<void> {
  for (const end = Date.now() + patienceMs; !condition(); ) {
    if (Date.now() > end) throw new Error(`it never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
