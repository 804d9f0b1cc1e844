//! The simulator: the real shards, QUIC endpoints and client sessions, hundreds of them, on a seeded
//! network, with disks that fail and a broker that crashes, in virtual time.
//!
//! ```text
//! scenario/   what is played, under which seeds      check/    what every history must satisfy
//! world       one clock, stepped to what is due      history   what clients did and were told
//! net/        datagrams and what befalls them        app/      what clients do
//! broker/     shards, rings, disks, crash, drain     seat      one client at its place
//! ```
//!
//! **One seed is one run.** `scenario/same.rs` plays seeds twice and compares what was noted, line by
//! line: Sampan frames at the clients, messages between shards, timers, and what the network decided.
//! Packets are not noted, since TLS keys are random and their bytes differ; nothing that is decided
//! depends on them, because:
//!
//! | source of chance | what makes it the same |
//! | --- | --- |
//! | clocks | `Now` is an argument of everything; TLS and retry tokens are judged by a `WallClock` that is set from it; moments are whole multiples of 100 us since the start |
//! | sizes of handshakes | one Ed25519 key and certificate for every run; its signatures have one size |
//! | QUIC's packet numbers, challenges, padding, transport parameters | `EndpointConfig::rng_seed`, given with each client's and each process's seed |
//! | connection ids, reset and retry tokens, session tickets | seeded generators, and keys that follow from one fixed secret |
//! | backoff, producer ids, boot ids | seeds |
//! | fate of datagrams | by seed, client, direction and ordinal; as many lots are drawn for every datagram, whatever its size and fate, and a flipped bit stands at a share of the length |
//! | order of shards, rings and verdicts | lots of the broker process |
//! | maps with random hashers | none in the crates under test, which an architecture rule keeps |
//!
//! A flipped bit in a packet's sealed part fails its seal whatever the key; in the open part, which is
//! the same in both runs, it does the same both times.
//!
//! **A failure** prints its seed and the command that plays it again. `SIM_SEED` names one seed for all
//! scenarios that are run; `SIM_HISTORY` and `SIM_TRACE` are files to write the history and the trace to.

mod agenda;
mod app;
mod broker;
mod check;
mod history;
mod net;
mod payload;
mod scenario;
mod seat;
mod tls;
mod trace;
mod world;

use sampan_tests::chance;
