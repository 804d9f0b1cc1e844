import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Sampan, type TokenProvider } from "@sampan/client";
import { type WebSocketHook, useWebSocket } from "@sampan/client/react";
import { useEffect } from "react";
import { Broker } from "../broker/harness.js";
import { type Shown, settled, show } from "./dom.js";

const broker = new Broker();
let till: Sampan;
before(async () => {
  await broker.start();
  till = new Sampan({ url: broker.url, token: broker.token("till") });
  await till.connect();
});
after(async () => {
  till.end();
  await broker.remove();
});

/** Waits until the user is connected, and the broker knows what the user has joined by that. */
async function joined(hook: Shown<WebSocketHook>, user: string): Promise<void> {
  const status = () => hook.now().socket?.client?.status;
  await settled(() => hook.now().connected && status()?.user === user, user);
  await new Promise((resolve) => hook.now().emit("product:track", "any", resolve));
}

/** A WebSocket that counts those that are made and those that are open. */
function counting() {
  const counts = { made: 0, open: 0 };
  class Counting extends WebSocket {
    constructor(url: string) {
      super(url);
      counts.made += 1;
      this.addEventListener("open", () => (counts.open += 1));
      this.addEventListener("close", () => (counts.open -= 1));
    }
  }
  return { counts, options: { url: broker.url, WebSocket: Counting, fetch: false as const } };
}

test("the socket is there as soon as there is one, and says how it stands", async () => {
  const { options } = counting();
  const hook = await show(() => useWebSocket(options));
  assert.deepEqual([hook.now().socket, hook.now().connected], [null, false]);
  hook.now().connect(broker.token("ann", "customer"));
  await settled(() => hook.now().connected, "the connection");
  assert.equal(hook.now().socket?.connected, true);
  assert.match(hook.now().socket?.id ?? "", /^\d+$/);
  hook.now().disconnect();
  await settled(() => hook.now().socket === null, "the end");
  assert.equal(hook.now().connected, false);
  await hook.hide();
});

test("connecting while it connects makes one session", async () => {
  const { counts, options } = counting();
  const hook = await show(() => useWebSocket(options));
  const token = broker.token("ann", "customer");
  hook.now().connect(token);
  hook.now().connect(token);
  await settled(() => hook.now().connected, "the connection");
  hook.now().connect(token);
  assert.deepEqual(counts, { made: 1, open: 1 });
  await hook.hide();
});

test("a listener that is added before connecting hears, and so it does after a lost connection", async () => {
  const own = await new Broker().start();
  const hook = await show(() => useWebSocket({ url: own.url }));
  const seen: unknown[] = [];
  hook.now().on("notice", (data) => seen.push(data));
  hook.now().connect(own.token("ann", "customer"));
  const publisher = new Sampan({ url: own.url, token: own.token("till") });
  await joined(hook, "ann");
  await publisher.connect();
  await publisher.publish("user.ann", 1, { event: "notice" });
  await settled(() => seen.length === 1, "the first");
  await own.kill();
  await settled(() => !hook.now().connected, "the loss");
  const second = publisher.publish("user.ann", 2, { event: "notice" });
  await own.start();
  await second;
  await settled(() => seen.length === 2, "the second");
  assert.deepEqual(seen, [1, 2]);
  publisher.end();
  await hook.hide();
  await own.remove();
});

test("off takes away what this hook has added and nothing else", async () => {
  const { options } = counting();
  const hook = await show(() => useWebSocket(options));
  const other = await show(() => useWebSocket(options));
  const seen: string[] = [];
  const gone = () => seen.push("gone");
  hook.now().on("notice", gone);
  hook.now().on("notice", () => seen.push("stays"));
  hook.now().on("notice.all", () => seen.push("all"));
  other.now().on("notice", () => seen.push("other"));
  hook.now().off("notice", gone);
  hook.now().off("notice.all");
  for (const shown of [hook, other]) shown.now().connect(broker.token("bob", "customer"));
  await joined(hook, "bob");
  await joined(other, "bob");
  await till.publish("user.bob", 0, { event: "notice.all" });
  await till.publish("user.bob", 1, { event: "notice" });
  await settled(() => seen.length === 2, "what is left");
  assert.deepEqual(seen.sort(), ["other", "stays"]);
  await hook.hide();
  await other.hide();
});

test("what is emitted offline is said when there is a connection, and a failure is told", async () => {
  const { options } = counting();
  const hook = await show(() => useWebSocket(options));
  const [answers, failures]: [unknown[], { event: string }[]] = [[], []];
  hook.now().on("emit_error", (failure) => failures.push(failure));
  hook.now().emit("product:track", { productId: "p.1" }, (answer) => answers.push(answer));
  hook.now().emit("chat:send_message", { text: "hello" });
  for (let n = 0; n < 300; n += 1) hook.now().emit("product:track", n);
  assert.equal(failures.length, 46, "the queue is bounded");
  const stock: unknown[] = [];
  hook.now().on("inventory_update", (data) => stock.push(data));
  hook.now().connect(broker.token("ann", "agent"));
  await settled(() => answers.length === 1 && failures.length === 47, "the outcomes");
  assert.deepEqual(answers, [{ ok: true, topic: "inventory.product.p%2E1" }]);
  assert.equal(failures.at(-1)?.event, "chat:send_message", "nobody serves it");
  await till.publish("inventory.product.p%2E1", { left: 3 }, { event: "inventory_update" });
  await settled(() => stock.length === 1, "the stock");
  assert.deepEqual(stock, [{ left: 3 }]);
  await hook.hide();
});

test("a token provider is asked again when the token has expired", async () => {
  const { options } = counting();
  let asked = 0;
  const provider: TokenProvider = () => {
    asked += 1;
    return asked === 1 ? "nonsense" : broker.token("ann", "customer");
  };
  const hook = await show(() => useWebSocket(options));
  hook.now().connect(provider);
  await settled(() => hook.now().connected, "the connection");
  assert.equal(asked, 2);
  await hook.hide();
});

test("the functions are the same with every render, and a render changes nothing", async () => {
  const { counts, options } = counting();
  const hook = await show(() => useWebSocket(options));
  hook.now().connect(broker.token("ann", "customer"));
  await settled(() => hook.now().connected, "the connection");
  for (let n = 0; n < 3; n += 1) await hook.again();
  for (const name of ["connect", "disconnect", "emit", "on", "off"] as const) {
    assert.equal(new Set(hook.all.slice(2).map((given) => given[name])).size, 1, name);
  }
  assert.deepEqual(counts, { made: 1, open: 1 });
  await hook.hide();
});

test("a strict page that connects in an effect has one session and hears each event once", async () => {
  const { counts, options } = counting();
  const token = broker.token("eve", "customer");
  const seen: unknown[] = [];
  const hook = await show(() => {
    const socket = useWebSocket(options);
    const { connect, on } = socket;
    useEffect(() => {
      on("notice", (data) => seen.push(data));
      connect(token);
    }, [connect, on]);
    return socket;
  });
  await joined(hook, "eve");
  await settled(() => counts.open === 1, "one session alone");
  await till.publish("user.eve", 1, { event: "notice" });
  await till.publish("user.eve", 2, { event: "notice" });
  await settled(() => seen.length >= 2, "the notices");
  assert.deepEqual(seen, [1, 2]);
  await hook.hide();
});

test("another token makes another session and ends the one before", async () => {
  const { counts, options } = counting();
  const hook = await show(() => useWebSocket(options));
  const seen: unknown[] = [];
  hook.now().on("notice", (data) => seen.push(data));
  hook.now().connect(broker.token("fay", "customer"));
  await joined(hook, "fay");
  hook.now().connect(broker.token("gus", "customer"));
  await joined(hook, "gus");
  await settled(() => counts.open === 1, "one session alone");
  await till.publish("user.fay", "fay", { event: "notice" });
  await till.publish("user.gus", "gus", { event: "notice" });
  await settled(() => seen.length > 0, "the notice");
  assert.deepEqual(seen, ["gus"]);
  await hook.hide();
});

test("a component that goes ends its session", async () => {
  const { counts, options } = counting();
  const hook = await show(() => useWebSocket(options));
  hook.now().connect(broker.token("ann", "customer"));
  await settled(() => hook.now().connected, "the connection");
  await hook.hide();
  await settled(() => counts.open === 0, "the end");
  assert.equal(counts.made, 1);
});
