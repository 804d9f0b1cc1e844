import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import type { Fetch } from "@sampan/client";
import { Broker, until } from "./harness.js";

// As in a page: what the package knows of the platform it learns when it is loaded.
Object.assign(globalThis, { location: new URL("http://localhost:3000") });
const { Sampan } = await import("@sampan/client");

const broker = new Broker();
before(() => broker.start());
after(() => broker.remove());

/** A `fetch` with as many connections as a page has to one host: the next call waits for the end of one. */
function page(connections: number): { fetch: Fetch; most(): number } {
  const waiting: (() => void)[] = [];
  let [open, most] = [0, 0];
  const end = () => {
    open -= 1;
    waiting.shift()?.();
  };
  const fetch: Fetch = async (url, init) => {
    if (open >= connections) await new Promise<void>((resolve) => waiting.push(resolve));
    open += 1;
    most = Math.max(most, open);
    try {
      const response = await globalThis.fetch(url, init);
      if (!url.includes("/v1/sse?")) {
        const body = await response.arrayBuffer();
        end();
        return new Response(body, { status: response.status, headers: response.headers });
      }
      // A stream holds its connection until it is given up.
      init.signal?.addEventListener("abort", end, { once: true });
      return response;
    } catch (error) {
      end();
      throw error;
    }
  };
  return { fetch, most: () => most };
}

test("a page with six connections gets what forty topics and three patterns bring", { timeout: 120_000 }, async () => {
  const { fetch, most } = page(6);
  const reader = new Sampan({ url: broker.url, token: broker.token("till"), WebSocket: false, fetch });
  const seen = new Map<string, number[]>();
  const topics = Array.from({ length: 40 }, (_, n) => `order.page-${n}`);
  const patterns = ["user.one.>", "user.two.>", "user.three.>"];
  const subscriptions = [...topics, ...patterns].map((topic) => {
    const own: number[] = [];
    seen.set(topic, own);
    return reader.subscribe<number>(topic, ({ payload }) => own.push(payload));
  });
  await reader.connect();
  await Promise.all(subscriptions.map(({ ready }) => ready));
  for (const n of [1, 2, 3]) {
    await Promise.all([...seen.keys()].map((topic) => reader.publish(topic.replace(">", "any"), n)));
  }
  await until(() => [...seen.values()].every((own) => own.length >= 3), "all messages");
  for (const [topic, own] of seen) assert.deepEqual(own, [1, 2, 3], topic);
  assert.ok(most() <= 6);
  await assert.rejects(reader.subscribe("user.four.>").ready, { kind: "refused", code: 304 });
  const last = reader.subscribe("order.one-more");
  await last.ready;
  reader.end();
});

test("of topics that begin together only the one that is refused is lost", async () => {
  const { fetch } = page(6);
  const reader = new Sampan({ url: broker.url, token: broker.token("ann", "customer"), WebSocket: false, fetch });
  await reader.connect();
  const own = reader.subscribe("user.ann", () => {});
  const others = reader.subscribe("admin.dashboard", () => {});
  await assert.rejects(others.ready, { code: 200 });
  await own.ready;
  assert.equal(reader.status.connected, true);
  reader.end();
});
