import assert from "node:assert/strict";
import test from "node:test";

import { Pattern } from "../../src/topic.js";
import type { Start } from "../../src/wire.js";
import { Rig, gap, message } from "./rig.js";

function subscribe(rig: Rig, topic: string, start: Start = {}): number {
  return rig.session.stand({ kind: "subscription", pattern: new Pattern(topic), start });
}

/** Offsets that were handed on, with the subscriptions that got them. */
function handed(rig: Rig): [number, number[]][] {
  return rig.wanted("message").map(({ message, numbers }) => [message.offset, numbers]);
}

test("a subscription resumes at the last message of each topic", () => {
  const rig = new Rig().live();
  subscribe(rig, "order.*");
  const [asked] = rig.sent();
  assert.deepEqual(asked?.body, { topic: "order.*" });
  rig.told({ id: asked?.id, subscribed: { joined_ms: 50, positions: {} } });
  rig.told(message("order.1", 3), message("order.2", 8), message("order.1", 4));
  rig.reconnect();
  const [again] = rig.sent();
  assert.deepEqual(again?.body, { topic: "order.*", positions: { "order.1": "1:4", "order.2": "1:8" }, joined_ms: 50 });
  assert.notEqual(again?.id, asked?.id);
});

test("a topic of which nothing was seen resumes where it was joined, less what was to be replayed", () => {
  const rig = new Rig().live();
  subscribe(rig, "order.1", { last: 10 });
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, subscribed: { joined_ms: 50, positions: { "order.1": "2:40" } } });
  rig.reconnect();
  assert.deepEqual(rig.sent()[0]?.body, { topic: "order.1", positions: { "order.1": "2:30" }, joined_ms: 50 });
});

test("a message comes to each subscription that matches, once", () => {
  const rig = new Rig().live();
  const [all, one] = [subscribe(rig, ">"), subscribe(rig, "order.1")];
  rig.drain();
  rig.told(message("order.1", 1), message("order.1", 1), message("order.2", 1), message("order.1", 2));
  assert.deepEqual(handed(rig), [[1, [all, one]], [1, [all]], [2, [all, one]]]);
});

test("a second subscription gets what the first has seen already", () => {
  const rig = new Rig().live();
  const first = subscribe(rig, "order.1");
  rig.told(message("order.1", 5));
  const second = subscribe(rig, "order.1", { last: 3 });
  rig.drain();
  rig.told(message("order.1", 4), message("order.1", 5), message("order.1", 6));
  assert.deepEqual(handed(rig), [[4, [second]], [5, [second]], [6, [first, second]]]);
});

test("a gap is told once and moves the position, but for what was conflated", () => {
  const rig = new Rig().live();
  subscribe(rig, "order.1");
  rig.told(message("order.1", 5));
  rig.drain();
  rig.told(gap("order.1", 4, 9), gap("order.1", 4, 9), gap("order.1", 10, 12, "conflated"));
  const gaps = rig.wanted("gap").map(({ gap: { from, to, reason } }) => [from, to, reason]);
  assert.deepEqual(gaps, [[6, 9, "retention"], [10, 12, "conflated"]]);
  rig.told(message("order.1", 9), message("order.1", 11));
  assert.deepEqual(handed(rig).map(([offset]) => offset), [11]);
});

test("a later epoch begins anew, and its end says nothing of the earlier one", () => {
  const rig = new Rig().live();
  const number = subscribe(rig, "order.1");
  rig.told(message("order.1", 90, 1), message("order.1", 1, 2), gap("order.1", 91, 99, "unsynced_lost", 1));
  assert.deepEqual(handed(rig).map(([offset]) => offset), [90, 1]);
  assert.deepEqual(rig.session.resume(number).positions, { "order.1": "2:1" });
});

test("what came ahead of the confirmation counts as joined when the connection is lost", () => {
  const rig = new Rig().live();
  subscribe(rig, "order.*");
  rig.told(message("order.1", 3));
  rig.reconnect();
  assert.deepEqual(rig.sent()[0]?.body, { topic: "order.*", positions: { "order.1": "1:3" }, joined_ms: 1000 });
});

test("a reader with too much is left alone, and goes on where it was", () => {
  const rig = new Rig().live();
  const number = subscribe(rig, "order.*");
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, subscribed: { joined_ms: 50, positions: {} } }, message("order.1", 3));
  rig.session.hold(number);
  assert.deepEqual(rig.sent().map(({ id, name }) => [id, name]), [[asked?.id, "unsubscribe"]]);
  rig.told(message("order.1", 4), message("order.2", 7));
  assert.deepEqual(handed(rig), []);
  rig.session.release(number);
  const [again] = rig.sent();
  assert.deepEqual(again?.body.positions, { "order.1": "1:3", "order.2": "1:6" });
  // What was on its way under the old subscription would leave a hole.
  rig.told(message("order.1", 5), message("order.2", 8));
  rig.told(message("order.1", 4), message("order.1", 5), gap("order.2", 7, 7), message("order.2", 8));
  assert.deepEqual(handed(rig).map(([offset]) => offset), [4, 5, 8]);
});

test("a held reader is not asked for on a new connection until it has room", () => {
  const rig = new Rig().live();
  const number = subscribe(rig, "order.*");
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, subscribed: { joined_ms: 50, positions: {} } }, message("order.1", 3));
  rig.session.hold(number);
  rig.reconnect();
  assert.deepEqual(rig.sent(), []);
  rig.session.release(number);
  assert.deepEqual(rig.sent()[0]?.body.positions, { "order.1": "1:3" });
});

test("a confirmed subscription that is refused for now is asked for again with backoff", () => {
  const rig = new Rig().live();
  subscribe(rig, "order.1");
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, subscribed: { joined_ms: 50, positions: {} } });
  rig.reconnect();
  for (let refusal = 0; refusal < 4; refusal += 1) {
    const [again] = rig.sent();
    rig.told({ id: again?.id, error: { code: 201 } });
    assert.deepEqual(rig.wanted("fail"), [], "the authorizer may come back");
    rig.pass();
  }
  const [last] = rig.sent();
  rig.told({ id: last?.id, error: { code: 201 } });
  assert.equal(rig.wanted("fail").length, 1);
});

test("a subscription that is refused at first is over, and another takes its place", () => {
  const rig = new Rig().live();
  const number = subscribe(rig, "admin.>");
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, error: { code: 200, reason: "no" } });
  const [failed] = rig.wanted("fail");
  assert.deepEqual([failed?.number, failed?.error.code, failed?.error.fault], [number, 200, "user"]);
  rig.reconnect();
  assert.deepEqual(rig.sent(), []);
});

test("a hole in the changes of presence makes a watch start over", () => {
  const rig = new Rig().live();
  const number = rig.session.stand({ kind: "watch", topic: "chat.1" });
  const [asked] = rig.sent();
  const members = (sequence: number) => ({ topic: "chat.1", sequence, count: 0, members: [] });
  const change = (sequence: number) => ({
    members_changed: { topic: "chat.1", sequence, count: 0, joined: [], left: [] },
  });
  rig.told({ id: asked?.id, members: members(4) }, change(4), change(5));
  assert.deepEqual(rig.wanted("change").map(({ change }) => change.sequence), [5]);
  rig.told(change(7));
  const [again] = rig.sent();
  assert.deepEqual(again?.body, { topic: "chat.1", act: "watch" });
  rig.told(change(8), { id: again?.id, members: members(8) }, change(9));
  const out = rig.drain();
  assert.deepEqual(out.map((output) => output.do), ["answer", "members", "change"]);
  assert.ok(out.every((output) => "number" in output && output.number === number));
});

test("presence entries wait for a WebSocket if there was one, and fail where there was none", () => {
  const rig = new Rig({ ways: ["websocket", "sse"] }).live();
  const entered = rig.session.stand({ kind: "entry", topic: "chat.1" });
  const [asked] = rig.sent();
  rig.told({ id: asked?.id, done: {} });
  rig.lose();
  rig.pass();
  rig.lose();
  rig.drain();
  rig.greet();
  assert.equal(rig.session.via, "sse");
  rig.drain();
  const refused = rig.session.stand({ kind: "entry", topic: "chat.2" });
  const failed = rig.wanted("fail").map(({ number, error }) => [number, error.kind]);
  assert.deepEqual(failed, [[refused, "unavailable"]]);
  rig.session.probed(rig.now, true);
  rig.drain();
  rig.greet();
  assert.deepEqual(rig.sent().at(-1)?.body, { topic: "chat.1", act: "enter" });
  assert.ok(entered < refused);
});

test("a consumer hands its jobs back before a drain moves it and when the client is closed", () => {
  const rig = new Rig().live();
  const number = rig.session.stand({ kind: "consumer", consume: { group: "g", topic: "order.*" } });
  const [asked] = rig.sent();
  const job = { consumer: asked?.id ?? 0, attempt: 1, handle: "h", message: { topic: "a", epoch: 1, offset: 1, time_ms: 0 } };
  rig.told({ id: asked?.id, done: {} }, { job });
  assert.deepEqual(rig.wanted("job").map((output) => output.number), [number]);
  rig.told({ goaway: { code: 400, reason: "", reconnect_within_ms: 100, close_after_ms: 5000 } });
  rig.pass();
  assert.deepEqual(rig.sent(), [{ id: asked?.id, name: "leave", body: {} }]);
  rig.told({ job });
  assert.deepEqual(rig.wanted("job"), [], "it has left");
  assert.equal(rig.pass(), 250);
  assert.equal(rig.session.state, "connecting");
  rig.greet();
  const [, again] = rig.sent();
  assert.equal(again?.name, "consume");
  rig.session.close();
  assert.deepEqual(rig.sent().map(({ name }) => name), ["leave"]);
});
