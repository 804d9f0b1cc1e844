import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { EventSocket, Sampan } from "@sampan/client";
import { Pace } from "../../src/transport/pace.js";
import { type WebSocketLike } from "../../src/transport/transport.js";
import { frames, probeWebSocket } from "../../src/transport/websocket.js";

const WELCOME = { welcome: { session: "1", boot: "1", user: "ann", role: "customer", expires_ms: 0, now_ms: 1 } };

/** A WebSocket whose other end is the test. */
class Silent implements WebSocketLike {
  static all: Silent[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: ((event: { code?: number }) => void) | null = null;
  isClosed = false;
  sent: string[] = [];

  constructor() {
    Silent.all.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.isClosed = true;
  }

  says(...told: object[]): void {
    this.onmessage?.({ data: JSON.stringify(told) });
  }

  static get last(): Silent {
    return Silent.all.at(-1) as Silent;
  }
}

/** Lets what is due in this turn be done. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

async function live(): Promise<Sampan> {
  const client = new Sampan({ url: "ws://broker", token: "t", WebSocket: Silent, fetch: false });
  const connected = client.connect();
  Silent.last.onopen?.();
  await turn();
  Silent.last.says(WELCOME);
  await connected;
  Silent.last.sent = [];
  return client;
}

test("no rate of asking is faster than the broker takes frames", () => {
  let [now, broker, most] = [0, 2000, 0];
  const pace = new Pace(now);
  for (let sent = 0; sent < 20_000; sent += 1) {
    const wait = pace.wait(now);
    if (wait > 0) {
      now += wait;
      broker = Math.min(2000, broker + (wait * 500) / 1000);
      assert.equal(pace.wait(now), 0, "waiting as long as it says is enough");
    }
    pace.spend(1);
    broker -= 1;
    most = Math.max(most, 2000 - broker);
  }
  assert.ok(most < 1000, "a gathering of as many frames as may wait is still taken");
});

test("what is asked in one go shares frames, and goes out before the end", async () => {
  const client = await live();
  const acks = Array.from({ length: 300 }, (_, n) => client.publish("order.1", n));
  acks.forEach((ack) => ack.catch(() => {}));
  assert.deepEqual(Silent.last.sent, []);
  await turn();
  assert.deepEqual(Silent.last.sent.map((frame) => JSON.parse(frame).length), [256, 44]);
  void client.publish("order.1", 300).catch(() => {});
  client.end();
  assert.equal(Silent.last.sent.length, 3);
  assert.deepEqual(frames([]), []);
});

test("a WebSocket that neither opens nor fails counts as none, and is closed", async () => {
  assert.equal(await probeWebSocket("ws://broker", Silent, 5), false);
  assert.equal(Silent.last.isClosed, true);
  const works = probeWebSocket("ws://broker", Silent);
  Silent.last.onopen?.();
  assert.equal(await works, true);
  assert.equal(Silent.last.isClosed, true);
});

test("a broker that makes no sense loses the connection, and nothing is thrown", async () => {
  const client = await live();
  client.join("order.*");
  const states: string[] = [];
  client.onStatus(({ state, error }) => states.push(`${state}: ${error?.message}`));
  Silent.last.says({ message: {} });
  assert.deepEqual(states, ["waiting: the connection was lost: the broker broke the protocol"]);
  client.end();
});

test("a listener that throws keeps a message from no other", async () => {
  const client = await live();
  const seen: string[] = [];
  client.subscribe("order.1", () => {
    throw new Error("mine");
  });
  client.subscribe("order.*", () => seen.push("second"));
  client.on("tick", () => seen.push("event"));
  // The types are those of an earlier version.
  mock.timers.enable({ apis: ["setTimeout"] } as never);
  Silent.last.says({ message: { topic: "order.1", epoch: 1, offset: 1, time_ms: 0, event: "tick", payload: 1 } });
  client.end();
  assert.throws(() => mock.timers.tick(1), { message: "mine" }, "the platform is told");
  mock.timers.reset();
  assert.deepEqual(seen, ["second", "event"]);
});

test("what is compressed counts among what waits", async () => {
  const client = new Sampan({ url: "ws://broker", token: "t", WebSocket: Silent, fetch: false, pendingBytesMax: 10_000 });
  const large = "x".repeat(4000);
  const waiting = [client.publish("order.1", large), client.publish("order.1", large)];
  waiting.forEach((ack) => ack.catch(() => {}));
  assert.equal(client.pending, 2);
  await assert.rejects(client.publish("order.1", large), { kind: "full" });
  client.end();
  for (const ack of waiting) await assert.rejects(ack, { kind: "closed", mayHaveHappened: false });
});

test("what was emitted and has no answer yet is answered when the socket ends", async () => {
  const socket = new EventSocket({ url: "ws://broker", WebSocket: Silent, fetch: false });
  const answers: unknown[] = [];
  socket.emit("chat:send_message", { text: "early" }, (answer) => answers.push(answer));
  socket.destroy();
  socket.connect("t");
  socket.emit("chat:send_message", { text: "late" }, (answer) => answers.push(answer));
  socket.disconnect();
  await turn();
  const messages = answers.map((answer) => (answer as { error: { message: string } }).error.message);
  assert.deepEqual(messages, ["the socket is closed", "the client is closed"]);
});
