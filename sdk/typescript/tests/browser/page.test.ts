import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Page } from "playwright-core";
import { Sampan } from "@sampan/client";
import { Chat } from "@sampan/client/chat";
import { Broker, until } from "../broker/harness.js";
import { Stage } from "./stage.js";

let stage: Stage;
let broker: Broker;

before(async () => {
  stage = await Stage.open();
  broker = await new Broker({ ALLOWED_ORIGINS: stage.origin }).start();
});
after(async () => {
  await stage?.close();
  await broker?.remove();
});

const said = (page: Page) => page.locator("#messages li").allTextContents();
const isLive = (page: Page) => page.locator("#state.live").waitFor();

async function publish(page: Page, text: string): Promise<void> {
  await page.fill("#text", text);
  await page.click("#publish button");
}

async function come(page: Page, count: number): Promise<void> {
  await page.locator("#messages li").nth(count - 1).waitFor();
}

for (const [way, hinder] of [
  ["websocket", () => {}],
  ["sse", () => Reflect.deleteProperty(globalThis, "WebSocket")],
] as const) {
  test(`a page over ${way} publishes, loses its connection, and misses and doubles nothing`, { timeout: 120_000 }, async () => {
    const { page, faults } = await stage.page("index.html", hinder);
    const before = way === "websocket" ? 0 : 4;
    await page.fill("#url", broker.url);
    await page.fill("#token", broker.token("ann", "admin"));
    await page.click("#connect button");
    await isLive(page);
    assert.equal(await page.locator("#state").textContent(), `live over ${way}`);
    await publish(page, "packed");
    await come(page, before + 1);
    await broker.kill();
    await page.locator("#state:not(.live)").waitFor();
    await publish(page, "paid while offline");
    await publish(page, "สวัสดี 🛶");
    await broker.start();
    await isLive(page);
    await come(page, before + 3);
    await publish(page, "shipped");
    await come(page, before + 4);
    const texts = (await said(page)).slice(before);
    const expected = ['"packed"', '"paid while offline"', '"สวัสดี 🛶"', '"shipped"'];
    assert.deepEqual(texts.map((text) => text.replace(/^\S+ /, "")), expected);
    const offsets = texts.map((text) => Number(/:(\d+) /.exec(text)?.[1]));
    assert.deepEqual(offsets, [1, 2, 3, 4].map((n) => n + before));
    assert.deepEqual(faults, []);
    await stage.keep(page, way);
  });
}

test("a customer in a page talks to an agent, sees who types, and what was said while offline is said once", { timeout: 120_000 }, async () => {
  await broker.served();
  const client = new Sampan({ url: broker.url, token: broker.token("bob", "agent") });
  await client.connect();
  const chat = new Chat(client);
  const shop = new Sampan({ url: broker.url, token: broker.token("shop") });
  await shop.connect();
  await new Chat(shop).ask("agent_put", { id: "bob", name: "Bob", email: "bob@shop.example", concurrent_limit: 3 });
  await chat.available("online");
  const { page, faults } = await stage.page("chat.html");
  await page.fill("#url", broker.url);
  await page.fill("#token", broker.token("cat", "customer"));
  await page.click("#connect button");
  const line = (text: string) => page.locator("#messages li", { hasText: text });
  const say = async (text: string) => {
    await page.fill("#text", text);
    await page.click("#say button");
  };
  await line("assigned").waitFor();
  await say("Where is my order?");
  const [mine] = await chat.list();
  const room = chat.room(mine?.id ?? "");
  await room.ready;
  await line("Where is my order?").getByText("delivered").waitFor();
  room.type();
  await page.getByText("bob types").waitFor();
  await room.send("On its way 🛶");
  await line("On its way").waitFor();
  await until(() => room.state.messages.some(({ sender_id, status }) => sender_id === "bob" && status === "read"), "the receipt");
  await broker.kill();
  await say("Thank you");
  await page.locator("#messages li.waiting").waitFor();
  await broker.start();
  await line("Thank you").getByText("delivered").waitFor();
  assert.equal(await line("Thank you").count(), 1);
  assert.deepEqual(faults, []);
  await stage.keep(page, "chat");
  room.close();
  client.end();
  shop.end();
});
