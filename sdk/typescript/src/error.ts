/** What can go wrong with a call, and what its caller needs to know of it. */

import { CODES, type Fault, codeName, faultOf, isRetryable } from "./code.js";

/** What sort of failure it is. */
export type ErrorKind =
  /** The broker, a responder or the other end of a request refused. */
  | "refused"
  /** The connection was lost while the call was open. */
  | "lost"
  /** No answer came in time. */
  | "deadline"
  /** The bounded queue of unacknowledged publishes is full; wait for acks. */
  | "full"
  /** The client holds as many open requests or registrations as it may. */
  | "too_many"
  /** A payload is larger than its limit. */
  | "too_large"
  /** A name, payload or option is not valid; the message says which. */
  | "invalid"
  /** The transport in use cannot do this; a WebSocket can. */
  | "unavailable"
  /** The client is closed for good: by the caller, or by a code that no retry can cure. */
  | "closed";

/** What the broker says of a failure. */
export interface Refusal {
  code: number;
  name?: string;
  reason?: string;
  retryable?: boolean;
  retry_after_ms?: number;
}

interface Details {
  code?: number;
  retryable?: boolean;
  retryAfterMs?: number;
  mayHaveHappened?: boolean;
}

const RETRYABLE: ReadonlySet<ErrorKind> = new Set(["lost", "deadline", "full", "too_many"]);

/** Why a call failed. */
export class SampanError extends Error {
  /** What sort of failure it is. */
  readonly kind: ErrorKind;
  /** The protocol's code, if one was given. */
  readonly code: number | undefined;
  /** The name of the code. */
  readonly codeName: string | undefined;
  /** Whose fault it is. */
  readonly fault: Fault;
  /** Whether the same call, unchanged, may succeed at a later time. */
  readonly retryable: boolean;
  /** When the same call may be tried again, milliseconds, if the broker said so. */
  readonly retryAfterMs: number | undefined;
  /**
   * Whether the call may have had its effect although it failed. A retry needs an idempotency key,
   * or an effect that may happen twice.
   */
  readonly mayHaveHappened: boolean;

  constructor(kind: ErrorKind, message: string, details: Details = {}) {
    super(message);
    this.name = "SampanError";
    this.kind = kind;
    this.code = details.code;
    this.codeName = details.code === undefined ? undefined : codeName(details.code);
    this.fault = details.code === undefined ? FAULTS[kind] : faultOf(details.code);
    this.retryable = details.retryable ?? RETRYABLE.has(kind);
    this.retryAfterMs = details.retryAfterMs;
    this.mayHaveHappened = details.mayHaveHappened ?? false;
  }

  /** The error for what the broker or a responder refused. */
  static refused(refusal: Refusal, mayHaveHappened = false, kind: ErrorKind = "refused"): SampanError {
    const { code, reason, retryable, retry_after_ms } = refusal;
    const text = reason || CODES.get(code)?.text || "refused";
    return new SampanError(kind, `${code} ${codeName(code)}: ${text}`, {
      code,
      retryable: kind === "refused" && (retryable ?? isRetryable(code)),
      retryAfterMs: retry_after_ms || undefined,
      mayHaveHappened,
    });
  }
}

const FAULTS: Readonly<Record<ErrorKind, Fault>> = {
  refused: "sender",
  lost: "nobody",
  deadline: "responder",
  full: "sender",
  too_many: "sender",
  too_large: "sender",
  invalid: "sender",
  unavailable: "nobody",
  closed: "nobody",
};
