// Engine.IO and Socket.IO by hand, as a test of a server speaks them.

import WebSocket from "ws";
import { next } from "../broker.js";

/** What stands between two packets of one body. */
export const BETWEEN = "\x1e";

/** The address of a transport, with this query. */
export function address(broker, query) {
  return `${broker.url}/socket.io/?${new URLSearchParams(query)}`;
}

/** A connection that polls. */
export class Polling {
  constructor(broker, sid) {
    this.url = address(broker, { EIO: "4", transport: "polling", sid });
    this.sid = sid;
  }

  static async open(broker) {
    const response = await fetch(address(broker, { EIO: "4", transport: "polling" }));
    const open = JSON.parse((await response.text()).slice(1));
    return Object.assign(new Polling(broker, open.sid), { open });
  }

  get(options) {
    return fetch(this.url, options);
  }

  async poll() {
    const response = await this.get();
    return { status: response.status, packets: (await response.text()).split(BETWEEN) };
  }

  async post(body, headers = {}) {
    const response = await fetch(this.url, { method: "POST", body, headers });
    return { status: response.status, text: await response.text() };
  }

  /** Polls until a packet comes that is no ping. */
  async packet() {
    this.waiting ??= [];
    while (this.waiting.length === 0) {
      const { status, packets } = await this.poll();
      if (status !== 200) throw new Error(`status ${status}`);
      this.waiting = packets.filter((packet) => packet !== "2");
    }
    return this.waiting.shift();
  }
}

/** A connection on a WebSocket; every message is kept until it is asked for. */
export class Socket {
  #messages = [];
  #wake;

  constructor(broker, query = {}, options = {}) {
    const url = address(broker, { EIO: "4", transport: "websocket", ...query });
    this.ws = new WebSocket(url.replace("http", "ws"), options);
    this.ws.on("message", (data, isBinary) => {
      this.#messages.push(isBinary ? data : data.toString());
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      this.ws.on("close", resolve);
      this.ws.on("error", () => {});
    });
  }

  /** Opened, and in the namespace if there is a token. */
  static async open(broker, token) {
    const socket = new Socket(broker);
    socket.handshake = JSON.parse((await socket.message()).slice(1));
    if (token) {
      socket.send(`40${JSON.stringify({ token })}`);
      socket.connected = JSON.parse((await socket.message()).slice(2));
    }
    return socket;
  }

  send(data) {
    this.ws.send(data);
  }

  async message() {
    while (this.#messages.length === 0) {
      await Promise.race([
        new Promise((resolve) => (this.#wake = resolve)),
        this.closed.then((code) => Promise.reject(new Error(`closed with ${code}`))),
      ]);
    }
    return this.#messages.shift();
  }

  close() {
    this.ws.terminate();
  }

  opened() {
    return next(this.ws, "open");
  }
}
