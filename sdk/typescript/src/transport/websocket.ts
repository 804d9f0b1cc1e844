/** `/v1/ws`: one WebSocket. */

import type { Asked, Told } from "../wire.js";
import { Pace } from "./pace.js";
import type { Hearer, Transport, WebSocketConstructor, WebSocketLike } from "./transport.js";

/** Requests of one frame. */
const LIST_MAX = 256;
/** Characters of one frame after which the next is begun. */
const FRAME_LENGTH = 256 * 1024;
/** How long a WebSocket that is tried may take. */
const PROBE_TIMEOUT_MS = 10_000;
/** What is added to a code of the protocol to make a close code. */
const CLOSE_CODES = 4000;

/** Opens a WebSocket to the broker. */
export function openWebSocket(url: string, WebSocket: WebSocketConstructor, hearer: Hearer): Transport {
  let socket: WebSocketLike | undefined = new WebSocket(url);
  const part = () => {
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    socket = undefined;
  };
  socket.onopen = () => hearer.open();
  socket.onmessage = ({ data }: { data: unknown }) => {
    const told = parse(data);
    if (told) return hearer.told(told);
    socket?.close();
    part();
    hearer.lost({ reason: "the broker broke the protocol" });
  };
  // What follows is a close, which says more.
  socket.onerror = () => {};
  socket.onclose = ({ code, reason }: { code?: number; reason?: string }) => {
    part();
    const known = code !== undefined && code > CLOSE_CODES && code < CLOSE_CODES + 1000;
    const refusal = known ? { refusal: { code: code - CLOSE_CODES, reason: reason ?? "" } } : {};
    hearer.lost({ ...refusal, reason: reason || `the WebSocket closed with ${code ?? "no code"}` });
  };
  let waiting: Asked[] = [];
  const pace = new Pace(performance.now());
  const flush = () => {
    const gathered = frames(waiting);
    waiting = [];
    pace.spend(gathered.length);
    gathered.forEach((frame) => socket?.send(frame));
  };
  const turn = () => {
    const wait = pace.wait(performance.now());
    if (wait > 0) setTimeout(turn, wait);
    else flush();
  };
  return {
    // What is asked in one go shares frames.
    send: (asked) => {
      if (waiting.length === 0 && asked.length > 0) queueMicrotask(turn);
      waiting.push(...asked);
    },
    close: () => {
      flush();
      const open = socket;
      part();
      // An error of a socket that nobody wants any more is of no interest.
      if (open) open.onerror = () => {};
      open?.close();
    },
  };
}

/** Whether a WebSocket can be made; one that takes too long cannot. */
export function probeWebSocket(
  url: string,
  WebSocket: WebSocketConstructor,
  patienceMs = PROBE_TIMEOUT_MS,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const end = (works: boolean) => {
      clearTimeout(timer);
      socket.onopen = socket.onclose = null;
      // An error of a socket that nobody wants any more is of no interest.
      socket.onerror = () => {};
      socket.close();
      resolve(works);
    };
    const timer = setTimeout(() => end(false), patienceMs);
    socket.onopen = () => end(true);
    socket.onerror = socket.onclose = () => end(false);
  });
}

/** What the broker says in one frame; `undefined` if that makes no sense. */
function parse(data: unknown): Told[] | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const told: unknown = JSON.parse(data);
    const list: unknown[] = Array.isArray(told) ? told : [told];
    return list.every((one) => typeof one === "object" && one !== null) ? (list as Told[]) : undefined;
  } catch {
    return undefined;
  }
}

/** Requests as frames: one object, or a list of them. */
export function frames(asked: Asked[]): string[] {
  const out: string[] = [];
  let [list, length]: [string[], number] = [[], 0];
  const end = () => {
    if (list.length > 0) out.push(list.length === 1 ? (list[0] ?? "") : `[${list.join(",")}]`);
    [list, length] = [[], 0];
  };
  for (const { id, name, body } of asked) {
    if (list.length >= LIST_MAX || length + body.length > FRAME_LENGTH) end();
    list.push(id > 0 ? `{"id":${id},"${name}":${body}}` : `{"${name}":${body}}`);
    length += body.length;
  }
  end();
  return out;
}
