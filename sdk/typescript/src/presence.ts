/** Who is present in a topic. */

import type { Driver } from "./driver.js";
import type { SampanError } from "./error.js";
import { checkedTopic } from "./topic.js";
import type { WireMember, WireMembers } from "./wire.js";

/** A user who is present. */
export interface Member {
  readonly user: string;
  readonly role: string;
  /** Live sessions; 0 while the user's grace runs. */
  readonly sessions: number;
  /** When the user came, Unix milliseconds. */
  readonly sinceMs: number;
}

/** Who is present. */
export interface Members {
  /** Users present. */
  readonly count: number;
  /** The users: a page of those that were read, or all; none are told of to a watch of more than the broker names. */
  readonly members: readonly Member[];
}

/** Hears who is present, first and after every change. */
export type MembersListener = (members: Members) => void;

/** What stands until it is ended. */
export interface Standing {
  /** Resolves when the broker has confirmed it, and rejects when it is refused. */
  readonly ready: Promise<void>;
  /** Ends it. */
  close(): void;
}

/** The presence of one topic. */
export class Presence {
  readonly #driver: Driver;
  readonly #topic: string;

  /** @internal */
  constructor(driver: Driver, topic: string) {
    this.#driver = driver;
    this.#topic = checkedTopic(topic);
  }

  /** Makes the user present, until it is closed or the client is. Needs a WebSocket. */
  enter(onEnd?: (error: SampanError) => void): Standing {
    return this.#stand("entry", { ended: onEnd });
  }

  /** Tells who is present, and every change. */
  watch(listener: MembersListener, onEnd?: (error: SampanError) => void): Standing {
    const present = new Map<string, Member>();
    const tell = (count: number) => listener({ count, members: [...present.values()] });
    return this.#stand("watch", {
      members: ({ count, members }) => {
        present.clear();
        for (const member of members) present.set(member.user, memberOf(member));
        tell(count);
      },
      change: ({ count, joined, left }) => {
        for (const user of left) present.delete(user);
        for (const member of joined) present.set(member.user, memberOf(member));
        tell(count);
      },
      ended: onEnd,
    });
  }

  /** Who is present now: the first 256 by name, or those behind `after`, such as the last that was read. */
  async read(timeoutMs = 15_000, after = ""): Promise<Members> {
    const body = { topic: this.#topic, act: "read", ...(after && { after }) };
    const ask = this.#driver.call<WireMembers>((session, now) => session.ask(now, { name: "presence", body, timeoutMs }));
    const { count, members } = await ask.outcome;
    return { count, members: members.map(memberOf) };
  }

  #stand(kind: "entry" | "watch", sink: Parameters<Driver["call"]>[1]): Standing {
    const topic = this.#topic;
    const { number, outcome } = this.#driver.call<void>((session) => session.stand({ kind, topic }), sink);
    outcome.catch(() => {});
    return { ready: outcome, close: () => this.#driver.cancel(number) };
  }
}

function memberOf({ user, role, sessions, since_ms }: WireMember): Member {
  return { user, role, sessions, sinceMs: since_ms };
}
