// What our senders send, read by programs that we did not write: `http_ece` of the author of RFC 8188
// decrypts, Node's own cryptography checks the signature, the push service of `web-push-testing` does
// both, `smtp-server` takes the mail. Accepted by these on this machine; no push service and no mailbox
// was reached.

import assert from "node:assert/strict";
import { createECDH, createPublicKey, randomBytes, verify } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";

import ece from "http_ece";
import { SMTPServer } from "smtp-server";
import { PushApiModel } from "web-push-testing/src/PushApiModel.js";
import WebPushTestingServer from "web-push-testing/src/server.js";
import { Broker, PATIENCE_MS } from "../broker.js";

const folder = mkdtempSync(join(tmpdir(), "sampan-providers-"));
const pushes = [];
const mails = [];
/** A push service: it notes what it is sent. */
const pushService = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    pushes.push({ headers: request.headers, body: Buffer.concat(parts), url: request.url });
    response.writeHead(201, { location: "https://push.example/m/1" }).end();
  });
});
/** A mail server that wants nobody's name. */
const mailServer = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS"],
  onData(stream, session, done) {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => {
      mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), text: Buffer.concat(parts).toString() });
      done();
    });
  },
});
const listen = (server) =>
  new Promise((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => resolve((listening.address ? listening : server.server).address().port));
  });

let broker;
let pushPort;
before(async () => {
  pushPort = await listen(pushService);
  const mailPort = await listen(mailServer);
  const file = join(folder, "providers.toml");
  writeFileSync(
    file,
    `[[sender]]\nprovider = "webpush"\nsubject = "mailto:ops@shop.example"\nprivate_addresses = true\n` +
      `[[sender]]\nprovider = "smtp"\nurl = "smtp://127.0.0.1:${mailPort}"\nfrom = "Shop <shop@shop.example>"\n` +
      `unsubscribe = "https://shop.example/offers"\n`,
  );
  chmodSync(file, 0o600);
  broker = await Broker.start(`[services]\nproviders_file = '${file}'\n`);
  await eventually(() => broker.call("/v1/webpush-key").then(() => true, () => false), "the services");
});
after(async () => {
  await broker?.stop();
  await new Promise((resolve) => pushService.close(resolve));
  await new Promise((resolve) => mailServer.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

async function eventually(is, what) {
  const until = Date.now() + PATIENCE_MS;
  while (!(await is())) {
    assert.ok(Date.now() < until, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const json = (base64url) => JSON.parse(Buffer.from(base64url, "base64url").toString());

test("http_ece reads what was encrypted for a browser, and Node knows the shop's signature", async () => {
  const browser = createECDH("prime256v1");
  browser.generateKeys();
  const auth = randomBytes(16);
  await broker.call("/v1/devices", {
    user_id: "ann",
    provider: "web_push",
    token: `http://127.0.0.1:${pushPort}/p/1`,
    p256dh: browser.getPublicKey().toString("base64url"),
    auth: auth.toString("base64url"),
  });
  const data = { order_id: "o1", amount: "99.00", currency: "THB" };
  await broker.call("/v1/notifications", { user_id: "ann", type: "payment_confirmation", data, channels: ["push"] });
  await eventually(() => pushes.length === 1, "the push");
  const [{ headers, body, url }] = pushes;
  assert.deepEqual([url, headers["content-encoding"], headers.urgency], ["/p/1", "aes128gcm", "high"]);
  const plain = ece.decrypt(body, { version: "aes128gcm", privateKey: browser, authSecret: auth.toString("base64url") });
  const read = JSON.parse(plain.toString());
  assert.deepEqual([read.title, read.data], ["Payment received", data]);
  const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(headers.authorization);
  assert.equal(key, (await broker.call("/v1/webpush-key")).key);
  const [header, claims, signature] = token.split(".");
  assert.equal(json(header).alg, "ES256");
  assert.equal(json(claims).aud, `http://127.0.0.1:${pushPort}`);
  const point = Buffer.from(key, "base64url");
  const jwk = { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") };
  const publicKey = createPublicKey({ key: jwk, format: "jwk" });
  const signed = Buffer.from(`${header}.${claims}`);
  const isSigned = verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  assert.ok(isSigned, "the shop has signed it");
});

test("a push service of another maker gives its browser our message, and who has unsubscribed is asked no more", async (t) => {
  const model = new PushApiModel();
  const service = new WebPushTestingServer(model, 0);
  service.startServer();
  t.after(() => service._server.close());
  await once(service._server, "listening");
  const url = `http://127.0.0.1:${service._server.address().port}`;
  model.notifyUrl = `${url}/notify/`;
  const ask = async (path, question) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(question) });
    assert.ok(answer.ok, path);
    return answer;
  };
  const { key } = await broker.call("/v1/webpush-key");
  const { data: subscription } = await (await ask("/subscribe", { userVisibleOnly: "true", applicationServerKey: key })).json();
  const { endpoint, keys, clientHash } = subscription;
  await broker.call("/v1/devices", { user_id: "cat", provider: "web_push", token: endpoint, ...keys });
  const notify = async (amount) => {
    const data = { order_id: "o1", amount, currency: "THB" };
    const asked = { user_id: "cat", type: "payment_confirmation", data, channels: ["push"] };
    const { notification_id } = await broker.call("/v1/notifications", asked);
    const push = async () => {
      const { deliveries } = await broker.call(`/v1/notifications/${notification_id}`);
      return deliveries.find(({ channel }) => channel === "push");
    };
    await eventually(async () => !["queued", "sending"].includes((await push())?.state), "the end of it");
    return push();
  };
  const first = await notify("99.00");
  assert.equal(first.state, "sent");
  const { data: got } = await (await ask("/get-notifications", { clientHash })).json();
  assert.deepEqual(got.messages.map((text) => JSON.parse(text).data.amount), ["99.00"]);
  await ask(`/expire-subscription/${clientHash}`, {});
  const gone = await notify("98.00");
  assert.deepEqual([gone.state, gone.reason], ["bounced", "410"]);
  assert.deepEqual((await broker.call("/v1/devices?user_id=cat")).devices, []);
});

test("a mail server of another maker takes our mail", async () => {
  const user = { id: "bob", role: "customer", locale: "th", email: "bob@example.com", email_verified_at: "2026-01-01T00:00:00Z" };
  await broker.call("/v1/request/users.upsert", user);
  const data = { title: "ลดราคา", text: "ลด 50 % <วันนี้>" };
  await broker.call("/v1/notification-preferences", { user_id: "bob", types: { promotion_alert: { email: true } } });
  await broker.call("/v1/notifications", { user_id: "bob", type: "promotion_alert", data, channels: ["email"] });
  await eventually(() => mails.length === 1, "the mail");
  const [{ to, text }] = mails;
  assert.deepEqual(to, ["bob@example.com"]);
  assert.match(text, /^List-Unsubscribe: <https:\/\/shop\.example\/offers>\r$/m);
  assert.match(text, /^Message-ID: <[\w-]+@shop\.example>\r$/m);
  const html = /Content-Type: text\/html[^]*?\r\n\r\n([^]*?)\r\n--/.exec(text)[1];
  const isBase64 = /Content-Type: text\/html[^]*?base64/.test(text);
  const body = isBase64 ? Buffer.from(html, "base64").toString() : unquoted(html);
  assert.match(body, /ลด 50 % &lt;วันนี้&gt;/, "what a shop says is text, not HTML");
});

/** The text of quoted-printable. */
function unquoted(text) {
  const bytes = text.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}
