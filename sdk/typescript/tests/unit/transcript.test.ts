import assert from "node:assert/strict";
import test from "node:test";

import { Outbox } from "../../src/chat/outbox.js";
import { Transcript } from "../../src/chat/transcript.js";
import { SampanError } from "../../src/error.js";
import type { ChatMessage, Conversation, Draft, Participant } from "../../src/chat/model.js";

function said(seq: number, sender_id = "ann", change: Partial<ChatMessage> = {}): ChatMessage {
  const at = "2026-11-23T06:37:17.360Z";
  return {
    id: `m${seq}`, conversation_id: "c", seq, client_message_id: `d${seq}`, sender_id, sender_type: "customer",
    content: { text: `text ${seq}` }, message_type: "text", status: "sent", created_at: at, updated_at: at, ...change,
  };
}

function conversation(version: number, change: Partial<Conversation> = {}): Conversation {
  return {
    id: "c", customer_id: "ann", status: "waiting", priority: "medium", tags: [], created_at: "", last_message_at: "",
    epoch: 0, version, ...change,
  };
}

function come(user_id: string, delivered_seq: number, read_seq: number): Participant {
  return { user_id, role: "agent", delivered_seq, read_seq, joined_at: "" };
}

/** Sequences, texts and receipts. */
const lines = (transcript: Transcript) =>
  transcript.messages().map(({ seq, content, status }) => [seq, content.text, status]);

test("a snapshot and the events around it give the same, in whatever order they come", () => {
  const [early, late] = [new Transcript(), new Transcript()];
  const edited = said(1, "ann", { content: { text: "better" }, updated_at: "2026-11-23T06:38:00.000Z" });
  const snapshot = { conversation: conversation(3), participants: [come("bob", 2, 1)], messages: [said(1), said(2)], last_seq: 2 };
  early.snapshot(snapshot);
  const events = (transcript: Transcript) => {
    transcript.event("message:receive", edited, "ann", 0, 0);
    transcript.event("message:receive", said(3), "ann", 0, 0);
    transcript.event("message:receive", said(3), "ann", 0, 0);
    transcript.event("message:read", { userId: "bob", messageId: "m2", up_to_seq: 2 }, "ann", 0, 0);
  };
  events(early);
  events(late);
  late.snapshot(snapshot);
  assert.deepEqual(lines(early), [[1, "better", "read"], [2, "text 2", "read"], [3, "text 3", "sent"]]);
  assert.deepEqual(lines(late), lines(early));
});

test("what is told while the snapshot is on its way is not lost", () => {
  const transcript = new Transcript();
  const told = (name: "conversation:status" | "agent:assigned", payload: object) =>
    transcript.event(name, payload as never, "ann", 0, 0);
  told("agent:assigned", { agentId: "bob", epoch: 1, reason: "auto" });
  told("conversation:status", { old: "waiting", new: "active", version: 2 });
  transcript.snapshot({ conversation: { ...conversation(1), status: "waiting", epoch: 0 }, participants: [], messages: [], last_seq: 0 });
  assert.deepEqual([transcript.conversation?.status, transcript.conversation?.agent_id], ["active", "bob"]);
  told("agent:assigned", { agentId: "old", epoch: 1, reason: "auto" });
  assert.equal(transcript.conversation?.agent_id, "bob");
});

test("a receipt is that of others, and never goes back", () => {
  const transcript = new Transcript();
  transcript.add(said(1));
  transcript.event("message:read", { userId: "ann", messageId: "m1", up_to_seq: 1 }, "ann", 0, 0);
  assert.deepEqual(lines(transcript), [[1, "text 1", "sent"]]);
  transcript.event("message:read", { userId: "bob", messageId: "m1", up_to_seq: 1 }, "ann", 0, 0);
  transcript.event("message:delivered", { userId: "bob", messageId: "m1", up_to_seq: 1 }, "ann", 0, 0);
  assert.deepEqual(lines(transcript), [[1, "text 1", "read"]]);
});

test("who types is shown until that ends, whatever the clock here says", () => {
  const transcript = new Transcript();
  const typing = (userId: string, typing = true) =>
    transcript.event("user:typing", { userId, typing, expires_at: new Date(57_000).toISOString() }, "ann", 1000, 50_000);
  typing("bob");
  typing("ann");
  assert.deepEqual([transcript.typing(1000), transcript.deadline(1000)], [["bob"], 8000]);
  assert.deepEqual([transcript.typing(8000), transcript.deadline(8000)], [[], Infinity]);
  typing("bob", false);
  typing("eve");
  transcript.add(said(1, "eve"));
  assert.deepEqual(transcript.typing(1000), [], "who has said it types no longer");
});

test("an event from before the snapshot changes nothing", () => {
  const transcript = new Transcript();
  transcript.snapshot({ conversation: conversation(4, { status: "active", agent_id: "bob", epoch: 2 }), participants: [], messages: [], last_seq: 0 });
  transcript.event("conversation:status", { old: "waiting", new: "waiting", version: 3 }, "ann", 0, 0);
  transcript.event("agent:assigned", { agentId: "eve", epoch: 1, reason: "auto" }, "ann", 0, 0);
  assert.deepEqual([transcript.conversation?.status, transcript.conversation?.agent_id], ["active", "bob"]);
  transcript.event("conversation:status", { old: "active", new: "resolved", version: 5 }, "ann", 0, 0);
  assert.deepEqual([transcript.conversation?.status, transcript.conversation?.agent_id], ["resolved", undefined]);
  transcript.event("toString" as never, {} as never, "ann", 0, 0);
});

test("what is kept is bounded, and grows by the pages that were asked for", () => {
  const transcript = new Transcript();
  for (let seq = 1; seq <= 600; seq += 1) transcript.add(said(seq));
  assert.deepEqual([transcript.messages().length, transcript.messages()[0]?.seq, transcript.last], [500, 101, 600]);
  transcript.earlier(Array.from({ length: 100 }, (_, n) => said(n + 1)));
  assert.equal(transcript.messages().length, 600);
});

const draft = (n: number): Draft => ({ conversation_id: "c", client_message_id: `d${n}`, content: { text: `${n}` } });

test("drafts are sent one after the other, and again under the same id until there is an answer", async () => {
  const asked: string[] = [];
  const outbox = new Outbox(
    async ({ client_message_id: id }) => {
      asked.push(id);
      if (asked.length === 1) throw new SampanError("lost", "cut", { retryAfterMs: 1, mayHaveHappened: true });
      if (id === "d2") throw new SampanError("refused", "no", { code: 910, retryable: false });
      return said(Number(id.slice(1)));
    },
    () => {},
  );
  const outcomes = await Promise.allSettled([1, 2, 3].map((n) => outbox.send(draft(n))));
  assert.deepEqual(asked, ["d1", "d1", "d2", "d3"]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(outbox.drafts, []);
});

test("an outbox is bounded, and what waits fails when it is closed", async () => {
  let asked = 0;
  const outbox = new Outbox(() => ((asked += 1), new Promise(() => {})), () => {});
  const waiting = Array.from({ length: 256 }, (_, n) => outbox.send(draft(n)));
  await assert.rejects(outbox.send(draft(256)), { kind: "full" });
  const outcomes = Promise.allSettled(waiting);
  outbox.close();
  const errors = (await outcomes).map((outcome) => (outcome as PromiseRejectedResult).reason as SampanError);
  assert.deepEqual(errors.slice(0, 2).map(({ kind, mayHaveHappened }) => [kind, mayHaveHappened]), [["closed", true], ["closed", false]]);
  await assert.rejects(outbox.send(draft(257)), { kind: "closed", mayHaveHappened: false });
  assert.equal(asked, 1);
});
