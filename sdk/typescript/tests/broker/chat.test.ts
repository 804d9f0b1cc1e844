import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { EventSocket, Sampan } from "@sampan/client";
import { Chat, type Room } from "@sampan/client/chat";
import { Broker, type Role, until } from "./harness.js";

const broker = new Broker();
const clients: Sampan[] = [];
before(async () => {
  await broker.start();
  await broker.served();
});
after(async () => {
  clients.forEach((client) => client.end());
  await broker.remove();
});

async function chat(user: string, role: Role): Promise<Chat> {
  const client = new Sampan({ url: broker.url, token: broker.token(user, role) });
  clients.push(client);
  await client.connect();
  return new Chat(client);
}

async function agent(id: string): Promise<Chat> {
  const [shop, made] = [await chat("shop", "service"), await chat(id, "agent")];
  await shop.ask("agent_put", { id, name: id, email: `${id}@shop.example`, concurrent_limit: 3 });
  await made.available("online");
  return made;
}

const texts = (room: Room) => room.state.messages.flatMap(({ content }) => content.text ?? []);

test("a customer and an agent talk, see who types, and how far each message has come", async () => {
  const [customer, bob] = [await chat("ann", "customer"), await agent("bob")];
  const { id } = await customer.open("order-42");
  const own = customer.room(id);
  await own.ready;
  await until(() => own.state.conversation?.agent_id === "bob", "the agent");
  await own.send("Where is my order?");
  const theirs = bob.room(id);
  await theirs.ready;
  assert.deepEqual(texts(theirs), ["Where is my order?"]);
  theirs.type();
  await until(() => own.state.typing.includes("bob"), "who types");
  await theirs.send("On its way.");
  await until(() => texts(own).length === 2, "the answer");
  assert.deepEqual(own.state.typing, []);
  const receipt = (room: Room, text: string) => room.state.messages.find(({ content }) => content.text === text)?.status;
  await until(() => receipt(theirs, "On its way.") === "delivered", "that it has come");
  await own.read();
  await until(() => receipt(theirs, "On its way.") === "read", "that it was read");
  await until(() => receipt(own, "Where is my order?") === "delivered", "that the first has come");
  await bob.ask("resolve", { conversation_id: id });
  await until(() => own.state.conversation?.status === "resolved", "the end");
  assert.deepEqual((await customer.open("order-42")).id, id, "the same one");
  await assert.rejects((await chat("eve", "customer")).room(id).ready, { kind: "refused", code: 201 });
  own.close();
  await theirs.leave();
  await bob.available("offline");
});

test("a socket of events that joins a conversation is told how it stands there, and who types", async () => {
  const [customer, lee] = [await chat("kay", "customer"), await agent("lee")];
  const { id } = await customer.open("socket");
  const socket = new EventSocket({ url: broker.url });
  const typing: { userId: string }[] = [];
  socket.on("user:typing", (told) => typing.push(told));
  socket.connect(broker.token("kay", "customer"));
  const says = (event: string) => new Promise<any>((resolve) => socket.emit(event, { conversationId: id }, resolve));
  const joined = await says("chat:join_conversation");
  assert.deepEqual([joined.ok, joined.topic, joined.conversation?.id], [true, `chat.conversation.${id}`, id]);
  const theirs = lee.room(id);
  await theirs.ready;
  theirs.type();
  await until(() => typing.some(({ userId }) => userId === "lee"), "who types");
  const there: string[] = [];
  for (const event of ["user:online", "user:offline"]) {
    socket.on(event, ({ userId, topic }) => userId === "ray" && there.push(`${event} ${topic}`));
  }
  const other = new EventSocket({ url: broker.url });
  other.connect(broker.token("ray", "agent"));
  const asks = (event: string) => new Promise<any>((resolve) => other.emit(event, { conversationId: id }, resolve));
  await asks("conversation:join");
  await until(() => there.length === 1, "who has come");
  await asks("conversation:leave");
  await until(() => there.length === 2, "who is gone");
  assert.deepEqual(there, [`user:online chat.conversation.${id}`, `user:offline chat.conversation.${id}`]);
  other.destroy();
  const left = await says("conversation:leave");
  assert.deepEqual([left.ok, left.topic], [true, `chat.conversation.${id}`]);
  socket.destroy();
  await theirs.leave();
  await lee.available("offline");
});

test("agents write notes that the customer never sees", async () => {
  const [customer, kim] = [await chat("joe", "customer"), await agent("kim")];
  const { id } = await customer.open("notes");
  const [own, theirs] = [customer.room(id), kim.room(id)];
  await Promise.all([own.ready, theirs.ready]);
  await theirs.send({ content: { text: "careful" }, private: true });
  await theirs.send("Hello");
  await until(() => texts(theirs).length === 2, "the note");
  await until(() => texts(own).length === 1, "the message");
  assert.deepEqual(texts(own), ["Hello"]);
  assert.deepEqual(texts(theirs), ["careful", "Hello"]);
  own.close();
  theirs.close();
  await kim.available("offline");
});

test("what is said while the broker is down is said once, in order, when it is back", { timeout: 120_000 }, async () => {
  const customer = await chat("liz", "customer");
  const { id } = await customer.open("offline");
  const room = customer.room(id);
  await room.send("one");
  await broker.kill();
  const later = ["two", "three", "four"].map((text) => room.send(text));
  assert.deepEqual(room.state.outgoing.map(({ content }) => content.text), ["two", "three", "four"]);
  await broker.start();
  await Promise.all(later);
  await until(() => texts(room).length === 4, "all of them");
  assert.deepEqual(texts(room), ["one", "two", "three", "four"]);
  assert.deepEqual((await customer.history(id)).flatMap(({ content }) => content.text ?? []), texts(room));
  room.close();
});

test("the past is loaded ahead of the first message, page by page", async () => {
  const customer = await chat("max", "customer");
  const { id } = await customer.open("long");
  const first = customer.room(id);
  await Promise.all(Array.from({ length: 70 }, (_, n) => first.send(`${n}`)));
  first.close();
  const room = customer.room(id);
  await room.ready;
  assert.ok(texts(room).length < 70, "not all of them at once");
  while (await room.earlier(15));
  assert.deepEqual(texts(room), Array.from({ length: 70 }, (_, n) => `${n}`));
  room.close();
});
