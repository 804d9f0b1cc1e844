//! The table of files: announced, brought, used by a message, or removed.

use crate::moment::Moment;
use crate::store::{Database, Error, Query, Row, Schema, both};

/// Files of one owner of which it is not known that a message uses them.
const UNUSED_MAX: i64 = 100;

pub(crate) const SCHEMA: Schema = Schema {
    name: "files",
    steps: &[
        &[
            both(
                "CREATE TABLE files (id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, \
             owner_id TEXT NOT NULL, file_name TEXT NOT NULL, declared_type TEXT NOT NULL, \
             size_bytes BIGINT NOT NULL, created_at BIGINT NOT NULL, blob TEXT NOT NULL, \
             mime_type TEXT, shown_inline BIGINT NOT NULL, sha256 TEXT, message_id TEXT, \
             private BIGINT NOT NULL, kept BIGINT NOT NULL, removed BIGINT NOT NULL)",
            ),
            both("CREATE INDEX files_owner ON files (owner_id, kept)"),
            both("CREATE INDEX files_doubtful ON files (kept, created_at)"),
        ],
        &[both("CREATE INDEX files_message ON files (message_id)")],
        &[both("ALTER TABLE files ADD COLUMN taken_at BIGINT")],
    ],
};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) conversation_id: String,
    pub(super) owner_id: String,
    pub(super) file_name: String,
    pub(super) declared_type: String,
    pub(super) size_bytes: i64,
    pub(super) created_at: Moment,
    /// Key of its bytes; empty before the first upload has begun.
    pub(super) blob: String,
    /// What its bytes are, once they are there.
    pub(super) bytes: Option<Bytes>,
    /// The message that uses it.
    pub(super) message_id: Option<String>,
    /// Whether that is a private note.
    pub(super) private: bool,
    /// When it was last given to a message.
    pub(super) taken_at: Option<Moment>,
}

/// What the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) mime_type: String,
    pub(super) is_inline: bool,
    pub(super) sha256: String,
}

/// A message that uses files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// Its sender.
    pub owner_id: &'a str,
    /// Its conversation.
    pub conversation_id: &'a str,
    /// Its id.
    pub message_id: &'a str,
    /// Whether only agents see it.
    pub private: bool,
}

/// The files of a database.
#[derive(Clone, Debug)]
pub(super) struct Shelf(Database);

impl Shelf {
    pub(super) fn new(database: &Database) -> Self {
        Shelf(database.clone())
    }

    /// Announces a file; whether its owner has room for one more.
    pub(super) async fn announce(&self, file: &Stored) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new(
            "INSERT INTO files (id, conversation_id, owner_id, file_name, declared_type, \
             size_bytes, created_at, blob, shown_inline, private, kept, removed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0, 0, 0, 0)",
        );
        let query = query.bind(&file.id).bind(&file.conversation_id).bind(&file.owner_id);
        let query = query.bind(&file.file_name).bind(&file.declared_type).bind(file.size_bytes);
        work.execute(query.bind(file.created_at.as_ms())).await?;
        let query =
            Query::new("SELECT COUNT(*) AS unused FROM files WHERE owner_id = $1 AND kept = 0");
        let row = work.one(query.bind(&file.owner_id)).await?;
        let has_room = row.map_or(Ok(0), |row| row.get("unused"))? <= UNUSED_MAX;
        if has_room {
            work.commit().await?;
        }
        Ok(has_room)
    }

    pub(super) async fn find(&self, id: &str) -> Result<Option<Stored>, Error> {
        let query = Query::new("SELECT * FROM files WHERE id = $1 AND removed = 0").bind(id);
        self.0.one(query).await?.as_ref().map(read).transpose()
    }

    /// Notes under which key the bytes of a file will be, in the place of `before`; whether it was
    /// that, and the bytes are not there yet.
    pub(super) async fn begin(&self, before: &Stored, blob: &str) -> Result<bool, Error> {
        let query = Query::new(
            "UPDATE files SET blob = $2 \
             WHERE id = $1 AND blob = $3 AND sha256 IS NULL AND removed = 0",
        );
        self.changed(query.bind(&before.id).bind(blob).bind(&before.blob)).await
    }

    /// Notes that the bytes under this key are there; whether they are still those that count.
    pub(super) async fn end(&self, id: &str, blob: &str, bytes: &Bytes) -> Result<bool, Error> {
        let query = Query::new(
            "UPDATE files SET mime_type = $3, shown_inline = $4, sha256 = $5 \
             WHERE id = $1 AND blob = $2 AND sha256 IS NULL AND removed = 0",
        );
        let query = query.bind(id).bind(blob).bind(&bytes.mime_type);
        self.changed(query.bind(bytes.is_inline).bind(&bytes.sha256)).await
    }

    /// Gives files to a message, all or none; they are their owner's, of this conversation, and no
    /// other message's. The same again gives the same.
    pub(super) async fn take(
        &self,
        ids: &[String],
        user: &User<'_>,
        at: Moment,
    ) -> Result<Option<Vec<Stored>>, Error> {
        let mut work = self.0.begin().await?;
        let mut files = Vec::with_capacity(ids.len());
        for id in ids {
            let query = Query::new(
                "UPDATE files SET message_id = $4, private = $5, taken_at = $6 WHERE id = $1 \
                 AND conversation_id = $2 AND owner_id = $3 AND sha256 IS NOT NULL \
                 AND removed = 0 AND (message_id IS NULL OR (message_id = $4 AND private = $5)) \
                 RETURNING *",
            );
            let query = query.bind(id).bind(user.conversation_id).bind(user.owner_id);
            let query = query.bind(user.message_id).bind(user.private).bind(at);
            let Some(row) = work.one(query).await? else { return Ok(None) };
            files.push(read(&row)?);
        }
        work.commit().await?;
        Ok(Some(files))
    }

    /// Files announced before a moment, and not given to a message since, of which nobody knows
    /// whether they are needed, the oldest first; those on their way out among them.
    pub(super) async fn doubtful(&self, before: Moment, max: u32) -> Result<Vec<Stored>, Error> {
        let query = Query::new(
            "SELECT * FROM files WHERE kept = 0 AND created_at < $1 \
             AND (taken_at IS NULL OR taken_at < $1) ORDER BY created_at LIMIT $2",
        );
        let rows = self.0.all(query.bind(before.as_ms()).bind(i64::from(max))).await?;
        rows.iter().map(read).collect()
    }

    /// Notes whether the files of a message are known to be needed.
    pub(super) async fn keep(&self, message_id: &str, is_kept: bool) -> Result<(), Error> {
        let query = Query::new("UPDATE files SET kept = $2 WHERE message_id = $1 AND removed = 0");
        self.changed(query.bind(message_id).bind(is_kept)).await.map(|_| ())
    }

    /// Notes that a file is on its way out; whether no message has got it since.
    pub(super) async fn remove(&self, file: &Stored) -> Result<bool, Error> {
        let query = Query::new(
            "UPDATE files SET removed = 1 WHERE id = $1 AND kept = 0 AND blob = $3 \
             AND COALESCE(taken_at, 0) = $2",
        );
        let taken = file.taken_at.map_or(0, Moment::as_ms);
        self.changed(query.bind(&file.id).bind(taken).bind(&file.blob)).await
    }

    /// Forgets a file that was removed.
    pub(super) async fn forget(&self, id: &str) -> Result<bool, Error> {
        self.changed(Query::new("DELETE FROM files WHERE id = $1 AND removed = 1").bind(id)).await
    }

    async fn changed(&self, query: Query) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let is_changed = work.execute(query).await? == 1;
        work.commit().await?;
        Ok(is_changed)
    }
}

fn read(row: &Row) -> Result<Stored, Error> {
    let known: (Option<String>, Option<String>) = (row.get("mime_type")?, row.get("sha256")?);
    let bytes = match known {
        (Some(mime_type), Some(sha256)) => {
            Some(Bytes { mime_type, is_inline: row.get("shown_inline")?, sha256 })
        }
        _ => None,
    };
    Ok(Stored {
        id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        owner_id: row.get("owner_id")?,
        file_name: row.get("file_name")?,
        declared_type: row.get("declared_type")?,
        size_bytes: row.get("size_bytes")?,
        created_at: Moment::from_ms(row.get("created_at")?),
        blob: row.get("blob")?,
        bytes,
        message_id: row.get("message_id")?,
        private: row.get("private")?,
        taken_at: row.get("taken_at")?,
    })
}
