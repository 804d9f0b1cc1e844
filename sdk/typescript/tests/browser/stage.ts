/** The server of the examples' pages, and a headless Chromium to open them in. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { type BrowserContext, type Page, chromium } from "playwright-core";

const PACKAGE = fileURLToPath(new URL("../../../", import.meta.url));
/** Where what a page looked like is kept. */
export const PICTURES = path.join(PACKAGE, "../../target/browser");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
const KINDS: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };

/** Serves this package's folder on a free port. */
export class Files {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Files> {
    const server = createServer(({ url = "/" }, response) => {
      const file = path.join(PACKAGE, path.normalize(url));
      try {
        const bytes = readFileSync(file);
        response.writeHead(200, { "content-type": KINDS[path.extname(file)] ?? "text/plain" }).end(bytes);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    return new Files(server);
  }

  /** Where pages come from. */
  get origin(): string {
    return `http://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }
}

/** Where pages are opened. */
export class Stage {
  readonly #files: Files;
  readonly #profile: string;
  readonly #browser: BrowserContext;

  private constructor(files: Files, profile: string, browser: BrowserContext) {
    this.#files = files;
    this.#profile = profile;
    this.#browser = browser;
  }

  static async open(): Promise<Stage> {
    const profile = mkdtempSync(path.join(tmpdir(), "sampan-chromium-"));
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    const browser = await chromium.launchPersistentContext(profile, { executablePath, args: [...FLAGS, ...QUIET] });
    return new Stage(await Files.open(), profile, browser);
  }

  /** Where pages come from. */
  get origin(): string {
    return this.#files.origin;
  }

  /** Opens an example, after `hinder` has run in it; `faults` are what it did not catch. */
  async page(example: string, hinder: () => void = () => {}): Promise<{ page: Page; faults: string[] }> {
    const page = await this.#browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.addInitScript(hinder);
    await page.goto(`${this.origin}/examples/browser/${example}`);
    return { page, faults };
  }

  /** Keeps what a page looks like, and closes it. */
  async keep(page: Page, name: string): Promise<void> {
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: path.join(PICTURES, `${name}.png`) });
    await page.close();
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#files.close();
    rmSync(this.#profile, { recursive: true, force: true });
  }
}
