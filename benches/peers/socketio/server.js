// A server of Socket.IO on Node that does the work of `sampan bench fanout --transport socketio`: a
// room per order, which `publish` speaks to. What it is asked to do is described at `Target::Peer`.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  socket.on("order:track", (id, ack) => {
    socket.join(`order:${id}`);
    ack?.({ ok: true });
  });
  socket.on("publish", (id, text) => {
    io.to(`order:${id}`).emit("bench", text);
  });
});

http.listen(0, "127.0.0.1", 16_384, () => {
  console.error(`listening http=127.0.0.1:${http.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
