/** Payloads: JSON, text or bytes, plain or compressed. */

import { SampanError } from "./error.js";
import type { Told } from "./wire.js";

/** Bytes from which a payload is worth compressing. */
export const GZIP_FROM = 1024;
/** Bytes that one payload may become when it is inflated. */
const INFLATED_MAX = 8 * 1024 * 1024;
/** How deep JSON of a request may nest, less what the request itself adds. */
const DEPTH_MAX = 28;

/** A payload as it travels, and perhaps a text that is not JSON. */
export interface Carried {
  payload?: unknown;
  payload_base64?: string;
  content_type?: string;
  content_encoding?: string;
  /** What was inflated here. */
  bytes?: Uint8Array;
}

/** Bytes as base64. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

/** The bytes behind base64. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** JSON of a value. @throws {SampanError} when there is none, or it nests too deep. */
export function json(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value ?? null);
  } catch (error) {
    throw new SampanError("invalid", `the payload is no JSON: ${(error as Error).message}`);
  }
  if (text === undefined) throw new SampanError("invalid", "the payload is no JSON");
  if (depth(text) > DEPTH_MAX) throw new SampanError("invalid", `the payload nests deeper than ${DEPTH_MAX}`);
  return text;
}

/** How deep JSON nests. */
function depth(text: string): number {
  let [now, most, isText] = [0, 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isText) {
      if (character === "\\") at += 1;
      else if (character === '"') isText = false;
    } else if (character === '"') {
      isText = true;
    } else if (character === "{" || character === "[") {
      now += 1;
      most = Math.max(most, now);
    } else if (character === "}" || character === "]") {
      now -= 1;
    }
  }
  return most;
}

/** Bytes of a text as UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Whether this platform compresses. */
export function canGzip(): boolean {
  return typeof CompressionStream !== "undefined" && typeof DecompressionStream !== "undefined";
}

/** Bytes compressed by gzip. */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  return gathered(streamOf(bytes).pipeThrough(new CompressionStream("gzip")), Infinity);
}

async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  return gathered(streamOf(bytes).pipeThrough(new DecompressionStream("gzip")), INFLATED_MAX);
}

function streamOf(bytes: Uint8Array): ReadableStream<BufferSource> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes as BufferSource);
      controller.close();
    },
  });
}

async function gathered(stream: ReadableStream<Uint8Array>, max: number): Promise<Uint8Array> {
  const [reader, pieces] = [stream.getReader(), [] as Uint8Array[]];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > max) {
      await reader.cancel();
      throw new SampanError("too_large", `the payload is larger than ${max} bytes when it is inflated`);
    }
    pieces.push(value);
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

/** What of a telling is compressed. */
export function packed({ message, job, history, reply }: Told): Carried[] {
  const all = [message, job?.message, ...(history?.messages ?? []), reply as Carried | undefined];
  return all.filter((one): one is Carried => one?.content_encoding === "gzip" && one.payload_base64 !== undefined);
}

/** Inflates in place. What cannot be inflated stays as it is. */
export async function inflate(carried: Carried): Promise<void> {
  try {
    carried.bytes = await gunzip(fromBase64(carried.payload_base64 ?? ""));
    carried.content_encoding = undefined;
  } catch {
    // The application sees the content encoding, and the bytes as they came.
  }
}

/** The payload as the application gets it: a JSON value, a text, or bytes. */
export function payloadOf(carried: Carried): unknown {
  const { payload, payload_base64, content_type, content_encoding } = carried;
  if (payload !== undefined) return payload;
  const bytes = carried.bytes ?? (payload_base64 === undefined ? undefined : fromBase64(payload_base64));
  if (!bytes || content_encoding !== undefined) return bytes;
  const kind = (content_type ?? "text/plain").split(";")[0]?.trim().toLowerCase() ?? "";
  const isJson = kind === "application/json" || kind.endsWith("+json");
  if (!isJson && !kind.startsWith("text/")) return bytes;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return isJson ? JSON.parse(text) : text;
  } catch {
    return bytes;
  }
}
