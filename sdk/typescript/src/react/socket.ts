/** The hook for code that speaks of sockets and events. */

import { useEffect, useState, useSyncExternalStore } from "react";

import { EventSocket, type EventListener, type Options, type TokenProvider } from "../index.js";

/** What the hook gives. Its functions are the same with every render. */
export interface WebSocketHook {
  /** The socket; nothing before `connect`. */
  socket: EventSocket | null;
  /** Whether events reach the broker. */
  connected: boolean;
  /** Connects; the same token again changes nothing. */
  connect: (token: string | TokenProvider) => void;
  /** Ends the session. */
  disconnect: () => void;
  /** Says an event; without a connection it waits for one. */
  emit: EventSocket["emit"];
  /** Adds a listener, also before `connect`; it stays over reconnects. */
  on: (event: string, callback: EventListener) => void;
  /** Takes away this hook's listeners for an event, or one of them. */
  off: (event: string, callback?: EventListener) => void;
}

declare const process: { env: { NEXT_PUBLIC_WEBSOCKET_URL?: string } };

/** The broker's address, as bundlers put it in. */
function address(): string {
  try {
    return process.env.NEXT_PUBLIC_WEBSOCKET_URL || "ws://localhost:3001";
  } catch {
    return "ws://localhost:3001";
  }
}

/** A socket of named events, for as long as the component is there. */
export const useWebSocket = (options: Partial<Omit<Options, "token">> = {}): WebSocketHook => {
  const [socket] = useState(() => new EventSocket({ ...options, url: options.url ?? address() }));
  const state = useSyncExternalStore(socket.watch, () => socket.state, () => socket.state);
  useEffect(() => socket.destroy, [socket]);
  const { connect, disconnect, emit, on, off } = socket;
  return { socket: state.open ? socket : null, connected: state.connected, connect, disconnect, emit, on, off };
};
