/**
 * Hooks for React.
 *
 * @module
 */

export { type ConversationHook, useConversation } from "./chat.js";
export { type ProviderProps, SampanProvider, useSampan } from "./context.js";
export { type WebSocketHook, useWebSocket } from "./socket.js";
export { type PresenceState, type TopicState, type UseTopicOptions, usePresence, useTopic } from "./topic.js";
