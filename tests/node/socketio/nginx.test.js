// Two brokers behind nginx, as the requirements have it: every client sticks to one of them.

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { after, before, it } from "node:test";
import { io } from "socket.io-client";
import { Broker, next } from "../broker.js";
import { Nginx } from "./nginx.js";

const CLIENTS = 12;

let brokers, nginx;
before(async () => {
  const secret = { JWT_SECRET: "a secret of the tests that is long enough to be taken" };
  const start = () => Broker.start("[bridge]\nbehind_proxy = true\n", secret);
  brokers = await Promise.all([start(), start()]);
  nginx = await Nginx.start(brokers.map((broker) => broker.http));
});
after(async () => {
  await nginx?.stop();
  await Promise.all((brokers ?? []).map((broker) => broker.stop()));
});

for (const transports of [["polling"], ["polling", "websocket"], ["websocket"]]) {
  it(`clients on ${transports.join(" and ")} reach both, and each hears its own room`, async (t) => {
    const opened = () => Promise.all(brokers.map((b) => b.metric("sampan_bridge_socketio_opened_total")));
    const before = await opened();
    const sockets = [...Array(CLIENTS).keys()].map((n) => {
      const agent = new Agent({ localAddress: `127.0.0.${n + 2}`, keepAlive: true });
      const auth = { token: brokers[0].token(`user-${n}`) };
      const socket = io(nginx.url, { auth, transports, agent, forceNew: true });
      t.after(() => (socket.disconnect(), agent.destroy()));
      return socket;
    });
    await Promise.all(sockets.map((socket) => next(socket, "connect")));
    const grown = (await opened()).map((count, at) => count - before[at]);
    assert.ok(grown[0] > 0 && grown[1] > 0, `both are used: ${grown}`);
    assert.equal(grown[0] + grown[1], CLIENTS);
    const heard = sockets.map((socket) => next(socket, "note"));
    for (const broker of brokers) {
      for (let n = 0; n < CLIENTS; n++) await broker.publish(`user.user-${n}`, "note", n);
    }
    const notes = (await Promise.all(heard)).map(([note]) => note);
    assert.deepEqual(notes, [...Array(CLIENTS).keys()]);
    for (const socket of sockets) {
      assert.equal((await socket.emitWithAck("order:untrack", 1)).ok, true);
    }
  });
}
