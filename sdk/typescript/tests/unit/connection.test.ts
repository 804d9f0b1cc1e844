import assert from "node:assert/strict";
import test from "node:test";

import { Rig } from "./rig.js";

test("the first request names token and client, and the welcome makes it live", () => {
  const rig = new Rig();
  rig.session.open(0);
  assert.deepEqual(rig.wanted("connect"), [{ do: "connect", connection: 1, via: "websocket" }]);
  rig.session.connected(1);
  assert.deepEqual(rig.sent(), [{ id: 0, name: "connect", body: { token: "token", client: "test", inflates: true } }]);
  rig.greet();
  assert.equal(rig.session.state, "live");
});

test("delays grow with every failure, stay below their ceiling, and start over after a lasting session", () => {
  const ceilings = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
  const most = ceilings.map(() => 0);
  for (let seed = 0; seed < 200; seed += 1) {
    const rig = new Rig({ seed });
    rig.session.open(0);
    ceilings.forEach((ceiling, attempt) => {
      rig.lose();
      const waited = rig.pass();
      assert.ok(waited <= ceiling, `${waited} of ${ceiling}`);
      most[attempt] = Math.max(most[attempt] ?? 0, waited);
    });
    rig.greet();
    rig.wait(10_000);
    rig.lose();
    assert.ok(rig.pass() <= 500);
  }
  ceilings.forEach((ceiling, attempt) => assert.ok((most[attempt] ?? 0) > ceiling * 0.9));
});

test("the broker's hint is waited first, and the jitter comes on top", () => {
  const rig = new Rig().live();
  rig.told({ close: { code: 503, retry_after_ms: 7000 } });
  const waited = rig.pass();
  assert.ok(waited >= 7000 && waited <= 7500, String(waited));
});

test("a 4xx is followed at once, but only once", () => {
  const rig = new Rig().live();
  rig.told({ close: { code: 400 } });
  assert.equal(rig.pass(), 0);
  rig.lose();
  const delays = new Set<number>();
  for (let seed = 0; seed < 5; seed += 1) {
    const other = new Rig({ seed }).live();
    other.lose();
    other.pass();
    other.lose(400);
    delays.add(other.pass());
  }
  assert.ok(delays.size > 1, "not at once");
});

test("what no retry can cure closes for good, and says why", () => {
  for (const code of [112, 202, 601, 602, 604, 999, 401]) {
    const rig = new Rig().live();
    rig.told({ close: { code } });
    assert.equal(rig.session.state, "closed", String(code));
    assert.deepEqual([rig.session.closed?.kind, rig.session.closed?.code], ["closed", code]);
    assert.throws(() => rig.session.publish(0, "{}"), { kind: "closed" });
    assert.equal(rig.session.deadline(), Infinity);
  }
});

test("with a source of tokens a refused token is replaced once between two sessions", () => {
  const rig = new Rig({ token: undefined, renewable: true });
  rig.session.open(0);
  assert.equal(rig.wanted("token").length, 1);
  rig.session.gotToken(0, "first");
  rig.session.connected(1);
  rig.told({ close: { code: 601 } });
  assert.equal(rig.wanted("token").length, 1);
  rig.session.gotToken(0, "second");
  rig.greet();
  rig.told({ close: { code: 401 } });
  assert.equal(rig.wanted("token").length, 1, "a session was live between");
  rig.session.gotToken(0, "third");
  rig.session.connected(rig.session.connection);
  rig.told({ close: { code: 601 } });
  assert.equal(rig.session.state, "closed");
});

test("a token that cannot be had is asked for again with backoff", () => {
  const rig = new Rig({ token: undefined, renewable: true });
  rig.session.open(0);
  rig.session.noToken(0, "the server is down");
  assert.equal(rig.session.state, "waiting");
  rig.drain();
  rig.pass();
  assert.equal(rig.wanted("token").length, 1);
});

test("a token that expires is renewed in band, or the application is told", () => {
  const renewable = new Rig({ renewable: true }).live();
  renewable.told({ expiring: { expires_ms: 5 } }, { expiring: { expires_ms: 5 } });
  assert.equal(renewable.wanted("token").length, 1, "one at a time");
  renewable.session.gotToken(0, "fresh");
  assert.deepEqual(renewable.sent().map(({ name, body }) => [name, body]), [["refresh", { token: "fresh" }]]);
  const fixed = new Rig().live();
  fixed.told({ expiring: { expires_ms: 5 } });
  assert.deepEqual(fixed.wanted("expiring"), [{ do: "expiring", expiresMs: 5 }]);
});

test("a broker that does not greet in time is left", () => {
  const rig = new Rig();
  rig.session.open(0);
  rig.session.connected(1);
  assert.equal(rig.pass(), 10_000);
  assert.equal(rig.session.state, "waiting");
  assert.equal(rig.wanted("disconnect").length, 1);
});

test("silence is broken by a ping, and a ping without an answer ends the connection", () => {
  const rig = new Rig().live();
  assert.equal(rig.pass(), 25_000);
  assert.deepEqual(rig.sent().map(({ name }) => name), ["ping"]);
  rig.told({ pong: {} });
  assert.equal(rig.pass(), 25_000);
  assert.equal(rig.pass(), 15_000);
  assert.equal(rig.session.state, "waiting");
});

test("a drain moves the client within the time granted, and waits for replies on their way", () => {
  const rig = new Rig().live();
  const number = rig.session.ask(0, { name: "request", body: { topic: "a" }, timeoutMs: 60_000 });
  rig.told({ goaway: { code: 400, reason: "", reconnect_within_ms: 1000, close_after_ms: 5000 } });
  assert.equal(rig.session.state, "draining");
  rig.wait(2000);
  assert.equal(rig.session.state, "draining", "a reply is on its way");
  rig.told({ id: number, reply: { payload: 1 } });
  rig.wait(500);
  assert.equal(rig.session.state, "connecting");
});

test("where no WebSocket can be made the next way is tried at once", () => {
  const rig = new Rig({ ways: ["websocket", "sse"] });
  rig.session.open(0);
  rig.lose();
  assert.deepEqual(rig.wanted("connect").map(({ via }) => via), ["websocket", "sse"]);
  rig.greet();
  assert.equal(rig.session.via, "sse");
});

test("from the fallback the client returns as soon as a WebSocket can be made", () => {
  const rig = new Rig({ ways: ["websocket", "sse"] });
  rig.session.open(0);
  rig.lose();
  rig.greet();
  const alive = () => {
    for (let ms = 0; ms < 30_000; ms += 10_000) {
      rig.wait(10_000);
      rig.session.heard(rig.now, rig.session.connection);
    }
  };
  rig.drain();
  alive();
  assert.equal(rig.wanted("probe").length, 1);
  rig.session.probed(rig.now, false);
  alive();
  assert.equal(rig.wanted("probe").length, 0, "the next look takes longer");
  alive();
  assert.equal(rig.wanted("probe").length, 1);
  rig.session.probed(rig.now, true);
  assert.deepEqual(rig.wanted("connect").map(({ via }) => via), ["websocket"]);
});

test("a broker that is down is asked both ways before each wait", () => {
  const rig = new Rig({ ways: ["websocket", "sse"] });
  rig.session.open(0);
  for (let round = 0; round < 3; round += 1) {
    rig.lose();
    rig.lose();
    assert.deepEqual(rig.wanted("connect").map(({ via }) => via), ["websocket", "sse"]);
    assert.equal(rig.session.state, "waiting");
    rig.pass();
  }
});

test("what an earlier connection still says is not heard", () => {
  const rig = new Rig().live();
  rig.lose();
  rig.pass();
  rig.session.told(rig.now, 1, { close: { code: 602 } });
  rig.session.lost(rig.now, 1, { reason: "late" });
  assert.equal(rig.session.state, "connecting");
});
