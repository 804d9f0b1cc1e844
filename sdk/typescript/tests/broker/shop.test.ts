import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { Sampan } from "@sampan/client";
import { Inventory, type InboxItem, Notifications, Orders, type StockUpdate } from "@sampan/client/shop";
import { Broker, type Role, until } from "./harness.js";

const broker = new Broker();
const clients: Sampan[] = [];
before(async () => {
  await broker.start();
  await broker.served();
});
after(async () => {
  clients.forEach((client) => client.end());
  await broker.remove();
});

async function client(user: string, role: Role): Promise<Sampan> {
  const made = new Sampan({ url: broker.url, token: broker.token(user, role) });
  clients.push(made);
  await made.connect();
  return made;
}

test("a customer hears of every status of an order of their own, once and in order", async () => {
  const shop = await client("shop", "service");
  await shop.request("orders.upsert", { id: "o/1", customer_id: "ann" });
  const orders = new Orders(await client("ann", "customer"));
  const heard: string[] = [];
  const look = orders.track("o/1", ({ current_status }) => heard.push(current_status));
  await look.ready;
  for (const status of ["confirmed", "shipped", "shipped", "delivered"]) {
    await shop.request("orders.status", { id: "o/1", status });
  }
  await until(() => heard.length === 3, "the statuses");
  assert.deepEqual(heard, ["confirmed", "shipped", "delivered"]);
  assert.equal((await orders.find("o/1")).version, 3);
  assert.deepEqual((await orders.list()).map(({ id }) => id), ["o/1"]);
  look.close();
  const stranger = new Orders(await client("eve", "customer"));
  await assert.rejects(stranger.find("o/1"), { kind: "refused", code: 904 });
  await assert.rejects(stranger.track("o/1", () => {}).ready, { kind: "refused" });
});

test("a customer sees the stock at once and with every change, and holds some of it", async () => {
  const shop = await client("shop", "service");
  await shop.request("inventory.restock", { lines: [{ product_id: "lamp", quantity: 3, location: "bangkok" }], idempotency_key: "r1" });
  const stock = new Inventory(await client("ann", "customer"));
  const seen: StockUpdate[] = [];
  const look = stock.watch("lamp", (update) => seen.push(update));
  await until(() => seen.at(-1)?.available_quantity === 3, "what there is");
  const held = await stock.reserve({ product_id: "lamp", quantity: 2 }, "cart-1");
  assert.ok(held.success);
  const again = await stock.reserve({ product_id: "lamp", quantity: 2 }, "cart-1");
  assert.ok(again.success && again.reservation_id === held.reservation_id, "the same key is the same reservation");
  await until(() => seen.at(-1)?.available_quantity === 1, "what is left");
  const short = await stock.reserve({ product_id: "lamp", quantity: 5 });
  assert.equal(short.success, false);
  assert.deepEqual((await stock.reservations()).map(({ reservation_id }) => reservation_id), [held.reservation_id]);
  assert.equal((await stock.release(held.reservation_id)).status, "released");
  await until(() => seen.at(-1)?.available_quantity === 3, "what has come back");
  const versions = seen.map(({ version }) => version);
  assert.deepEqual(versions, [...versions].sort((a, b) => a - b));
  look.close();
});

test("an inbox is told live, and what a page has heard needs no push", async () => {
  const shop = await client("shop", "service");
  const inbox = new Notifications(await client("ann", "customer"));
  const items: InboxItem[] = [];
  let unread = -1;
  const look = inbox.watch("ann", { onNew: (item) => items.push(item), onUpdated: (updated) => (unread = updated.unread) });
  await look.ready;
  const subscription = { endpoint: "https://updates.push.services.mozilla.com/wpush/v2/1", keys: { p256dh: "BA", auth: "AA" } };
  const device = await inbox.register(subscription);
  assert.equal(device.provider, "web_push");
  assert.match(await inbox.webPushKey(), /^[\w-]{87}$/);
  const data = { order_id: "o1", amount: "99.00", currency: "THB" };
  const { payload } = await shop.request<{ notification_id: string }>("notify.send", { user_id: "ann", type: "payment_confirmation", data });
  await until(() => items.length === 1, "the notification");
  assert.equal(items[0]!.notification_id, payload.notification_id);
  assert.equal((await inbox.inbox()).unread, 1);
  await inbox.mark("read", [payload.notification_id]);
  await until(() => unread === 0, "that it was read");
  const state = async () => {
    const report = await shop.request<{ deliveries: { channel: string; state: string; reason?: string }[] }>("notify.get", {
      notification_id: payload.notification_id,
    });
    return report.payload.deliveries.find(({ channel }) => channel === "push");
  };
  for (let tries = 0; (await state())?.state === "queued" && tries < 100; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.deepEqual(await state().then((push) => [push?.state, push?.reason]), ["suppressed", "live"]);
  await inbox.ask("preferences_put", { channels: { push: false } });
  assert.deepEqual((await inbox.ask("preferences", {})).channels, { push: false });
  await inbox.ask("device_remove", { device_id: device.device_id });
  assert.deepEqual((await inbox.ask("devices", {})).devices, []);
  look.close();
});
