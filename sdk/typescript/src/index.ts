/**
 * The client of the Sampan message broker, for browsers, Node and React Native.
 *
 * @module
 */

export { type EventMap, type HistoryOptions, type Options, type Page, type Reply, Sampan, type Status } from "./client.js";
export { CODES, type Fault, type Reaction, codeName, faultOf, isRetryable, reaction } from "./code.js";
export type { ConsumeOptions, Consumer, HandleOptions, Job, Worker } from "./consumer.js";
export type { TokenProvider } from "./driver.js";
export { type ErrorKind, SampanError } from "./error.js";
export type { Ack, Gap, Header, Message, PublishOptions } from "./message.js";
export { type Position, parsePosition, positionText } from "./position.js";
export type { Member, Members, MembersListener, Presence, Standing } from "./presence.js";
export { type Acknowledge, type EventListener, EventSocket, type SocketState } from "./socket.js";
export type { State } from "./session/output.js";
export type { From, Joined, MessageListener, Place, SubscribeOptions, Subscription } from "./subscription.js";
export { Pattern, type TopicFault, idOf, patternFault, token, topic, topicFault } from "./topic.js";
export type { Fetch } from "./transport/http.js";
export type { WebSocketConstructor, WebSocketLike } from "./transport/transport.js";
export type { AckLevel, Via } from "./wire.js";
