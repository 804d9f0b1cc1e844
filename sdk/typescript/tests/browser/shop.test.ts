import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { Broker } from "../broker/harness.js";
import { Stage } from "./stage.js";

let stage: Stage;
let broker: Broker;
const folder = mkdtempSync(path.join(tmpdir(), "sampan-shop-"));

before(async () => {
  const SAMPAN_CONFIG = path.join(folder, "sampan.toml");
  writeFileSync(SAMPAN_CONFIG, `[roles.customer]\npublish = ["..", "shop.pay"]\n`);
  stage = await Stage.open();
  broker = await new Broker({ ALLOWED_ORIGINS: stage.origin, SAMPAN_CONFIG }).start();
  await broker.served();
  await broker.example("shop", "open\n");
});
after(async () => {
  await stage?.close();
  await broker?.remove();
  rmSync(folder, { recursive: true, force: true });
});

test("a page sees the stock, reserves, pays, and follows its order to delivery though the broker is killed", { timeout: 120_000 }, async () => {
  const { page, faults } = await stage.page("shop.html");
  const come = async (user: string) => {
    await page.fill("#url", broker.url);
    await page.fill("#token", broker.token(user, "customer"));
    await page.click("#connect button");
  };
  const has = (id: string, text: string) => page.locator(`#${id}`, { hasText: text }).waitFor();
  await come("ann");
  await has("stock", "10 in stock");
  await page.click("#reserve");
  await has("stock", "9 in stock");
  await has("held", "yours until");
  await page.click("#pay");
  await has("order", "packed");
  await broker.kill();
  await page.locator("#state:not(.live)").waitFor();
  await broker.start();
  await has("order", "delivered");
  const steps = async () => (await page.locator("#steps li").allTextContents()).map((text) => /^[a-z_]+/.exec(text)?.[0]);
  const way = ["confirmed", "packed", "shipped", "out_for_delivery", "delivered"];
  assert.deepEqual(await steps(), way);
  await has("stock", "9 in stock");
  assert.equal(await page.locator("#held").textContent(), "");
  await page.reload();
  await come("ann");
  await has("order", "delivered");
  assert.deepEqual(await steps(), way, "it is the same to who comes later");
  assert.deepEqual(faults, []);
  await stage.keep(page, "shop");
});
