// What Engine.IO 4 asks of a server.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Broker } from "../broker.js";
import { BETWEEN, Polling, Socket, address } from "./protocol.js";

let broker, token;
before(async () => {
  broker = await Broker.start("[bridge]\nsocketio_recovery = false\n");
  token = broker.token("ann");
});
after(() => broker.stop());

const HANDSHAKE = ["maxPayload", "pingInterval", "pingTimeout", "sid", "upgrades"];

describe("handshake", () => {
  it("opens by polling", async () => {
    const response = await fetch(address(broker, { EIO: "4", transport: "polling" }));
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /^text\/plain/);
    const text = await response.text();
    assert.equal(text[0], "0");
    const open = JSON.parse(text.slice(1));
    assert.deepEqual(Object.keys(open).sort(), HANDSHAKE);
    assert.equal(Buffer.from(open.sid, "base64url").length, 16);
    assert.deepEqual(open.upgrades, ["websocket"]);
    assert.deepEqual([open.pingInterval, open.pingTimeout, open.maxPayload], [25000, 20000, 1000000]);
  });

  it("opens on a WebSocket", async () => {
    const socket = await Socket.open(broker);
    const { handshake } = socket;
    assert.deepEqual(Object.keys(handshake).sort(), HANDSHAKE);
    assert.deepEqual(handshake.upgrades, []);
    socket.close();
  });

  for (const [what, query, method, code] of [
    ["without a version", { transport: "polling" }, "GET", 5],
    ["with a version that is none", { EIO: "abc", transport: "polling" }, "GET", 5],
    ["with version 3", { EIO: "3", transport: "polling" }, "GET", 5],
    ["without a transport", { EIO: "4" }, "GET", 0],
    ["with an unknown transport", { EIO: "4", transport: "abc" }, "GET", 0],
    ["by POST", { EIO: "4", transport: "polling" }, "POST", 2],
    ["by PUT", { EIO: "4", transport: "polling" }, "PUT", 2],
    ["with an unknown connection", { EIO: "4", transport: "polling", sid: "abc" }, "GET", 1],
    ["with a token in the address", { EIO: "4", transport: "polling", token: "x" }, "GET", 3],
  ]) {
    it(`is refused ${what}`, async () => {
      const response = await fetch(address(broker, query), { method });
      assert.equal(response.status, 400);
      assert.equal((await response.json()).code, code);
    });
  }

  for (const query of [{ EIO: "abc" }, { EIO: "" }, { sid: "abc" }, { transport: "abc" }]) {
    it(`is refused on a WebSocket with ${JSON.stringify(query)}`, async () => {
      await new Socket(broker, query).closed;
    });
  }
});

describe("origins", () => {
  it("lets the listed pages in, also with credentials", async () => {
    const headers = { origin: "http://localhost:3000" };
    const url = address(broker, { EIO: "4", transport: "polling" });
    for (const method of ["OPTIONS", "GET"]) {
      const response = await fetch(url, { method, headers });
      assert.ok(response.ok);
      assert.equal(response.headers.get("access-control-allow-origin"), headers.origin);
      assert.equal(response.headers.get("access-control-allow-credentials"), "true");
    }
  });

  it("keeps others out, polling or not", async () => {
    const headers = { origin: "http://evil.example" };
    const url = address(broker, { EIO: "4", transport: "polling" });
    assert.equal((await fetch(url, { headers })).status, 403);
    const socket = new Socket(broker, {}, { headers });
    let opened = false;
    socket.ws.on("open", () => (opened = true));
    await socket.closed;
    assert.equal(opened, false);
  });
});

describe("polling", () => {
  it("carries packets both ways, several to a body, and bytes as base64", async () => {
    const polling = await Polling.open(broker);
    assert.deepEqual(await polling.post(`40{"token":"${token}"}`), { status: 200, text: "ok" });
    assert.match(await polling.packet(), /^40\{"sid":"[^"]+"\}$/);
    const body = [`420["order:untrack",1]`, `421["order:untrack",2]`].join(BETWEEN);
    await polling.post(body);
    assert.equal(await polling.packet(), `430[{"ok":true,"topic":"order.1"}]`);
    assert.equal(await polling.packet(), `431[{"ok":true,"topic":"order.2"}]`);
    const place = `{"_placeholder":true,"num":0}`;
    await polling.post(`451-2["message:send",${place}]${BETWEEN}bAQID`);
    assert.match(await polling.packet(), /^432\[\{"error":\{"code":(105|302),/);
    const bytes = { topic: "user.ann", event: "b", payload_base64: "/w==", content_type: "image/png" };
    await broker.call("/v1/publish", bytes);
    assert.equal(await polling.packet(), `451-["b",${place}]`);
    assert.equal(await polling.packet(), "b/w==");
    await polling.post("1");
  });

  for (const [what, body, headers, status] of [
    ["a packet of no type", "abc", {}, 400],
    ["nothing", "", {}, 400],
    ["bad base64", "b!", {}, 400],
    ["another content type", "4", { "content-type": "application/octet-stream" }, 400],
    ["text that is not UTF-8", new Uint8Array([0x34, 0xff]), {}, 400],
  ]) {
    it(`ends with 400 on ${what}`, async () => {
      const polling = await Polling.open(broker);
      assert.equal((await polling.post(body, headers)).status, status);
      assert.equal((await polling.poll()).status, 400);
    });
  }

  it("takes no body above the limit that it names", async () => {
    const polling = await Polling.open(broker);
    assert.equal((await polling.post("4".repeat(1_000_001))).status, 413);
  });

  it("refuses methods that are none of its own", async () => {
    const polling = await Polling.open(broker);
    assert.equal((await fetch(polling.url, { method: "PUT", body: "4" })).status, 400);
  });

  it("ends with two polls at a time", async () => {
    const polling = await Polling.open(broker);
    const first = polling.poll();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = polling.poll();
    const statuses = [await first, await second];
    assert.deepEqual(statuses[0], { status: 200, packets: ["1"] });
    assert.equal(statuses[1].status, 400);
    assert.equal((await polling.poll()).status, 400);
  });

  it("ends with a poll that is given up", async () => {
    const polling = await Polling.open(broker);
    const before = await broker.metric("sampan_bridge_socketio_polls_total");
    const controller = new AbortController();
    const poll = polling.get({ signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort();
    await assert.rejects(poll);
    while ((await broker.metric("sampan_bridge_socketio_polls_total")) === before);
    assert.equal((await polling.poll()).status, 400);
  });

  it("is ended by the client", async () => {
    const polling = await Polling.open(broker);
    const poll = polling.poll();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal((await polling.post("1")).status, 200);
    assert.deepEqual(await poll, { status: 200, packets: ["6"] });
    assert.equal((await polling.poll()).status, 400);
  });
});

describe("WebSocket", () => {
  it("carries a packet to a frame, and bytes as they are", async () => {
    const socket = await Socket.open(broker, token);
    assert.deepEqual(Object.keys(socket.connected), ["sid"]);
    const bytes = { topic: "user.ann", event: "b", payload_base64: "/wA=", content_type: "image/png" };
    await broker.call("/v1/publish", bytes);
    assert.equal(await socket.message(), `451-["b",{"_placeholder":true,"num":0}]`);
    assert.deepEqual([...(await socket.message())], [255, 0]);
    socket.close();
  });

  for (const [what, message, code] of [
    ["a packet of no type", "abc", 1002],
    ["an empty packet", "", 1002],
    ["bytes that nobody waits for", Buffer.from([1]), 1002],
    ["a message above the limit", "4".repeat(1_000_001), 1009],
  ]) {
    it(`ends with ${what}`, async () => {
      const socket = await Socket.open(broker);
      socket.send(message);
      assert.equal(await socket.closed, code);
    });
  }

  it("is ended by the client", async () => {
    const socket = await Socket.open(broker);
    socket.send("1");
    assert.equal(await socket.closed, 1000);
  });

  it("ends with a flood", async () => {
    const before = await broker.metric("sampan_bridge_socketio_flood_total");
    const socket = await Socket.open(broker, token);
    for (let n = 0; n < 5000; n++) socket.send("3");
    assert.equal(await socket.closed, 1008);
    assert.equal(await broker.metric("sampan_bridge_socketio_flood_total"), before + 1);
  });
});

describe("upgrade", () => {
  async function probed() {
    const polling = await Polling.open(broker);
    const socket = new Socket(broker, { sid: polling.sid });
    await socket.opened();
    socket.send("2probe");
    assert.equal(await socket.message(), "3probe");
    return { polling, socket };
  }

  it("goes from polling to a WebSocket and loses nothing", async () => {
    const polling = await Polling.open(broker);
    await polling.post(`40{"token":"${token}"}`);
    await polling.packet();
    const poll = polling.poll();
    const socket = new Socket(broker, { sid: polling.sid });
    await socket.opened();
    socket.send("2probe");
    assert.equal(await socket.message(), "3probe");
    assert.deepEqual(await poll, { status: 200, packets: ["6"] });
    await broker.publish("user.ann", "a", 1);
    socket.send("5");
    assert.equal(await socket.message(), `42["a",1]`);
    assert.equal((await polling.poll()).status, 400);
    assert.equal((await polling.post("3")).status, 400);
    await new Socket(broker, { sid: polling.sid }).closed;
    socket.send(`420["order:untrack",1]`);
    assert.equal(await socket.message(), `430[{"ok":true,"topic":"order.1"}]`);
    socket.close();
  });

  it("is not disturbed by a second WebSocket", async () => {
    const { polling, socket } = await probed();
    const second = new Socket(broker, { sid: polling.sid });
    await second.closed;
    socket.send("5");
    socket.send(`40{"token":"${token}"}`);
    assert.match(await socket.message(), /^40/);
    socket.close();
  });

  it("leaves a client polling whose WebSocket fails", async () => {
    const { polling, socket } = await probed();
    socket.close();
    await polling.post(`40{"token":"${token}"}`);
    let packet;
    do packet = await polling.packet();
    while (packet === "6");
    assert.match(packet, /^40/);
    await polling.post("1");
  });
});
