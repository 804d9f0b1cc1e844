// What clients live through when the broker restarts.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { io } from "socket.io-client";
import { Broker, next, until } from "../broker.js";

let broker;
before(async () => (broker = await Broker.start()));
after(() => broker.stop());

for (const transports of [["websocket"], ["polling"]]) {
  it(`a client on ${transports} is recovered after a crash, with its rooms`, async (t) => {
    const user = `ann-${transports}`;
    const auth = { token: broker.token(user, "service") };
    const options = { auth, transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
    const socket = io(broker.url, options);
    t.after(() => socket.disconnect());
    await next(socket, "connect");
    const heard = [];
    socket.on("status", (n) => heard.push(n));
    assert.equal((await socket.emitWithAck("order:track", 7)).ok, true);
    await broker.publish("order.7", "status", 1);
    await until("the first", () => heard.length === 1);
    const back = next(socket, "connect");
    await broker.crashAndRestart();
    await broker.publish("order.7", "status", 2);
    await back;
    assert.equal(socket.recovered, true);
    await broker.publish("order.7", "status", 3);
    await until("the rest", () => heard.length === 3);
    assert.deepEqual(heard, [1, 2, 3]);
  });
}

it("a client is told that the broker goes, and comes back by itself", async (t) => {
  const own = await Broker.start();
  t.after(() => own.stop());
  const socket = io(own.url, { auth: { token: own.token("ann") }, transports: ["websocket"] });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  const [away, gone] = [next(socket, "sampan:goaway"), next(socket, "disconnect")];
  const ended = own.terminate();
  const [told] = await away;
  assert.equal(told.name, "GOING_AWAY");
  assert.ok(told.close_after_ms > 0);
  assert.equal((await gone)[0], "transport close");
  assert.equal(socket.active, true);
  await ended;
});
