//! The echo server for conformance suites: `cargo run --example echo -- 127.0.0.1:9001`.

mod server;

use std::io;

use tokio::net::TcpListener;

/// Bytes of a message: as large as the suites' largest.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("ws://{}", listener.local_addr()?);
    axum::serve(listener, server::router(MESSAGE_BYTES_MAX)).await
}
