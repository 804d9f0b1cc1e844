/**
 * The protocol's codes, as `spec/codes.md` lists them.
 *
 * The hundred of a code tells what to do, also for numbers that are not in the table.
 */

/** What a client does about a code. */
export type Reaction =
  | "fix"
  | "not_allowed"
  | "retry_later"
  | "reconnect"
  | "reconnect_with_backoff"
  | "stop"
  | "application";

/** Whose fault a code names. */
export type Fault = "sender" | "user" | "broker" | "responder" | "client" | "nobody" | "application";

interface Row {
  readonly name: string;
  readonly fault: Fault;
  readonly text: string;
}

const row = (name: string, fault: Fault, text: string): Row => ({ name, fault, text });

/** Every code that Sampan defines. */
export const CODES: ReadonlyMap<number, Row> = new Map([
  [100, row("MALFORMED", "sender", "The frame could not be decoded.")],
  [101, row("UNKNOWN_KIND", "sender", "The frame's kind is not known to this version.")],
  [102, row("TOO_LARGE", "sender", "A frame, payload or field is larger than its limit.")],
  [103, row("BAD_TOPIC", "sender", "The topic name or pattern does not follow the grammar.")],
  [104, row("UNEXPECTED", "sender", "The frame is not expected in this state of the session.")],
  [105, row("BAD_FIELD", "sender", "A field holds a value outside its range.")],
  [106, row("UNKNOWN_TOPIC", "sender", "The topic id or name is not known.")],
  [107, row("UNKNOWN_REQUEST", "sender", "The request, subscription or call id is not known.")],
  [108, row("DUPLICATE_REQUEST", "sender", "The request or subscription id is already in use.")],
  [109, row("NEEDS_TOPIC", "sender", "A pattern was given where one topic is needed.")],
  [110, row("LEVEL_UNAVAILABLE", "sender", "This topic cannot give the asked ack level.")],
  [111, row("STALE", "nobody", "The version is not above the kept one.")],
  [112, row("UNSUPPORTED_VERSION", "sender", "No common protocol version.")],
  [113, row("UNKNOWN_GROUP", "sender", "There is no group of this name.")],
  [114, row("GROUP_DIFFERS", "sender", "The group exists with another pattern or order.")],
  [115, row("NOT_DELIVERED", "sender", "The group has handed out no such message.")],
  [116, row("UNKNOWN_DEAD_LETTER", "sender", "The group has no dead letter with this id.")],
  [200, row("NOT_GRANTED", "user", "The token does not grant this action on this topic.")],
  [201, row("NOT_AUTHORIZED", "user", "The authorizer of this topic said no, or did not answer.")],
  [202, row("ADMIN_ONLY", "user", "Only an admin or a service may do this.")],
  [300, row("RATE_LIMITED", "sender", "The rate limit is used up; retry after the given time.")],
  [301, row("BUSY", "broker", "The broker has no room for this now; retry after the given time.")],
  [302, row("NO_RESPONDER", "responder", "Nobody answers requests on this topic at the moment.")],
  [
    303,
    row("DEADLINE", "responder", "No answer came before the deadline; the request may have had an effect."),
  ],
  [304, row("TOO_MANY", "sender", "The session holds as many of these as it may.")],
  [305, row("STORAGE", "broker", "The journal could not store the message.")],
  [
    306,
    row("RESPONDER_LOST", "responder", "The responder left before it answered; the request may have had an effect."),
  ],
  [400, row("GOING_AWAY", "broker", "This broker is draining; connect again.")],
  [401, row("TOKEN_EXPIRED", "user", "The token has expired; connect again with a fresh one.")],
  [500, row("RESTARTED", "broker", "The broker lost or stopped the session; connect again with backoff.")],
  [501, row("SLOW_HANDSHAKE", "client", "HELLO or its token did not arrive in time.")],
  [502, row("IDLE", "client", "Nothing was heard from the client in time.")],
  [503, row("OVERLOADED", "broker", "The broker sheds load; connect again with backoff.")],
  [600, row("PROTOCOL", "sender", "The peer broke the protocol; the same software will do it again.")],
  [601, row("BAD_TOKEN", "user", "The token is missing or was refused.")],
  [602, row("REVOKED", "user", "The token or its user was revoked.")],
  [603, row("ABUSE", "client", "The peer kept exceeding limits.")],
  [604, row("CLOSED", "nobody", "The client closed the session.")],
]);

/** Codes that this client decides by. */
export const Code = {
  BAD_TOPIC: 103,
  NOT_AUTHORIZED: 201,
  DEADLINE: 303,
  TOKEN_EXPIRED: 401,
  PROTOCOL: 600,
  BAD_TOKEN: 601,
  CLOSED: 604,
} as const;

const REACTIONS: Readonly<Record<number, Reaction>> = {
  1: "fix",
  2: "not_allowed",
  3: "retry_later",
  4: "reconnect",
  5: "reconnect_with_backoff",
  9: "application",
};

/** What a client does about a code; numbers outside the table are `stop`. */
export function reaction(code: number): Reaction {
  return REACTIONS[Math.floor(code / 100)] ?? "stop";
}

/** Whether the same request, unchanged, may succeed at a later time. */
export function isRetryable(code: number): boolean {
  return code >= 300 && code < 600;
}

/** The name of a code. */
export function codeName(code: number): string {
  return CODES.get(code)?.name ?? (reaction(code) === "application" ? "APPLICATION" : "UNKNOWN");
}

/** Whose fault a code names. */
export function faultOf(code: number): Fault {
  return CODES.get(code)?.fault ?? (reaction(code) === "application" ? "application" : "nobody");
}
