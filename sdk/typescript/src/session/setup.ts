/** How a session is set up, and how its connections end. */

import type { Refusal } from "../error.js";
import type { Via } from "../wire.js";

/** How a session is set up. */
export interface Setup {
  /** The first token, if there is one. */
  token: string | undefined;
  /** Whether fresh tokens can be had. */
  renewable: boolean;
  /** Name and version of the software. */
  client: string;
  /** Whether the platform inflates. */
  inflates: boolean;
  /** Ways to the broker, the best first. */
  ways: readonly Via[];
  pendingMax: number;
  pendingBytesMax: number;
  /** Decides the jitter. */
  seed: number;
}

/** How a connection ended. */
export interface Lost {
  /** What the broker said, if it said something. */
  refusal?: Refusal;
  /** What the transport says, for a person. */
  reason: string;
}
