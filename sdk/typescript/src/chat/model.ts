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
