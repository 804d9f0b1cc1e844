/** Names of topics, patterns over them, and tokens made from ids, as `spec/topics.md` says. */

import { Code } from "./code.js";
import { SampanError } from "./error.js";

/** Why a text is no topic or pattern. */
export type TopicFault =
  | "Empty"
  | "TooLong"
  | "TooManyTokens"
  | "EmptyToken"
  | "Wildcard"
  | "BadEscape"
  | "BadByte";

const BYTES_MAX = 255;
const TOKENS_MAX = 16;
const PLAIN = /^[A-Za-z0-9_\-~:@+]$/;
const ESCAPE = /^%[0-9A-F]{2}/;

const text = new TextEncoder();

/** The first rule that a topic name breaks, if any. */
export function topicFault(name: string): TopicFault | undefined {
  return fault(name, false);
}

/** The first rule that a pattern breaks, if any. */
export function patternFault(pattern: string): TopicFault | undefined {
  return fault(pattern, true);
}

function fault(name: string, isPattern: boolean): TopicFault | undefined {
  if (name === "") return "Empty";
  if (name.length > BYTES_MAX || text.encode(name).length > BYTES_MAX) return "TooLong";
  const tokens = name.split(".");
  if (tokens.length > TOKENS_MAX) return "TooManyTokens";
  for (const [at, token] of tokens.entries()) {
    const isWild = token === "*" || (token === ">" && at === tokens.length - 1);
    const found = isPattern && isWild ? undefined : tokenFault(token);
    if (found) return found;
  }
  return undefined;
}

function tokenFault(token: string): TopicFault | undefined {
  if (token === "") return "EmptyToken";
  for (let at = 0; at < token.length; at += 1) {
    const character = token.charAt(at);
    if (character === "*" || character === ">") return "Wildcard";
    if (character === "%") {
      const escape = token.slice(at, at + 3);
      if (!ESCAPE.test(escape) || isPlain(Number.parseInt(escape.slice(1), 16))) return "BadEscape";
      at += 2;
    } else if (!PLAIN.test(character)) {
      return "BadByte";
    }
  }
  return undefined;
}

function isPlain(byte: number): boolean {
  return byte < 128 && PLAIN.test(String.fromCharCode(byte));
}

/**
 * The one token that stands for an id. This is the only way from ids to names: an id is never a
 * pattern and never two tokens.
 *
 * @throws {SampanError} when the id is empty.
 */
export function token(id: string | number): string {
  const given = String(id);
  if (given === "") throw new SampanError("invalid", "an empty id has no token", { code: Code.BAD_TOPIC });
  let out = "";
  for (const byte of text.encode(given)) {
    out += isPlain(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** The id that a token stands for; `undefined` if it is no token of an id. */
export function idOf(token: string): string | undefined {
  if (tokenFault(token)) return undefined;
  const bytes = token.match(/%..|./g) ?? [];
  const of = (part: string) => (part.length > 1 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes, of));
  } catch {
    return undefined;
  }
}

/**
 * A topic name from a fixed head and ids: `topic("order", 42)` is `order.42`. The head is taken as it
 * is, each id becomes one token.
 */
export function topic(head: string, ...ids: (string | number)[]): string {
  return [head, ...ids.map(token)].join(".");
}

/** A pattern, ready to be matched. */
export class Pattern {
  readonly text: string;
  /** Whether the pattern is one topic. */
  readonly isTopic: boolean;
  readonly #tokens: readonly string[];

  /** @throws {SampanError} when the text is no pattern. */
  constructor(text: string) {
    const found = patternFault(text);
    if (found) throw invalid(text, found);
    this.text = text;
    this.isTopic = topicFault(text) === undefined;
    this.#tokens = text.split(".");
  }

  /** Whether the pattern matches a topic. */
  matches(topic: string): boolean {
    if (this.isTopic) return this.text === topic;
    const tokens = topic.split(".");
    for (const [at, wanted] of this.#tokens.entries()) {
      if (wanted === ">") return tokens.length > at;
      if (tokens[at] === undefined || (wanted !== "*" && wanted !== tokens[at])) return false;
    }
    return tokens.length === this.#tokens.length;
  }
}

/** The name, if it is a topic. @throws {SampanError} otherwise. */
export function checkedTopic(name: string): string {
  const found = topicFault(name);
  if (found) throw invalid(name, found);
  return name;
}

function invalid(name: string, found: TopicFault): SampanError {
  const shown = JSON.stringify(name.slice(0, 64));
  return new SampanError("invalid", `${shown} is no topic or pattern: ${found}`, { code: Code.BAD_TOPIC });
}
