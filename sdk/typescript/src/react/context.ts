/** The client that a tree of components shares. */

import { type ReactNode, createContext, createElement, useContext, useEffect, useRef, useState } from "react";

import { type Options, Sampan, type Status } from "../index.js";

const Context = createContext<Sampan | undefined>(undefined);

/** What a provider is given: a client that is there, or what one is to be made of. */
export interface ProviderProps {
  /** A client whose life is not the provider's matter. */
  client?: Sampan;
  /** What a client is made of; another `url`, or another token that is a text, makes another. */
  options?: Options;
  children?: ReactNode;
}

/** Makes one client for the components below it, and ends it when it is taken away. */
export function SampanProvider({ options, client, children }: ProviderProps): ReactNode {
  const [own, setOwn] = useState<Sampan>();
  const url = options?.url;
  // A function that is new with every render takes the place of the one before, and makes no client.
  const token = typeof options?.token === "function" ? "function" : options?.token;
  const latest = useRef(options?.token);
  useEffect(() => {
    latest.current = options?.token;
  });
  useEffect(() => {
    if (!options || client) return;
    const newest = () => (typeof latest.current === "function" ? latest.current() : (latest.current ?? ""));
    const made = new Sampan({ ...options, token: typeof options.token === "function" ? newest : options.token });
    made.connect().catch(() => {});
    setOwn(made);
    return () => {
      made.end();
      setOwn(undefined);
    };
    // Other options are those of the first render.
  }, [url, token, client]);
  return createElement(Context.Provider, { value: client ?? own }, children);
}

/** The client of the provider above, and how it stands; nothing before the provider has made one. */
export function useSampan(): { client: Sampan | undefined; status: Status | undefined } {
  const client = useContext(Context);
  const [status, setStatus] = useState(client?.status);
  useEffect(() => {
    setStatus(client?.status);
    return client?.onStatus(setStatus);
  }, [client]);
  return { client, status };
}
