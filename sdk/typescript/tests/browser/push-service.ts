/** A push service for Firefox: it speaks autopush with the browser, and RFC 8030 with the shop. */

import { randomUUID } from "node:crypto";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { type WebSocket, WebSocketServer } from "ws";

/** What a browser says. */
interface Said {
  messageType?: "hello" | "register" | "unregister" | "ack" | "nack";
  channelID?: string;
  /** Whose messages the channel takes, base64url. */
  key?: string;
  updates?: { version: string; code: number }[];
  code?: number;
}

/** A running service with one browser. */
export class PushService {
  readonly #server: Server;
  readonly #channels = new Map<string, { key: string | undefined; browser: WebSocket }>();
  /** What the browser says of each message, by its own codes. */
  readonly heard: number[] = [];
  /** Whether it changes what it is given. */
  isGarbling = false;

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (request, response) => this.#take(request, response));
    const sockets = new WebSocketServer({ server, handleProtocols: () => "push-notification" });
    sockets.on("connection", (browser) => {
      browser.on("message", (data) => this.#hear(browser, JSON.parse(String(data)) as Said));
    });
  }

  static async open(): Promise<PushService> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new PushService(server);
  }

  /** Its host and port. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many subscriptions there are. */
  get channels(): number {
    return this.#channels.size;
  }

  #hear(browser: WebSocket, said: Said): void {
    const { messageType, channelID = "", key, updates = [], code } = said;
    const say = (answer: object) => browser.send(JSON.stringify({ messageType, status: 200, ...answer }));
    switch (messageType) {
      case "hello":
        return say({ uaid: randomUUID().replaceAll("-", ""), use_webpush: true, broadcasts: {} });
      case "register":
        this.#channels.set(channelID, { key: key?.replace(/=+$/, ""), browser });
        return say({ channelID, pushEndpoint: `http://${this.host}/p/${channelID}` });
      case "unregister":
        this.#channels.delete(channelID);
        return say({ channelID });
      case "ack":
        return void this.heard.push(...updates.map((update) => update.code));
      case "nack":
        return void this.heard.push(code ?? 0);
      default:
        return void browser.send("{}");
    }
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let data = "";
    for await (const part of request.setEncoding("base64url")) data += part as string;
    const { authorization = "", "content-encoding": encoding, ttl } = request.headers;
    const channelID = request.url?.replace("/p/", "") ?? "";
    const channel = this.#channels.get(channelID);
    const say = (status: number) => response.writeHead(status, { location: `http://${this.host}/m/1` }).end();
    if (!channel) return void say(410);
    if (ttl === undefined || encoding !== "aes128gcm") return void say(400);
    if (/^vapid t=[^,]+, ?k=(.+)$/.exec(authorization)?.[1] !== channel.key) return void say(403);
    if (this.isGarbling) data = `${data.slice(0, -1)}${data.endsWith("A") ? "Q" : "A"}`;
    const told = { messageType: "notification", channelID, version: randomUUID(), ttl: Number(ttl), data, headers: { encoding } };
    channel.browser.send(JSON.stringify(told));
    say(201);
  }

  close(): void {
    this.#channels.forEach(({ browser }) => browser.terminate());
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
