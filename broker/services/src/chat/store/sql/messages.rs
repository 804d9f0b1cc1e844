//! The table of messages.

use super::{add_all, json};
use crate::chat::model::{Message, Revision};
use crate::chat::store::events::received;
use crate::chat::store::step::{draft, terms};
use crate::chat::store::{Answer, Page, Search};
use crate::store::{Database, Query, Work, each};

/// The message that had come before under the same id of its sender, and whether it asked the same.
pub(super) async fn earlier(
    work: &mut Work<'_>,
    message: &Message,
) -> Answer<Option<(Message, bool)>> {
    let query = Query::new(
        "SELECT body, draft FROM messages \
         WHERE conversation_id = $1 AND sender_id = $2 AND client_message_id = $3",
    );
    let query = query.bind(&message.conversation_id).bind(&message.sender_id);
    let Some(row) = work.one(query.bind(&message.client_message_id)).await? else {
        return Ok(None);
    };
    let is_same = row.get::<String>("draft")? == draft(message)?;
    Ok(Some((row.json("body")?, is_same)))
}

/// Adds a message at its place, and its event.
pub(super) async fn insert(work: &mut Work<'_>, message: &Message) -> Answer<()> {
    let query = Query::new(
        "INSERT INTO messages (id, conversation_id, seq, sender_id, client_message_id, draft, \
         updated_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    );
    let query = query.bind(&message.id).bind(&message.conversation_id).bind(message.seq);
    let query = query.bind(&message.sender_id).bind(&message.client_message_id);
    let query = query.bind(draft(message)?).bind(message.updated_at);
    work.execute(query.bind(json(message)?)).await?;
    find_by(work, message).await?;
    add_all(work, &[received(message)?]).await
}

/// Lets a message be found by what it says now, and by nothing that it said before.
async fn find_by(work: &mut Work<'_>, message: &Message) -> Answer<()> {
    let gone = each(
        "DELETE FROM message_words WHERE rowid = (SELECT rowid FROM messages WHERE id = $1)",
        "UPDATE messages SET words = NULL WHERE id = $1",
    );
    work.execute(Query::new(gone).bind(&message.id)).await?;
    let words = terms(message);
    if words.is_empty() {
        return Ok(());
    }
    let text = each(
        "INSERT INTO message_words (rowid, words) SELECT rowid, $2 FROM messages WHERE id = $1",
        "UPDATE messages SET words = to_tsvector('simple', $2) WHERE id = $1",
    );
    work.execute(Query::new(text).bind(&message.id).bind(words)).await.map(|_| ())
}

pub(super) async fn search(database: &Database, wanted: &Search) -> Answer<Vec<Message>> {
    macro_rules! text {
        ($found:literal, $place:literal) => {
            concat!(
                "SELECT m.body AS body FROM ",
                $found,
                $place,
                " AND ($4 = '' OR (m.updated_at, m.id) < (SELECT updated_at, id FROM messages \
                 WHERE id = $4)) ORDER BY m.updated_at DESC, m.id DESC LIMIT $5"
            )
        };
    }
    macro_rules! texts {
        ($sqlite:literal, $place:literal) => {
            each(
                text!($sqlite, $place),
                text!("messages AS m WHERE m.words @@ to_tsquery('simple', $1)", $place),
            )
        };
    }
    // What is asked for in one place costs what is said there, and not what all say.
    let text = match (&wanted.conversation_id, &wanted.customer_id) {
        (None, None) => texts!(
            "message_words CROSS JOIN messages AS m ON m.rowid = message_words.rowid \
             WHERE message_words MATCH $1",
            " AND $2 = '' AND $3 = ''"
        ),
        _ => texts!(
            "messages AS m CROSS JOIN message_words ON message_words.rowid = m.rowid \
             WHERE message_words MATCH $1",
            " AND m.conversation_id IN (SELECT id FROM conversations WHERE $3 <> '' \
             AND customer_id = $3 AND ($2 = '' OR id = $2) \
             UNION ALL SELECT id FROM conversations WHERE $3 = '' AND id = $2)"
        ),
    };
    let both = if database.is_sqlite() { " AND " } else { " & " };
    let query = Query::new(text).bind(wanted.terms.join(both));
    let query = query.bind(wanted.conversation_id.as_deref().unwrap_or_default());
    let query = query.bind(wanted.customer_id.as_deref().unwrap_or_default());
    let query = query.bind(wanted.before.as_deref().unwrap_or_default());
    let rows = database.all(query.bind(i64::from(wanted.max))).await?;
    rows.iter().map(|row| row.json("body")).collect()
}

pub(super) async fn find(database: &Database, id: &str) -> Answer<Option<Message>> {
    let query = Query::new("SELECT body FROM messages WHERE id = $1").bind(id);
    database.one(query).await?.map(|row| row.json("body")).transpose()
}

pub(super) async fn page(
    database: &Database,
    conversation_id: &str,
    page: Page,
) -> Answer<Vec<Message>> {
    let forward = "SELECT body FROM messages WHERE conversation_id = $1 AND seq > $2 \
                   ORDER BY seq LIMIT $3";
    let back = "SELECT body FROM messages WHERE conversation_id = $1 AND seq < $2 \
                ORDER BY seq DESC LIMIT $3";
    let (text, seq, max) = match page {
        Page::After(seq, max) => (forward, seq, max),
        Page::Before(seq, max) => (back, seq, max),
        Page::Last(max) => (back, u64::MAX, max),
    };
    let query = Query::new(text).bind(conversation_id).bind(seq).bind(i64::from(max));
    let rows = database.all(query).await?;
    let mut found: Vec<Message> = rows.iter().map(|row| row.json("body")).collect::<Answer<_>>()?;
    if !matches!(page, Page::After(..)) {
        found.reverse();
    }
    Ok(found)
}

pub(super) async fn rewrite(
    database: &Database,
    before: &Message,
    after: &Message,
    revision: &Revision,
) -> Answer<bool> {
    let mut work = database.begin().await?;
    let query =
        Query::new("UPDATE messages SET body = $2, updated_at = $3 WHERE id = $1 AND body = $4");
    let query = query.bind(&before.id).bind(json(after)?).bind(after.updated_at);
    if work.execute(query.bind(json(before)?)).await? == 0 {
        return Ok(false);
    }
    let query = Query::new(
        "INSERT INTO message_revisions (message_id, no, body) \
         SELECT $1, COUNT(*) + 1, $2 FROM message_revisions WHERE message_id = $1",
    );
    work.execute(query.bind(&before.id).bind(json(revision)?)).await?;
    find_by(&mut work, after).await?;
    add_all(&mut work, &[received(after)?]).await?;
    work.commit().await?;
    Ok(true)
}

pub(super) async fn revisions(database: &Database, message_id: &str) -> Answer<Vec<Revision>> {
    let query = Query::new("SELECT body FROM message_revisions WHERE message_id = $1 ORDER BY no");
    database.all(query.bind(message_id)).await?.iter().map(|row| row.json("body")).collect()
}
