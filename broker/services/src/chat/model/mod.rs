//! What a chat is made of, under the names it has on the wire: what the client shares, with the
//! services' own sort of time, and what only the services know.

mod assignment;
mod event;
mod revision;
mod target;

use sampan_client::chat as told;
pub use sampan_client::chat::{
    AgentStatus, Answer, ArchivedEvent, AssignedEvent, Attachment, AvailableEvent, CannedResponse,
    Content, Draft, DraftContent, JoinEvent, Kind, LoadEvent, Metadata, Origin, PositionEvent,
    Priority, QuickReply, Reason, Receipt, ReceiptEvent, ScanStatus, Scope, Sender, Source, Status,
    StatusEvent, SystemLine, TransferEvent, Wants,
};

pub use assignment::{Assignment, EndReason};
pub use event::Name;
pub use revision::Revision;
pub use target::TransferTarget;

use crate::moment::Moment;

/// A support agent.
pub type Agent = told::Agent<Moment>;
/// A conversation.
pub type Conversation = told::Conversation<Moment>;
/// A message.
pub type Message = told::Message<Moment>;
/// A user in a conversation.
pub type Participant = told::Participant<Moment>;
/// The rating of one resolution.
pub type Rating = told::Rating<Moment>;
/// A chat that is being handed to somebody who has not answered yet.
pub type Transfer = told::Transfer<Moment>;
/// Who types.
pub type TypingEvent = told::TypingEvent<Moment>;
