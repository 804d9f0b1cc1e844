/** What is asked and answered while a session lives: publishes, requests and what stands. */

import type { Chance } from "../chance.js";
import type { Refusal } from "../error.js";
import { SampanError } from "../error.js";
import type { Asked, Start, Told, Via } from "../wire.js";
import type { Output } from "./output.js";
import { Publishes } from "./publishes.js";
import { type Question, Requests } from "./requests.js";
import { Registrations, type What } from "./standing.js";

/** Refusals after which a request may have had its effect all the same. */
const MAYBE: ReadonlySet<number> = new Set([303, 306]);

/** Everything that a client asks for, whatever becomes of the connection. */
export class Exchange {
  #number = 0;
  /** How the broker is reached, while it is. */
  #via: Via | undefined;
  /** The broker's clock at the last greeting. */
  #welcomedMs = 0;
  readonly #put: (output: Output) => void;
  readonly #publishes: Publishes;
  readonly #requests = new Requests();
  readonly #standing: Registrations;

  constructor(pendingMax: number, pendingBytesMax: number, chance: Chance, put: (output: Output) => void) {
    this.#put = put;
    this.#publishes = new Publishes(pendingMax, pendingBytesMax);
    this.#standing = new Registrations(() => this.#nextNumber(), chance);
  }

  /** Publishes that wait for their ack. */
  get pending(): number {
    return this.#publishes.size;
  }

  /** Whether a reply is on its way. */
  get awaitsReply(): boolean {
    return this.#requests.awaitsReply;
  }

  /** When {@link Exchange.time} must be called next. */
  deadline(): number {
    return Math.min(this.#requests.deadline(), this.#via ? this.#standing.deadline() : Infinity);
  }

  // What the application does.

  /** Publishes; answers the number under which the outcome is told. */
  publish(now: number, body: string): number {
    const number = this.reserve(body.length);
    this.fill(now, number, body);
    return number;
  }

  /** Takes a publish of this length whose body is still made; those after it wait for it. */
  reserve(length: number): number {
    const number = this.#nextNumber();
    this.#publishes.add(number, length);
    return number;
  }

  /** The body of a publish is made. */
  fill(now: number, number: number, body: string): void {
    this.#publishes.fill(number, body);
    if (this.#via) this.#send(this.#publishes.take(now));
  }

  /** Publishes once, now, without an ack. */
  publishUnacked(body: string): void {
    if (!this.#via) throw new SampanError("lost", "there is no connection");
    this.#send([{ id: 0, name: "publish", body }]);
  }

  /** Asks; answers the number under which the outcome is told. */
  ask(now: number, question: Question): number {
    const number = this.#nextNumber();
    this.#requests.add(now, number, question);
    if (this.#via) this.#send(this.#requests.take(now));
    return number;
  }

  /** Registers what stands until it is cancelled. */
  stand(what: What): number {
    const number = this.#nextNumber();
    this.#standing.add(number, what);
    if (this.#via) {
      this.#send(this.#standing.ask(number, this.#via));
      this.#endNotOffered(this.#via);
    }
    return number;
  }

  /** Takes a registration back. Nothing more is told about it. */
  cancel(number: number): void {
    this.#sendIfLive(this.#standing.remove(number));
  }

  /** The reader of a subscription has too much: what follows stays with the broker. */
  hold(number: number): void {
    this.#sendIfLive(this.#standing.hold(number, this.#welcomedMs));
  }

  /** The reader has room again. */
  release(number: number): void {
    this.#sendIfLive(this.#standing.release(number, this.#via));
  }

  /** A consumer wants so many jobs; those that are asked for and have not come count. */
  pull(number: number, count: number): void {
    this.#sendIfLive(this.#standing.pull(number, count));
  }

  /** Jobs that a consumer has asked for and that have not come. */
  credit(number: number): number {
    return this.#standing.credit(number);
  }

  /** From where a subscription could go on, in another client too. */
  resume(number: number): Start {
    return this.#standing.resume(number);
  }

  // What becomes of the connection.

  /** The broker has greeted: what waits is sent, what stands is asked for again. */
  welcomed(now: number, nowMs: number, via: Via): void {
    [this.#via, this.#welcomedMs] = [via, nowMs];
    for (const number of this.#publishes.connected(now)) {
      const reason = "the broker may no longer know whether this publish arrived";
      this.#fail(number, new SampanError("lost", reason, { mayHaveHappened: true }));
    }
    this.#send(this.#standing.askAll(via));
    this.#endNotOffered(via);
    this.#send(this.#publishes.take(now));
    this.#send(this.#requests.take(now));
  }

  /** The connection is lost, and what it takes with it. */
  lost(reason: string): void {
    this.#via = undefined;
    for (const [number, error] of this.#requests.lost(reason)) this.#fail(number, error);
    this.#standing.disconnected(this.#welcomedMs);
  }

  /** Hands the jobs of all consumers back; whether there was one. */
  handBack(): boolean {
    const leaves = this.#standing.handBack();
    this.#sendIfLive(leaves);
    return leaves.length > 0;
  }

  /** It is over: everything that is open fails. */
  close({ message, code }: SampanError): void {
    this.#via = undefined;
    const closed = (mayHaveHappened: boolean) => new SampanError("closed", message, { code, mayHaveHappened });
    for (const [number, error] of this.#requests.clear(closed)) this.#fail(number, error);
    for (const [number, wasSent] of this.#publishes.clear()) this.#fail(number, closed(wasSent));
    for (const number of this.#standing.clear()) this.#fail(number, closed(false));
  }

  /** The time has come. */
  time(now: number): void {
    for (const [number, error] of this.#requests.expired(now)) this.#fail(number, error);
    if (this.#via) this.#send(this.#standing.askAgain(now, this.#via));
  }

  // What the broker says on a live connection.

  /** The broker has said something that is not about the connection. */
  told(now: number, told: Told): void {
    const id = told.id ?? 0;
    if (told.message) {
      const numbers = this.#standing.places.deliver(told.message);
      if (numbers.length > 0) this.#put({ do: "message", numbers, message: told.message });
    } else if (told.gap) {
      for (const { number, from } of this.#standing.places.gap(told.gap)) {
        this.#put({ do: "gap", number, gap: { ...told.gap, from } });
      }
    } else if (told.job) {
      const number = this.#standing.job(told.job.consumer);
      // A consumer that has left is none any more: the broker takes the job back.
      if (number !== undefined) this.#put({ do: "job", number, job: told.job });
    } else if (told.published) {
      if (this.#publishes.settle(id) === undefined) return;
      this.#put({ do: "answer", number: id, value: told.published });
      this.#send(this.#publishes.take(now));
    } else if (told.error) {
      this.#refused(now, id, told.error);
    } else if (told.subscribed) {
      this.#ready(this.#standing.subscribed(id, told.subscribed), told.subscribed);
    } else if (told.members) {
      this.#members(id, told.members);
    } else if (told.members_changed) {
      this.#changed(told.members_changed);
    } else if (told.done) {
      const confirmed = this.#standing.done(id);
      this.#ready(confirmed?.number, undefined);
      this.#send(confirmed?.asked ?? []);
    } else {
      this.#answered(id, told.reply ?? told.history ?? told.refreshed ?? told.settled);
    }
  }

  #answered(id: number, value: unknown): void {
    if (value !== undefined && this.#requests.settle(id)) this.#put({ do: "answer", number: id, value });
  }

  #ready(number: number | undefined, value: unknown): void {
    if (number !== undefined) this.#put({ do: "answer", number, value });
  }

  #members(id: number, members: NonNullable<Told["members"]>): void {
    if (id === 0) {
      for (const number of this.#standing.watching(members.topic)) this.#put({ do: "members", number, members });
      return;
    }
    const number = this.#standing.members(id, members);
    if (number === undefined) return this.#answered(id, members);
    this.#ready(number, undefined);
    this.#put({ do: "members", number, members });
  }

  #changed(change: NonNullable<Told["members_changed"]>): void {
    const { reached, broken } = this.#standing.changed(change);
    for (const number of reached) this.#put({ do: "change", number, change });
    for (const number of broken) if (this.#via) this.#send(this.#standing.ask(number, this.#via));
  }

  #refused(now: number, id: number, refusal: Refusal): void {
    const tries = this.#publishes.settle(id);
    if (tries !== undefined) {
      // The first one of several may have arrived.
      this.#fail(id, SampanError.refused(refusal, tries > 1));
      this.#send(this.#publishes.take(now));
    } else if (this.#requests.settle(id)) {
      this.#fail(id, SampanError.refused(refusal, MAYBE.has(refusal.code)));
    } else {
      const refused = this.#standing.refused(now, id, refusal);
      if (refused?.error) this.#fail(refused.number, refused.error);
    }
  }

  #endNotOffered(via: Via): void {
    for (const number of this.#standing.notOffered(via)) {
      this.#standing.remove(number);
      this.#fail(number, new SampanError("unavailable", "this needs a WebSocket, and none can be made"));
    }
  }

  #fail(number: number, error: SampanError): void {
    this.#put({ do: "fail", number, error });
  }

  #nextNumber(): number {
    return (this.#number += 1);
  }

  #send(asked: Asked[]): void {
    if (asked.length > 0) this.#put({ do: "send", asked });
  }

  #sendIfLive(asked: Asked[]): void {
    if (this.#via) this.#send(asked);
  }
}
