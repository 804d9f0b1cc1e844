/** What customers and agents ask of the chat service. */

import type { Sampan } from "../client.js";
import type {
  Agent, AgentStatus, CannedResponse, ChatFigures, ChatMessage, Conversation, Cursors, Draft, Found, Promised,
  Rating, ServicePolicy, SignedLink, Snapshot, Uploaded,
} from "./model.js";
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

/** What a customer says of a resolution: 1, the worst, to 5, the best. */
export interface Rate {
  conversation_id: string;
  rating: 1 | 2 | 3 | 4 | 5;
  comment?: string;
}

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
  get: [{ conversation_id: string }, Conversation];
  search: [{ text: string; conversation_id?: string; before?: string; limit?: number }, Found];
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
  rate: [Rate, Rating];
  rating_edit: [Rate, Rating];
  rating_ask: [{ conversation_id: string }, SignedLink];
  ratings: [{ conversation_id: string } | { agent_id: string }, { ratings: Rating[]; satisfaction: number | null }];
  file_begin: [{ conversation_id: string; file_name: string; size_bytes: number; mime_type?: string }, SignedLink & { id: string }];
  file_link: [{ id: string }, SignedLink];
  canned_put: [Omit<CannedResponse, "id" | "owner"> & { owner?: string }, CannedResponse];
  canned_list: [{ after?: string; limit?: number }, { responses: CannedResponse[]; next?: string }];
  canned_delete: [{ id: string }, { deleted: boolean }];
  canned_use: [{ shortcut: string; variables?: Record<string, string> }, { id: string; text: string }];
  figures: [{ from: string; to: string; agent_id?: string }, ChatFigures];
  sla_put: [ServicePolicy, ServicePolicy];
  sla_policies: [Record<string, never>, { policies: ServicePolicy[] }];
  sla_apply: [{ conversation_id: string; policy_id: string }, Promised];
  sla_get: [{ conversation_id: string }, Promised];
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

  /** A conversation. */
  get(conversation_id: string): Promise<Conversation> {
    return this.ask("get", { conversation_id });
  }

  /** Messages that have every word, the newest first, of those that the asker may see; `next` asks for more. */
  search(text: string, page: { conversation_id?: string; before?: string; limit?: number } = {}): Promise<Found> {
    return this.ask("search", { text, ...page });
  }

  /** Rates the last resolution of the asker's conversation. @throws {SampanError} 909 if it is rated already. */
  rate(conversation_id: string, rating: Rate["rating"], comment?: string): Promise<Rating> {
    return this.ask("rate", { conversation_id, rating, comment });
  }

  /** Rates otherwise than before, within a day. */
  changeRating(conversation_id: string, rating: Rate["rating"], comment?: string): Promise<Rating> {
    return this.ask("rating_edit", { conversation_id, rating, comment });
  }

  /**
   * Brings a file to a conversation; a message sends it by its id. What no message has after a day is removed.
   *
   * @throws {SampanError} 105 for a type that is refused or not that of the bytes, 912 while 100 files wait.
   */
  async upload(conversation_id: string, file: Blob, file_name = file instanceof File ? file.name : "file"): Promise<Uploaded> {
    const announced = { conversation_id, file_name, size_bytes: file.size, mime_type: file.type };
    const { path } = await this.ask("file_begin", announced);
    const headers = { "content-type": "application/octet-stream" };
    const answer = await this.#client.fetch(path, { method: "PUT", headers, body: file });
    return (await answer.json()) as Uploaded;
  }

  /** An address under which anybody gets a file for 7 days. */
  async fileAddress(id: string): Promise<string> {
    return this.#client.address((await this.ask("file_link", { id })).path);
  }

  /** The text of a canned response, filled in: the asker's own before its teams' before everybody's. */
  async canned(shortcut: string, variables: Record<string, string> = {}): Promise<string> {
    return (await this.ask("canned_use", { shortcut, variables })).text;
  }

  /** What was answered, how fast and how well, by day and agent; days are of UTC, such as `2026-11-01`. */
  figures(from: string, to: string, agent_id?: string): Promise<ChatFigures> {
    return this.ask("figures", { from, to, agent_id });
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
