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
