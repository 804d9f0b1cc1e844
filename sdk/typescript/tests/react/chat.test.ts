import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Sampan } from "@sampan/client";
import { Chat } from "@sampan/client/chat";
import { SampanProvider, useConversation } from "@sampan/client/react";
import { createElement } from "react";
import { Broker } from "../broker/harness.js";
import { settled, show } from "./dom.js";

const broker = new Broker();
before(async () => {
  await broker.start();
  await broker.served();
});
after(() => broker.remove());

test("a component shows a conversation, says something, and is quiet when it has gone", async () => {
  const client = new Sampan({ url: broker.url, token: broker.token("ann", "customer") });
  await client.connect();
  const chat = new Chat(client);
  const { id } = await chat.open("component");
  const hook = await show(
    () => useConversation(id),
    (child) => createElement(SampanProvider, { client, children: child }),
  );
  await settled(() => hook.now().ready, "the conversation");
  await hook.now().send("Hello");
  await settled(() => hook.now().messages.some(({ content }) => content.text === "Hello"), "the message");
  assert.deepEqual(hook.now().outgoing, []);
  const { send } = hook.now();
  await hook.hide();
  const renders = hook.all.length;
  await assert.rejects(send("too late"), { kind: "closed" });
  await chat.ask("send_message", { conversation_id: id, client_message_id: "later", content: { text: "later" } });
  assert.equal(hook.all.length, renders);
  client.end();
});

test("a component without a conversation shows none", async () => {
  const hook = await show(() => useConversation(undefined));
  assert.deepEqual([hook.now().ready, hook.now().messages], [false, []]);
  await assert.rejects(hook.now().send("to whom"));
  await hook.hide();
});
