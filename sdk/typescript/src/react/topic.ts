/** Messages and presence of a topic, as state of a component. */

import { useEffect, useRef, useState } from "react";

import type { From, Gap, Members, Message, SampanError } from "../index.js";
import { useSampan } from "./context.js";

/** How a topic is read. */
export interface UseTopicOptions<T> {
  /** Where it starts. Default: now. A change has no effect on a subscription that stands. */
  from?: From;
  /** Messages that are kept, the newest. Default 100. */
  keep?: number;
  /** Hears of every message. */
  onMessage?: (message: Message<T>) => void;
  /** Hears of offsets that will not come. */
  onGap?: (gap: Gap) => void;
}

/** What a component sees of a topic. */
export interface TopicState<T> {
  /** The newest messages, oldest first. */
  messages: readonly Message<T>[];
  /** Whether the broker has confirmed the subscription. */
  ready: boolean;
  /** Why it is over, if it is. */
  error: SampanError | undefined;
}

const KEEP = 100;
const NOTHING = { messages: [], ready: false, error: undefined };

/** Subscribes to a topic or pattern for as long as the component is there; `undefined` for none. */
export function useTopic<T = unknown>(topic: string | undefined, options: UseTopicOptions<T> = {}): TopicState<T> {
  const { client } = useSampan();
  const [state, setState] = useState<TopicState<T>>(NOTHING);
  // Listeners that are new with every render end nothing.
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  useEffect(() => {
    setState(NOTHING);
    if (!client || topic === undefined) return;
    let isHere = true;
    const change = (part: (before: TopicState<T>) => Partial<TopicState<T>>) => {
      if (isHere) setState((before) => ({ ...before, ...part(before) }));
    };
    const take = (message: Message<T>) => {
      latest.current.onMessage?.(message);
      const keep = latest.current.keep ?? KEEP;
      change(({ messages }) => ({ messages: [...messages, message].slice(-keep) }));
    };
    const subscription = client.subscribe<T>(
      topic,
      {
        from: latest.current.from,
        onGap: (gap) => latest.current.onGap?.(gap),
        onEnd: (error) => change(() => ({ ready: false, error })),
      },
      take,
    );
    subscription.ready.then(
      () => change(() => ({ ready: true })),
      () => {},
    );
    return () => {
      isHere = false;
      subscription.close();
    };
  }, [client, topic]);
  return state;
}

/** What a component sees of a topic's presence. */
export interface PresenceState extends Members {
  /** Why it is not watched any more, if it is not. */
  error: SampanError | undefined;
}

const NOBODY = { count: 0, members: [], error: undefined };

/** Watches who is present in a topic; with `enter` the user is present too, while the component is there. */
export function usePresence(topic: string | undefined, { enter = false }: { enter?: boolean } = {}): PresenceState {
  const { client } = useSampan();
  const [state, setState] = useState<PresenceState>(NOBODY);
  useEffect(() => {
    setState(NOBODY);
    if (!client || topic === undefined) return;
    const presence = client.presence(topic);
    let isHere = true;
    const failed = (error: SampanError) => isHere && setState((before) => ({ ...before, error }));
    const watch = presence.watch((members) => isHere && setState({ ...members, error: undefined }), failed);
    const entry = enter ? presence.enter(failed) : undefined;
    return () => {
      isHere = false;
      watch.close();
      entry?.close();
    };
  }, [client, topic, enter]);
  return state;
}
