//! The broker's end of a session under arbitrary frames and moments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::session::Server;
use sampan_protocol::session::server::{Accepted, Input, Output};
use sampan_protocol::{FrameReader, Now};

fn accepted(now: Now) -> Accepted {
    Accepted {
        user: "u".into(),
        role: "customer".into(),
        expires_ms: now.unix_ms + 90_000,
        session: 1,
        boot: 1,
        payload_bytes_max: 1 << 20,
        subscriptions_max: 16,
        keep_alive: Duration::from_secs(15),
    }
}

/// A stream of frames to a session whose tokens are all accepted; the first byte is the seconds
/// between two frames. The session ends at most once and says nothing after its end.
pub fn server_session(data: &[u8]) {
    let Some((seconds, stream)) = data.split_first() else { return };
    let mut now = Now { mono: Instant::now(), unix_ms: 1_767_182_400_000 };
    let (mut server, mut reader) = (Server::new(now), FrameReader::new(PAYLOAD_BYTES_MAX));
    reader.push(Bytes::copy_from_slice(stream));
    while let Some(input) =
        reader.next_frame().map_or_else(|e| Some(Input::Broken(e)), |f| f.map(Input::Frame))
    {
        if server.is_closed() {
            break;
        }
        let mut inputs = VecDeque::from([Input::Time, input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = VecDeque::new();
            server.handle(now, input, &mut out);
            let ends = out.iter().filter(|o| matches!(o, Output::Close { .. })).count();
            assert!(out.len() <= 4 && ends == usize::from(server.is_closed() && !out.is_empty()));
            let asked = out.iter().any(|o| matches!(o, Output::Authenticate { .. }));
            inputs.extend(asked.then(|| Input::Verdict(Ok(accepted(now)))));
        }
        now = now.after(Duration::from_secs(u64::from(*seconds)));
    }
}
