// A service in Node: publishes orders, and works on them as one of a group.
//
//   SAMPAN_TOKEN=$(sampan token --user shop --role service) node --experimental-websocket service.js
//
// Node 22 and later need no flag.

import { Sampan } from "@sampan/client";

interface Order {
  id: number;
}

const url = process.env.SAMPAN_URL ?? "http://localhost:3001";
const client = new Sampan({ url, token: process.env.SAMPAN_TOKEN ?? "", client: "packing/1.0" });
client.onStatus(({ state, via, error }) => console.log("status", state, via ?? error?.message ?? ""));
await client.connect();

const orders = 3;
let packed = 0;
const worker = client.consume<Order>("packers", "order.packing", { order: "key" }).handle(
  async ({ message, attempt }) => {
    console.log(`packing ${message.payload.id}, attempt ${attempt}, ${message.position}`);
    await client.publish(`order.${message.payload.id}`, { current_status: "packed" }, { event: "order:updated" });
    packed += 1;
  },
  { concurrency: 2, onError: (error) => console.error("failed", error) },
);

for (let id = 1; id <= orders; id += 1) {
  const ack = await client.publish("order.packing", { id }, { key: String(id), idempotencyKey: `order-${id}-${Date.now()}` });
  console.log(`order ${id} is ${ack.level} at ${ack.position}`);
}

while (packed < orders) await new Promise((resolve) => setTimeout(resolve, 20));
await worker.stop();
await client.close();
