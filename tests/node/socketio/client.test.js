// The real clients of Socket.IO, in every way they connect.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { io as io48 } from "socket.io-client";
import { io as io46 } from "socket.io-client-4-6";
import { Broker, next, until } from "../broker.js";

const clients = { "4.8": io48, "4.6": io46 };
const ways = {
  "WebSocket only": ["websocket"],
  "polling only": ["polling"],
  "polling, then upgraded": ["polling", "websocket"],
};

let broker;
before(async () => (broker = await Broker.start()));
after(() => broker.stop());

/** A socket that is closed when the test ends. */
function connect(t, io, options) {
  const socket = io(broker.url, { forceNew: true, reconnectionDelay: 50, ...options });
  t.after(() => socket.disconnect());
  return socket;
}

for (const [version, io] of Object.entries(clients)) {
  for (const [way, transports] of Object.entries(ways)) {
    describe(`socket.io-client ${version}, ${way}`, () => {
      const user = `user-${version}-${transports.join("-")}`;
      const open = (t, more) =>
        connect(t, io, { auth: { token: broker.token(user) }, transports, ...more });

      it("hears its own room from the start, JSON, text and bytes alike", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const told = next(socket, "order_status_update");
        const topic = `user.${user.replaceAll(".", "%2E")}`;
        await broker.publish(topic, "order_status_update", { order_id: "42", ไทย: "สวัสดี 🛶" });
        assert.deepEqual((await told)[0], { order_id: "42", ไทย: "สวัสดี 🛶" });
        const text = next(socket, "note");
        await broker.publish(topic, "note", "plain", { content_type: "text/plain" });
        assert.equal((await text)[0], "plain");
        const bytes = next(socket, "image");
        await broker.call("/v1/publish", {
          topic, event: "image", payload_base64: "/wAB", content_type: "image/png",
        });
        assert.deepEqual([...new Uint8Array((await bytes)[0])], [255, 0, 1]);
      });

      it("holds stock of a product for the user, and those who track it see what is left", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const id = `stock-${version}-${transports.join("")}`;
        const lines = [{ product_id: id, location: "bangkok", quantity: 5 }];
        // The services begin a moment after the broker.
        await until("stock", () => broker.call("/v1/inventory/restock", { lines }).then(() => true, () => false));
        const seen = [];
        socket.on("inventory_update", (update) => seen.push(update.available_quantity));
        await socket.emitWithAck("product:track", id);
        const held = await socket.emitWithAck("inventory:reserve", { product_id: id, quantity: 3 });
        assert.ok(held.ok && held.success && held.customer_id === user, JSON.stringify(held));
        const short = await socket.emitWithAck("inventory:reserve", { product_id: id, quantity: 9 });
        assert.deepEqual([short.ok, short.success, short.available], [true, false, 5]);
        const refused = await socket.emitWithAck("inventory:reserve", { product_id: id, quantity: 0 });
        assert.equal(refused.error.name, "BAD_FIELD");
        const { reservation_id } = held;
        const longer = await socket.emitWithAck("inventory:extend", { reservation_id });
        assert.equal(longer.status, "held");
        await until("what is left", () => seen.includes(2));
        await socket.emitWithAck("inventory:release", { reservation_id });
        await until("all of it", () => seen.at(-1) === 5);
      });

      it("tracks and untracks a product, with and without an ack", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const id = `p-${version}-${transports.join("")}`;
        const topic = `inventory.product.${id.replaceAll(".", "%2E")}`;
        const answer = await socket.emitWithAck("product:track", id);
        assert.deepEqual(answer, { ok: true, topic });
        const told = next(socket, "inventory_update");
        await broker.publish(topic, "inventory_update", { available_quantity: 3 });
        assert.deepEqual((await told)[0], { available_quantity: 3 });
        assert.deepEqual(await socket.emitWithAck("product:untrack", id), { ok: true, topic });
        let heard = 0;
        socket.on("inventory_update", () => heard++);
        await broker.publish(topic, "inventory_update", { available_quantity: 2 });
        const last = next(socket, "last");
        await broker.publish(`user.${user.replaceAll(".", "%2E")}`, "last", {});
        await last;
        assert.equal(heard, 0);
      });

      it("is told why an event was refused", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const { error: unknown } = await socket.emitWithAck("no:such", 1);
        assert.equal(unknown.name, "UNKNOWN_KIND");
        const { error: alone } = await socket.emitWithAck("chat:send_message", { text: "x" });
        assert.equal(alone.name, "BAD_FIELD");
        assert.equal(typeof alone.message, "string");
        const { error: shape } = await socket.emitWithAck("order:track", { nothing: 1 });
        assert.equal(shape.name, "BAD_FIELD");
      });

      it("is refused with the agreed words when the token is bad or missing", async (t) => {
        for (const auth of [{ token: "bad" }, {}, undefined]) {
          const socket = connect(t, io, { auth, transports });
          const [error] = await next(socket, "connect_error");
          assert.equal(error.message, "Authentication failed");
          assert.equal(socket.connected, false);
        }
      });

      it("is refused in a namespace that does not exist", async (t) => {
        const options = { transports, forceNew: true, auth: { token: broker.token(user) } };
        const socket = io(broker.url + "/custom", options);
        t.after(() => socket.disconnect());
        const [error] = await next(socket, "connect_error");
        assert.equal(error.message, "Invalid namespace");
      });

      it("leaves and comes back on the same connection", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const { id, io: manager } = socket;
        // Another namespace keeps the connection open.
        const other = manager.socket("/custom");
        await next(other, "connect_error");
        socket.disconnect();
        socket.connect();
        await next(socket, "connect");
        assert.deepEqual([socket.id, socket.recovered], [id, true]);
        assert.equal((await socket.emitWithAck("order:untrack", 1)).ok, true);
      });

      it("gets what it has missed, in order and once, when it comes back", async (t) => {
        const socket = open(t);
        await next(socket, "connect");
        const topic = `user.${user.replaceAll(".", "%2E")}`;
        const heard = [];
        socket.on("count", (n) => heard.push(n));
        let sent = 0;
        const send = async (count) => {
          for (const end = sent + count; sent < end; ) await broker.publish(topic, "count", sent++);
        };
        // Cut before anything came, after something, and twice in a row.
        for (const before of [0, 3, 0]) {
          await send(before);
          await until("all of it", () => heard.length === sent);
          socket.io.reconnection(true);
          const back = next(socket, "connect");
          socket.io.engine.close();
          await send(4);
          await back;
          assert.equal(socket.recovered, true);
          await until("what was missed", () => heard.length === sent);
        }
        assert.deepEqual(heard, [...Array(sent).keys()]);
      });
    });
  }
}

describe("a client that connects in the way of the requirements", () => {
  it("goes from polling to a WebSocket", async (t) => {
    const socket = connect(t, io48, {
      auth: { token: broker.token("ann") },
      transports: ["polling", "websocket"],
    });
    await next(socket, "connect");
    const engine = socket.io.engine;
    if (engine.transport.name !== "websocket") await next(engine, "upgrade");
    assert.equal(engine.transport.name, "websocket");
    assert.deepEqual(Object.keys(await socket.emitWithAck("order:untrack", 1)), ["ok", "topic"]);
  });

  it("is in the room of its role", async (t) => {
    for (const [role, topic] of [["agent", "agents"], ["admin", "admin.dashboard"]]) {
      const socket = connect(t, io48, { auth: { token: broker.token(role, role) } });
      await next(socket, "connect");
      const told = next(socket, "notice");
      await broker.publish(topic, "notice", { role });
      assert.deepEqual((await told)[0], { role });
    }
  });

  it("renews its token on the live connection", async (t) => {
    const socket = connect(t, io48, { auth: { token: broker.token("ann") } });
    await next(socket, "connect");
    const answer = await socket.emitWithAck("auth:refresh", { token: broker.token("ann") });
    assert.equal(answer.ok, true);
    assert.ok(answer.expires_ms > Date.now());
    const { error } = await socket.emitWithAck("auth:refresh", { token: "bad" });
    assert.equal(error.name, "BAD_TOKEN");
  });

  it("gets nothing of a user whose id it shows, and starts anew", async (t) => {
    const ann = connect(t, io48, { auth: { token: broker.token("ann") } });
    await next(ann, "connect");
    const pid = ann._pid;
    const bob = connect(t, io48, { auth: { token: broker.token("bob"), pid, offset: "user.ann=1:0" } });
    await next(bob, "connect");
    assert.notEqual(bob._pid, pid);
    assert.equal(bob.recovered, false);
    let heard = 0;
    bob.on("secret", () => heard++);
    await broker.publish("user.ann", "secret", {});
    const last = next(bob, "last");
    await broker.publish("user.bob", "last", {});
    await last;
    assert.equal(heard, 0);
  });

  it("is sent away for good when its token is revoked", async (t) => {
    const socket = connect(t, io48, { auth: { token: broker.token("eve") } });
    await next(socket, "connect");
    const gone = next(socket, "disconnect");
    await broker.call("/v1/revoke", { user: "eve" });
    assert.deepEqual((await gone)[0], "io server disconnect");
  });
});
