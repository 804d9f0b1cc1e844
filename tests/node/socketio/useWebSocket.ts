// hooks/useWebSocket.ts
import { useEffect, useRef, useState } from "react";
import { io, Socket } from "socket.io-client";

interface WebSocketHook {
  socket: Socket | null;
  connected: boolean;
  connect: (token: string) => void;
  disconnect: () => void;
  emit: (event: string, data: any) => void;
  on: (event: string, callback: (data: any) => void) => void;
  off: (event: string) => void;
}

export const useWebSocket = (): WebSocketHook => {
  const socketRef = useRef<Socket | null>(null);
  const [connected, setConnected] = useState(false);

  const connect = (token: string) => {
    if (socketRef.current?.connected) {
      return;
    }

    socketRef.current = io(
      process.env.NEXT_PUBLIC_WEBSOCKET_URL || "ws://localhost:3001",
      {
        auth: { token },
        transports: ["websocket", "polling"],
      },
    );

    socketRef.current.on("connect", () => {
      setConnected(true);
      console.log("WebSocket connected");
    });

    socketRef.current.on("disconnect", () => {
      setConnected(false);
      console.log("WebSocket disconnected");
    });

    socketRef.current.on("connect_error", (error) => {
      console.error("WebSocket connection error:", error);
    });
  };

  const disconnect = () => {
    if (socketRef.current) {
      socketRef.current.disconnect();
      socketRef.current = null;
      setConnected(false);
    }
  };

  const emit = (event: string, data: any) => {
    if (socketRef.current?.connected) {
      socketRef.current.emit(event, data);
    }
  };

  const on = (event: string, callback: (data: any) => void) => {
    socketRef.current?.on(event, callback);
  };

  const off = (event: string) => {
    socketRef.current?.off(event);
  };

  useEffect(() => {
    return () => {
      disconnect();
    };
  }, []);

  return {
    socket: socketRef.current,
    connected,
    connect,
    disconnect,
    emit,
    on,
    off,
  };
};
