// What Socket.IO 5 asks of a server, and what this one adds.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Broker } from "../broker.js";
import { Socket } from "./protocol.js";

let broker, token;
before(async () => {
  broker = await Broker.start("[bridge]\nsocketio_recovery = false\n");
  token = broker.token("ann");
});
after(() => broker.stop());

describe("connect", () => {
  it("is answered with a sid and nothing else", async () => {
    const socket = await Socket.open(broker, token);
    assert.deepEqual(Object.keys(socket.connected), ["sid"]);
    assert.notEqual(socket.connected.sid, socket.handshake.sid);
    socket.close();
  });

  for (const [what, packet] of [
    ["no payload", "40"],
    ["no token", "40{}"],
    ["a token that is no text", `40{"token":1}`],
    ["a bad token", `40{"token":"abc"}`],
    ["a huge token", `40{"token":"${"x".repeat(65536)}"}`],
  ]) {
    it(`is refused in the agreed words with ${what}`, async () => {
      const socket = await Socket.open(broker);
      socket.send(packet);
      assert.equal(await socket.message(), `44{"message":"Authentication failed"}`);
      // It may try again on the same connection.
      socket.send(`40{"token":"${token}"}`);
      assert.match(await socket.message(), /^40\{"sid"/);
      socket.close();
    });
  }

  it("is refused for an unknown namespace", async () => {
    const socket = await Socket.open(broker);
    socket.send("40/random");
    assert.equal(await socket.message(), `44/random,{"message":"Invalid namespace"}`);
    socket.close();
  });

  for (const packet of ["4abc", "40abc", "40[]", `42["early"]`, "41", "45"]) {
    it(`ends the connection with ${packet}`, async () => {
      const socket = await Socket.open(broker);
      socket.send(packet);
      assert.equal(await socket.closed, 1002);
    });
  }
});

describe("disconnect", () => {
  it("leaves the namespace and not the connection", async () => {
    const socket = await Socket.open(broker, token);
    socket.send("41");
    await broker.publish("user.ann", "a", 1);
    socket.send(`40{"token":"${token}"}`);
    assert.match(await socket.message(), /^40\{"sid"/);
    socket.close();
  });
});

describe("events", () => {
  it("are answered if they ask for it, whatever the number", async () => {
    const socket = await Socket.open(broker, token);
    for (const id of [0, 456, 2 ** 40]) {
      socket.send(`42${id}["order:untrack","x"]`);
      assert.equal(await socket.message(), `43${id}[{"ok":true,"topic":"order.x"}]`);
    }
    socket.close();
  });

  it("of unknown or unusual names are refused and harm nothing", async () => {
    const socket = await Socket.open(broker, token);
    for (const name of ["constructor", "__proto__", "error", "toString", ""]) {
      socket.send(`421["${name}"]`);
      assert.match(await socket.message(), /^431\[\{"error":\{"code":101,/);
    }
    socket.close();
  });

  for (const packet of [
    "42{}",
    `42"text"`,
    "42[]",
    "42[1]",
    "42[{}]",
    `42abc["a"]`,
    `42["connect"]`,
    `42["disconnect"]`,
    `42${"9".repeat(30)}["a"`,
    `42["a",${"[".repeat(100)}${"]".repeat(100)}]`,
    `451["a",{"_placeholder":true,"num":0}]`,
    `4511-["a"]`,
    `451000000000-["a"]`,
    `45-1-["a"]`,
    "48",
  ]) {
    it(`end the connection with ${packet.slice(0, 48)}`, async () => {
      const socket = await Socket.open(broker, token);
      socket.send(packet);
      assert.equal(await socket.closed, 1002);
    });
  }

  for (const places of [
    `{"_placeholder":true,"num":1}`,
    `{"_placeholder":true,"num":-1}`,
    `{"_placeholder":true,"num":"splice"}`,
    `{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}`,
    "1",
  ]) {
    it(`end the connection with bytes that have no place in ${places}`, async () => {
      const socket = await Socket.open(broker, token);
      socket.send(`451-["message:send",${places}]`);
      socket.send(Buffer.from([1]));
      assert.equal(await socket.closed, 1002);
    });
  }

  it("end the connection when something comes between text and bytes", async () => {
    const socket = await Socket.open(broker, token);
    socket.send(`451-["message:send",{"_placeholder":true,"num":0}]`);
    socket.send(`42["order:untrack",1]`);
    assert.equal(await socket.closed, 1002);
  });
});

describe("others", () => {
  it("are not disturbed by whoever breaks the rules", async () => {
    const good = await Socket.open(broker, token);
    const before = await broker.metric("sampan_bridge_socketio_malformed_total");
    for (let n = 0; n < 20; n++) {
      const bad = await Socket.open(broker, token);
      bad.send(`459-["a"]`);
      bad.send("x");
      await bad.closed;
    }
    assert.equal(await broker.metric("sampan_bridge_socketio_malformed_total"), before + 20);
    await broker.publish("user.ann", "a", 1);
    assert.equal(await good.message(), `42["a",1]`);
    good.close();
  });
});
