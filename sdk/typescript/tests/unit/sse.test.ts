import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { openEvents } from "../../src/transport/sse.js";
import type { Told } from "../../src/wire.js";

/** Lets what is due in this turn be done. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("all who watch a topic over events hear of a change, from one look", async (t) => {
  // The types are those of an earlier version.
  mock.timers.enable({ apis: ["setInterval"] } as never);
  t.after(() => mock.timers.reset());
  let [looks, count] = [0, 0];
  const fetch = async () => {
    looks += 1;
    return Response.json({ topic: "chat.conversation.1", sequence: 0, count, members: [] });
  };
  const told: Told[] = [];
  const hearer = { open: () => {}, told: (list: Told[]) => told.push(...list), heard: () => {}, lost: () => {} };
  const events = openEvents("http://broker", fetch, hearer);
  const ask = (id: number, act: string) =>
    events.send([{ id, name: "presence", body: JSON.stringify({ topic: "chat.conversation.1", act }) }]);
  ask(1, "watch");
  await turn();
  ask(2, "watch");
  await turn();
  assert.deepEqual(told.map(({ id, members }) => [id, members?.count]), [[1, 0], [2, 0]]);
  count = 1;
  mock.timers.tick(5000);
  await turn();
  assert.deepEqual(told.slice(2).map(({ id, members }) => [id, members?.count]), [[undefined, 1]]);
  mock.timers.tick(5000);
  await turn();
  assert.deepEqual([looks, told.length], [4, 3], "what has not changed is not told");
  ask(3, "unwatch");
  await turn();
  mock.timers.tick(50_000);
  await turn();
  assert.equal(looks, 4);
  events.close();
});

test("a watch that is refused looks no more", async (t) => {
  // The types are those of an earlier version.
  mock.timers.enable({ apis: ["setInterval"] } as never);
  t.after(() => mock.timers.reset());
  let looks = 0;
  const fetch = async () => {
    looks += 1;
    return Response.json({ code: 200, detail: "no" }, { status: 403 });
  };
  const told: Told[] = [];
  const hearer = { open: () => {}, told: (list: Told[]) => told.push(...list), heard: () => {}, lost: () => {} };
  const events = openEvents("http://broker", fetch, hearer);
  events.send([{ id: 1, name: "presence", body: JSON.stringify({ topic: "admin.a", act: "watch" }) }]);
  await turn();
  assert.deepEqual(told.map(({ id, error }) => [id, error?.code]), [[1, 200]]);
  mock.timers.tick(50_000);
  await turn();
  assert.equal(looks, 1);
  events.close();
});
