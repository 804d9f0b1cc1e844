// A whole chat on the real client of Socket.IO, by the event names of the shop.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { io } from "socket.io-client";
import { Broker, next, until } from "../broker.js";

let broker;
before(async () => (broker = await Broker.start()));
after(() => broker.stop());

async function connect(t, user, role) {
  const socket = io(broker.url, { forceNew: true, auth: { token: broker.token(user, role) } });
  t.after(() => socket.disconnect());
  await next(socket, "connect");
  return socket;
}

/** Everything that a socket has heard of one event. */
function heard(socket, event) {
  const all = [];
  socket.on(event, (payload) => all.push(payload));
  return all;
}

/** A call of a user's own. */
async function ask(user, role, method, path, body) {
  const response = await fetch(broker.url + path, {
    method,
    headers: { authorization: `Bearer ${broker.token(user, role)}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function agent(t, id) {
  const told = { name: id, email: `${id}@example.com`, concurrent_limit: 5 };
  // The services begin a moment after the broker.
  const put = async () => (await ask("boss", "admin", "PUT", `/v1/chat/agents/${id}`, told))[0] === 200;
  await until("the services", put);
  const socket = await connect(t, id, "agent");
  const online = await socket.emitWithAck("agent:available", { agentId: id, status: "online" });
  assert.equal(online.status, "online", JSON.stringify(online));
  return socket;
}

it("tells whoever may not why, and changes nothing", async (t) => {
  const bob = await connect(t, "bob", "customer");
  let chat;
  await until("the services", async () => {
    [, chat] = await ask("eve", "customer", "POST", "/v1/chat/conversations", { client_conversation_id: "c1" });
    return chat.id !== undefined;
  });
  const conversationId = chat.id;
  const code = async (event, argument) => (await bob.emitWithAck(event, argument)).error?.code;
  const text = { conversation_id: conversationId, client_message_id: "m", content: { text: "hi" } };
  assert.equal(await code("conversation:join", { conversationId }), 201);
  assert.equal(await code("message:send", text), 904);
  assert.equal(await code("user:typing", { userId: "bob", conversationId }), 904);
  assert.equal(await code("agent:transfer", { conversationId, fromAgent: "a", toAgent: "b" }), 200);
  assert.equal(await code("agent:available", { agentId: "bob", status: "online" }), 200);
  assert.equal(await code("message:read", { messageId: "nothing", userId: "bob" }), 904);
  assert.equal(await code("order:track", "42"), 201);
  const [, after] = await ask("eve", "customer", "GET", `/v1/chat/conversations/${conversationId}`);
  assert.deepEqual([after.version, after.next_seq], [chat.version, chat.next_seq]);
});

it("goes from the first word to the last, with who is there, who types and who has read", async (t) => {
  const amy = await agent(t, "amy");
  const customer = await connect(t, "ann", "customer");
  const [opened, chat] = await ask("ann", "customer", "POST", "/v1/chat/conversations", { client_conversation_id: "c1" });
  assert.equal(opened, 200);
  const conversationId = chat.id;
  const online = { ann: heard(customer, "user:online"), amy: heard(amy, "user:online") };
  const gone = heard(customer, "user:offline");
  const lines = { ann: heard(customer, "message:receive"), amy: heard(amy, "message:receive") };
  const joined = await customer.emitWithAck("chat:join_conversation", conversationId);
  assert.ok(joined.ok && joined.conversation.id === conversationId, JSON.stringify(joined));
  const twice = await customer.emitWithAck("conversation:join", conversationId);
  assert.equal(twice.conversation.id, conversationId, "who is there already is told how things stand");
  await until("amy has it", async () => {
    const again = await amy.emitWithAck("conversation:join", { conversationId });
    return again.conversation.agent_id === "amy";
  });
  await until("the customer sees the agent", () => online.ann.some(({ userId }) => userId === "amy"));
  await until("the agent sees the customer", () => online.amy.some(({ userId }) => userId === "ann"));
  const there = online.ann.find(({ userId }) => userId === "amy");
  assert.equal(there.topic, `chat.conversation.${conversationId}`);
  assert.ok(Math.abs(there.timestamp - Date.now()) < 3_600_000);

  const typing = next(customer, "user:typing");
  assert.equal((await amy.emitWithAck("user:typing", { userId: "amy", conversationId })).ok, true);
  assert.deepEqual((await typing)[0].userId, "amy");
  const text = (text) => ({ conversation_id: conversationId, client_message_id: text, content: { text } });
  const sent = await customer.emitWithAck("message:send", text("สวัสดี 🛶"));
  assert.ok(sent.ok && sent.seq > 0, JSON.stringify(sent));
  const again = await customer.emitWithAck("chat:send_message", text("สวัสดี 🛶"));
  assert.equal(again.id, sent.id, "the other name is the same event, and the same message");
  const reply = await amy.emitWithAck("message:send", text("hello"));
  const said = (all) => all.map(({ content }) => content.text).filter(Boolean);
  await until("both have both", () => [lines.ann, lines.amy].every((all) => said(all).length === 2));
  assert.deepEqual(said(lines.ann), ["สวัสดี 🛶", "hello"]);
  assert.deepEqual(lines.ann.map(({ id }) => id).slice(-2), [sent.id, reply.id]);

  const delivered = next(amy, "message:delivered");
  await customer.emitWithAck("message:delivered", { messageId: reply.id, userId: "ann" });
  assert.deepEqual([(await delivered)[0].messageId, (await delivered)[0].userId], [reply.id, "ann"]);
  const read = next(amy, "message:read");
  await customer.emitWithAck("message:read", { messageId: reply.id, userId: "ann" });
  assert.equal((await read)[0].up_to_seq, reply.seq);

  const kim = await agent(t, "kim");
  const over = { conversationId, fromAgent: "amy", toAgent: "kim" };
  const transferred = next(customer, "agent:transfer");
  const handed = await amy.emitWithAck("agent:transfer", over);
  assert.equal(handed.agent_id, "kim", JSON.stringify(handed));
  const { epoch, ...told } = (await transferred)[0];
  assert.deepEqual(told, over);
  assert.equal(epoch, 2);
  const no = await amy.emitWithAck("message:send", text("still mine?"));
  assert.equal(no.error.name, "NOT_GRANTED");
  const mine = await kim.emitWithAck("message:send", text("I am Kim."));
  assert.ok(mine.ok, JSON.stringify(mine));

  await amy.emitWithAck("conversation:leave", { conversationId });
  await until("amy has left", () => gone.some(({ userId }) => userId === "amy"));
  assert.ok(gone.every(({ userId }) => userId === "amy"), "the customer is still there");
  const after = lines.amy.length;
  await until("kim's line", () => said(lines.ann).at(-1) === "I am Kim.");
  await kim.emitWithAck("message:send", text("More?"));
  await until("another line", () => said(lines.ann).at(-1) === "More?");
  assert.ok(lines.amy.length <= after + 1, "who has left hears no more");
});
