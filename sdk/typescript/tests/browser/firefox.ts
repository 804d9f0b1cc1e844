/** A headless Firefox, driven by WebDriver BiDi. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { WebSocket } from "ws";
import { PICTURES } from "./stage.js";

const PROGRAM = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
/** It asks nobody outside this machine for anything. */
const QUIET = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.safebrowsing.downloads.remote.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.manage-offline-status": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.server": "data:,",
};

/** What settings may be. */
type Preferences = Record<string, string | number | boolean>;

interface Answer {
  id?: number;
  result?: Record<string, unknown>;
  message?: string;
}

/** A browser with one page. */
export class Firefox {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #open = new Map<number, (answer: Answer) => void>();
  #asked = 0;
  #context: unknown;

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    [this.#child, this.#profile, this.#socket] = [child, profile, socket];
    socket.on("message", (data) => {
      const answer = JSON.parse(String(data)) as Answer;
      if (answer.id !== undefined) this.#open.get(answer.id)?.(answer);
    });
  }

  static async open(preferences: Preferences): Promise<Firefox> {
    const profile = mkdtempSync(path.join(tmpdir(), "sampan-firefox-"));
    const lines = Object.entries({ ...QUIET, ...preferences }).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    );
    writeFileSync(path.join(profile, "user.js"), lines.join(""));
    const flags = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"];
    const child = spawn(PROGRAM, flags, { stdio: ["ignore", "ignore", "pipe"] });
    const url = await new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`Firefox ended with ${code}`)));
      let told = "";
      child.stderr.on("data", (piece: Buffer) => {
        told += piece.toString();
        const found = /^WebDriver BiDi listening on (\S+)$/m.exec(told);
        if (found?.[1]) resolve(found[1]);
      });
    });
    const socket = new WebSocket(`${url}/session`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const firefox = new Firefox(child, profile, socket);
    await firefox.#ask("session.new", { capabilities: {} });
    const { contexts } = await firefox.#ask("browsingContext.getTree", {});
    firefox.#context = (contexts as { context: unknown }[])[0]?.context;
    return firefox;
  }

  async #ask(method: string, params: object): Promise<Record<string, unknown>> {
    const id = ++this.#asked;
    const answered = new Promise<Answer>((resolve) => this.#open.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, message } = await answered;
    this.#open.delete(id);
    if (!result) throw new Error(`${method}: ${message}`);
    return result;
  }

  /** Opens a page, and waits until it is there. */
  async go(url: string): Promise<void> {
    await this.#ask("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  /** What an expression is in the page, as one that a person has touched; a text. */
  async evaluate(expression: string): Promise<string> {
    const target = { context: this.#context };
    const asked = { expression, target, awaitPromise: true, userActivation: true };
    const { result, exceptionDetails } = (await this.#ask("script.evaluate", asked)) as {
      result?: { value?: unknown };
      exceptionDetails?: { text: string };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.text);
    return String(result?.value ?? "");
  }

  /** Waits until an expression is a text that fits. */
  async until(expression: string, fits: RegExp, patienceMs = 60_000): Promise<string> {
    for (const end = Date.now() + patienceMs; ; ) {
      const text = await this.evaluate(expression);
      if (fits.test(text)) return text;
      if (Date.now() > end) throw new Error(`${expression} is "${text}", never ${fits}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Keeps what the page looks like. */
  async keep(name: string): Promise<void> {
    const { data } = await this.#ask("browsingContext.captureScreenshot", { context: this.#context });
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(path.join(PICTURES, `${name}.png`), String(data), "base64");
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    await this.#ask("browser.close", {});
    await ended;
    // Its processes of pages end a moment later.
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
