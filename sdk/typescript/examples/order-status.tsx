// A component of a page, as for Next.js: an order's status and chat, live.
"use client";

import { SampanProvider, usePresence, useSampan, useTopic, useWebSocket } from "@sampan/client/react";
import { topic } from "@sampan/client";
import { useEffect, useState } from "react";

interface Status {
  current_status: string;
}

/** Gets a fresh token of whoever is signed in, from the shop's own server. */
async function fetchToken(): Promise<string> {
  return (await fetch("/api/sampan-token", { method: "POST" })).text();
}

const options = { url: "http://localhost:3001", token: fetchToken };

/** The page: one client for everything below. */
export default function OrderPage({ order }: { order: string }) {
  return (
    <SampanProvider options={options}>
      <Connection />
      <OrderStatus order={order} />
    </SampanProvider>
  );
}

function Connection() {
  const { status } = useSampan();
  return <p>{status?.connected ? "live" : (status?.error?.message ?? "connecting")}</p>;
}

function OrderStatus({ order }: { order: string }) {
  const { messages, error } = useTopic<Status>(topic("order", order), { from: { last: 1 }, keep: 1 });
  const { count } = usePresence(topic("chat.conversation", order));
  if (error) return <p role="alert">{error.message}</p>;
  return (
    <p>
      {messages[0]?.payload.current_status ?? "no news yet"}, {count} here
    </p>
  );
}

/** The same for code that speaks of sockets and events. */
export function Stock({ product, token }: { product: string; token: string }) {
  const { connected, connect, emit, on, off } = useWebSocket();
  const [left, setLeft] = useState<number>();
  useEffect(() => {
    const update = (data: { available_quantity: number }) => setLeft(data.available_quantity);
    on("inventory_update", update);
    connect(token);
    emit("product:track", product);
    return () => {
      emit("product:untrack", product);
      off("inventory_update", update);
    };
  }, [product, token, connect, emit, on, off]);
  return <p>{connected ? `${left ?? "?"} left` : "connecting"}</p>;
}
