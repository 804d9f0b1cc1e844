/** A page for React, and what a component sees. */

import { JSDOM } from "jsdom";

const { window } = new JSDOM('<!doctype html><main id="root"></main>', { url: "http://localhost:3000" });
Object.assign(globalThis, { window, document: window.document });
// Later versions of Node have one of their own, which cannot be assigned.
if (!globalThis.navigator) Object.assign(globalThis, { navigator: window.navigator });

const { createElement, StrictMode, useEffect } = await import("react");
const { createRoot } = await import("react-dom/client");

/** A component that is shown, and what its hook gave with every render. */
export interface Shown<T> {
  /** What the hook gave last. */
  now(): T;
  /** What it gave with each render. */
  all: T[];
  /** Shows it again, with the same hook. */
  again(): Promise<void>;
  /** Takes it away. */
  hide(): Promise<void>;
}

/** Shows a component that uses a hook, as strictly as React can. */
export async function show<T>(hook: () => T, wrap: (child: React.ReactNode) => React.ReactNode = (child) => child): Promise<Shown<T>> {
  const all: T[] = [];
  let effects = 0;
  const Component = () => {
    all.push(hook());
    useEffect(() => {
      effects += 1;
    });
    return null;
  };
  const root = createRoot(window.document.createElement("div"));
  const render = () => {
    const before = effects;
    root.render(createElement(StrictMode, null, wrap(createElement(Component))));
    return settled(() => effects > before, "the effects of a render");
  };
  await render();
  return {
    now: () => all.at(-1) as T,
    all,
    again: render,
    hide: async () => {
      root.unmount();
      await turn();
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

/** Lets the page go on until the condition holds. */
export async function settled(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`it never came: ${what}`);
    await turn();
  }
}
