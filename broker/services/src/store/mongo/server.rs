//! A MongoDB server or replica set.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, ConnectionString, WriteConcern};
use mongodb::{Client, error};
use tokio::sync::{Notify, OnceCell};
use tokio::time::timeout;

use super::collection::Collection;
use crate::store::{Address, Error};

/// How long a server may be looked for, before the database counts as not available.
const FIND_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one operation may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to each server.
const CONNECTIONS_MAX: u32 = 8;
/// The database, if the address names none.
const DATABASE: &str = "sampan";

/// A database of MongoDB. Cloning gives another handle of the same.
#[derive(Clone)]
pub struct Mongo(Arc<Inner>);

struct Inner {
    address: Address,
    database: OnceCell<mongodb::Database>,
    events: Notify,
}

impl std::fmt::Debug for Mongo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mongo(..)")
    }
}

impl Mongo {
    /// The database at `mongodb://...` or `mongodb+srv://...`. It need not be up: it is reached when
    /// it is asked.
    ///
    /// # Errors
    /// `Setup` if the address is none of these.
    pub fn open(address: &Address) -> Result<Self, Error> {
        ConnectionString::parse(address.as_str()).map_err(Error::from)?;
        let (address, database) = (address.clone(), OnceCell::new());
        Ok(Mongo(Arc::new(Inner { address, database, events: Notify::new() })))
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// `Unavailable`, `Setup`.
    pub async fn ping(&self) -> Result<(), Error> {
        self.command(doc! { "ping": 1 }).await.map(|_| ())
    }

    /// The server's clock, in milliseconds of UTC.
    ///
    /// # Errors
    /// As for [`Mongo::ping`], and `Damaged` if the server does not tell.
    pub(super) async fn now(&self) -> Result<i64, Error> {
        let told = self.command(doc! { "hello": 1 }).await?;
        let now = told.get_datetime("localTime").map(|now| now.timestamp_millis());
        now.map_err(|error| Error::Damaged(format!("the server's clock: {error}")))
    }

    /// Waits until events have been stored through this handle, or a clone.
    pub(crate) async fn events(&self) {
        self.0.events.notified().await;
    }

    pub(crate) fn tell_events(&self) {
        self.0.events.notify_one();
    }

    /// A collection, which is made when the first document comes.
    pub(crate) fn collection(&self, name: &'static str) -> Collection {
        Collection::new(self, name)
    }

    /// Carries a command out.
    pub(super) async fn command(&self, command: Document) -> Result<Document, Error> {
        answer(self.database().await?.run_command(command)).await
    }

    pub(super) async fn database(&self) -> Result<&mongodb::Database, Error> {
        self.0.database.get_or_try_init(|| connect(&self.0.address)).await
    }

    /// Closes all connections, when what is under way has ended.
    pub async fn close(&self) {
        if let Some(database) = self.0.database.get() {
            database.client().clone().shutdown().await;
        }
    }
}

async fn connect(address: &Address) -> Result<mongodb::Database, Error> {
    let mut options = answer(ClientOptions::parse(address.as_str())).await?;
    options.app_name.get_or_insert_with(|| "sampan".to_owned());
    options.server_selection_timeout.get_or_insert(FIND_TIMEOUT);
    options.connect_timeout.get_or_insert(FIND_TIMEOUT);
    options.max_pool_size.get_or_insert(CONNECTIONS_MAX);
    // Whatever the address says: what is told to be stored is on the disks of most members.
    let told = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
    options.write_concern = Some(told.w_timeout(ANSWER_TIMEOUT).build());
    let database = options.default_database.clone();
    let client = Client::with_options(options)?;
    Ok(client.database(database.as_deref().unwrap_or(DATABASE)))
}

/// Waits for an answer, but not for ever.
pub(super) async fn answer<T>(
    asked: impl IntoFuture<Output = error::Result<T>>,
) -> Result<T, Error> {
    match timeout(ANSWER_TIMEOUT, asked.into_future()).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Unavailable("no answer in 10 s".to_owned())),
    }
}
