//! Databases to test on: of each sort a new one for each test.

use std::sync::OnceLock;

use sampan_services::SCHEMAS;
use sampan_services::chat::store::MongoStore;
use sampan_services::store::{Address, Database, Mongo, migrate};
use sampan_tests::servers;
use tempfile::TempDir;

/// A new database.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    address: Address,
    /// A file database's folder, for as long as the test runs.
    _folder: Option<TempDir>,
}

impl Site {
    pub(crate) fn sqlite() -> Self {
        // A name that an address could be broken by.
        let folder = tempfile::Builder::new().prefix("a b?c#%").tempdir().expect("a folder");
        let address = Address::sqlite(&folder.path().join("services.db"));
        Site { name: "SQLite", address, _folder: Some(folder) }
    }

    /// On the one server of this process.
    pub(crate) fn postgres() -> Self {
        static SERVER: OnceLock<servers::Postgres> = OnceLock::new();
        let address = Address::new(&SERVER.get_or_init(servers::Postgres::start).database());
        Site { name: "PostgreSQL", address, _folder: None }
    }

    pub(crate) fn each() -> [Site; 2] {
        [Site::sqlite(), Site::postgres()]
    }

    pub(crate) fn open(&self) -> Database {
        Database::open(&self.address).expect("a valid address")
    }

    /// The database with all tables.
    pub(crate) async fn migrated(&self) -> Database {
        let database = self.open();
        migrate(&database, SCHEMAS).await.expect("migrated");
        database
    }
}

/// The address of a new database on the one MongoDB server of this process.
pub(crate) fn mongo_address() -> String {
    static SERVER: OnceLock<servers::Mongo> = OnceLock::new();
    SERVER.get_or_init(servers::Mongo::start).database()
}

/// A new database there.
pub(crate) fn mongo() -> Mongo {
    Mongo::open(&Address::new(&mongo_address())).expect("a valid address")
}

/// A store of chats there.
pub(crate) async fn mongo_store() -> MongoStore {
    let store = MongoStore::new(&mongo());
    store.prepare().await.expect("prepared");
    store
}
