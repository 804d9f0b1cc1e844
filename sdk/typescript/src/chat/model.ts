/** What the chat service is asked and tells, as it travels. */

/** As what a user takes part. */
export type SenderType = "customer" | "agent" | "system";

/** How far a message has come. */
export type Receipt = "sent" | "delivered" | "read";

/** A file that goes with a message. */
export interface Attachment {
  id: string;
  file_name: string;
  mime_type: string;
  size_bytes: number;
  url: string;
  thumbnail_url?: string;
}

/** What a message says. */
export interface Content {
  text?: string;
  attachments?: Attachment[];
  metadata?: Record<string, unknown>;
}

/** A message. */
export interface ChatMessage {
  id: string;
  conversation_id: string;
  /** Its place in the conversation, from 1. */
  seq: number;
  /** The sender's own id for it. */
  client_message_id: string;
  sender_id: string;
  sender_type: SenderType;
  content: Content;
  message_type: "text" | "image" | "file" | "system" | "quick_reply";
  status: Receipt;
  /** When it came, as the text of a `Date`. */
  created_at: string;
  updated_at: string;
  reply_to?: string;
  /** Only agents see it. */
  private?: boolean;
  edited_at?: string;
  deleted_at?: string;
}

/** What a client asks to be said. */
export interface Draft {
  conversation_id: string;
  client_message_id: string;
  content: { text?: string; attachments?: string[]; metadata?: Record<string, unknown> };
  message_type?: "text" | "image" | "file" | "quick_reply";
  reply_to?: string;
  private?: boolean;
}

/** A conversation between a customer and the shop. */
export interface Conversation {
  id: string;
  customer_id: string;
  /** Who has it, while it is active. */
  agent_id?: string;
  status: "active" | "waiting" | "resolved" | "archived";
  priority: "low" | "medium" | "high" | "urgent";
  tags: string[];
  created_at: string;
  last_message_at: string;
  waiting_since?: string;
  resolved_at?: string;
  snoozed_until?: string;
  /** Times it was given to an agent. */
  epoch: number;
  /** One more with every change. */
  version: number;
}

/** How far a user has come in a conversation. */
export interface Participant {
  user_id: string;
  role: SenderType;
  delivered_seq: number;
  read_seq: number;
  joined_at: string;
  left_at?: string;
}

/** A conversation as it stands. */
export interface Snapshot {
  conversation: Conversation;
  participants: Participant[];
  messages: ChatMessage[];
  last_seq: number;
}

/** How far the asker has come. */
export interface Cursors {
  conversation_id: string;
  delivered_seq: number;
  read_seq: number;
}

/** An agent, as the shop knows them. */
export interface Agent {
  id: string;
  name: string;
  status: AgentStatus;
  concurrent_limit: number;
  current_conversations: number;
  /** One more with each change of its load. */
  load_version: number;
}

/** Whether an agent takes chats. */
export type AgentStatus = "online" | "busy" | "offline";

/** A place among the conversations that wait. */
export interface QueuePlace {
  /** The next one's is 1. */
  position: number;
  total: number;
  /** Seconds until an agent has it, if anybody can say. */
  eta_seconds?: number;
}

/** Payloads of the events of a conversation, by name. */
export interface ChatEvents {
  "message:receive": ChatMessage;
  "message:delivered": { userId: string; messageId: string; up_to_seq: number };
  "message:read": { userId: string; messageId: string; up_to_seq: number };
  "user:typing": { userId: string; typing: boolean; expires_at?: string };
  "conversation:status": { old: Conversation["status"]; new: Conversation["status"]; version: number };
  "conversation:archived": { conversationId: string };
  "agent:assigned": { agentId: string; epoch: number; reason: string };
  "agent:transfer": { fromAgent: string; toAgent: string; epoch: number };
  "queue:position": QueuePlace;
}

/** What is found, the newest first. */
export interface Found {
  messages: ChatMessage[];
  /** What `before` is for the next page, if there may be more. */
  next?: string;
}

/** What a customer has said of a resolution. */
export interface Rating {
  id: string;
  conversation_id: string;
  /** Which of its resolutions. */
  resolution_no: number;
  /** Who had it when it was resolved. */
  agent_id?: string;
  /** 1, the worst, to 5, the best. */
  rating: number;
  comment?: string;
  created_at: string;
  updated_at: string;
}

/** A signed path at the broker, for whoever has it. */
export interface SignedLink {
  path: string;
  /** When it no longer holds. */
  expires_at: string;
}

/** A file that was brought. */
export interface Uploaded {
  /** What a message names it by. */
  id: string;
  file_name: string;
  /** The type that its bytes have. */
  mime_type: string;
  size_bytes: number;
  /** SHA-256 of the bytes in hexadecimal. */
  sha256: string;
}

/** A text that agents call up by a shortcut. */
export interface CannedResponse {
  id: string;
  scope: "personal" | "team" | "global";
  /** Agent or team. */
  owner: string;
  shortcut: string;
  /** `{{name}}` stands for a variable. */
  text: string;
}

/** A number of times, milliseconds. */
export interface Times {
  count: number;
  sum_ms: number;
  max_ms: number;
}

/** Figures of chats, with what follows from them; null where there is nothing to divide by. */
export interface FiguresShown {
  conversations: number;
  customer_messages: number;
  first_response: Times;
  /** Within two minutes. */
  first_response_in_goal: number;
  reply: Times;
  resolution: Times;
  /** Ratings of one to five. */
  ratings: [number, number, number, number, number];
  /** Mean seconds. */
  first_response_s: number | null;
  /** The share within two minutes. */
  first_response_goal: number | null;
  /** Mean seconds. */
  resolution_s: number | null;
  /** Messages of customers for each conversation. */
  engagement: number | null;
  /** Mean rating. */
  satisfaction: number | null;
}

/** Figures of some days. */
export interface ChatFigures {
  total: FiguresShown;
  /** By day of UTC and agent, in this order. */
  days: (FiguresShown & { day: string; agent_id?: string })[];
}

/** A promise of how fast customers are answered, in seconds. */
export interface ServicePolicy {
  /** That of the id `default` is made to each conversation that begins. */
  id: string;
  first_response_s?: number | null;
  next_response_s?: number | null;
  resolution_s?: number | null;
  /** The hours that count: spans of minutes for Monday to Sunday. All, if nothing is said. */
  hours?: { time_zone: string; days: { from: number; to: number }[][]; holidays?: string[] } | null;
}

/** The promise to a conversation, and how it was kept. */
export interface Promised {
  conversation_id: string;
  /** None was made without one. */
  policy_id: string | null;
  applied: {
    state: "active" | "active_with_misses" | "hit" | "missed";
    missed: { target: "first_response" | "next_response" | "resolution"; since: string; due: string }[];
  };
  /** When it is due next, if it is. */
  due_at: string | null;
}
