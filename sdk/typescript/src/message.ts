/** What the application publishes and is given. */

import { type Refusal, SampanError } from "./error.js";
import { byteLength, fromBase64, json, payloadOf, toBase64 } from "./payload.js";
import { positionText } from "./position.js";
import { checkedTopic } from "./topic.js";
import type { AckLevel, WireAck, WireGap, WireHeader, WireMessage } from "./wire.js";

/** A header of the application: a name, and a text or bytes. */
export type Header = readonly [name: string, value: string | Uint8Array];

/** A message that has come. */
export interface Message<T = unknown> {
  /** Topic name. */
  readonly topic: string;
  /** Its place in the topic, `EPOCH:OFFSET`. */
  readonly position: string;
  /** Epoch of the offset. */
  readonly epoch: number;
  /** Offset in the topic. */
  readonly offset: number;
  /** When the broker ordered it, Unix milliseconds. */
  readonly timeMs: number;
  /** Name of the event. */
  readonly event: string | undefined;
  /** Key of a `latest` value, or of an order among messages. */
  readonly key: string | undefined;
  /** Version of a `latest` value. */
  readonly version: number | undefined;
  /** Content type of the payload. */
  readonly contentType: string | undefined;
  /** Content encoding that the payload still has: its bytes are as they were published. */
  readonly contentEncoding: string | undefined;
  /** Headers of the application, in their order. */
  readonly headers: readonly Header[];
  /** A JSON value, a text, or bytes, as the content type says. */
  readonly payload: T;
  /** Why there is no payload, if it could not be read. */
  readonly error: SampanError | undefined;
}

/** What is said with a message that is published. */
export interface PublishOptions {
  /** Name of the event. */
  event?: string;
  /** Key of a `latest` value, or of an order among messages. */
  key?: string;
  /** Content type; that of JSON for a value and of any bytes for bytes if it is left out. A text type wants a string. */
  contentType?: string;
  /** What the ack must say; `none` sends once and waits for nothing. Default: the topic's. */
  ack?: AckLevel | "none";
  /** A repeat under the same key is a duplicate. Default: one of the client's own. */
  idempotencyKey?: string;
  /** Version of a `latest` value; one that is not above the kept one is stale. */
  version?: number;
  /** Headers of the application. */
  headers?: readonly Header[];
}

/** What has happened to a publish. */
export interface Ack {
  /** Its place in the topic, `EPOCH:OFFSET`. */
  readonly position: string;
  readonly epoch: number;
  readonly offset: number;
  /** Whether it had been published before; nothing is delivered again. */
  readonly duplicate: boolean;
  /** The level that it has reached. */
  readonly level: AckLevel;
  /** Whether the version was not above the kept one; nothing is delivered. */
  readonly stale: boolean;
}

/** Offsets that will not come. */
export interface Gap {
  readonly topic: string;
  readonly epoch: number;
  /** First missing offset. */
  readonly from: number;
  /** Last missing offset. */
  readonly to: number;
  /** Why. */
  readonly reason: string;
  /** Whether messages are missing that this reader should have had. */
  readonly lost: boolean;
}

/** The message that has come in this form. */
export function messageOf(wire: WireMessage): Message {
  const { topic, epoch, offset, time_ms, event, key, version, content_type, content_encoding, headers = [], error } = wire;
  return {
    topic,
    position: positionText({ epoch, offset }),
    epoch,
    offset,
    timeMs: time_ms,
    event,
    key,
    version,
    contentType: content_type,
    contentEncoding: content_encoding,
    headers: headers.map(headerOf),
    payload: payloadOf(wire),
    error: error && SampanError.refused(error as Refusal),
  };
}

/** The ack that has come in this form. */
export function ackOf({ epoch, offset, duplicate, ack, stale }: WireAck): Ack {
  return { position: positionText({ epoch, offset }), epoch, offset, duplicate, level: ack, stale: stale ?? false };
}

/** The gap that has come in this form. */
export function gapOf({ topic, epoch, from, to, reason, lost }: WireGap): Gap {
  return { topic, epoch, from, to, reason, lost };
}

function headerOf([name, value]: WireHeader): Header {
  return [name, typeof value === "string" ? value : fromBase64(value.base64)];
}

/** A publish before its payload: what is said with it, in the form in which it travels. */
export interface Outgoing {
  topic: string;
  event?: string;
  key?: string;
  content_type?: string;
  content_encoding?: string;
  ack?: AckLevel | "none";
  idempotency_key?: string;
  version?: number;
  headers?: WireHeader[];
}

/** What is said with a publish. @throws {SampanError} for a name that is no topic. */
export function outgoing(topic: string, options: PublishOptions): Outgoing {
  const { event, key, contentType, ack, idempotencyKey, version, headers } = options;
  const wire = ([name, value]: Header): WireHeader => [
    name,
    typeof value === "string" ? value : { base64: toBase64(value) },
  ];
  return {
    topic: checkedTopic(topic),
    event,
    key,
    content_type: contentType,
    ack,
    idempotency_key: idempotencyKey,
    version,
    headers: headers && headers.length > 0 ? headers.map(wire) : undefined,
  };
}

/** The bytes or the JSON of a payload. @throws {SampanError} when it is neither, or too large. */
export function encoded(payload: unknown, bytesMax: number): Uint8Array | string {
  const bytes = payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload;
  const body = ArrayBuffer.isView(bytes) ? viewed(bytes) : json(bytes);
  const length = typeof body !== "string" ? body.length : body.length * 3 > bytesMax ? byteLength(body) : 0;
  if (length > bytesMax) {
    throw new SampanError("too_large", `the payload has ${length} bytes, the limit is ${bytesMax}`);
  }
  return body;
}

function viewed(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The JSON of a publish. */
export function publishText(head: Outgoing, body: Uint8Array | string): string {
  const [name, value] = typeof body === "string" ? ["payload", body] : ["payload_base64", `"${toBase64(body)}"`];
  return `${JSON.stringify(head).slice(0, -1)},"${name}":${value}}`;
}
