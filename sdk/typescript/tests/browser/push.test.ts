import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { Sampan } from "@sampan/client";
import { Broker, until } from "../broker/harness.js";
import { Firefox } from "./firefox.js";
import { PushService } from "./push-service.js";
import { Files } from "./stage.js";

let files: Files;
let service: PushService;
let firefox: Firefox;
let broker: Broker;
const folder = mkdtempSync(path.join(tmpdir(), "sampan-push-"));

before(async () => {
  [files, service] = [await Files.open(), await PushService.open()];
  const providers = path.join(folder, "providers.toml");
  const sender = ['provider = "webpush"', 'subject = "mailto:ops@shop.example"', "private_addresses = true"];
  writeFileSync(providers, ["[[sender]]", ...sender, ""].join("\n"), { mode: 0o600 });
  broker = await new Broker({ ALLOWED_ORIGINS: files.origin, SAMPAN_SERVICES_PROVIDERS_FILE: providers }).start();
  await broker.served();
  firefox = await Firefox.open({
    "dom.push.serverURL": `ws://${service.host}/`,
    "dom.push.testing.allowInsecureServerURL": true,
    "dom.push.connection.enabled": true,
    "permissions.default.desktop-notification": 1,
    // Where there is no desktop, it shows them by itself.
    "alerts.useSystemBackend": false,
  });
});
after(async () => {
  await firefox?.close();
  service?.close();
  files?.close();
  await broker?.remove();
  rmSync(folder, { recursive: true, force: true });
});

const value = (id: string, text: string) => `document.getElementById("${id}").value = ${JSON.stringify(text)}`;
const state = `document.getElementById("state").value`;
const shown = `[...document.querySelectorAll("#shown li")].map((item) => item.innerText.replace("\\n", ": ")).join("; ")`;
const subscription = "navigator.serviceWorker.ready.then(({ pushManager }) => pushManager.getSubscription())";
/** Codes of Firefox. */
const [DELIVERED, NOT_DECRYPTED] = [100, 101];

test("Firefox decrypts a push of the shop, its service worker shows it, and no other", { timeout: 120_000 }, async (t) => {
  await firefox.go(`${files.origin}/examples/browser/push.html`);
  await firefox.evaluate(value("url", broker.url));
  await firefox.evaluate(value("token", broker.token("ann", "customer")));
  await firefox.evaluate(`document.querySelector("#connect button").click()`);
  assert.match(await firefox.until(state, /^(?!not asked)/), /^subscribed as /);
  const shop = new Sampan({ url: broker.url, token: broker.token("shop") });
  t.after(() => shop.end());
  await shop.connect();
  const notify = (amount: string) =>
    shop.request("notify.send", {
      user_id: "ann",
      type: "payment_confirmation",
      data: { order_id: "o1", amount, currency: "THB" },
      channels: ["push"],
    });
  await notify("99.00");
  await firefox.until(shown, /99\.00/);
  await notify("1,250.50");
  const paid = (amount: string) => `Payment received: We have received ${amount} THB for order o1. Thank you!`;
  assert.equal(await firefox.until(shown, /1,250\.50/), `${paid("99.00")}; ${paid("1,250.50")}`);
  const notified = "navigator.serviceWorker.ready.then((worker) => worker.getNotifications())";
  await firefox.until(`${notified}.then((all) => all.at(-1)?.body)`, /1,250\.50/);
  await until(() => service.heard.length === 2, "what Firefox has made of them");
  assert.deepEqual(service.heard, [DELIVERED, DELIVERED]);
  await firefox.keep("push");

  service.isGarbling = true;
  await notify("98.00");
  await until(() => service.heard.length === 3, "what Firefox has made of another's");
  assert.equal(service.heard[2], NOT_DECRYPTED);
  assert.doesNotMatch(await firefox.evaluate(shown), /98\.00/);

  await firefox.evaluate(`${subscription}.then((subscription) => subscription.unsubscribe())`);
  await until(() => service.channels === 0, "that Firefox has unsubscribed");
  await notify("97.00");
  const devices = async () => (await shop.request<{ devices: unknown[] }>("notify.devices", { user_id: "ann" })).payload.devices;
  for (let tries = 0; (await devices()).length > 0 && tries < 200; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(await devices(), [], "who has unsubscribed is asked no more");
});
