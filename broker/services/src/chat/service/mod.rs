//! The chat service: what others ask of it, who may read what, and what it does by itself.

mod asked;
mod desk;
mod events;
mod handle;
mod look;
mod receipts;
mod routing;
mod talk;
mod typing;

use std::time::Duration;

use sampan_client::{Action, Pattern, topic_token_to_id};
use serde_json::{Value, json};

pub use self::asked::{
    AgentTold, Agents, Assign, Available, Come, Cursors, Delete, Edit, HandOver, HandOverAnswer,
    List, ListWanted, Messages, Nothing, Of, Open, PageWanted, Snapshot, Snooze, Typing,
};
pub use self::desk::{Desk, Settings};
use crate::chat::files::Blobs;
use crate::chat::model::Draft;
use crate::chat::rules::receipts::Mark;
use crate::chat::rules::routing::SWEEP;
use crate::chat::store::Store;
use crate::role::Role;
use crate::service::{Asker, Host, Problem, Verdict};

/// How long the broker goes by a yes or a no.
const TTL: Duration = Duration::from_secs(30);
/// Between two looks at conversations whose times are days.
const SLOW_SWEEP: Duration = Duration::from_secs(60);
/// Who serves customers.
const AGENTS: &[Role] = &[Role::Agent, Role::Admin];
/// Who serves customers, and the programs of the shop.
const STAFF: &[Role] = &[Role::Agent, Role::Admin, Role::Service];

macro_rules! requests {
    ($($name:ident = $topic:literal, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: &str = $topic;)*

        /// The topics of all requests.
        pub const REQUESTS: &[&str] = &[$($topic),*];
    };
}

requests! {
    OPEN = "chat.open", "Begins a conversation.";
    SEND = "chat.send_message", "Sends a message.";
    EDIT = "chat.edit_message", "Gives a message another text.";
    DELETE = "chat.delete_message", "Takes from a message what it said.";
    DELIVERED = "chat.message_delivered", "The asker has got messages.";
    READ = "chat.message_read", "The asker has read messages.";
    TYPING = "chat.user_typing", "The asker types.";
    JOIN = "chat.join_conversation", "The asker comes to look at a conversation.";
    LEAVE = "chat.leave_conversation", "The asker takes part no longer.";
    GET = "chat.get", "A conversation.";
    HISTORY = "chat.history", "A page of messages.";
    LIST = "chat.list", "The asker's conversations.";
    ASSIGN = "chat.assign", "Gives a conversation to an agent.";
    REQUEUE = "chat.requeue", "Gives a conversation back.";
    RESOLVE = "chat.resolve", "A conversation is answered.";
    ARCHIVE = "chat.archive", "A conversation is over for good.";
    SNOOZE = "chat.snooze", "A conversation is put aside.";
    TRANSFER = "chat.agent_transfer", "Hands a conversation over.";
    TRANSFER_ANSWER = "chat.transfer_answer", "Takes a conversation that is handed over, or does not.";
    AVAILABLE = "chat.agent_available", "Whether an agent takes chats.";
    PUT_AGENT = "chat.agent_put", "The shop tells of an agent.";
    AGENTS_LIST = "chat.agents", "All agents.";
}

/// Answers one request with a method of the desk.
macro_rules! answer {
    ($host:ident, $desk:ident, $topic:expr, $roles:expr, |$it:ident, $asker:ident, $asked:ident: $type:ty| $do:expr) => {
        let desk = $desk.clone();
        $host
            .answer($topic, $roles, move |$asker: Asker, $asked: $type| {
                let $it = desk.clone();
                async move { $do }
            })
            .await?;
    };
}

/// Serves chats: requests, authorizers, the routing and what time does.
///
/// # Errors
/// Those of the client.
pub async fn serve<S: Store, B: Blobs>(
    host: &mut Host,
    desk: &Desk<S, B>,
) -> Result<(), sampan_client::Error> {
    talk(host, desk).await?;
    handle(host, desk).await?;
    for pattern in ["chat.conversation.*", "chat.typing.*", "chat.note.*", "chat.position.*"] {
        let desk = desk.clone();
        host.authorize(pattern, move |asker, action, topic| {
            let desk = desk.clone();
            async move { desk.verdict(&asker, action, &topic).await }
        })
        .await?;
    }
    host.beside("the routing of chats", desk.clone().route_for_ever());
    host.beside("the watch over agents", desk.clone().watch_agents());
    host.beside("the places of those who wait", desk.clone().tell_places());
    let its = desk.clone();
    host.sweep("chat.active", SWEEP, move || {
        let its = its.clone();
        async move { its.sweep_active().await }
    });
    let its = desk.clone();
    host.sweep("chat.all", SLOW_SWEEP, move || {
        let its = its.clone();
        async move {
            its.sweep_all().await?;
            its.recount().await
        }
    });
    Ok(())
}

/// What customers and agents ask alike.
async fn talk<S: Store, B: Blobs>(
    host: &mut Host,
    desk: &Desk<S, B>,
) -> Result<(), sampan_client::Error> {
    let all = Role::ALL;
    answer!(host, desk, OPEN, all, |it, asker, asked: Open| {
        Ok(look::shown(it.open(&asker, asked).await?, &asker))
    });
    answer!(host, desk, SEND, all, |it, asker, asked: Draft| it.send(&asker, asked).await);
    answer!(host, desk, EDIT, all, |it, asker, asked: Edit| it.edit(&asker, &asked).await);
    answer!(host, desk, DELETE, all, |it, asker, asked: Delete| it.delete(&asker, &asked).await);
    answer!(host, desk, DELIVERED, all, |it, asker, asked: Come| {
        it.come(&asker, &asked, Mark::Delivered).await
    });
    answer!(host, desk, READ, all, |it, asker, asked: Come| {
        it.come(&asker, &asked, Mark::Read).await
    });
    answer!(host, desk, TYPING, all, |it, asker, asked: Typing| {
        it.types(&asker, &asked).await.map(done)
    });
    answer!(host, desk, JOIN, all, |it, asker, asked: Of| it.join(&asker, &asked).await);
    answer!(host, desk, LEAVE, all, |it, asker, asked: Of| it
        .leave(&asker, &asked)
        .await
        .map(done));
    answer!(host, desk, GET, all, |it, asker, asked: Of| {
        Ok(look::shown(it.seen(&asked.conversation_id, &asker).await?, &asker))
    });
    answer!(host, desk, HISTORY, all, |it, asker, asked: PageWanted| {
        it.history(&asker, &asked).await
    });
    answer!(host, desk, LIST, all, |it, asker, asked: ListWanted| it.list(&asker, &asked).await);
    Ok(())
}

/// What agents and operators ask.
async fn handle<S: Store, B: Blobs>(
    host: &mut Host,
    desk: &Desk<S, B>,
) -> Result<(), sampan_client::Error> {
    answer!(host, desk, ASSIGN, AGENTS, |it, asker, asked: Assign| it.assign(&asker, &asked).await);
    answer!(host, desk, REQUEUE, AGENTS, |it, asker, asked: Of| it.requeue(&asker, &asked).await);
    answer!(host, desk, RESOLVE, STAFF, |it, asker, asked: Of| it.resolve(&asker, &asked).await);
    answer!(host, desk, ARCHIVE, STAFF, |it, asker, asked: Of| it.archive(&asker, &asked).await);
    answer!(host, desk, SNOOZE, STAFF, |it, asker, asked: Snooze| it.snooze(&asker, &asked).await);
    answer!(host, desk, TRANSFER, AGENTS, |it, asker, asked: HandOver| {
        it.transfer(&asker, &asked).await
    });
    answer!(host, desk, TRANSFER_ANSWER, AGENTS, |it, asker, asked: HandOverAnswer| {
        it.answer(&asker, &asked).await
    });
    answer!(host, desk, AVAILABLE, STAFF, |it, asker, asked: Available| {
        it.available(&asker, &asked).await
    });
    answer!(host, desk, PUT_AGENT, Role::OPERATORS, |it, _asker, asked: AgentTold| {
        it.put_agent(asked).await
    });
    answer!(host, desk, AGENTS_LIST, STAFF, |it, _asker, _asked: Nothing| it.all_agents().await);
    Ok(())
}

/// The answer to what has nothing to say.
fn done(_: ()) -> Value {
    json!({})
}

impl<S: Store, B: Blobs> Desk<S, B> {
    /// Who may do what on the topics of conversations: their customers read them and type; agents
    /// do by their grants, and are asked about only where those leave it open.
    async fn verdict(
        &self,
        asker: &Asker,
        action: Action,
        topic: &Pattern,
    ) -> Result<Verdict, Problem> {
        let no = Ok(Verdict::no(TTL));
        let tokens: Vec<&str> = topic.tokens().collect();
        let &["chat", kind, token] = tokens.as_slice() else { return no };
        let Some(id) = topic_token_to_id(token) else { return no };
        let is_fine = match action {
            Action::Subscribe | Action::History | Action::Presence => true,
            Action::Publish => kind == "typing",
            _ => false,
        };
        if !is_fine || (kind == "note" && asker.role == Role::Customer) {
            return no;
        }
        match self.store.conversation(&id).await? {
            Some(chat) if desk::may_see(&chat, asker) => Ok(Verdict::yes(TTL)),
            _ => no,
        }
    }
}
