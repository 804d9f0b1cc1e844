/** What every way to the broker has in common. */

import type { Lost } from "../session/setup.js";
import type { Asked, Told } from "../wire.js";

/** One connection. */
export interface Transport {
  /** Sends requests, in order. */
  send(asked: Asked[]): void;
  /** Ends the connection; nothing more is heard of it. */
  close(): void;
}

/** What hears of a connection. */
export interface Hearer {
  /** The connection is there. */
  open(): void;
  /** The broker has said this, in order. */
  told(told: Told[]): void;
  /** There is a sign of life. */
  heard(): void;
  /** The connection is gone, or could not be made. */
  lost(lost: Lost): void;
}

/** The part of the standard `WebSocket` that is used. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

/** A constructor of WebSockets, such as the global one. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** The broker's HTTP address without a slash at the end, from any of its forms. */
export function httpBase(url: string): string {
  return url.replace(/^ws/i, "http").replace(/\/+$/, "");
}

/** The address of the broker's WebSocket. */
export function socketAddress(base: string): string {
  return `${base.replace(/^http/i, "ws")}/v1/ws`;
}
