/**
 * The chat service, typed: conversations, messages, receipts, who types.
 *
 * @module
 */

export { Chat, type HandOver, type OpenOptions, type Questions, type Rate } from "./chat.js";
export type * from "./model.js";
export { Room, type RoomState, type Saying } from "./room.js";
