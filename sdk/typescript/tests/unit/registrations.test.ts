import assert from "node:assert/strict";
import test from "node:test";

import { Pattern } from "../../src/topic.js";
import type { Told } from "../../src/wire.js";
import { Rig } from "./rig.js";

const PONG_IN_MS = 15_000;

function consume(rig: Rig): { number: number; id: number } {
  const number = rig.session.stand({ kind: "consumer", consume: { group: "packers", topic: "order.*", window: 0 } });
  return { number, id: rig.sent().find(({ name }) => name === "consume")?.id ?? 0 };
}

function job(consumer: number): Told {
  const message = { topic: "order.1", epoch: 1, offset: 1, time_ms: 0, payload: 1 };
  return { job: { consumer, attempt: 1, handle: "h", message } };
}

test("jobs are asked for once the consumer is confirmed, and only those that are missing", () => {
  const rig = new Rig().live();
  const { number, id } = consume(rig);
  rig.session.pull(number, 3);
  assert.deepEqual(rig.sent(), []);
  rig.told({ id, done: {} });
  assert.deepEqual(rig.sent(), [{ id, name: "pull", body: { count: 3 } }]);
  rig.told(job(id), job(id));
  assert.equal(rig.session.credit(number), 1);
  rig.drain();
  rig.session.pull(number, 5);
  assert.deepEqual(rig.sent(), [{ id, name: "pull", body: { count: 4 } }]);
  rig.session.pull(number, 2);
  assert.deepEqual(rig.sent(), []);
});

test("jobs that were asked for and did not come are asked for on the next connection", () => {
  const rig = new Rig().live();
  const { number, id } = consume(rig);
  rig.told({ id, done: {} });
  rig.session.pull(number, 3);
  rig.told(job(id));
  rig.reconnect();
  const again = rig.sent().find(({ name }) => name === "consume")?.id ?? 0;
  rig.told({ id: again, done: {} });
  assert.deepEqual(rig.sent(), [{ id: again, name: "pull", body: { count: 2 } }]);
});

test("members without an id are for all who watch the topic and know its members", () => {
  const rig = new Rig().live();
  const watch = (topic: string) => rig.session.stand({ kind: "watch", topic });
  const numbers = [watch("chat.conversation.1"), watch("chat.conversation.1"), watch("chat.conversation.2")];
  const ids = rig.sent().map(({ id }) => id);
  const members = { topic: "chat.conversation.1", sequence: 1, count: 0, members: [] };
  rig.told({ id: ids[0], members }, { members });
  assert.deepEqual(rig.wanted("members").map(({ number }) => number), [numbers[0], numbers[0]]);
  rig.told({ id: ids[1], members });
  rig.drain();
  rig.told({ members });
  assert.deepEqual(rig.wanted("members").map(({ number }) => number), numbers.slice(0, 2));
});

test("a reader with too much whose subscription was refused for now wakes nobody", () => {
  const rig = new Rig().live();
  const number = rig.session.stand({ kind: "subscription", pattern: new Pattern("order.1"), start: {} });
  rig.told({ id: rig.sent()[0]?.id, subscribed: { joined_ms: 50, positions: { "order.1": "1:1" } } });
  rig.reconnect();
  rig.told({ id: rig.sent()[0]?.id, error: { code: 301 } });
  rig.session.hold(number);
  rig.now += 60_000;
  rig.session.time(rig.now);
  assert.equal(rig.session.deadline() - rig.now, PONG_IN_MS, "nothing but the pong is waited for");
  rig.drain();
  rig.session.release(number);
  assert.deepEqual(rig.sent().map(({ name }) => name), ["subscribe"]);
});
