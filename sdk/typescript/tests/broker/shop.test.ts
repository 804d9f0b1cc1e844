import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { Sampan } from "@sampan/client";
import { Inventory, type InboxItem, Notifications, Orders, Shop, type StockUpdate, Users } from "@sampan/client/shop";
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
  const ann = await client("ann", "customer");
  const orders = new Orders(ann);
  const keys = { p256dh: "BB", auth: "BB" };
  const device = await new Notifications(ann).register({ endpoint: "https://updates.push.services.mozilla.com/wpush/v2/2", keys });
  const spared: unknown[] = [];
  await shop.subscribe<{ user_id: string; reason: string }>("notify.delivery.push", ({ event, payload }) => {
    if (payload.user_id === "ann") spared.push([event, payload.reason]);
  }).ready;
  const heard: string[] = [];
  await shop.request("orders.status", { id: "o/1", status: "pending", notes: "paid by card" });
  const look = orders.track("o/1", ({ current_status }) => heard.push(current_status));
  assert.equal((await look.ready).status, "pending", "how it stands comes first");
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
  await until(() => spared.length === 3, "that what the page has heard needs no push");
  assert.deepEqual(spared, Array.from({ length: 3 }, () => ["notification:suppressed", "live"]));
  await new Notifications(ann).ask("device_remove", { device_id: device.device_id });
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

test("who runs the shop does so by typed calls", async () => {
  const client_ = await client("shop", "service");
  const [orders, stock, notify] = [new Orders(client_), new Inventory(client_), new Notifications(client_)];
  const bob = await new Users(client_).upsert({ id: "bob", role: "customer", vip: true, locale: "th-TH" });
  assert.deepEqual([bob.id, bob.vip, (await new Users(client_).find("bob")).locale], ["bob", true, "th-TH"]);

  const [key, lines] = [{ product_id: "vase", location: "bangkok" }, [{ product_id: "vase", location: "bangkok", quantity: 4 }]];
  const { levels } = await stock.ask("restock", { lines, idempotency_key: "r-vase" });
  assert.deepEqual([levels[0]?.on_hand, levels[0]?.available], [4, 4]);
  await stock.ask("adjust", { lines: [{ ...key, on_hand: 3 }] });
  await stock.ask("set_threshold", { product_id: "vase", threshold: 1 });
  await stock.ask("set_location", { location: "bangkok", is_sellable: true, rank: 1 });
  const held = await stock.ask("reserve", { product_id: "vase", quantity: 1, customer_id: "bob" });
  assert.ok(held.success);
  const { reservation_id } = held;
  assert.equal((await stock.ask("payment_pending", { reservation_id })).status, "payment_pending");
  assert.equal((await stock.ask("payment_failed", { reservation_id })).status, "held");
  assert.equal((await stock.ask("commit", { reservation_id, order_id: "o-vase" })).status, "committed");

  const order = await orders.ask("upsert", { id: "o-vase", customer_id: "bob", carrier: "kerry", tracking_number: "TH-vase" });
  assert.equal(order.status, "pending");
  const { changed } = await orders.ask("status", { id: "o-vase", status: "shipped" });
  assert.equal(changed, true);
  assert.deepEqual((await orders.ask("history", { id: "o-vase" })).checkpoints.map(({ status }) => status), ["shipped"]);
  assert.equal((await orders.ask("untrack", { id: "o-vase" })).id, "o-vase");
  assert.equal((await orders.ask("track", { id: "o-vase" })).status, "shipped");
  assert.equal((await orders.ask("summary", {})).by_status.shipped, 1);

  const data = { order_id: "o-vase", amount: "9.00", currency: "THB" };
  const preview = await notify.ask("preview", { type: "payment_confirmation", channel: "sms", locale: "th", data });
  assert.ok(preview.sms_parts);
  const put = { type: "payment_confirmation", channel: "websocket", locale: "en", title_template: "Paid", body_template: "{{ amount }}", ttl: 600 } as const;
  const template = await notify.ask("template_put", put);
  assert.ok((await notify.ask("templates", {})).templates.some(({ id }) => id === template.id));
  const sent = await notify.send({ user_id: "bob", type: "payment_confirmation", data, idempotency_key: "paid" });
  const { notification_id } = sent;
  assert.equal((await notify.ask("get", { notification_id })).user_id, "bob");
  assert.equal((await notify.ask("cancel", { notification_id })).notification_id, notification_id);
  assert.deepEqual((await notify.ask("failed", {})).deliveries, []);
  await assert.rejects(notify.ask("replay", { delivery_id: "none" }), { code: 904 });
  const address = { channel: "email", address: "bob@example.com" } as const;
  await notify.ask("suppress", address);
  assert.equal((await notify.ask("suppressions", { channel: "email" })).suppressions[0]?.address, address.address);
  await notify.ask("unsuppress", address);
  const items = [{ user_id: "bob", type: "promotion_alert", data: {} } as const];
  const job = await notify.ask("bulk_part", { job_id: "j1", from: 0, items, is_last: true });
  assert.equal(job.total, 1);
  assert.equal((await notify.ask("bulk_get", { job_id: "j1" })).job_id, "j1");
  assert.ok((await notify.ask("bulk_refused", { job_id: "j1" })).items.length <= 1);
  const over = await notify.ask("bulk_cancel", { job_id: "j1" }).catch(({ code }: { code: number }) => code);
  assert.ok(over === 909 || (over as { state: string }).state === "cancelled");

  const today = new Date().toISOString().slice(0, 10);
  const { total } = await new Shop(client_).figures(today, today);
  assert.deepEqual([total.sold >= 1, total.orders >= 1, total.chat.conversations], [true, true, 0]);
});
