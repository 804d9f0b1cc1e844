//! What goes with chats: canned responses, ratings, files, promises.

mod canned;
mod files;
mod promises;
mod ratings;

use sampan_services::chat::model::{Agent, Conversation, Origin, Reason};
use sampan_services::chat::rules::lifecycle::{Event, step};
use sampan_services::chat::store::{Created, Outcome, Room, SqlStore, Step, Store};
use sampan_services::service::{Asker, Problem};
use sampan_services::{Moment, Role};

fn asker(user: &str, role: Role) -> Asker {
    Asker { user: user.to_owned(), role }
}

/// A conversation of the customer `cat`.
async fn begun(chats: &SqlStore, id: &str) -> Conversation {
    let chat = Conversation::new(id, "cat", Origin::default(), Moment::now());
    assert_eq!(chats.create(&chat, None, &[]).await, Ok(Created::New));
    chat
}

async fn changed(chats: &SqlStore, before: &Conversation, event: Event) -> Conversation {
    let now = Moment::now();
    let change = step(before, event, now).expect("allowed");
    let conversation = change.conversation.clone();
    let wanted = Step { room: Room::Nothing, ..Step::new(change, now) };
    assert_eq!(chats.apply(&wanted).await, Ok(Outcome::Done(Vec::new())));
    conversation
}

/// The same, resolved by the agent `amy`.
async fn resolved(chats: &SqlStore, before: &Conversation) -> Conversation {
    let (id, email) = ("amy".to_owned(), "amy@example.com".to_owned());
    let amy = Agent { id, email, concurrent_limit: 1, ..Agent::default() };
    chats.put_agent(&amy).await.expect("told");
    let claim = Event::Claim { agent_id: "amy".to_owned(), reason: Reason::Auto };
    let active = changed(chats, before, claim).await;
    changed(chats, &active, Event::Resolve).await
}

fn code<T: std::fmt::Debug>(answer: Result<T, Problem>) -> u16 {
    answer.expect_err("refused").code.0
}
