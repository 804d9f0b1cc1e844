// A real broker as a child process, for tests.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const target = process.env.CARGO_TARGET_DIR ?? fileURLToPath(new URL("../../target", import.meta.url));
const sampan = process.env.SAMPAN ?? join(target, "debug", "sampan");

/** Where an example that cargo has built is. */
export const example = (name) => join(dirname(sampan), "examples", name);

/** How long anything that must happen may take. Not a measure of speed. */
export const PATIENCE_MS = 30_000;

/** A running broker on free ports. */
export class Broker {
  #child;
  #directory = mkdtempSync(join(tmpdir(), "sampan-node-"));
  #env = {};
  #settings = [];
  quic;
  http;

  /** Starts a broker with these lines of configuration and these variables. */
  static async start(config = "", variables = {}) {
    const broker = new Broker();
    const { SAMPAN_CONFIG, SAMPAN_DATA, ALLOWED_ORIGINS, JWT_SECRET, ...inherited } = process.env;
    broker.#env = { ...inherited, ...variables };
    const file = join(broker.#directory, "sampan.toml");
    writeFileSync(file, config);
    broker.#settings = ["--config", file, "--data", join(broker.#directory, "data")];
    await broker.#spawn("127.0.0.1:0");
    return broker;
  }

  async #spawn(http) {
    const listen = ["serve", "--quic", "127.0.0.1:0", "--http", http];
    this.#child = spawn(sampan, [...listen, ...this.#settings], {
      env: this.#env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const lines = createInterface({ input: this.#child.stderr });
    await new Promise((resolve, reject) => {
      this.#child.once("exit", () => reject(new Error("the broker has ended")));
      this.#child.once("error", reject);
      lines.on("line", (line) => {
        const quic = / quic=([\d.:]+)/.exec(line);
        const http = / http=([\d.:]+)/.exec(line);
        if (quic && http) {
          [this.quic, this.http] = [quic[1], http[1]];
          resolve();
        }
      });
    });
  }

  get url() {
    return `http://${this.http}`;
  }

  /** A token of this user. */
  token(user, role = "customer", ttl = "1h") {
    const args = ["token", "--user", user, "--role", role, "--ttl", ttl, ...this.#settings];
    return execFileSync(sampan, args, { encoding: "utf8", env: this.#env }).trim();
  }

  /** A call of the HTTP interface as a service. */
  async call(path, body) {
    this.service ??= this.token("test", "service");
    const response = await fetch(this.url + path, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${this.service}`, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  publish(topic, event, payload, more = {}) {
    return this.call("/v1/publish", { topic, event, payload, ...more });
  }

  /** The value of a metric. */
  async metric(name) {
    const text = await (await fetch(this.url + "/metrics")).text();
    const line = text.split("\n").find((line) => line.startsWith(name + " "));
    if (line === undefined) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }

  async #end(signal) {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    await ended;
  }

  /** Kills the process as a crash would, and starts another at the same address. */
  async crashAndRestart() {
    await this.#end("SIGKILL");
    await this.#spawn(this.http);
  }

  /** Asks the process to stop, and waits for that. */
  terminate() {
    return this.#end("SIGTERM");
  }

  /** Ends the process and removes what it has kept. */
  async stop() {
    await this.#end("SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The arguments of the next event of this name. */
export function next(emitter, event) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} in time`)), PATIENCE_MS);
    emitter.once(event, (...args) => {
      clearTimeout(late);
      resolve(args);
    });
  });
}

/** Waits until something holds. */
export async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
