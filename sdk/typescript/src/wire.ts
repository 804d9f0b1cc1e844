/** What client and broker say to each other, as `spec/bridge.md` has it. */

import type { Refusal } from "./error.js";

/** A message as it travels. */
export interface WireMessage {
  topic: string;
  epoch: number;
  offset: number;
  time_ms: number;
  event?: string;
  key?: string;
  version?: number;
  content_type?: string;
  content_encoding?: string;
  headers?: WireHeader[];
  payload?: unknown;
  payload_base64?: string;
  error?: Refusal;
}

/** A header of the application: a text, or bytes. */
export type WireHeader = [name: string, value: string | { base64: string }];

/** A message that a group hands out. */
export interface WireJob {
  consumer: number;
  attempt: number;
  handle: string;
  message: WireMessage;
}

/** The broker's greeting. */
export interface Welcome {
  session: string;
  boot: string;
  user: string;
  role: string;
  expires_ms: number;
  now_ms: number;
  payload_bytes_max: number;
  subscriptions_max: number;
  ping_every_ms: number;
}

/** What has happened to a publish. */
export interface WireAck {
  epoch: number;
  offset: number;
  duplicate: boolean;
  ack: AckLevel;
  stale?: boolean;
}

/** What an ack says of a message. */
export type AckLevel = "routed" | "logged" | "synced" | "replicated";

/** Offsets that will not come. */
export interface WireGap {
  topic: string;
  epoch: number;
  from: number;
  to: number;
  reason: string;
  lost: boolean;
}

/** What a consumer asks for. */
export interface Consume {
  group: string;
  topic: string;
  window?: number;
  last?: number;
  since?: number;
  order?: "any" | "key";
  ack_wait_ms?: number;
  attempts_max?: number;
}

/** A user who is present. */
export interface WireMember {
  user: string;
  role: string;
  sessions: number;
  since_ms: number;
}

/** Who is present on a topic. */
export interface WireMembers {
  topic: string;
  sequence: number;
  count: number;
  members: WireMember[];
}

/** How presence has changed since the sequence before. */
export interface WireChange {
  topic: string;
  sequence: number;
  count: number;
  joined: WireMember[];
  left: string[];
}

/** A page of kept messages. */
export interface WirePage {
  topic: string;
  epoch: number;
  floor: number;
  next: number;
  messages: WireMessage[];
}

/** The broker drains. */
export interface WireAway {
  code: number;
  reason: string;
  reconnect_within_ms: number;
  close_after_ms: number;
}

/** One thing that the broker says; the id is that of what it answers. */
export interface Told {
  id?: number;
  welcome?: Welcome;
  message?: WireMessage;
  gap?: WireGap;
  job?: WireJob;
  subscribed?: { joined_ms: number; positions: Record<string, string> };
  published?: WireAck;
  reply?: unknown;
  members?: WireMembers;
  members_changed?: WireChange;
  history?: WirePage;
  refreshed?: { expires_ms: number };
  settled?: { late: boolean };
  expiring?: { expires_ms: number };
  goaway?: WireAway;
  close?: Refusal;
  error?: Refusal;
  done?: unknown;
  pong?: unknown;
}

/** Where a subscription starts. */
export interface Start {
  last?: number;
  since?: number;
  positions?: Record<string, string>;
  joined_ms?: number;
}

/** One thing that the client asks; `body` is JSON. An id of 0 wants no answer. */
export interface Asked {
  id: number;
  name: string;
  body: string;
}

/** How the client reaches the broker. */
export type Via = "websocket" | "sse";
