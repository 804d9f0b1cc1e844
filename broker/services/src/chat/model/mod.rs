//! What a chat is made of, under the names it has on the wire.

mod agent;
mod attachment;
mod canned;
mod conversation;
mod event;
mod message;
mod participant;
mod rating;
mod waiting;

pub use agent::{Agent, Status as AgentStatus};
pub use attachment::{Attachment, ScanStatus};
pub use canned::{CannedResponse, Scope};
pub use conversation::{Conversation, Origin, Priority, Source, Status, Transfer, TransferTarget};
pub use event::{
    ArchivedEvent, AssignedEvent, AvailableEvent, JoinEvent, LoadEvent, Name, PositionEvent,
    ReceiptEvent, StatusEvent, TransferEvent, TypingEvent,
};
pub use message::{
    Content, Draft, DraftContent, Kind, Message, Metadata, QuickReply, Receipt, Revision, Sender,
    SystemLine,
};
pub use participant::Participant;
pub use rating::{Answer, Rating};
pub use waiting::{Assignment, EndReason, Reason, Wants};
