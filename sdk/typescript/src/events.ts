/**
 * The named events that an application emits, and what each of them stands for: the table of the bridge,
 * for clients that speak of events and rooms rather than of topics.
 */

import { SampanError } from "./error.js";
import { checkedTopic, token } from "./topic.js";

/** Topics of one sort, one for each id. */
export interface Rooms {
  /** What stands in front of the id. */
  prefix: string;
  /** Members of an object that may hold the id; an id may also stand alone. */
  members: readonly string[];
  /** Whether who joins is present there. */
  present?: boolean;
  /** What stands in front of the id in the topics that are joined and left with it, by whoever may. */
  also?: readonly string[];
  /** Topics of the requests that tell who has joined how things stand there, and who has left. */
  joined?: string;
  left?: string;
}

/** What an event stands for. */
export type Action =
  /** Subscribes a room's topic. */
  | { join: Rooms }
  /** Ends the subscription. */
  | { leave: Rooms }
  /** Asks whoever serves this topic. */
  | { ask: string };

const CONVERSATION = {
  prefix: "chat.conversation.",
  members: ["conversationId", "conversation_id", "id"],
  present: true,
  also: ["chat.typing.", "chat.position.", "chat.note."],
  joined: "chat.join_conversation",
  left: "chat.leave_conversation",
};
const PRODUCT = { prefix: "inventory.product.", members: ["productId", "product_id", "id"] };
const ORDER = { prefix: "order.", members: ["orderId", "order_id", "id"] };

/** Every event that an application may emit. */
export const EVENTS: Readonly<Record<string, Action>> = {
  "chat:join_conversation": { join: CONVERSATION },
  "conversation:join": { join: CONVERSATION },
  "conversation:leave": { leave: CONVERSATION },
  "product:track": { join: PRODUCT },
  "product:untrack": { leave: PRODUCT },
  "order:track": { join: ORDER },
  "order:untrack": { leave: ORDER },
  "chat:send_message": { ask: "chat.send_message" },
  "message:send": { ask: "chat.send_message" },
  "message:delivered": { ask: "chat.message_delivered" },
  "message:read": { ask: "chat.message_read" },
  "user:typing": { ask: "chat.user_typing" },
  "agent:transfer": { ask: "chat.agent_transfer" },
  "agent:available": { ask: "chat.agent_available" },
  "inventory:reserve": { ask: "inventory.reserve" },
  "inventory:release": { ask: "inventory.release" },
  "inventory:extend": { ask: "inventory.extend" },
};

/** Where agents are present, so that chats find those who are there. */
export const AGENTS = "agents";

/** Topics that a role joins by connecting, beside the user's own. */
const OF_ROLE: Readonly<Record<string, string>> = { agent: AGENTS, admin: "admin.dashboard" };

/** The topics that a user of this role joins by connecting. */
export function topicsAtConnect(user: string, role: string): string[] {
  const ofRole = OF_ROLE[role];
  return [`user.${token(user)}`, ...(ofRole === undefined ? [] : [ofRole])];
}

/** The id of the room that the data names. @throws {SampanError} when it names none. */
export function idOf({ members }: Rooms, data: unknown): string {
  const isObject = typeof data === "object" && data !== null;
  const found = isObject ? members.map((name) => (data as Record<string, unknown>)[name]).find((id) => id !== undefined) : data;
  const isId = (typeof found === "string" && found !== "") || Number.isInteger(found);
  if (!isId) throw new SampanError("invalid", "give an id, a text or a whole number");
  return String(found);
}

/** The topic of an id. @throws {SampanError} when the id is too long for one. */
export function topicOf(prefix: string, id: string): string {
  return checkedTopic(prefix + token(id));
}
