/** A conversation, as state of a component. */

import { useEffect, useMemo, useState } from "react";

import { Chat, type Room, type RoomState } from "../chat/index.js";
import { useSampan } from "./context.js";

/** What a component sees of a conversation, and does there. */
export interface ConversationHook extends RoomState {
  /** Says something. Rejects while there is no client. */
  send: Room["send"];
  type: Room["type"];
  read: Room["read"];
  earlier: Room["earlier"];
}

const NOTHING: RoomState = {
  ready: false, error: undefined, conversation: undefined, messages: [], outgoing: [], typing: [], place: undefined,
};
const NOWHERE = {
  send: () => Promise.reject(new Error("there is no conversation")),
  type: () => {},
  read: () => Promise.resolve(),
  earlier: () => Promise.resolve(false),
};

/** Looks at a conversation for as long as the component is there; `undefined` for none. */
export function useConversation(id: string | undefined): ConversationHook {
  const { client } = useSampan();
  const [room, setRoom] = useState<Room>();
  const [state, setState] = useState(NOTHING);
  useEffect(() => {
    setState(NOTHING);
    if (!client || id === undefined) return;
    const made = new Chat(client).room(id);
    const stop = made.onChange(setState);
    setRoom(made);
    return () => {
      stop();
      made.close();
      setRoom(undefined);
    };
  }, [client, id]);
  return useMemo(() => {
    const { send, type, read, earlier } = room ?? NOWHERE;
    return { ...state, send, type, read, earlier };
  }, [room, state]);
}
