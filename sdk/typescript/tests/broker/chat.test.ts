import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { EventSocket, Sampan, type SampanError } from "@sampan/client";
import { Chat, type Promised, type Room } from "@sampan/client/chat";
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
  await until(() => texts(room).length === 1, "that it is told");
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

test("a resolved chat is found, rated once and changed, and its figures are told", async () => {
  const [customer, sue, shop] = [await chat("una", "customer"), await agent("sue"), await chat("boss", "admin")];
  const { id } = await customer.open("figures");
  const room = customer.room(id);
  await until(() => room.state.conversation?.agent_id === "sue", "the agent");
  await room.send("Where is my umbrella TH-4711?");
  await sue.ask("send_message", { conversation_id: id, client_message_id: "a1", content: { text: "With us." } });
  const texts = async (who: Chat, of?: string) =>
    (await who.search("th-4711 umbrella", of === undefined ? {} : { conversation_id: of })).messages.map(({ content }) => content.text);
  assert.deepEqual(await texts(customer), ["Where is my umbrella TH-4711?"]);
  assert.deepEqual(await texts(sue, id), ["Where is my umbrella TH-4711?"]);
  const stranger = await chat("vic", "customer");
  assert.deepEqual(await texts(stranger), []);
  await assert.rejects(texts(stranger, id), { kind: "refused", code: 904 });
  await assert.rejects(stranger.get(id), { code: 904 });

  await assert.rejects(customer.rate(id, 5), { code: 909 }, "it is not resolved");
  assert.equal((await sue.ask("resolve", { conversation_id: id })).status, "resolved");
  assert.equal((await customer.get(id)).status, "resolved");
  const rated = await customer.rate(id, 4, "quick");
  assert.deepEqual([rated.rating, rated.comment, rated.agent_id, rated.resolution_no], [4, "quick", "sue", 1]);
  assert.equal((await customer.rate(id, 4, "quick")).id, rated.id, "said again it is the same");
  await assert.rejects(customer.rate(id, 1), { code: 909 });
  assert.equal((await customer.changeRating(id, 5)).rating, 5);
  const { ratings, satisfaction } = await sue.ask("ratings", { agent_id: "sue" });
  assert.deepEqual([ratings.map(({ rating }) => rating), satisfaction], [[5], null]);
  await assert.rejects(shop.ask("rating_ask", { conversation_id: id }), { code: 909 }, "it is rated");

  const today = new Date().toISOString().slice(0, 10);
  const figures = () => shop.figures(today, today, "sue");
  for (const end = Date.now() + 60_000; (await figures()).total.ratings[4] === 0; ) assert.ok(Date.now() < end, "counted");
  const { total, days } = await figures();
  assert.deepEqual([total.resolution.count, total.first_response_goal, days[0]?.agent_id], [1, 1, "sue"]);
  await assert.rejects(customer.figures(today, today), { code: 200 });
  room.close();
  await sue.available("offline");
});

test("a file goes with a message, and one that lies about its type does not", async () => {
  const [customer, other] = [await chat("wim", "customer"), await chat("xia", "customer")];
  const { id } = await customer.open("files");
  const bytes = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 7, 7]);
  const file = await customer.upload(id, new Blob([bytes], { type: "image/png" }), "เรือ.png");
  assert.deepEqual([file.file_name, file.mime_type, file.size_bytes], ["เรือ.png", "image/png", bytes.length]);
  const room = customer.room(id);
  const sent = await room.send({ message_type: "image", content: { attachments: [file.id] } });
  const url = sent.content.attachments?.[0]?.url ?? "";
  const fetched = async (address: string) => new Uint8Array(await (await fetch(address)).arrayBuffer());
  assert.deepEqual(await fetched(await customer.fileAddress(file.id)), bytes);
  const { url: base } = broker;
  assert.deepEqual(await fetched(`${base}${url}`), bytes);
  await assert.rejects(other.fileAddress(file.id), { kind: "refused", code: 904 });
  await assert.rejects(customer.upload(id, new Blob([bytes], { type: "image/jpeg" }), "a.jpg"), { kind: "refused", code: 105 });
  await assert.rejects(customer.upload(id, new Blob([]), "empty"), { kind: "refused", code: 105 });
  await assert.rejects(other.upload(id, new Blob([bytes]), "a.png"), { kind: "refused", code: 904 });
  room.close();
});

test("agents call up texts by their shortcuts, and customers are promised an answer in time", async () => {
  const [shop, yan, customer] = [await chat("boss", "admin"), await chat("yan", "agent"), await chat("zoe", "customer")];
  const kept = await shop.ask("canned_put", { scope: "global", shortcut: "hi", text: "สวัสดี {{name}}" });
  assert.equal(await yan.canned("HI", { name: "Zoe" }), "สวัสดี Zoe");
  await assert.rejects(yan.canned("hi"), { code: 105 }, "no customer reads a gap");
  await assert.rejects(yan.canned("bye"), { code: 904 });
  assert.deepEqual((await yan.ask("canned_list", {})).responses.map(({ id }) => id), [kept.id]);
  assert.deepEqual(await shop.ask("canned_delete", { id: kept.id }), { deleted: true });
  const policy = { id: "gold", first_response_s: 60 };
  assert.equal((await shop.ask("sla_put", policy)).first_response_s, 60);
  assert.deepEqual((await yan.ask("sla_policies", {})).policies.map(({ id }) => id), ["gold"]);
  const { id } = await customer.open("promise");
  const said = { conversation_id: id, client_message_id: "m1", content: { text: "hello" } };
  await customer.ask("send_message", said);
  let promised: Promised | undefined;
  for (const end = Date.now() + 60_000; !promised; ) {
    assert.ok(Date.now() < end, "the conversation is heard of");
    promised = await yan.ask("sla_apply", { conversation_id: id, policy_id: "gold" }).catch((error: unknown) => {
      assert.equal((error as SampanError).code, 904);
      return undefined;
    });
  }
  assert.deepEqual([promised.policy_id, promised.applied.state], ["gold", "active"]);
  assert.equal((await yan.ask("sla_get", { conversation_id: id })).policy_id, "gold");
  await assert.rejects(customer.ask("sla_get", { conversation_id: id }), { code: 200 });
});
