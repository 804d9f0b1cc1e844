/** What each subscription has seen of each topic. */

import type { Position } from "../position.js";
import { positionText } from "../position.js";
import type { Pattern } from "../topic.js";
import type { WireGap, WireMessage } from "../wire.js";

/** Topics known at a time; beyond it the least recently used is forgotten and resumes at the join. */
export const TOPICS_MAX = 65_536;
/** Positions in one subscription. */
const POSITIONS_MAX = 4096;
/** Bytes of the positions in one subscription. */
const POSITIONS_BYTES = 255 * 1024;

/** One subscription's place in a topic. */
interface Place {
  /** Offset of the last message seen in the row's epoch, or at which it joined there; 0 for none. */
  last: number;
  /** Where a resume starts while nothing has been seen. */
  joined: Position | undefined;
  /** The first offset that came while the subscription was held. */
  missed: number | undefined;
}

interface Row {
  epoch: number;
  places: Map<number, Place>;
}

/** A gap as one subscription sees it. */
export interface Missed {
  number: number;
  from: number;
}

/** The last message seen, by topic and subscription. */
export class Places {
  /** Least recently used first. */
  readonly #rows = new Map<string, Row>();
  readonly #patterns = new Map<number, Pattern>();
  readonly #held = new Set<number>();

  /** A subscription begins. */
  add(number: number, pattern: Pattern): void {
    this.#patterns.set(number, pattern);
    for (const [, row] of this.#rowsOf(number)) row.places.set(number, place());
  }

  /** A subscription ends. */
  remove(number: number): void {
    for (const [topic, row] of this.#rowsOf(number)) {
      row.places.delete(number);
      if (row.places.size === 0) this.#rows.delete(topic);
    }
    this.#patterns.delete(number);
    this.#held.delete(number);
  }

  /** What comes for a held subscription is left for later; its position does not move. */
  hold(number: number): void {
    this.#held.add(number);
  }

  /** A held subscription is served again. */
  release(number: number): void {
    this.#held.delete(number);
  }

  /** A new connection: nothing of the one before can still arrive. */
  reconnected(): void {
    for (const row of this.#rows.values()) {
      for (const place of row.places.values()) place.missed = undefined;
    }
  }

  /** A subscription has joined a topic at this position. */
  joined(number: number, topic: string, at: Position): void {
    const row = this.#row(topic);
    const place = row.places.get(number);
    if (!place) return;
    if (row.epoch === 0) row.epoch = at.epoch;
    // What was seen in the joined epoch says more than the join.
    if (place.last > 0 && row.epoch === at.epoch) return;
    place.joined ??= at;
    if (row.epoch === at.epoch) place.last = at.offset;
  }

  /** The subscriptions that have not seen the message; it counts as seen from here on. */
  deliver({ topic, epoch, offset }: WireMessage): number[] {
    const row = this.#row(topic);
    this.#enter(row, epoch);
    const fresh: number[] = [];
    for (const [number, place] of row.places) {
      if (offset <= place.last) continue;
      if (this.#held.has(number)) {
        place.missed ??= offset;
        continue;
      }
      // Sent before the broker heard that the subscription starts again where it was held.
      if (place.missed !== undefined && offset > place.missed) continue;
      place.missed = undefined;
      place.last = offset;
      fresh.push(number);
    }
    return fresh;
  }

  /** The subscriptions that the gap concerns, each with the first offset that is new to it. */
  gap({ topic, epoch, from, to, reason }: WireGap): Missed[] {
    const row = this.#row(topic);
    if (epoch > row.epoch) this.#enter(row, epoch);
    if (epoch !== row.epoch) return [];
    const concerned: Missed[] = [];
    for (const [number, place] of row.places) {
      if (to <= place.last) continue;
      if (this.#held.has(number)) {
        place.missed ??= Math.max(from, place.last + 1);
        continue;
      }
      if (place.missed !== undefined) {
        if (from > place.missed) continue;
        place.missed = undefined;
      }
      concerned.push({ number, from: Math.max(from, place.last + 1) });
      if (reason !== "conflated") place.last = to;
    }
    return concerned;
  }

  /** Whether the subscription has been given anything. */
  hasSeen(number: number): boolean {
    return this.#rowsOf(number).some(([, row]) => (row.places.get(number)?.last ?? 0) > 0);
  }

  /** Where a subscription resumes: the newest positions that fit one request. */
  positions(number: number): Record<string, string> {
    const positions: Record<string, string> = {};
    let [count, bytes] = [POSITIONS_MAX, POSITIONS_BYTES];
    for (const [topic, row] of this.#rowsOf(number).reverse()) {
      const place = row.places.get(number);
      const at = place && positionOf(place, row.epoch);
      if (!at) continue;
      count -= 1;
      bytes -= topic.length + 48;
      if (count < 0 || bytes < 0) break;
      positions[topic] = positionText(at);
    }
    return positions;
  }

  /** The known topics of a subscription, least recently used first. */
  #rowsOf(number: number): [string, Row][] {
    const pattern = this.#patterns.get(number);
    if (!pattern) return [];
    if (!pattern.isTopic) return [...this.#rows].filter(([topic]) => pattern.matches(topic));
    const row = this.#rows.get(pattern.text);
    return row ? [[pattern.text, row]] : [];
  }

  /** The row of a topic, made if it is new, as the most recently used. */
  #row(topic: string): Row {
    let row = this.#rows.get(topic);
    if (row) {
      this.#rows.delete(topic);
    } else {
      row = { epoch: 0, places: new Map() };
      for (const [number, pattern] of this.#patterns) {
        if (pattern.matches(topic)) row.places.set(number, place());
      }
      // Meant for a subscription that has ended.
      if (row.places.size === 0) return row;
      if (this.#rows.size >= TOPICS_MAX) this.#forgetOldest();
    }
    this.#rows.set(topic, row);
    return row;
  }

  #forgetOldest(): void {
    for (const topic of this.#rows.keys()) {
      this.#rows.delete(topic);
      return;
    }
  }

  /** An epoch other than the known one voids what was seen. */
  #enter(row: Row, epoch: number): void {
    if (row.epoch === epoch) return;
    row.epoch = epoch;
    for (const place of row.places.values()) {
      if (place.joined?.epoch !== epoch) place.joined = undefined;
      place.last = place.joined?.offset ?? 0;
      place.missed = undefined;
    }
  }
}

function place(): Place {
  return { last: 0, joined: undefined, missed: undefined };
}

function positionOf(place: Place, epoch: number): Position | undefined {
  if (place.last > 0) return { epoch, offset: place.last };
  if (place.joined) return place.joined;
  return place.missed === undefined ? undefined : { epoch, offset: place.missed - 1 };
}
