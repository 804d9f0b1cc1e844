// The doubles of Google and Apple that our senders are tested with, asked by clients that we did not
// write: what these send is accepted, and what is refused is understood as what it is.

import assert from "node:assert/strict";
import https from "node:https";
import { connect } from "node:net";
import test, { after, before } from "node:test";

import apn from "@parse/node-apn";
import { cert, deleteApp, initializeApp } from "firebase-admin/app";
import { getMessaging } from "firebase-admin/messaging";
import { until } from "../broker.js";
import { Doubles } from "./doubles.js";

/** Brings whoever asks Google to the double, which has no TLS. */
class Detour extends https.Agent {
  #port;

  constructor(url) {
    super();
    this.#port = Number(new URL(url).port);
  }

  createConnection() {
    return connect(this.#port, "127.0.0.1");
  }
}

let doubles;
let app;
let provider;
before(async () => {
  doubles = await Doubles.start();
  const { apns, fcm } = doubles.known;
  // The token of access is asked for by the agent of all, whichever is chosen.
  https.globalAgent = new Detour(fcm.url);
  app = initializeApp({ credential: cert(fcm.account) });
  const { port, ca, ...token } = apns;
  provider = new apn.Provider({ token, ca, port, address: "localhost" });
});
after(async () => {
  await provider?.shutdown();
  if (app) await deleteApp(app);
  await doubles?.stop();
});

const MESSAGE = {
  token: "t1",
  notification: { title: "Order o1", body: "จัดส่งแล้ว 🛶", imageUrl: "https://shop.example/o1.png" },
  data: { order_id: "o1" },
  android: {
    priority: "high",
    ttl: 600_000,
    collapseKey: "o1",
    notification: { tag: "o1", sound: "ping", notificationCount: 3, clickAction: "open" },
  },
};

test("firebase-admin gets a token of access once, and what it sends is accepted", async () => {
  for (let times = 0; times < 2; times += 1) {
    assert.equal(await getMessaging(app).send(MESSAGE), "projects/shop-1/messages/1");
  }
  const { fcm } = await doubles.asked();
  assert.deepEqual(fcm.map(({ path }) => path), ["/token", ...Array(2).fill("/v1/projects/shop-1/messages:send")]);
  const { android, notification } = fcm[1].body.message;
  assert.deepEqual([android.ttl, android.collapse_key, notification.body], ["600s", "o1", MESSAGE.notification.body]);
});

test("firebase-admin understands every refusal of Google's double", async () => {
  const refused = (code) => assert.rejects(getMessaging(app).send(MESSAGE), { code: `messaging/${code}` });
  for (const [status, name, code, understood] of [
    [404, "NOT_FOUND", "UNREGISTERED", "registration-token-not-registered"],
    [403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "mismatched-credential"],
    [429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "message-rate-exceeded"],
    [401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "third-party-auth-error"],
    [500, "INTERNAL", "INTERNAL", "internal-error"],
  ]) {
    await doubles.obey({ do: "fcm", status, name, code });
    await refused(understood);
  }
  await doubles.obey({ do: "fcm_field", field: "message.token" });
  await refused("invalid-argument");
  await doubles.obey({ do: "fcm", status: 503, name: "UNAVAILABLE", code: "UNAVAILABLE" });
  assert.equal(await getMessaging(app).send(MESSAGE), "projects/shop-1/messages/1", "it has asked again");
  const webpush = { fcmOptions: { link: "https://shop.example" } };
  assert.equal(await getMessaging(app).send({ ...MESSAGE, webpush }), "projects/shop-1/messages/1");
  const loud = { ...MESSAGE, android: { priority: "loud" } };
  await assert.rejects(getMessaging(app).send(loud), { code: "messaging/invalid-argument" });
});

const push = (more = {}) =>
  new apn.Notification({
    alert: { title: "Order o1", body: "จัดส่งแล้ว 🛶" },
    topic: "com.example.shop",
    pushType: "alert",
    priority: 10,
    expiry: 1_795_400_909,
    collapseId: "o1",
    badge: 3,
    sound: "ping",
    payload: { data: { order_id: "o1" } },
    ...more,
  });
const DEVICE = "a1b2c3d4";
const send = async (one = push(), device = DEVICE) => {
  const { sent, failed } = await provider.send(one, device);
  const [{ status, response, error } = {}] = failed;
  return sent.length === 1 ? "sent" : [status, response?.reason ?? error?.message];
};

test("what node-apn sends is accepted, with one token over one connection", async () => {
  // From the first answer on it knows how many may be open at a time.
  assert.equal(await send(), "sent");
  const { sent, failed } = await provider.send(push(), Array(19).fill(DEVICE));
  assert.deepEqual([sent.length, failed], [19, []]);
  const { apns, apns_connections } = await doubles.asked();
  assert.deepEqual([apns.length, apns_connections], [20, 1]);
  assert.equal(new Set(apns.map(({ headers }) => headers.authorization)).size, 1);
  const [{ path, headers, body }] = apns;
  assert.deepEqual([path, headers["apns-topic"], headers["apns-collapse-id"]], [`/3/device/${DEVICE}`, "com.example.shop", "o1"]);
  assert.deepEqual([body.aps.badge, body.data], [3, { order_id: "o1" }]);
});

test("node-apn understands every refusal of Apple's double, those that it brings on itself too", async () => {
  for (const [status, reason] of [
    [400, "DeviceTokenNotForTopic"],
    [403, "InvalidProviderToken"],
    [410, "Unregistered"],
  ]) {
    await doubles.obey({ do: "apns", status, said: { reason, timestamp: 1_795_000_000_000 } });
    assert.deepEqual(await send(), [status, reason]);
  }
  assert.deepEqual(await send(push(), "none"), [400, "BadDeviceToken"]);
  assert.deepEqual(await send(push({ topic: undefined })), [400, "MissingTopic"]);
  assert.deepEqual(await send(push({ pushType: "loud" })), [400, "InvalidPushType"]);
  assert.deepEqual(await send(push({ priority: 7 })), [400, "BadPriority"]);
  assert.deepEqual(await send(push({ collapseId: "x".repeat(65) })), [400, "BadCollapseId"]);
  assert.deepEqual(await send(push({ payload: { data: "x".repeat(4_096) } })), [413, "PayloadTooLarge"]);
  for (const [status, reason] of [
    [429, "TooManyRequests"],
    [503, "ServiceUnavailable"],
  ]) {
    await doubles.obey({ do: "apns", status, said: { reason } });
    const before = (await doubles.asked()).apns.length;
    assert.equal(await send(), "sent");
    assert.equal((await doubles.asked()).apns.length - before, 2, `${reason}: it has asked again`);
  }
});

test("node-apn knows a goodbye of Apple's double, and comes again over another connection", async () => {
  const before = await doubles.asked();
  for (const rounds of [1, 2]) {
    await doubles.obey({ do: "goodbye" });
    await until("it has heard the goodbye", () => provider.client.session.closed);
    assert.equal(await send(), "sent");
    const { apns, apns_connections } = await doubles.asked();
    assert.deepEqual([apns.length, apns_connections], [before.apns.length + rounds, before.apns_connections + rounds]);
  }
});

test("a client with another key is not taken for the team's", async () => {
  const { port, ca, ...token } = doubles.known.apns;
  const other = new apn.Provider({ token: { ...token, teamId: "TEAM000000" }, ca, port, address: "localhost" });
  const { failed } = await other.send(push(), DEVICE);
  assert.deepEqual(failed.map(({ status, response }) => [status, response?.reason]), [[403, "InvalidProviderToken"]]);
  await other.shutdown();
});
