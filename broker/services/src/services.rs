//! All services of a process: their database, their session, and the start anew of both.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sampan_client::{Client, Error as ClientError};
use tokio::time::{interval, sleep};
use tracing::{info, warn};

use crate::chat::course::{self, Courses};
use crate::chat::files::Folder;
use crate::chat::ratings::Answers;
use crate::chat::service::Desk;
use crate::chat::store::{MongoStore, SqlStore};
use crate::chat::{self, Beside};
use crate::figures::{self, Ledger};
use crate::http::{Gateways, Routes, webhooks};
use crate::inventory;
use crate::notifications::{self, Senders};
use crate::orders::carriers::Carriers;
use crate::orders::{self, Orders};
use crate::outbox::{self, Relay};
use crate::secret;
use crate::service::{Counters, Host};
use crate::store::{self, Address, Database, Mongo, Schema, migrate};
use crate::users::{self, Users};

/// The tables of all services.
pub const SCHEMAS: &[Schema] = &[
    store::LEASES,
    outbox::SCHEMA,
    secret::SCHEMA,
    users::SCHEMA,
    chat::store::SCHEMA,
    chat::canned::SCHEMA,
    chat::files::SCHEMA,
    chat::ratings::SCHEMA,
    chat::course::SCHEMA,
    inventory::store::SCHEMA,
    orders::SCHEMA,
    notifications::store::SCHEMA,
];

/// Time before what has failed or ended is begun again.
const AGAIN: Duration = Duration::from_secs(1);
/// Time between two looks at whether the database answers.
const LOOK: Duration = Duration::from_secs(1);

/// What the services of a process are set up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address of the SQL database.
    pub database: Address,
    /// Address of the MongoDB that chat is in; without one it is in the SQL database.
    pub chat_database: Option<Address>,
    /// Directory of the files of messages.
    pub files: PathBuf,
    /// Which locations give first to those who name none.
    pub allocation: inventory::rules::allocation::Order,
    /// How chats find agents, and how long everything may take.
    pub chat: chat::service::Settings,
    /// Tracking services that are asked about orders.
    pub carriers: Vec<orders::carriers::Settings>,
    /// Those who send notifications.
    pub senders: Vec<notifications::send::Settings>,
}

/// The services of a process.
#[derive(Clone, Debug)]
pub struct Services {
    database: Database,
    /// Chat's own.
    chat_database: Option<Mongo>,
    files: Folder,
    allocation: inventory::rules::allocation::Order,
    chat_settings: chat::service::Settings,
    carriers: Carriers,
    senders: Senders,
    receipts: notifications::send::Receipts,
    counters: Arc<Counters>,
    /// Why they do not work at this moment, if they do not.
    failing: Arc<Mutex<Option<String>>>,
}

impl Services {
    /// Services that do not run yet.
    ///
    /// # Errors
    /// `Setup` if an address is not valid.
    pub fn open(settings: &Settings) -> Result<Self, store::Error> {
        let counters = Arc::<Counters>::default();
        let carriers = Carriers::new(&settings.carriers, &counters.carriers);
        let carriers =
            carriers.map_err(|why| store::Error::Setup(format!("a tracking service: {why}")))?;
        let database = Database::open(&settings.database)?;
        let senders = notifications::send::senders(&settings.senders, &database);
        let senders = senders.map_err(|why| store::Error::Setup(format!("a sender: {why}")))?;
        Ok(Services {
            database,
            chat_database: settings.chat_database.as_ref().map(Mongo::open).transpose()?,
            files: Folder::new(&settings.files),
            allocation: settings.allocation,
            chat_settings: settings.chat.clone(),
            carriers,
            senders,
            receipts: notifications::send::Receipts::of(&settings.senders),
            counters,
            failing: Arc::new(Mutex::new(Some("starting".to_owned()))),
        })
    }

    /// The same with somebody else to send notifications, behind those that the settings name.
    #[must_use]
    pub fn with_sender(self, sender: Arc<dyn notifications::send::Sender>) -> Self {
        Services { senders: self.senders.with(sender), ..self }
    }

    /// What they have counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Whether they work.
    ///
    /// # Errors
    /// Why they do not.
    pub fn check(&self) -> Result<(), String> {
        self.failing().clone().map_or(Ok(()), Err)
    }

    /// What they answer over HTTP themselves, to be mounted on a listener.
    pub fn routes(&self) -> Routes {
        let own = match &self.chat_database {
            Some(database) => self.beside(MongoStore::new(database)).routes(),
            None => self.beside(SqlStore::new(&self.database)).routes(),
        };
        let gateways = Gateways {
            receipts: self.receipts.clone(),
            store: notifications::store::Notifications::new(&self.database),
            counters: self.counters.notifications.clone(),
        };
        own.merge(webhooks((Orders::new(&self.database), self.carriers.clone()), gateways))
    }

    /// Brings the tables to what this program expects.
    ///
    /// # Errors
    /// Those of the database; one that is not retryable needs a person.
    pub async fn migrate(&self) -> Result<(), store::Error> {
        migrate(&self.database, SCHEMAS).await?;
        match &self.chat_database {
            Some(database) => MongoStore::new(database).prepare().await,
            None => Ok(()),
        }
    }

    /// Runs the services on sessions that `connect` makes, until `stop`. A database or a broker that
    /// is lost is waited for.
    ///
    /// # Errors
    /// The error of the database that time does not cure.
    pub async fn run<C, R>(
        &self,
        connect: C,
        stop: impl Future<Output = ()>,
    ) -> Result<(), store::Error>
    where
        C: Fn() -> R,
        R: Future<Output = Result<Client, ClientError>>,
    {
        let mut stop = std::pin::pin!(stop);
        loop {
            let begun = tokio::select! {
                begun = self.begin(&connect) => begun,
                () = &mut stop => break,
            };
            let why = match begun {
                Ok(mut host) => {
                    *self.failing() = None;
                    let ended = tokio::select! {
                        why = host.ended() => Some(why),
                        () = &mut stop => None,
                    };
                    host.stop().await;
                    let Some(why) = ended else { break };
                    why
                }
                Err(Begin::Database(error)) if !error.is_retryable() => return Err(error),
                Err(why) => why.to_string(),
            };
            warn!(why, "the services do not run; they are begun again");
            *self.failing() = Some(why);
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = &mut stop => break,
            }
        }
        *self.failing() = Some("stopped".to_owned());
        self.database.close().await;
        if let Some(database) = &self.chat_database {
            database.close().await;
        }
        Ok(())
    }

    async fn begin<C, R>(&self, connect: &C) -> Result<Host, Begin>
    where
        C: Fn() -> R,
        R: Future<Output = Result<Client, ClientError>>,
    {
        self.migrate().await.map_err(Begin::Database)?;
        let client = connect().await.map_err(Begin::Session)?;
        let mut host = Host::new(&client, &self.database, self.counters.clone());
        if let Err(error) = self.register(&mut host).await {
            host.stop().await;
            return Err(Begin::Session(error));
        }
        Counters::add(&self.counters.starts);
        info!("the services run");
        Ok(host)
    }

    async fn register(&self, host: &mut Host) -> Result<(), ClientError> {
        users::serve(host, &Users::new(&self.database)).await?;
        match &self.chat_database {
            Some(database) => self.chat(host, MongoStore::new(database)).await?,
            None => self.chat(host, SqlStore::new(&self.database)).await?,
        }
        let orders = Orders::new(&self.database);
        orders::serve(host, &orders, &self.counters.carriers).await?;
        if !self.carriers.is_empty() {
            host.beside("the asking of carriers", self.carriers.clone().ask_for_ever(orders));
        }
        let (ledger, courses) = (Ledger::new(&self.database), Courses::new(&self.database));
        figures::serve(host, &ledger, &courses).await?;
        let stock = inventory::store::Stock::new(&self.database, self.allocation);
        inventory::serve(host, &stock, &self.counters.inventory).await?;
        let store = notifications::store::Notifications::new(&self.database);
        let counters = &self.counters.notifications;
        notifications::serve(host, &store, self.senders.clone(), counters).await?;
        let relay = Relay::new(&self.database, host.client(), self.counters.outbox.clone());
        host.beside("the outbox's relay", relay.run());
        if let Some(database) = &self.chat_database {
            let store = MongoStore::new(database);
            let relay = Relay::new(&store, host.client(), self.counters.outbox.clone());
            host.beside("the relay of chat's outbox", relay.run());
        }
        host.beside("the look at the database", look(self.clone()));
        Ok(())
    }

    /// What goes with the chats of a store.
    fn beside<S: chat::store::Store>(&self, chats: S) -> Beside<S, Folder> {
        Beside::new(&self.database, chats, self.files.clone())
    }

    async fn ping(&self) -> Result<(), store::Error> {
        self.database.ping().await?;
        match &self.chat_database {
            Some(database) => database.ping().await,
            None => Ok(()),
        }
    }

    async fn chat<S: chat::store::Store>(
        &self,
        host: &mut Host,
        store: S,
    ) -> Result<(), ClientError> {
        let (users, client) = (Users::new(&self.database), host.client().clone());
        let beside = self.beside(store.clone());
        beside.serve(host).await?;
        let courses = Courses::new(&self.database);
        course::serve(host, &courses, store.clone(), &self.counters.chat).await?;
        let settings = self.chat_settings.clone();
        let beside = (beside.files().clone(), Answers::new(&self.database));
        let desk = Desk::new(store, users, courses, beside, client, settings);
        chat::service::serve(host, &desk).await
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again whether the databases answer.
async fn look(services: Services) {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let answered = services.ping().await;
        *services.failing() = answered.err().map(|error| error.to_string());
    }
}

/// Why the services have not begun.
enum Begin {
    Database(store::Error),
    Session(ClientError),
}

impl std::fmt::Display for Begin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Begin::Database(error) => error.fmt(f),
            Begin::Session(error) => error.fmt(f),
        }
    }
}
