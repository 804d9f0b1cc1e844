import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Broker } from "./harness.js";

test("the service of the examples publishes orders, packs them and ends", { timeout: 60_000 }, async () => {
  const broker = await new Broker().start();
  const program = fileURLToPath(new URL("../../examples/service.js", import.meta.url));
  const env = { ...process.env, SAMPAN_URL: broker.url, SAMPAN_TOKEN: broker.token("shop") };
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env });
  for (const id of [1, 2, 3]) {
    assert.match(stdout, new RegExp(`order ${id} is synced at 1:${id}`));
    assert.match(stdout, new RegExp(`packing ${id}, attempt 1, 1:${id}`));
  }
  await broker.remove();
});

test("the customer and the agent of the examples talk, and the conversation ends", { timeout: 60_000 }, async () => {
  const broker = await new Broker().start();
  await broker.served();
  const program = fileURLToPath(new URL("../../examples/chat.js", import.meta.url));
  const tokens = { CUSTOMER: broker.token("ann", "customer"), AGENT: broker.token("bob", "agent"), SHOP: broker.token("shop") };
  const { stdout } = await promisify(execFile)(process.execPath, [program], { env: { ...process.env, ...tokens, SAMPAN_URL: broker.url } });
  const lines = ["bob types", "ann: Where is my order? (delivered)", "bob: On its way: it comes tomorrow. (read)", "resolved"];
  for (const line of lines) assert.ok(stdout.includes(line), `${line} in ${stdout}`);
  await broker.remove();
});
