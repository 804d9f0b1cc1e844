// Runs the same loads on Sampan and on Socket.IO on Node, and prints their figures side by side:
// `node compare.js SAMPAN [SECONDS]`. SAMPAN is a release build. Nothing else should run beside it.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [sampan, seconds = "10"] = process.argv.slice(2);
if (!sampan) {
  console.error("usage: node compare.js SAMPAN [SECONDS]");
  process.exit(2);
}
const server = fileURLToPath(new URL("server.js", import.meta.url));

/** One run of the load generator; its JSON report. */
function bench(work, transport, flags, isPeer) {
  const peer = isPeer ? ["--peer", `node ${server}`] : [];
  const args = ["bench", work, "--transport", transport, ...flags, "--seconds", seconds, "--json", ...peer];
  return JSON.parse(execFileSync(sampan, args, { stdio: ["ignore", "pipe", "inherit"] }));
}

const room = ["--connections", "9500", "--rooms", "1", "--rate", "1"];
const burst = ["--connections", "1000", "--rate", "0"];
const idle = ["--connections", "5000", "--rooms", "50", "--rate", "1"];
const peers = {
  room: bench("connections", "socketio", room, true),
  burst: bench("fanout", "socketio", burst, true),
  idle: bench("connections", "socketio", idle, true),
};
const ours = (work, transport, flags) => bench(work, transport, flags, false);

/** [what, unit, ours, peer's or nothing] */
const rows = [];
const add = (what, unit, figure, report, peer) =>
  rows.push([what, unit, report[figure], peer?.[figure], report.delivered_pct, peer?.delivered_pct]);
for (const transport of ["socketio", "ws", "sse"]) {
  const report = ours("connections", transport, room);
  add(`9,500 in one room, 1 msg/s (${transport}): server CPU per delivery`, "us", "server_us_per_delivery", report, peers.room);
  add(`the same (${transport}): p99`, "us", "p99_us", report, peers.room);
  add(`the same (${transport}): memory per connection`, "KiB", "kib_per_connection", report, peers.room);
}
for (const transport of ["ws", "socketio"]) {
  const report = ours("fanout", transport, burst);
  add(`burst to 1,000 (${transport})`, "/s", "deliveries_per_s", report, peers.burst);
  add(`the same (${transport}): server CPU per delivery`, "us", "server_us_per_delivery", report, peers.burst);
}
for (const transport of ["ws", "socketio"]) {
  const report = ours("connections", transport, idle);
  add(`5,000 in 50 rooms (${transport}): memory per connection`, "KiB", "kib_per_connection", report, peers.idle);
}
const latency = ours("latency", "ws", ["--connections", "10", "--rate", "1000"]);
add("QUIC publish to WebSocket receive, 1,000 msg/s to 10: p99", "us", "p99_us", latency);

console.log("| work | Sampan | Socket.IO on Node | ratio | delivered |\n| --- | --- | --- | --- | --- |");
for (const [what, unit, mine, theirs, pct, peerPct] of rows) {
  const ratio = theirs === undefined ? "" : (mine / theirs).toFixed(2);
  const both = peerPct === undefined ? `${pct} %` : `${pct} %, ${peerPct} %`;
  console.log(`| ${what} | ${mine} ${unit} | ${theirs === undefined ? "" : `${theirs} ${unit}`} | ${ratio} | ${both} |`);
}
