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

pub use sampan_client::chat::{
    AGENTS as AGENTS_LIST, ARCHIVE, ASSIGN, AVAILABLE, DELETE, DELIVERED, EDIT, GET, HISTORY, JOIN,
    LEAVE, LIST, OPEN, PUT_AGENT, READ, REQUEUE, RESOLVE, SEARCH, SEND, SNOOZE, TRANSFER,
    TRANSFER_ANSWER, TYPING,
};
use sampan_client::{Action, Pattern, topic_token_to_id};
use serde_json::{Value, json};

pub use self::asked::{
    AgentTold, Agents, Assign, Available, Come, Cursors, Delete, Edit, Found, HandOver,
    HandOverAnswer, List, ListWanted, Messages, Nothing, Of, Open, PageWanted, SearchWanted,
    Snapshot, Snooze, Typing,
};
pub use self::desk::{Desk, Settings};
use crate::chat::access::may_see;
use crate::chat::files::Blobs;
use crate::chat::model::Draft;
use crate::chat::rules::queue::TELL;
use crate::chat::rules::receipts::Mark;
use crate::chat::rules::routing::SWEEP;
use crate::chat::store::Store;
use crate::role::Role;
use crate::service::{Asker, Host, Problem, Verdict};

/// How long the broker goes by a yes, which stays one, and by a no, which a chat may change that
/// begins.
const YES: Duration = Duration::from_secs(600);
const NO: Duration = Duration::from_secs(30);
/// Between two looks at conversations whose times are days.
const SLOW_SWEEP: Duration = Duration::from_secs(60);
/// Who serves customers.
const AGENTS: &[Role] = &[Role::Agent, Role::Admin];

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
        host.authorize(desk, pattern, |it, asker, action, topic| async move {
            it.verdict(&asker, action, &topic).await
        })
        .await?;
    }
    host.beside("the routing of chats", desk.clone().route_for_ever());
    host.beside("the watch over agents", desk.clone().watch_agents());
    host.sweep(desk, "chat.places", TELL, |it| async move { it.tell_places().await });
    host.sweep(desk, "chat.active", SWEEP, |it| async move { it.sweep_active().await });
    host.sweep(desk, "chat.all", SLOW_SWEEP, |it| async move {
        it.sweep_all().await?;
        it.recount().await
    });
    Ok(())
}

/// What customers and agents ask alike.
async fn talk<S: Store, B: Blobs>(
    host: &mut Host,
    desk: &Desk<S, B>,
) -> Result<(), sampan_client::Error> {
    let all = Role::ALL;
    host.answer(desk, OPEN, all, |it, asker, asked: Open| async move {
        Ok(look::shown(it.open(&asker, asked).await?, &asker))
    })
    .await?;
    host.answer(
        desk,
        SEND,
        all,
        |it, asker, asked: Draft| async move { it.send(&asker, asked).await },
    )
    .await?;
    host.answer(
        desk,
        EDIT,
        all,
        |it, asker, asked: Edit| async move { it.edit(&asker, &asked).await },
    )
    .await?;
    host.answer(desk, DELETE, all, |it, asker, asked: Delete| async move {
        it.delete(&asker, &asked).await
    })
    .await?;
    host.answer(desk, DELIVERED, all, |it, asker, asked: Come| async move {
        it.come(&asker, &asked, Mark::Delivered).await
    })
    .await?;
    host.answer(desk, READ, all, |it, asker, asked: Come| async move {
        it.come(&asker, &asked, Mark::Read).await
    })
    .await?;
    host.answer(desk, TYPING, all, |it, asker, asked: Typing| async move {
        it.types(&asker, &asked).await.map(done)
    })
    .await?;
    host.answer(
        desk,
        JOIN,
        all,
        |it, asker, asked: Of| async move { it.join(&asker, &asked).await },
    )
    .await?;
    host.answer(desk, LEAVE, all, |it, asker, asked: Of| async move {
        it.leave(&asker, &asked).await.map(done)
    })
    .await?;
    host.answer(desk, GET, all, |it, asker, asked: Of| async move {
        Ok(look::shown(it.seen(&asked.conversation_id, &asker).await?, &asker))
    })
    .await?;
    host.answer(desk, HISTORY, all, |it, asker, asked: PageWanted| async move {
        it.history(&asker, &asked).await
    })
    .await?;
    host.answer(desk, SEARCH, all, |it, asker, asked: SearchWanted| async move {
        it.search(&asker, &asked).await
    })
    .await?;
    host.answer(desk, LIST, all, |it, asker, asked: ListWanted| async move {
        it.list(&asker, &asked).await
    })
    .await?;
    Ok(())
}

/// What agents and operators ask.
async fn handle<S: Store, B: Blobs>(
    host: &mut Host,
    desk: &Desk<S, B>,
) -> Result<(), sampan_client::Error> {
    host.answer(desk, ASSIGN, AGENTS, |it, asker, asked: Assign| async move {
        it.assign(&asker, &asked).await
    })
    .await?;
    host.answer(desk, REQUEUE, AGENTS, |it, asker, asked: Of| async move {
        it.requeue(&asker, &asked).await
    })
    .await?;
    host.answer(desk, RESOLVE, Role::STAFF, |it, asker, asked: Of| async move {
        it.resolve(&asker, &asked).await
    })
    .await?;
    host.answer(desk, ARCHIVE, Role::STAFF, |it, asker, asked: Of| async move {
        it.archive(&asker, &asked).await
    })
    .await?;
    host.answer(desk, SNOOZE, Role::STAFF, |it, asker, asked: Snooze| async move {
        it.snooze(&asker, &asked).await
    })
    .await?;
    host.answer(desk, TRANSFER, AGENTS, |it, asker, asked: HandOver| async move {
        it.transfer(&asker, &asked).await
    })
    .await?;
    host.answer(desk, TRANSFER_ANSWER, AGENTS, |it, asker, asked: HandOverAnswer| async move {
        it.answer(&asker, &asked).await
    })
    .await?;
    host.answer(desk, AVAILABLE, Role::STAFF, |it, asker, asked: Available| async move {
        it.available(&asker, &asked).await
    })
    .await?;
    host.answer(desk, PUT_AGENT, Role::OPERATORS, |it, _asker, asked: AgentTold| async move {
        it.put_agent(asked).await
    })
    .await?;
    host.answer(desk, AGENTS_LIST, Role::STAFF, |it, _asker, _asked: Nothing| async move {
        it.all_agents().await
    })
    .await?;
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
        let no = Ok(Verdict::no(NO));
        let tokens: Vec<&str> = topic.tokens().collect();
        let &["chat", kind, token] = tokens.as_slice() else { return no };
        let Some(id) = topic_token_to_id(token) else { return no };
        let is_fine = matches!(action, Action::Subscribe | Action::History | Action::Presence);
        if !is_fine || (kind == "note" && asker.role == Role::Customer) {
            return no;
        }
        match self.store.conversation(&id).await? {
            Some(chat) if may_see(&chat, asker) => Ok(Verdict::yes(YES)),
            _ => no,
        }
    }
}
