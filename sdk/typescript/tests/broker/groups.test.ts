import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { Sampan } from "@sampan/client";
import { Broker, until } from "./harness.js";

const broker = new Broker();
before(() => broker.start());
after(() => broker.remove());

async function client(): Promise<Sampan> {
  const made = new Sampan({ url: broker.url, token: broker.token("till") });
  await made.connect();
  return made;
}

test("workers of a group share its messages, and each is worked on once", async () => {
  const made = await client();
  const done: number[][] = [[], []];
  const workers = done.map((own) =>
    made.consume<number>("packers", "order.packing", { window: 5 }).handle(async ({ message }) => own.push(message.payload)),
  );
  await Promise.all(Array.from({ length: 50 }, (_, n) => made.publish("order.packing", n)));
  await until(() => done.flat().length === 50, "all of them");
  assert.ok(done.every((own) => own.length > 0), "both have worked");
  assert.deepEqual(done.flat().sort((one, other) => one - other), Array.from({ length: 50 }, (_, n) => n));
  await Promise.all(workers.map((worker) => worker.stop()));
  await Promise.all(workers.map((worker) => worker.done));
  made.end();
});

test("a message comes again until it is settled, and says how often it came", async () => {
  const made = await client();
  for (const payload of ["failed", "returned", "rejected", "done"]) await made.publish("order.again", payload);
  const seen: Record<string, number[]> = {};
  let left = 6;
  for await (const job of made.consume<string>("again", "order.again", { window: 1 })) {
    const attempts = (seen[job.message.payload] ??= []);
    const isFirst = attempts.push(job.attempt) === 1;
    if (job.message.payload === "failed" && isFirst) await job.nak("not yet", 1);
    else if (job.message.payload === "returned" && isFirst) await job.release();
    else if (job.message.payload === "rejected") await job.reject("no such product");
    else await job.ack();
    if ((left -= 1) === 0) break;
  }
  // A hand-out that is released does not count.
  assert.deepEqual(seen, { failed: [1, 2], returned: [1, 1], rejected: [1], done: [1] });
  type Listed = { letters: { reason: string }[] };
  const { payload } = await made.request<Listed>("sys.dlq.list", { group: "again", after: 0, max: 9 });
  assert.deepEqual(payload.letters.map(({ reason }) => reason), ["no such product"]);
  made.end();
});

test("a handler that throws has failed, and its message comes again", async () => {
  const made = await client();
  const [attempts, errors]: [number[], unknown[]] = [[], []];
  const worker = made.consume("clumsy", "order.clumsy").handle(
    ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("dropped it");
    },
    { onError: (error) => errors.push(error) },
  );
  await made.publish("order.clumsy", "a vase");
  await until(() => attempts.length === 2, "the second attempt");
  assert.deepEqual(attempts, [1, 2]);
  assert.equal((errors[0] as Error).message, "dropped it");
  await worker.stop();
  made.end();
});

test("jobs come in batches as they are asked for, and no earlier", async () => {
  const made = await client();
  await Promise.all(Array.from({ length: 10 }, (_, n) => made.publish("order.batches", n)));
  const consumer = made.consume<number>("batches", "order.batches", { batch: 4 });
  await consumer.ready;
  const [first, second] = [await consumer.nextBatch(4), await consumer.nextBatch(3)];
  assert.deepEqual([first, second].map((jobs) => jobs.map(({ message }) => message.payload)), [[0, 1, 2, 3], [4, 5, 6]]);
  const other = made.consume<number>("batches", "order.batches", { batch: 1 });
  const [stolen] = await other.nextBatch(1);
  assert.equal(stolen?.message.payload, 7, "nobody holds what nobody asked for");
  const late = await consumer.nextBatch(5, 200);
  assert.deepEqual(late.map(({ message }) => message.payload), [8, 9], "after a while those that are there");
  await Promise.all([...first, ...second, ...late, ...(stolen ? [stolen] : [])].map((job) => job.ack()));
  consumer.close();
  assert.deepEqual(await consumer.nextBatch(5), []);
  made.end();
});

test("a worker of a consumer with batches works on everything, and its stop hands back the rest", async () => {
  const made = await client();
  await Promise.all(Array.from({ length: 20 }, (_, n) => made.publish("order.pulled", n)));
  const done: number[] = [];
  const begin = (handler: (n: number) => unknown) =>
    made.consume<number>("pulled", "order.pulled", { batch: 8 }).handle(({ message }) => handler(message.payload));
  let worker = begin((n) => {
    done.push(n);
    if (done.length === 3) void worker.stop();
  });
  await worker.done;
  assert.equal(done.length, 3);
  worker = begin((n) => done.push(n));
  await until(() => done.length === 20, "the rest");
  assert.deepEqual(done.sort((one, other) => one - other), Array.from({ length: 20 }, (_, n) => n));
  await worker.stop();
  made.end();
});

test("a worker goes on after its broker has crashed", { timeout: 120_000 }, async () => {
  const own = await new Broker().start();
  const made = new Sampan({ url: own.url, token: own.token("till") });
  await made.connect();
  const done = new Set<number>();
  const worker = made.consume<number>("strong", "order.strong").handle(({ message }) => done.add(message.payload));
  await made.publish("order.strong", 1);
  await until(() => done.has(1), "the first");
  await own.kill();
  const second = made.publish("order.strong", 2);
  await own.start();
  await second;
  await until(() => done.has(2), "the second");
  await worker.stop();
  await made.close();
  await own.remove();
});

test("a group with another pattern is refused, and without a WebSocket there is none", async () => {
  const made = await client();
  await made.consume("fixed", "order.a").ready;
  await assert.rejects(made.consume("fixed", "order.b").ready, { code: 114, fault: "sender" });
  made.end();
  const plain = new Sampan({ url: broker.url, token: broker.token("till"), WebSocket: false });
  await plain.connect();
  await assert.rejects(plain.consume("fixed", "order.a").ready, { kind: "unavailable" });
  plain.end();
});
