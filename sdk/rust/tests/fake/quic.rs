//! The fake broker behind real QUIC.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use protocol::link::{Broker, Sink};
use protocol::{Code, FrameReader, Kind};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Fake;

/// A listening broker.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: String,
    pub(crate) endpoint: quinn::Endpoint,
}

impl Served {
    pub(crate) fn url(&self) -> String {
        format!("quic://localhost:{}", self.address.port())
    }
}

/// Serves the broker on a free port of the loopback address, from tasks of this runtime.
pub(crate) fn serve(broker: &Fake) -> Served {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("certified");
    let certificate = key.cert.pem();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("supported")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.expect("a key"))
        .expect("they fit");
    tls.alpn_protocols = vec![protocol::ALPN.to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).expect("supported");
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let endpoint = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into()).expect("bound");
    let address = endpoint.local_addr().expect("bound");
    tokio::spawn(accept(endpoint.clone(), broker.clone()));
    Served { address, certificate, endpoint }
}

async fn accept(endpoint: quinn::Endpoint, broker: Fake) {
    while let Some(incoming) = endpoint.accept().await {
        let broker = broker.clone();
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                attend(connection, broker).await;
            }
        });
    }
}

enum Out {
    Frames(Bytes),
    Close(Code),
}

struct Streams(UnboundedSender<Out>);

impl Sink for Streams {
    fn offer(&mut self, chunk: &Bytes) -> bool {
        let _ = self.0.send(Out::Frames(chunk.clone()));
        true
    }

    fn closed(&mut self, code: Code) {
        let _ = self.0.send(Out::Close(code));
    }
}

async fn attend(connection: quinn::Connection, broker: Fake) {
    let Ok((send, receive)) = connection.accept_bi().await else { return };
    let (out, chunks) = unbounded_channel();
    let link = broker.attach("quic", Box::new(Streams(out))).expect("attached");
    tokio::spawn(write(connection.clone(), send, chunks));
    let link: Arc<dyn protocol::link::Link> = link.into();
    tokio::spawn(read(receive, link.clone()));
    while let Ok(stream) = connection.accept_uni().await {
        tokio::spawn(read(stream, link.clone()));
    }
}

async fn read(mut stream: quinn::RecvStream, link: Arc<dyn protocol::link::Link>) {
    let mut reader = FrameReader::new(1 << 20);
    while let Ok(Some(chunk)) = stream.read_chunk(1 << 16, true).await {
        reader.push(chunk.bytes);
        while let Some(frame) = reader.next_frame().expect("valid") {
            link.send(frame.to_bytes());
        }
    }
}

async fn write(
    connection: quinn::Connection,
    mut control: quinn::SendStream,
    mut chunks: UnboundedReceiver<Out>,
) {
    let mut lane = None;
    while let Some(out) = chunks.recv().await {
        match out {
            Out::Frames(chunk) => {
                let kind = chunk.first().and_then(|kind| Kind::from_number(*kind));
                let delivery = matches!(kind, Some(Kind::Topic | Kind::Deliver | Kind::Gap));
                if delivery && lane.is_none() {
                    lane = connection.open_uni().await.ok();
                }
                let stream = lane.as_mut().filter(|_| delivery).unwrap_or(&mut control);
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
            }
            Out::Close(code) => {
                // What was written before is given a moment to arrive.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                connection.close(u32::from(code.0).into(), b"closed by the broker");
            }
        }
    }
}
