import assert from "node:assert/strict";
import test from "node:test";

import type { Fetch } from "../../src/transport/http.js";
import { openEvents } from "../../src/transport/sse.js";
import { messageOf } from "../../src/message.js";

/** A broker over HTTP that answers what it is told to, and what it was asked. */
function broker(answers: (path: string, body: string) => unknown) {
  const asked: { path: string; body: string }[] = [];
  const fetch: Fetch = async (url, { body }) => {
    const one = { path: url.replace("http://broker", ""), body: String(body ?? "") };
    asked.push(one);
    return Response.json(await answers(one.path, one.body));
  };
  const hearer = { open: () => {}, told: () => {}, heard: () => {}, lost: () => {} };
  return { asked, events: openEvents("http://broker", fetch, hearer) };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

test("a batch is one publish, or no longer than the broker takes", async () => {
  const { asked, events } = broker((_, body) => ({ results: JSON.parse(body).messages.map(() => ({})) }));
  const publish = (id: number, length: number) =>
    ({ id, name: "publish", body: JSON.stringify({ topic: "a", payload: "x".repeat(length) }) });
  events.send([publish(1, 1_000_000), publish(2, 250_000), publish(3, 1000), publish(4, 1000)]);
  await turn();
  events.close();
  const lengths = asked.map(({ body }) => JSON.parse(body).messages.length);
  assert.deepEqual(lengths, [1, 3]);
});

for (const [how, end] of [
  ["taken back", (events: ReturnType<typeof openEvents>) => events.send([{ id: 1, name: "unsubscribe", body: "{}" }])],
  ["closed", (events: ReturnType<typeof openEvents>) => events.close()],
] as const) {
  test(`a subscription that is ${how} while its beginning is looked up opens no stream`, async () => {
    let answer = (_: unknown) => {};
    const { asked, events } = broker(() => new Promise((resolve) => (answer = resolve)));
    events.send([{ id: 1, name: "subscribe", body: '{"topic":"a","last":3}' }]);
    await turn();
    end(events);
    answer({ epoch: 1, floor: 1, next: 9 });
    await turn();
    events.close();
    assert.deepEqual(asked.map(({ path }) => path), ["/v1/topics/a/history?last=1&limit=1"]);
  });
}

test("a payload that is still compressed says so", () => {
  const wire = { topic: "a", epoch: 1, offset: 1, time_ms: 0, content_encoding: "br", payload_base64: "AQI=" };
  const { contentEncoding, payload } = messageOf(wire);
  assert.deepEqual([contentEncoding, payload], ["br", Uint8Array.of(1, 2)]);
});
