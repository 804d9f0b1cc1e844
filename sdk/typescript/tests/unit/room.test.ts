import assert from "node:assert/strict";
import test from "node:test";

import { type Gap, type Message, type Sampan, SampanError, type SubscribeOptions } from "@sampan/client";
import { Chat, type ChatMessage } from "@sampan/client/chat";

function said(seq: number, sender_id = "bob"): ChatMessage {
  const at = "2026-11-23T06:37:17.360Z";
  return {
    id: `m${seq}`, conversation_id: "c", seq, client_message_id: `d${seq}`, sender_id, sender_type: "agent",
    content: { text: `${seq}` }, message_type: "text", status: "sent", created_at: at, updated_at: at,
  };
}

/** A client whose broker and service are the test. */
function fake(answer: (topic: string, question: Record<string, number>) => unknown) {
  const subscriptions: { topic: string; options: SubscribeOptions; tell: (message: Message) => void }[] = [];
  const asked: [string, Record<string, number>][] = [];
  const client = {
    status: { user: "ann", role: "customer", connected: true },
    subscribe: (topic: string, options: SubscribeOptions, tell: (message: Message) => void) => {
      subscriptions.push({ topic, options, tell });
      return { ready: Promise.resolve(), close: () => {} };
    },
    request: async (topic: string, question: Record<string, number>) => {
      asked.push([topic, question]);
      return { payload: answer(topic, question) };
    },
  };
  return { chat: new Chat(client as unknown as Sampan), subscriptions, asked };
}

const conversation = { id: "c", customer_id: "ann", status: "active", version: 1, epoch: 1 };
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

test("what a subscription could not bring is read from the service, page by page, until it answers", async () => {
  const kept = Array.from({ length: 250 }, (_, n) => said(n + 1));
  let isBusy = true;
  const { chat, subscriptions, asked } = fake((topic, { after = 0 }) => {
    if (topic === "chat.join_conversation") {
      return { conversation, participants: [], messages: subscriptions.length > 3 ? [] : [said(1)], last_seq: 1 };
    }
    if (topic !== "chat.history") return {};
    isBusy = !isBusy;
    if (!isBusy) throw new SampanError("refused", "busy", { code: 301, retryable: true, retryAfterMs: 1 });
    return { messages: kept.filter(({ seq }) => seq > after).slice(0, 90) };
  });
  const room = chat.room("c");
  await room.ready;
  const [main] = subscriptions;
  assert.equal(main?.topic, "chat.conversation.c");
  main?.options.onGap?.({ lost: false } as Gap);
  await turn();
  assert.equal(room.state.messages.length, 1, "nothing is missing where nothing is lost");
  main?.options.onGap?.({ lost: true } as Gap);
  const pages = () => asked.filter(([topic]) => topic === "chat.history").map(([, { after }]) => after);
  for (let n = 0; n < 200 && pages().length < 8; n += 1) await turn();
  assert.deepEqual(room.state.messages.map(({ seq }) => seq), kept.map(({ seq }) => seq));
  // A page of long messages is short, and only an empty one is the last.
  assert.deepEqual(pages(), [1, 1, 91, 91, 181, 181, 250, 250]);
  room.close();
});

test("what comes is said to have come, and who types says so once in three seconds", async () => {
  const { chat, subscriptions, asked } = fake((topic) =>
    topic === "chat.join_conversation" ? { conversation, participants: [], messages: [said(1)], last_seq: 1 } : {},
  );
  const room = chat.room("c");
  await room.ready;
  await turn();
  subscriptions[0]?.tell({ event: "message:receive", payload: said(2), timeMs: 0 } as unknown as Message);
  await turn();
  const delivered = asked.filter(([topic]) => topic === "chat.message_delivered").map(([, { up_to_seq }]) => up_to_seq);
  assert.deepEqual(delivered, [1, 2]);
  for (let n = 0; n < 5; n += 1) room.type();
  room.type(false);
  room.type(false);
  const typed = asked.filter(([topic]) => topic === "chat.user_typing").map(([, { typing }]) => typing);
  assert.deepEqual(typed, [true, false]);
  room.close();
  room.type();
  assert.equal(asked.filter(([topic]) => topic === "chat.user_typing").length, 2);
});

test("a conversation that is refused says why, and one that is closed first takes no part", async () => {
  const { chat, asked } = fake(() => {
    throw new SampanError("refused", "no", { code: 904, retryable: false });
  });
  const refused = chat.room("c");
  await assert.rejects(refused.ready, { code: 904 });
  assert.deepEqual([refused.state.ready, refused.state.error?.code], [false, 904]);
  const closed = chat.room("c");
  closed.close();
  await assert.rejects(closed.ready, { kind: "closed" });
  assert.equal(asked.length, 1);
});

test("what is said is shown all the time, and once: as outgoing until it is among the messages", async () => {
  const { chat, subscriptions } = fake((topic) => {
    if (topic === "chat.join_conversation") return { conversation, participants: [], messages: [said(1)], last_seq: 1 };
    return topic === "chat.send_message" ? said(3, "ann") : {};
  });
  const room = chat.room("c");
  await room.ready;
  const shown: string[] = [];
  room.onChange(({ messages, outgoing }) => {
    shown.push([...messages.map(({ seq }) => `${seq}`), ...outgoing.map(({ content }) => `(${content.text})`)].join(" "));
  });
  await room.send("3");
  assert.equal(shown.at(-1), "1 (3)", "it has been answered, and not been told");
  const [main] = subscriptions;
  for (const seq of [2, 3]) main?.tell({ event: "message:receive", payload: said(seq, "ann"), timeMs: 0 } as unknown as Message);
  await turn();
  assert.ok(shown.every((line) => ["1 (3)", "1 2 (3)", "1 2 3"].includes(line)), shown.join(" | "));
  assert.equal(shown.at(-1), "1 2 3");
  room.close();
});
