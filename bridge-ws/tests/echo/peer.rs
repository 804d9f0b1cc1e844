//! The other end of a WebSocket, which sends any bytes.

use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long anything that must happen may take before the test fails. Not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opcode and payload.
pub(crate) type Frame = (u8, Vec<u8>);

/// One connection to a server of its own.
pub(crate) struct Peer {
    stream: TcpStream,
    server: JoinHandle<()>,
}

impl Peer {
    pub(crate) async fn connect(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("served");
        });
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("a head"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"));
        Peer { stream, server }
    }

    /// Sends bytes; the server may hang up meanwhile.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("taken");
    }

    /// The next frame, which is whole and not masked.
    pub(crate) async fn receive(&mut self) -> Frame {
        timeout(PATIENCE, self.frame()).await.expect("in time").expect("a frame")
    }

    async fn frame(&mut self) -> std::io::Result<Frame> {
        let first = self.stream.read_u8().await?;
        assert_eq!(first & 0xf0, 0x80, "final, no reserved bits");
        let length = match self.stream.read_u8().await? {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        assert!(length < 1 << 20, "no mask, and no more than was sent");
        let mut payload = vec![0; usize::try_from(length).expect("small")];
        self.stream.read_exact(&mut payload).await?;
        Ok((first & 0x0f, payload))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A frame with this first byte, masked.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => out.push(0x80 | length),
        (_, Ok(length)) => {
            out.push(0x80 | 126);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// A whole message, or the last fragment of one.
pub(crate) fn fin(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x80 | opcode, payload)
}

/// A fragment that others follow.
pub(crate) fn part(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(opcode, payload)
}
