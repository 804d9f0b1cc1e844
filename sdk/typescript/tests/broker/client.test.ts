import assert from "node:assert/strict";
import test, { after, before } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { type Fetch, type Message, Sampan, SampanError } from "@sampan/client";
import { Broker, until } from "./harness.js";

const broker = new Broker();
before(() => broker.start());
after(() => broker.remove());

/** Clients of both ways to the broker. */
const WAYS = { websocket: {}, sse: { WebSocket: false as const } };

for (const [way, options] of Object.entries(WAYS)) {
  const client = async (user = "till") => {
    const made = new Sampan({ url: broker.url, token: broker.token(user), ...options });
    await made.connect();
    assert.equal(made.status.via, way);
    return made;
  };

  test(`${way}: what is published reaches a listener, with its ack`, async () => {
    const [publisher, reader] = [await client(), await client()];
    const seen: Message[] = [];
    const subscription = reader.subscribe("order.1-" + way, (message) => seen.push(message));
    await subscription.ready;
    const ack = await publisher.publish("order.1-" + way, { status: "packed" }, { event: "order:updated", key: "k" });
    assert.deepEqual([ack.offset, ack.duplicate, ack.level], [1, false, "synced"]);
    await until(() => seen.length === 1, "the message");
    const [message] = seen;
    assert.deepEqual(message?.payload, { status: "packed" });
    assert.deepEqual([message?.event, message?.key, message?.position], ["order:updated", "k", ack.position]);
    publisher.end();
    reader.end();
  });

  test(`${way}: bytes, texts and JSON arrive as what they are`, async () => {
    const made = await client();
    const topic = `user.${way}.forms`;
    const payloads = [Uint8Array.of(0, 255, 7), "สวัสดี 🛶", null, [1, { a: "\n" }]];
    for (const payload of payloads) await made.publish(topic, payload);
    await made.publish(topic, "plain text", { contentType: "text/plain" });
    const seen: unknown[] = [];
    for await (const { payload } of made.subscribe(topic, { from: { last: 5 } })) {
      if (seen.push(payload) === 5) break;
    }
    assert.deepEqual(seen, [...payloads, "plain text"]);
    made.end();
  });

  test(`${way}: a large payload travels compressed and arrives whole`, async () => {
    let length = 0;
    class Weighing extends WebSocket {
      override send(text: string): void {
        length += text.length;
        super.send(text);
      }
    }
    const weighed: Fetch = (url, init) => {
      length += typeof init.body === "string" ? init.body.length : 0;
      return fetch(url, init);
    };
    const weighing = { WebSocket: Weighing, fetch: weighed, ...options };
    const [made, reader] = [new Sampan({ url: broker.url, token: broker.token("till"), ...weighing }), await client()];
    const topic = `user.${way}.large`;
    const lines = Array.from({ length: 5000 }, (_, n) => `line ${n} สวัสดี`);
    const bytes = new TextEncoder().encode(lines.join("\n"));
    const small = { before: 1 };
    const payloads: unknown[] = [small, lines, bytes, small];
    const acks = Promise.all(payloads.map((payload) => made.publish(topic, payload)));
    const seen: unknown[] = [];
    const read = (async () => {
      for await (const { payload } of reader.subscribe(topic, { from: "start" })) if (seen.push(payload) === 4) break;
    })();
    await made.connect();
    assert.deepEqual((await acks).map(({ offset }) => offset), [1, 2, 3, 4]);
    await read;
    assert.ok(isDeepStrictEqual(seen, payloads));
    const kept = (await reader.history(topic)).messages.map(({ payload }) => payload);
    assert.ok(isDeepStrictEqual(kept, payloads));
    assert.ok(length < bytes.length, `${length} of ${2 * bytes.length}`);
    made.end();
    reader.end();
  });

  test(`${way}: a subscription starts where it is asked to`, async () => {
    const made = await client();
    const topic = `order.from-${way}`;
    const acks = [];
    for (let n = 1; n <= 5; n += 1) acks.push(await made.publish(topic, n));
    const after = acks[2]?.position ?? "";
    for (const [from, expected] of [
      ["start", [1, 2, 3, 4, 5]],
      [{ last: 2 }, [4, 5]],
      [{ after }, [4, 5]],
      [{ since: 0 }, [1, 2, 3, 4, 5]],
    ] as const) {
      const seen: unknown[] = [];
      for await (const { payload } of made.subscribe(topic, { from })) {
        if (seen.push(payload) === expected.length) break;
      }
      assert.deepEqual(seen, expected, JSON.stringify(from));
    }
    made.end();
  });

  test(`${way}: more publishes than may wait at the broker cost no connection`, async () => {
    const made = new Sampan({ url: broker.url, token: broker.token("till"), pendingMax: 8000, ...options });
    await made.connect();
    const states: string[] = [];
    made.onStatus(({ state }) => states.push(state));
    const acks = await Promise.all(Array.from({ length: 5000 }, (_, n) => made.publish(`order.fast-${way}`, n)));
    assert.deepEqual(acks.map(({ offset }) => offset), Array.from({ length: 5000 }, (_, n) => n + 1));
    assert.deepEqual(states, []);
    made.end();
  });

  test(`${way}: a reader that is slow holds up nobody and gets everything`, async () => {
    const [made, reader] = [await client(), await client()];
    const topic = `order.slow-${way}`;
    const subscription = reader.subscribe<number>("order.>", { queueMax: 4 });
    await subscription.ready;
    await Promise.all(Array.from({ length: 100 }, (_, n) => made.publish(topic, n)));
    const seen: number[] = [];
    for await (const { payload } of subscription) {
      await new Promise(setImmediate);
      if (seen.push(payload) === 100) break;
    }
    assert.deepEqual(seen, Array.from({ length: 100 }, (_, n) => n));
    made.end();
    reader.end();
  });

  test(`${way}: many subscriptions each get their own`, async () => {
    const [made, reader] = [await client(), await client()];
    const seen = new Map<string, number[]>();
    const topics = [...Array.from({ length: 20 }, (_, n) => `order.many-${way}-${n}`), "user.many.>"];
    const subscriptions = topics.map((topic) => {
      const own: number[] = [];
      seen.set(topic, own);
      return reader.subscribe<number>(topic, ({ payload }) => own.push(payload));
    });
    await Promise.all(subscriptions.map(({ ready }) => ready));
    for (let n = 0; n < 10; n += 1) {
      await Promise.all(topics.map((topic) => made.publish(topic.replace(">", "any"), n)));
    }
    await until(() => [...seen.values()].every((own) => own.length >= 10), "all of them");
    for (const own of seen.values()) assert.deepEqual(own, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    subscriptions[0]?.close();
    made.end();
    reader.end();
  });

  test(`${way}: a token is renewed before it expires, and the connection stays`, { timeout: 60_000 }, async () => {
    let asked = 0;
    const token = () => {
      asked += 1;
      return broker.token("ann", "admin", "3s");
    };
    const made = new Sampan({ url: broker.url, token, ...options });
    const seen: number[] = [];
    made.subscribe<number>(`order.renewed-${way}`, ({ payload }) => seen.push(payload));
    const states: string[] = [];
    await made.connect();
    made.onStatus(({ state }) => states.push(state));
    await until(() => asked >= 4, "the renewals");
    await made.publish(`order.renewed-${way}`, 1);
    await until(() => seen.length === 1, "the message");
    assert.deepEqual(states, []);
    made.end();
  });

  test(`${way}: who is present is seen, and requests have their answers`, async () => {
    const [made, other] = [await client("ann"), new Sampan({ url: broker.url, token: broker.token("bob") })];
    await other.connect();
    const topic = `chat.conversation.${way}`;
    const counts: number[] = [];
    const watch = made.presence(topic).watch(({ count }) => counts.push(count));
    await watch.ready;
    const entry = other.presence(topic).enter();
    await entry.ready;
    await until(() => counts.at(-1) === 1, "bob");
    assert.deepEqual((await made.presence(topic).read()).members.map(({ user }) => user), ["bob"]);
    assert.deepEqual(await made.presence(topic).read(15_000, "bob"), { count: 1, members: [] });
    const { payload } = await made.request<{ topics: unknown[] }>("sys.topics", {});
    assert.ok(Array.isArray(payload.topics));
    watch.close();
    made.end();
    other.end();
  });

  test(`${way}: the past is read page by page`, async () => {
    const made = await client();
    const topic = `user.${way}.pages`;
    await Promise.all(Array.from({ length: 25 }, (_, n) => made.publish(topic, n)));
    const seen: unknown[] = [];
    let pages = 0;
    for await (const page of made.pages(topic, { from: 1, limit: 10 })) {
      pages += 1;
      seen.push(...page.messages.map(({ payload }) => payload));
    }
    assert.equal(pages, 3);
    assert.deepEqual(seen, Array.from({ length: 25 }, (_, n) => n));
    made.end();
  });

  test(`${way}: a refusal says whose fault it is`, async () => {
    const made = new Sampan({ url: broker.url, token: broker.token("ann", "customer"), ...options });
    await made.connect();
    const refused = await made.publish("order.1", {}).catch((error: unknown) => error);
    assert.ok(refused instanceof SampanError);
    const { kind, code, codeName, fault, retryable } = refused;
    assert.deepEqual([kind, code, codeName, fault, retryable], ["refused", 200, "NOT_GRANTED", "user", false]);
    await assert.rejects(made.subscribe("admin.>").ready, { code: 200 });
    await assert.rejects(made.request("chat.nobody", {}, { timeoutMs: 2000 }), { code: 302, retryable: true });
    assert.equal(made.status.connected, true);
    made.end();
  });

  test(`${way}: a bad token closes the client for good`, async () => {
    const made = new Sampan({ url: broker.url, token: "nonsense", ...options });
    await assert.rejects(made.connect(), { kind: "closed", code: 601, fault: "user" });
    await assert.rejects(made.publish("order.1", {}), { kind: "closed" });
  });

  test(`${way}: a broker that crashes costs no message and doubles none`, { timeout: 120_000 }, async () => {
    const own = await new Broker().start();
    const [token, topic] = [own.token("till"), "order.crash"];
    const reader = new Sampan({ url: own.url, token, ...options, seed: 1 });
    const publisher = new Sampan({ url: own.url, token, ...options, seed: 2 });
    const [seen, events]: [number[], number[]] = [[], []];
    reader.on("tick", (payload: number) => events.push(payload));
    const subscription = reader.subscribe<number>("order.>", ({ payload }) => seen.push(payload));
    await Promise.all([reader.connect(), publisher.connect(), subscription.ready]);
    const acks: Promise<unknown>[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 100; n += 1) acks.push(publisher.publish(topic, round * 100 + n, { event: "tick" }));
      await until(() => seen.length > round * 100, "the first of the round");
      await own.kill();
      await until(() => !reader.status.connected, "the loss");
      await own.start();
    }
    await Promise.all(acks);
    await until(() => seen.length >= 300, "all messages");
    const expected = Array.from({ length: 300 }, (_, n) => n);
    assert.deepEqual(seen, expected);
    assert.deepEqual(events, expected);
    await Promise.all([reader.close(), publisher.close()]);
    await own.remove();
  });
}
