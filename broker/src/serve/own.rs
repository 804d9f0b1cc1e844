//! The broker's own session: a client in the same process that answers `sys.` requests and sends
//! probes. It is made again whenever it ends.

use std::sync::Arc;
use std::time::Duration;

use sampan_client::{Client, Error, Options, Token};
use tokio::time::sleep;
use tracing::warn;

use super::answers::Answers;
use super::probe;
use super::tokens::Tokens;
use crate::http::{Health, Latencies};
use crate::shard::Broker;

/// Time before a session that has ended is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the broker's own session works with.
#[derive(Clone)]
pub(super) struct Own {
    pub(super) broker: Arc<Broker>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) health: Arc<Health>,
    pub(super) latencies: Latencies,
    pub(super) answers: Arc<Answers>,
    pub(super) shards: u8,
}

impl Own {
    /// Keeps the session up for ever.
    pub(super) async fn run(self) {
        loop {
            let why = match self.attach().await {
                Ok(client) => self.work(client).await,
                Err(error) => error.to_string(),
            };
            self.health.failed(&why);
            warn!(why, "the broker's own session has ended; it is made again");
            sleep(AGAIN).await;
        }
    }

    async fn attach(&self) -> Result<Client, Error> {
        let tokens = self.tokens.clone();
        let token = Token::from_fn(move || std::future::ready(Ok(tokens.own())));
        let client = concat!("sampan/", env!("CARGO_PKG_VERSION")).to_owned();
        let options = Options { client, ..Options::new("", token) };
        Client::attach(self.broker.link(), options).await
    }

    async fn work(&self, client: Client) -> String {
        let (health, latencies) = (self.health.clone(), self.latencies.clone());
        let answering = self.answers.serve(client.clone());
        tokio::select! {
            why = probe::run(client, self.shards, health, latencies) => why,
            why = answering => why,
        }
    }
}
