import assert from "node:assert/strict";
import test from "node:test";

import { Rig } from "./rig.js";

const body = (n: number) => JSON.stringify({ topic: "order.1", payload: n });
const ack = { epoch: 1, offset: 1, duplicate: false, ack: "synced" } as const;

/** Payloads that were sent since the last look. */
function published(rig: Rig): number[] {
  return rig.sent().filter(({ name }) => name === "publish").map(({ body }) => body.payload);
}

test("what is published offline is sent with the first session, in order", () => {
  const rig = new Rig();
  for (let n = 0; n < 5; n += 1) rig.session.publish(0, body(n));
  rig.session.open(0);
  rig.greet();
  assert.deepEqual(published(rig), [0, 1, 2, 3, 4]);
});

test("what has no ack is sent again after a loss, in order, ahead of what is new", () => {
  const rig = new Rig().live();
  const numbers = [0, 1, 2].map((n) => rig.session.publish(0, body(n)));
  assert.deepEqual(published(rig), [0, 1, 2]);
  rig.told({ id: numbers[1], published: ack });
  assert.deepEqual(rig.wanted("answer").map(({ number }) => number), [numbers[1]]);
  rig.lose();
  rig.session.publish(0, body(3));
  rig.pass();
  rig.greet();
  assert.deepEqual(published(rig), [0, 2, 3]);
});

test("a full queue refuses with a typed error, and takes more when there is room", () => {
  const rig = new Rig({ pendingMax: 2 });
  rig.session.publish(0, body(1));
  const second = rig.session.publish(0, body(2));
  assert.throws(() => rig.session.publish(0, body(3)), { kind: "full", retryable: true, mayHaveHappened: false });
  rig.session.open(0);
  rig.greet();
  rig.told({ id: second, published: ack });
  rig.session.publish(0, body(3));
  assert.deepEqual(published(rig), [1, 2, 3]);
  assert.throws(() => new Rig({ pendingBytesMax: 10 }).session.publish(0, body(1)), { kind: "full" });
});

test("what is published while another is still made counts at once, and waits for it", () => {
  const rig = new Rig({ pendingMax: 3 }).live();
  rig.session.publish(0, body(0));
  const made = rig.session.reserve(10);
  rig.session.publish(0, body(2));
  assert.deepEqual(published(rig), [0]);
  assert.throws(() => rig.session.reserve(10), { kind: "full" });
  rig.session.fill(0, made, body(1));
  assert.deepEqual(published(rig), [1, 2]);
});

test("a publish that is still made when the client is closed fails, and its body is dropped", () => {
  const rig = new Rig().live();
  const made = rig.session.reserve(10);
  rig.session.close();
  assert.deepEqual(rig.wanted("fail").map(({ number, error }) => [number, error.mayHaveHappened]), [[made, false]]);
  rig.session.fill(0, made, body(1));
  assert.deepEqual([published(rig), rig.session.pending], [[], 0]);
});

test("only so many publishes are on their way as the broker takes", () => {
  const rig = new Rig({ pendingMax: 5000 }).live();
  const numbers = Array.from({ length: 1500 }, (_, n) => rig.session.publish(0, body(n)));
  assert.equal(published(rig).length, 1000);
  for (const id of numbers.slice(0, 10)) rig.told({ id, published: ack });
  assert.deepEqual(published(rig), [1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009]);
});

test("a refusal of what was sent twice leaves open whether the first one arrived", () => {
  const rig = new Rig().live();
  const [first, second] = [rig.session.publish(0, body(1)), 0];
  rig.lose();
  const later = rig.session.publish(0, body(2)) + second;
  rig.pass();
  rig.greet();
  rig.told({ id: first, error: { code: 300, retry_after_ms: 9 } }, { id: later, error: { code: 200 } });
  const failed = rig.wanted("fail").map(({ error }) => [error.code, error.mayHaveHappened, error.retryAfterMs]);
  assert.deepEqual(failed, [[300, true, 9], [200, false, undefined]]);
});

test("what the broker may have forgotten is not sent again, so that nothing is doubled", () => {
  const rig = new Rig().live();
  const sent = rig.session.publish(0, body(1));
  rig.drain();
  rig.lose();
  const waiting = rig.session.publish(0, body(2));
  rig.now += 300_000;
  rig.session.time(rig.now);
  rig.greet();
  const out = rig.drain();
  const failed = out.flatMap((output) => (output.do === "fail" ? [[output.number, output.error.kind]] : []));
  assert.deepEqual(failed, [[sent, "lost"]]);
  assert.ok(waiting > sent && rig.session.pending === 1);
});

test("a publish without an ack is sent now or not at all", () => {
  const rig = new Rig();
  assert.throws(() => rig.session.publishUnacked(body(1)), { kind: "lost", mayHaveHappened: false });
  rig.live();
  rig.session.publishUnacked(body(1));
  assert.deepEqual(rig.sent(), [{ id: 0, name: "publish", body: { topic: "order.1", payload: 1 } }]);
});

test("closing fails what is open, and says what may have happened", () => {
  const rig = new Rig().live();
  rig.session.publish(0, body(1));
  rig.session.ask(0, { name: "request", body: { topic: "a" }, timeoutMs: 1000 });
  rig.session.ask(0, { name: "history", body: { topic: "a" }, timeoutMs: 1000 });
  rig.session.close();
  const failed = rig.wanted("fail").map(({ error }) => [error.kind, error.code, error.mayHaveHappened]);
  assert.deepEqual(failed, [["closed", 604, true], ["closed", 604, false], ["closed", 604, true]]);
});

test("a request that was sent fails with its connection, and one that was not is sent with the next", () => {
  const rig = new Rig().live();
  const sent = rig.session.ask(0, { name: "request", body: { topic: "a" }, timeoutMs: 60_000 });
  rig.lose();
  const [failed] = rig.wanted("fail");
  assert.deepEqual([failed?.number, failed?.error.kind, failed?.error.mayHaveHappened], [sent, "lost", true]);
  rig.session.ask(0, { name: "request", body: { topic: "b" }, timeoutMs: 60_000 });
  const waited = rig.pass();
  rig.greet();
  const [, asked] = rig.sent();
  assert.deepEqual(asked?.body, { topic: "b", timeout_ms: 60_000 - waited });
});

test("a deadline that passes says whether the request may have had an effect", () => {
  const unsent = new Rig();
  unsent.session.ask(0, { name: "request", body: { topic: "a" }, timeoutMs: 500 });
  assert.equal(unsent.pass(), 500);
  assert.deepEqual(unsent.wanted("fail").map(({ error }) => [error.kind, error.mayHaveHappened]), [["deadline", false]]);
  const sent = new Rig().live();
  sent.session.ask(0, { name: "request", body: { topic: "a" }, timeoutMs: 500 });
  assert.equal(sent.pass(), 2500, "the broker is first to say so");
  assert.deepEqual(sent.wanted("fail").map(({ error }) => [error.kind, error.mayHaveHappened]), [["deadline", true]]);
});
