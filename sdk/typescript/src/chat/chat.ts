/** What customers and agents ask of the chat service. */

import type { Sampan } from "../client.js";
import type { Agent, AgentStatus, ChatMessage, Conversation, Cursors, Draft, Snapshot } from "./model.js";
import type { Standing } from "../presence.js";
import { Room } from "./room.js";

/** How a conversation begins. */
export interface OpenOptions {
  /** The customer's own id for it: the same one is the same conversation. */
  client_conversation_id: string;
  /** Whose it is, if another than the asker begins it. */
  customer_id?: string;
  priority?: Conversation["priority"];
  tags?: string[];
  metadata?: { source: "web" | "mobile" | "facebook" | "line"; initial_url?: string; user_agent?: string; language: string };
  wants?: { required_skills?: string[]; preferred_skills?: string[] };
}

/** To whom a conversation is handed: one agent, or whoever has a skill. */
export type HandOver = ({ toAgent: string } | { toSkill: string }) & { ask?: boolean; note?: string };

/** Questions and answers by the last token of their topic. */
export interface Questions {
  open: [OpenOptions, Conversation];
  send_message: [Draft, ChatMessage];
  edit_message: [{ message_id: string; text: string }, ChatMessage];
  delete_message: [{ message_id: string }, ChatMessage];
  message_delivered: [{ conversation_id: string; up_to_seq: number }, Cursors];
  message_read: [{ conversation_id: string; up_to_seq: number }, Cursors];
  user_typing: [{ conversation_id: string; typing: boolean }, object];
  join_conversation: [{ conversation_id: string }, Snapshot];
  leave_conversation: [{ conversation_id: string }, object];
  history: [{ conversation_id: string; before?: number; after?: number; limit?: number }, { messages: ChatMessage[] }];
  list: [{ customer_id?: string; waiting?: boolean }, { conversations: Conversation[] }];
  assign: [{ conversation_id: string; agent_id?: string; force?: boolean }, Conversation];
  requeue: [{ conversation_id: string }, Conversation];
  resolve: [{ conversation_id: string }, Conversation];
  archive: [{ conversation_id: string }, Conversation];
  snooze: [{ conversation_id: string; until: string }, Conversation];
  agent_transfer: [{ conversation_id: string; from_agent?: string } & HandOver, Conversation];
  transfer_answer: [{ conversation_id: string; accept: boolean }, Conversation];
  agent_available: [{ agent_id?: string; status: AgentStatus }, Agent];
  agent_put: [{ id: string; name: string; email: string; concurrent_limit: number; skills?: string[]; languages?: string[] }, Agent];
  agents: [Record<string, never>, { agents: Agent[] }];
}

/**
 * The chat service, seen through a client.
 *
 * ```ts
 * const chat = new Chat(client);
 * const { id } = await chat.open("help-with-order-42");
 * const room = chat.room(id);
 * room.onChange(({ messages, typing }) => render(messages, typing));
 * await room.send("Where is my order?");
 * ```
 */
export class Chat {
  readonly #client: Sampan;
  /** Of an agent who takes chats: the entry among those who are there. */
  #entry: Standing | undefined;

  constructor(client: Sampan) {
    this.#client = client;
  }

  /** Asks the service. @throws {SampanError} what it refuses. */
  async ask<K extends keyof Questions>(name: K, question: Questions[K][0]): Promise<Questions[K][1]> {
    const { payload } = await this.#client.request<Questions[K][1]>(`chat.${name}`, question);
    return payload;
  }

  /** Begins a conversation, or finds the one that was begun under this id of the customer's own. */
  open(options: string | OpenOptions): Promise<Conversation> {
    return this.ask("open", typeof options === "string" ? { client_conversation_id: options } : options);
  }

  /** A live look at a conversation, until it is closed. */
  room(conversation_id: string): Room {
    return new Room(this.#client, this, conversation_id);
  }

  /** How a conversation stands; the asker takes part from here on. */
  join(conversation_id: string): Promise<Snapshot> {
    return this.ask("join_conversation", { conversation_id });
  }

  /** A page of messages: the last ones, those before a sequence, or those behind one. */
  async history(
    conversation_id: string,
    page: { before?: number; after?: number; limit?: number } = {},
  ): Promise<ChatMessage[]> {
    return (await this.ask("history", { conversation_id, ...page })).messages;
  }

  /** The asker's conversations, a customer's, or those that wait. */
  async list(which: Questions["list"][0] = {}): Promise<Conversation[]> {
    return (await this.ask("list", which)).conversations;
  }

  /** Says whether the asker, an agent, takes chats; who does is present among the agents. Needs a WebSocket. */
  async available(status: AgentStatus): Promise<Agent> {
    if (status === "offline") {
      this.#entry?.close();
      this.#entry = undefined;
    } else {
      this.#entry ??= this.#client.presence("agents").enter(() => (this.#entry = undefined));
      await this.#entry.ready;
    }
    return this.ask("agent_available", { status });
  }
}
