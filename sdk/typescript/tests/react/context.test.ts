import assert from "node:assert/strict";
import test from "node:test";

import { SampanProvider, useSampan } from "@sampan/client/react";
import { createElement } from "react";
import { settled, show } from "./dom.js";

/** A socket that never opens, until it is closed. */
class Socket {
  static all: Socket[] = [];
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose: ((event: never) => void) | null = null;

  constructor() {
    Socket.all.push(this);
  }

  send(): void {}

  close(): void {}
}

test("a fresh token comes from the function of the last render, and that makes no client", async () => {
  const asked: string[] = [];
  let name = "first";
  const hook = await show(useSampan, (child) => {
    const mine = name;
    const token = () => {
      asked.push(mine);
      return mine;
    };
    return createElement(SampanProvider, { options: { url: "ws://broker", fetch: false, WebSocket: Socket, token } }, child);
  });
  await settled(() => hook.now().client !== undefined && Socket.all.at(-1)?.onclose != null, "a socket");
  const { client } = hook.now();
  name = "second";
  await hook.again();
  const before = asked.length;
  Socket.all.at(-1)?.onclose?.({ code: 4401, reason: "" } as never);
  await settled(() => asked.length > before, "a fresh token");
  assert.equal(asked.at(-1), "second");
  assert.equal(hook.now().client, client);
  await hook.hide();
});
