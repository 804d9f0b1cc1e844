import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type Options, Sampan } from "@sampan/client";
import { SampanProvider, usePresence, useSampan, useTopic } from "@sampan/client/react";
import { createElement } from "react";
import { Broker } from "../broker/harness.js";
import { settled, show } from "./dom.js";

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

const within = (options: Options) => (child: React.ReactNode) => createElement(SampanProvider, { options }, child);

test("a component sees the newest messages of its topic, and another topic's when that changes", async () => {
  const options = { url: broker.url, token: broker.token("ann", "admin") };
  let topic = "order.1";
  const hook = await show(() => useTopic<number>(topic, { keep: 2, from: { last: 1 } }), within(options));
  await settled(() => hook.now().ready, "the subscription");
  for (let n = 1; n <= 3; n += 1) await till.publish("order.1", n);
  await settled(() => hook.now().messages.at(-1)?.payload === 3, "the third");
  assert.deepEqual(hook.now().messages.map(({ payload }) => payload), [2, 3]);
  await till.publish("order.2", 9);
  topic = "order.2";
  await hook.again();
  await settled(() => hook.now().messages.length === 1, "the other");
  assert.equal(hook.now().messages[0]?.payload, 9);
  await hook.hide();
});

test("a component that may not read a topic learns why", async () => {
  const options = { url: broker.url, token: broker.token("ann", "customer") };
  const hook = await show(() => useTopic("admin.dashboard"), within(options));
  await settled(() => hook.now().error !== undefined, "the refusal");
  assert.equal(hook.now().error?.code, 200);
  await hook.hide();
});

test("a component that enters a topic is present there until it goes", async () => {
  const options = { url: broker.url, token: broker.token("ann", "agent") };
  const watching = await show(() => usePresence("chat.conversation.1"), within({ ...options, token: broker.token("bob", "agent") }));
  const entering = await show(() => usePresence("chat.conversation.1", { enter: true }), within(options));
  await settled(() => watching.now().members.some(({ user, sessions }) => user === "ann" && sessions === 1), "ann");
  await settled(() => entering.now().count === 1, "ann herself");
  await entering.hide();
  await settled(() => watching.now().members.every(({ sessions }) => sessions === 0), "her leaving");
  await watching.hide();
});

test("a provider makes one client, and another for another token", async () => {
  const options = { url: broker.url, token: broker.token("ann", "admin") };
  const hook = await show(useSampan, (child) => createElement(SampanProvider, { options: { ...options } }, child));
  await settled(() => hook.now().status?.connected === true, "the connection");
  const first = hook.now().client;
  await hook.again();
  assert.equal(hook.now().client, first);
  options.token = broker.token("bob", "admin");
  await hook.again();
  await settled(() => hook.now().status?.user === "bob", "the other user");
  assert.equal(first?.status.state, "closed");
  await hook.hide();
});
