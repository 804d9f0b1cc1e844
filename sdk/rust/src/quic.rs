//! The QUIC transport: a control stream both ways, a publish stream out, delivery lanes and
//! datagrams in. One task reads each stream; each awaits only its own stream, so that a stalled
//! lane holds up nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::limits::PAYLOAD_BYTES_MAX;
use protocol::session::client::{Channel, Lost};
use protocol::{Code, Frame, FrameReader};

use crate::endpoint::Endpoint;
use crate::shared::Shared;
use crate::transport::{Carrier, Wire};

/// Chunks taken from a stream at once; each is about one packet.
const CHUNKS: usize = 64;
/// Bytes of publishes handed to quinn in one go.
const WRITE_BYTES: usize = 256 * 1024;
/// How long the end of a connection may come after the end of its control stream.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Connects, opens the control stream and starts the connection's tasks.
pub(crate) async fn dial(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    number: u32,
) -> Result<(), Lost> {
    let connection = endpoint.connect(host, port).await?;
    let (send, receive) = connection.open_bi().await.map_err(|error| ended(&error))?;
    let wire = Wire::new(number, Carrier::Quic(connection.clone()), 2);
    if !shared.install(&wire) {
        connection.close(quinn::VarInt::from_u32(Code::CLOSED.0.into()), b"not wanted any more");
        return Ok(());
    }
    tokio::spawn(write_control(shared.clone(), wire.clone(), send));
    tokio::spawn(read_control(shared.clone(), wire.clone(), receive));
    tokio::spawn(write_publishes(shared.clone(), wire.clone(), connection.clone()));
    tokio::spawn(attend(shared.clone(), wire, connection));
    Ok(())
}

/// Accepts lanes and datagrams until the connection ends, and reports its end.
async fn attend(shared: Arc<Shared>, wire: Arc<Wire>, connection: quinn::Connection) {
    let error = loop {
        tokio::select! {
            lane = connection.accept_uni() => match lane {
                Ok(lane) => {
                    tokio::spawn(read(shared.clone(), wire.clone(), lane, Channel::Lane));
                }
                Err(error) => break error,
            },
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => take_datagrams(&shared, &wire, datagram),
                Err(error) => break error,
            },
        }
    };
    shared.lost(wire.number, ended(&error));
}

fn take_datagrams(shared: &Arc<Shared>, wire: &Wire, datagram: Bytes) {
    // A datagram that is no frame is dropped as if the network had dropped it.
    if let Ok(frame) = Frame::decode(datagram, PAYLOAD_BYTES_MAX) {
        let mut frames = vec![frame];
        shared.frames(wire.number, Channel::Datagram, &mut frames);
    }
}

async fn read_control(shared: Arc<Shared>, wire: Arc<Wire>, stream: quinn::RecvStream) {
    read(shared.clone(), wire.clone(), stream, Channel::Control).await;
    // The broker ends this stream together with the connection, whose code says more.
    tokio::time::sleep(CLOSE_GRACE).await;
    let reason = "the broker ended the control stream".to_owned();
    shared.lost(wire.number, Lost { reason, ..Lost::default() });
}

/// Cuts one stream into frames and hands them to the session in batches.
async fn read(
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    mut stream: quinn::RecvStream,
    channel: Channel,
) {
    let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
    let mut frames = Vec::new();
    loop {
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let Ok(Some(count)) = stream.read_chunks(&mut chunks).await else { return };
        let mut broken = None;
        for chunk in chunks.iter_mut().take(count) {
            reader.push(std::mem::take(chunk));
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                }
            }
        }
        let full = shared.frames(wire.number, channel, &mut frames);
        if let Some(error) = broken {
            return shared.with(|core, now| core.session.broken(now, wire.number, &error));
        }
        for queue in full {
            queue.room().await;
        }
    }
}

async fn write_control(shared: Arc<Shared>, wire: Arc<Wire>, mut stream: quinn::SendStream) {
    loop {
        let mut notified = std::pin::pin!(shared.control_wake.notified());
        notified.as_mut().enable();
        if wire.is_closed() {
            break;
        }
        let (mut frames, finishing) = {
            let mut core = shared.lock();
            if !core.is_current(&wire) {
                break;
            }
            let mut frames = std::mem::take(&mut core.control);
            frames.extend(core.session.settlements());
            (frames, core.finishing)
        };
        if !frames.is_empty() {
            if stream.write_all_chunks(&mut frames).await.is_err() {
                break;
            }
        } else if finishing {
            let _ = stream.finish();
            let _ = stream.stopped().await;
            break;
        } else {
            notified.await;
        }
    }
    // A permit taken on the way out belongs to the writer of the next connection.
    shared.control_wake.notify_one();
    wire.writer_done();
}

async fn write_publishes(shared: Arc<Shared>, wire: Arc<Wire>, connection: quinn::Connection) {
    let mut stream: Option<quinn::SendStream> = None;
    let mut chunks = Vec::new();
    loop {
        let mut notified = std::pin::pin!(shared.publish_wake.notified());
        notified.as_mut().enable();
        if wire.is_closed() {
            break;
        }
        let finishing = {
            let mut core = shared.lock();
            if !core.is_current(&wire) {
                break;
            }
            let mut bytes = 0;
            while bytes < WRITE_BYTES
                && let Some(chunk) = core.session.publishes()
            {
                bytes += chunk.len();
                chunks.push(chunk);
            }
            core.finishing
        };
        if chunks.is_empty() {
            if finishing {
                if let Some(mut stream) = stream.take() {
                    let _ = stream.finish();
                    let _ = stream.stopped().await;
                }
                break;
            }
            notified.await;
            continue;
        }
        let open = match stream.take() {
            Some(open) => open,
            None => match connection.open_uni().await {
                Ok(open) => open,
                Err(_) => break,
            },
        };
        let open = stream.insert(open);
        if open.write_all_chunks(&mut chunks).await.is_err() {
            break;
        }
        chunks.clear();
        // Publishers without ack wait for this.
        shared.room.notify_waiters();
    }
    shared.publish_wake.notify_one();
    wire.writer_done();
}

/// What the session is told about the end of a connection.
pub(crate) fn ended(error: &quinn::ConnectionError) -> Lost {
    use quinn::ConnectionError as E;
    // QUIC carries TLS alerts in this range: certificate or protocol were refused.
    let crypto = |code: quinn::TransportErrorCode| (0x100..0x200).contains(&u64::from(code));
    let code = match error {
        E::ApplicationClosed(close) => u16::try_from(close.error_code.into_inner()).ok().map(Code),
        _ => None,
    };
    let hopeless = match error {
        E::VersionMismatch => true,
        E::TransportError(error) => crypto(error.code),
        E::ConnectionClosed(close) => crypto(close.error_code),
        _ => false,
    };
    let reason = match error {
        E::ApplicationClosed(close) if !close.reason.is_empty() => {
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        error => error.to_string(),
    };
    Lost { code, reason, hopeless }
}
