/** What a session wants done, and what it tells. */

import type { SampanError } from "../error.js";
import type { Asked, Via, Welcome, WireChange, WireGap, WireJob, WireMembers, WireMessage } from "../wire.js";

/** Where a session stands. */
export type State =
  /** Not opened yet. */
  | "idle"
  /** Between two attempts. */
  | "waiting"
  /** Waiting for a token or a transport. */
  | "connecting"
  /** Waiting for the broker's greeting. */
  | "greeting"
  /** Requests reach the broker. */
  | "live"
  /** As live, until a new connection replaces this one. */
  | "draining"
  /** Closed for good. */
  | "closed";

/** What is to be done or told, in this order. */
export type Output =
  | { do: "connect"; connection: number; via: Via }
  | { do: "send"; asked: Asked[] }
  | { do: "disconnect" }
  /** Find out whether a WebSocket can be made by now. */
  | { do: "probe" }
  /** Fetch a token. */
  | { do: "token" }
  | { do: "state"; state: State; cause?: SampanError; retryInMs?: number }
  | { do: "welcome"; welcome: Welcome; via: Via; resumed: boolean }
  | { do: "expiring"; expiresMs: number }
  /** A publish, request or registration has succeeded. */
  | { do: "answer"; number: number; value: unknown }
  /** A publish, request or registration has failed; a registration is over. */
  | { do: "fail"; number: number; error: SampanError }
  | { do: "message"; numbers: number[]; message: WireMessage }
  | { do: "gap"; number: number; gap: WireGap }
  | { do: "job"; number: number; job: WireJob }
  | { do: "members"; number: number; members: WireMembers }
  | { do: "change"; number: number; change: WireChange };
