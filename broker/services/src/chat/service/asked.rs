//! What is asked of chat, and answered, with the services' own sort of time.

use sampan_client::chat as told;
pub use sampan_client::chat::{
    AgentTold, Assign, Available, Come, Cursors, Delete, Edit, HandOver, HandOverAnswer,
    ListWanted, Nothing, Of, Open, PageWanted, SearchWanted, Typing,
};

use crate::chat::model::TransferTarget;
use crate::moment::Moment;

/// A conversation as it stands, for one who comes to look at it.
pub type Snapshot = told::Snapshot<Moment>;
/// What was found, the newest first.
pub type Found = told::Found<Moment>;
/// Messages in order.
pub type Messages = told::Messages<Moment>;
/// Conversations.
pub type List = told::List<Moment>;
/// A conversation is put aside.
pub type Snooze = told::Snooze<Moment>;
/// Agents.
pub type Agents = told::Agents<Moment>;

/// To whom a conversation is handed over.
pub(super) fn target(asked: &HandOver) -> Option<TransferTarget> {
    match (&asked.to_agent, &asked.to_skill) {
        (Some(agent), None) => Some(TransferTarget::Agent(agent.clone())),
        (None, Some(skill)) => Some(TransferTarget::Skill(skill.clone())),
        _ => None,
    }
}
