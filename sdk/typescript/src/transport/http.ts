/** Calls to the broker's HTTP routes. */

import type { Refusal } from "../error.js";

/** The part of the standard `fetch` that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A refusal by HTTP. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason ?? String(refusal.code));
    this.refusal = refusal;
  }
}

/** Statuses that say something without a problem document, such as those of a proxy. */
const STATUS: Readonly<Record<number, number>> = { 401: 601, 403: 200, 413: 102, 429: 300 };

/** Calls with a token. */
export class Http {
  readonly #base: string;
  readonly #fetch: Fetch;
  token = "";

  constructor(base: string, fetch: Fetch) {
    this.#base = base;
    this.#fetch = fetch;
  }

  /** The answer of a call. @throws {Refused} for a problem, or what `fetch` throws. */
  async call(path: string, init: RequestInit & { headers?: Record<string, string> }): Promise<Response> {
    const headers = { authorization: `Bearer ${this.token}`, ...init.headers };
    return answered(await this.#fetch(`${this.#base}${path}`, { cache: "no-store", ...init, headers }));
  }

  /** The JSON that a call with a JSON body answers. */
  async post(path: string, body: string, signal: AbortSignal): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    return (await this.call(path, { method: "POST", headers, body, signal })).json();
  }

  /** The JSON under a path. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    return (await this.call(path, { signal })).json();
  }
}

/** The answer, if it is one. @throws {Refused} for a problem, or an error that says the status. */
export async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  throw await refused(response);
}

async function refused(response: Response): Promise<Error> {
  const document: unknown = await response.json().catch(() => undefined);
  if (isProblem(document)) return new Refused(refusalOf(document));
  const code = STATUS[response.status];
  const reason = `HTTP status ${response.status}`;
  return code === undefined ? new Error(reason) : new Refused({ code, reason });
}

interface Problem extends Omit<Refusal, "reason"> {
  detail?: string;
}

/** Whether JSON is a problem document with a code. */
export function isProblem(document: unknown): document is Problem {
  return typeof document === "object" && document !== null && "code" in document && typeof document.code === "number";
}

/** What a problem document says. */
export function refusalOf({ code, name, detail, retryable, retry_after_ms }: Problem): Refusal {
  return { code, name, reason: detail, retryable, retry_after_ms };
}

/** The claims of a token, unchecked: what the broker says of it is what counts. */
export function claims(token: string): { sub?: string; role?: string; exp?: number } {
  try {
    const body = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(body), (character) => character.charCodeAt(0));
    const found: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}
