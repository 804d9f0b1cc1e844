// The AsyncAPI document is valid, and names every event and topic that the shop's code knows.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { Parser } from "@asyncapi/parser";

const path = new URL("../../spec/asyncapi.yaml", import.meta.url);
const parser = new Parser();

const errors = (diagnostics) => diagnostics.filter(({ severity }) => severity === 0);

async function parsed() {
  const { document, diagnostics } = await parser.parse(await readFile(path, "utf8"));
  assert.deepEqual(errors(diagnostics), []);
  return document;
}

test("the document is valid AsyncAPI 3", async () => {
  const document = await parsed();
  assert.equal(document.version(), "3.0.0");
  assert.ok(document.channels().length > 0);
});

test("a document that is broken is found to be", async () => {
  const text = (await readFile(path, "utf8")).replace("#/components/messages/userTyping", "#/nowhere");
  const { diagnostics } = await parser.parse(text);
  assert.notDeepEqual(errors(diagnostics), []);
});

test("every channel has a class, and every event a payload with required fields", async () => {
  for (const channel of (await parsed()).channels().all()) {
    const kind = channel.extensions().get("x-class")?.value();
    assert.ok(["durable", "latest", "ephemeral", "request"].includes(kind), channel.address());
    assert.ok(channel.messages().length > 0, channel.address());
    for (const message of channel.messages().all()) {
      assert.equal(message.payload().type(), "object", message.name());
      assert.ok(message.payload().required().length > 0, message.name());
    }
  }
});

test("the events and topics of the requirements are there", async () => {
  const document = await parsed();
  const events = new Set(document.channels().all().flatMap((channel) => channel.messages().all().map((m) => m.name())));
  const wanted = [
    "user:online", "user:offline", "user:typing", "message:send", "message:receive", "message:read", "message:delivered",
    "conversation:join", "conversation:leave", "conversation:archived", "agent:assigned", "agent:transfer",
    "agent:available", "order_status_update", "inventory_update", "inventory_alert", "low_stock_alert",
    "order_tracking_update",
  ];
  assert.deepEqual(wanted.filter((name) => !events.has(name)), []);
  const topics = new Set(document.channels().all().map((channel) => channel.address()));
  for (const topic of ["chat.conversation.{conversation}", "user.{user}", "order.{order}", "inventory.product.{product}"]) {
    assert.ok(topics.has(topic), topic);
  }
});

test("the events of a chat are those of its code", async () => {
  const document = await parsed();
  const events = new Set(document.channels().all().flatMap((channel) => channel.messages().all().map((m) => m.name())));
  const code = await readFile(new URL("../../broker/services/src/chat/model/event.rs", import.meta.url), "utf8");
  const names = [...code.matchAll(/^    \w+ = "([^"]+)",/gm)].map((match) => match[1]);
  assert.ok(names.length >= 10);
  assert.deepEqual(names.filter((name) => !events.has(name)), []);
});
