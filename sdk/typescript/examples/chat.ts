// A customer and an agent who talk to each other, from the first question to the end of the conversation.
//
//   token() { sampan token --user "$1" --role "$2"; }
//   CUSTOMER=$(token ann customer) AGENT=$(token bob agent) SHOP=$(token shop service) \
//     node --experimental-websocket chat.js

import { Sampan } from "@sampan/client";
import { Chat, type RoomState } from "@sampan/client/chat";

const url = process.env.SAMPAN_URL ?? "http://localhost:3001";

async function come(token: string | undefined): Promise<{ client: Sampan; chat: Chat }> {
  const client = new Sampan({ url, token: token ?? "", client: "chat-example/1.0" });
  await client.connect();
  return { client, chat: new Chat(client) };
}

/** Waits until the conversation is as it should be. */
function until(room: { state: RoomState; onChange(listener: (state: RoomState) => void): () => void }, holds: (state: RoomState) => boolean) {
  return new Promise<void>((resolve) => {
    const look = (state: RoomState) => {
      if (!holds(state)) return;
      stop();
      resolve();
    };
    const stop = room.onChange(look);
    look(room.state);
  });
}

const [ann, bob, shop] = await Promise.all([come(process.env.CUSTOMER), come(process.env.AGENT), come(process.env.SHOP)]);

// The shop tells of its agents once; an agent says each day whether there is time for chats.
await shop.chat.ask("agent_put", { id: "bob", name: "Bob", email: "bob@shop.example", concurrent_limit: 3 });
const assigned = new Promise<string>((resolve) => {
  bob.client.on("agent:assigned", ({ conversationId }: { conversationId: string }) => resolve(conversationId));
});
await bob.client.join("user.bob").ready;
await bob.chat.available("online");

const { id } = await ann.chat.open(`order-42-${Date.now()}`);
const customer = ann.chat.room(id);
customer.onChange(({ typing }) => typing.length > 0 && console.log(`${typing.join(", ")} types`));
await customer.ready;
await customer.send("Where is my order?");

const agent = bob.chat.room(await assigned);
await agent.ready;
await until(agent, ({ messages }) => messages.some(({ sender_id }) => sender_id === "ann"));
agent.type();
await until(customer, ({ typing }) => typing.includes("bob"));
await agent.send("On its way: it comes tomorrow.");
await until(customer, ({ messages }) => messages.some(({ sender_id }) => sender_id === "bob"));
await customer.read();
await until(agent, ({ messages }) => messages.some(({ sender_id, status }) => sender_id === "bob" && status === "read"));

for (const { sender_id, sender_type, content, status } of agent.state.messages) {
  if (sender_type !== "system") console.log(`${sender_id}: ${content.text} (${status})`);
}
await bob.chat.ask("resolve", { conversation_id: id });
await until(customer, ({ conversation }) => conversation?.status === "resolved");
console.log("resolved");
await bob.chat.available("offline");
for (const { client } of [ann, bob, shop]) await client.close();
