// The hook of the requirements, unchanged, in React, against a real broker.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, it } from "node:test";
import { JSDOM } from "jsdom";
import ts from "typescript";
import { Broker, until } from "../broker.js";

const here = (path) => new URL(path, import.meta.url);

/** The hook as a module that Node can load, where it finds what it imports. */
async function hook() {
  const source = readFileSync(here("useWebSocket.ts"), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  mkdirSync(here("../node_modules/.sampan/"), { recursive: true });
  const file = here("../node_modules/.sampan/useWebSocket.mjs");
  writeFileSync(file, outputText);
  return (await import(file)).useWebSocket;
}

let broker, React, createRoot, useWebSocket;
before(async () => {
  broker = await Broker.start();
  const { window } = new JSDOM("<!doctype html><div id=root></div>", { url: "http://localhost:3000" });
  const { document, navigator } = window;
  Object.assign(globalThis, { window, document, navigator, IS_REACT_ACT_ENVIRONMENT: true });
  process.env.NEXT_PUBLIC_WEBSOCKET_URL = broker.url.replace("http", "ws");
  React = await import("react");
  ({ createRoot } = await import("react-dom/client"));
  useWebSocket = await hook();
});
after(() => broker.stop());

/** Renders the hook, strictly or not. What it gives is in `.current`. */
async function render(t, isStrict) {
  const given = {};
  const Page = () => {
    given.current = useWebSocket();
    return React.createElement("p", null, given.current.connected ? "connected" : "offline");
  };
  const page = React.createElement(Page);
  const element = isStrict ? React.createElement(React.StrictMode, null, page) : page;
  const place = document.createElement("div");
  const root = createRoot(place);
  await React.act(() => root.render(element));
  t.after(() => React.act(() => root.unmount()));
  const settle = (what, holds) =>
    until(what, async () => {
      await React.act(() => new Promise((resolve) => setTimeout(resolve, 10)));
      return holds();
    });
  return { given, place, root, settle };
}

for (const isStrict of [false, true]) {
  it(`connects, hears, says and leaves${isStrict ? ", in StrictMode too" : ""}`, async (t) => {
    const { given, place, settle } = await render(t, isStrict);
    // Of a product, who joins hears the last value.
    const [user, product] = isStrict ? ["ann", "7"] : ["bob", "8"];
    assert.equal(place.textContent, "offline");
    await React.act(() => given.current.connect(broker.token(user)));
    await settle("connected", () => place.textContent === "connected");

    const heard = [];
    given.current.on("order_status_update", (update) => heard.push(update));
    given.current.emit("order:track", "42");
    const { socket } = given.current;
    // What is answered next comes after the join; who tracks an order must be let in to it.
    const answer = await socket.emitWithAck("product:track", product);
    assert.equal(answer.ok, true);
    given.current.on("inventory_update", (update) => heard.push(update));
    await broker.publish(`user.${user}`, "order_status_update", { current_status: "shipped" });
    await broker.publish(`inventory.product.${product}`, "inventory_update", { available_quantity: 1 });
    await settle("both", () => heard.length === 2);
    assert.deepEqual(heard, [{ current_status: "shipped" }, { available_quantity: 1 }]);

    given.current.off("order_status_update");
    await broker.publish(`user.${user}`, "order_status_update", {});
    await broker.publish(`inventory.product.${product}`, "inventory_update", { available_quantity: 0 });
    await settle("the third", () => heard.length === 3);

    await React.act(() => given.current.disconnect());
    await settle("offline", () => place.textContent === "offline");
    assert.equal(socket.connected, false);
  });
}

it("leaves when the page goes", async (t) => {
  const { given, place, root, settle } = await render(t, true);
  await React.act(() => given.current.connect(broker.token("ann")));
  await settle("connected", () => place.textContent === "connected");
  const open = async () =>
    (await broker.metric("sampan_bridge_socketio_opened_total")) -
    (await broker.metric("sampan_bridge_socketio_ended_total"));
  await until("only this one is open", async () => (await open()) === 1);
  await React.act(() => root.unmount());
  await until("the connection has ended", async () => (await open()) === 0);
});

it("is not connected with a token that is refused", async (t) => {
  const { given, place, settle } = await render(t, false);
  const said = t.mock.method(console, "error", () => {});
  await React.act(() => given.current.connect("bad"));
  await settle("refused", () =>
    said.mock.calls.some(({ arguments: [, error] }) => error?.message === "Authentication failed"));
  assert.equal(place.textContent, "offline");
  given.current.disconnect();
});
