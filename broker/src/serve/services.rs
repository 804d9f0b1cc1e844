//! The services in the broker's process: ordinary clients of it, on a session of their own.

use std::sync::Arc;

use sampan_bridge_ws::{Forward, Parameter};
use sampan_client::{Client, Options, Token};
use sampan_services::users::{GET, UPSERT, Upsert, User};
use sampan_services::{Services, figures};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::error::Error;
use super::tokens::Tokens;
use super::{beside_chat, chat, notifications, orders, stock};
use crate::config::Config;
use crate::shard::Broker;

const DAYS: [Parameter; 2] = [
    Parameter::text("from", "The first day, such as 2026-11-01, of UTC"),
    Parameter::text("to", "The last day"),
];
const USER: Parameter = Parameter::path("id", "Id of the user");

/// Services at work.
pub(super) struct Running {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// The services that the settings ask for, with their tables up to date if their database is up.
pub(super) async fn open(config: &Config) -> Result<Option<Services>, Error> {
    if !config.services.enabled {
        return Ok(None);
    }
    let settings = config.services.settings().map_err(Error::Settings)?;
    let services = Services::open(&settings).map_err(Error::Services)?;
    match services.migrate().await {
        Err(error) if !error.is_retryable() => Err(Error::Services(error)),
        Err(error) => {
            warn!(%error, "the services wait for their database");
            Ok(Some(services))
        }
        Ok(()) => Ok(Some(services)),
    }
}

/// Starts them on sessions with this broker.
pub(super) fn start(services: Services, broker: &Broker, tokens: Arc<Tokens>) -> Running {
    let link = broker.link();
    let connect = move || {
        let (link, tokens) = (link.clone(), tokens.clone());
        async move {
            let token = Token::from_fn(move || std::future::ready(Ok(tokens.own())));
            let client = concat!("sampan-services/", env!("CARGO_PKG_VERSION")).to_owned();
            Client::attach(link, Options { client, ..Options::new("", token) }).await
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let ended = services.run(connect, async { drop(stopped.await) }).await;
        if let Err(error) = ended {
            error!(%error, "the services have ended; the broker goes on without them");
        }
    });
    Running { task, stop }
}

impl Running {
    /// Lets them finish what they work on.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            warn!(%error, "the services did not stop cleanly");
        }
    }
}

/// What a shop is run by.
fn of_the_shop() -> Forward {
    Forward::get::<figures::Shown>(
        "/v1/figures",
        figures::FIGURES,
        "Engagement, response, conversion and satisfaction, by day",
    )
    .with(&DAYS)
}

/// What they answer over HTTP.
pub(super) fn forwards() -> Vec<Forward> {
    let mut forwards = stock::forwards();
    forwards.extend(beside_chat::forwards());
    forwards.extend(chat::forwards());
    forwards.extend(orders::forwards());
    forwards.extend(notifications::forwards());
    forwards.push(of_the_shop());
    forwards.extend([
        Forward::put::<Upsert, User>(
            "/v1/users/{id}",
            UPSERT,
            "Tells all that is known of a user, in the place of what was told before",
        )
        .with(&[USER]),
        Forward::get::<User>("/v1/users/{id}", GET, "A user, as last told").with(&[USER]),
    ]);
    forwards
}
