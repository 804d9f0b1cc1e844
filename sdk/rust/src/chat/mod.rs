//! Conversations of customers with agents: the topics to ask on, questions and answers, JSON both
//! ways. [`Client::chat`](crate::Client::chat) has a method for each.
//!
//! Times are texts of UTC such as `2026-11-23T02:28:29.123Z`; who has a type of its own for them
//! puts it in the place of `Time`.

mod agent;
mod attachment;
mod canned;
mod conversation;
mod event;
mod extra;
mod figures;
mod file;
mod handle;
mod message;
mod participant;
mod promise;
mod question;
mod rating;
mod room;
mod waiting;

pub use agent::{Agent, Status as AgentStatus};
pub use attachment::{Attachment, ScanStatus};
pub use canned::{
    CannedDeleted, CannedFilled, CannedList, CannedListWanted, CannedOf, CannedPut, CannedResponse,
    CannedUse, Scope,
};
pub use conversation::{Conversation, Origin, Priority, Source, Status, Transfer};
pub use event::{
    ArchivedEvent, AssignedEvent, AvailableEvent, JoinEvent, LoadEvent, PositionEvent,
    ReceiptEvent, StatusEvent, TransferEvent, TypingEvent,
};
pub use extra::Extra;
pub(crate) use figures::ratio;
pub use figures::{Figures, FiguresDay, FiguresShown, FiguresTold, FiguresWanted, Times};
pub use file::{FileBegin, FileBegun, FileLink, FileOf};
pub use handle::Chat;
pub use message::{
    Content, Draft, DraftContent, Kind, Message, Metadata, QuickReply, Receipt, Sender, SystemLine,
};
pub use participant::Participant;
pub use promise::{
    Applied, Miss, Policies, PolicyApply, PolicyPut, Promise, PromiseState, PromiseWanted, Span,
    Target, Week,
};
pub use question::{
    AgentTold, Agents, Assign, Available, Come, Cursors, Delete, Edit, Found, HandOver,
    HandOverAnswer, List, ListWanted, Messages, Nothing, Of, Open, PageWanted, Rate, SearchWanted,
    Snapshot, Snooze, Typing,
};
pub use rating::{Answer, Rating, RatingAsk, RatingLink, Ratings, RatingsWanted};
pub use room::{News, Room};
pub use waiting::{Reason, Wants};

/// Begins a conversation: [`Open`], answered by [`Conversation`].
pub const OPEN: &str = "chat.open";
/// Sends a message: [`Draft`], answered by [`Message`].
pub const SEND: &str = "chat.send_message";
/// Gives a message another text: [`Edit`], answered by [`Message`].
pub const EDIT: &str = "chat.edit_message";
/// Takes from a message what it said: [`Delete`], answered by [`Message`].
pub const DELETE: &str = "chat.delete_message";
/// The asker has got messages: [`Come`], answered by [`Cursors`].
pub const DELIVERED: &str = "chat.message_delivered";
/// The asker has read messages: [`Come`], answered by [`Cursors`].
pub const READ: &str = "chat.message_read";
/// The asker types: [`Typing`]; the answer has no members.
pub const TYPING: &str = "chat.user_typing";
/// The asker comes to look at a conversation: [`Of`], answered by [`Snapshot`].
pub const JOIN: &str = "chat.join_conversation";
/// The asker takes part no longer: [`Of`]; the answer has no members.
pub const LEAVE: &str = "chat.leave_conversation";
/// A conversation: [`Of`], answered by [`Conversation`].
pub const GET: &str = "chat.get";
/// A page of messages: [`PageWanted`], answered by [`Messages`].
pub const HISTORY: &str = "chat.history";
/// Messages that have what is sought: [`SearchWanted`], answered by [`Found`].
pub const SEARCH: &str = "chat.search";
/// The asker's conversations: [`ListWanted`], answered by [`List`].
pub const LIST: &str = "chat.list";
/// Gives a conversation to an agent: [`Assign`], answered by [`Conversation`].
pub const ASSIGN: &str = "chat.assign";
/// Gives a conversation back: [`Of`], answered by [`Conversation`].
pub const REQUEUE: &str = "chat.requeue";
/// A conversation is answered: [`Of`], answered by [`Conversation`].
pub const RESOLVE: &str = "chat.resolve";
/// A conversation is over for good: [`Of`], answered by [`Conversation`].
pub const ARCHIVE: &str = "chat.archive";
/// A conversation is put aside: [`Snooze`], answered by [`Conversation`].
pub const SNOOZE: &str = "chat.snooze";
/// Hands a conversation over: [`HandOver`], answered by [`Conversation`].
pub const TRANSFER: &str = "chat.agent_transfer";
/// Takes a conversation that is handed over, or does not: [`HandOverAnswer`], answered by
/// [`Conversation`].
pub const TRANSFER_ANSWER: &str = "chat.transfer_answer";
/// Whether an agent takes chats: [`Available`], answered by [`Agent`].
pub const AVAILABLE: &str = "chat.agent_available";
/// The shop tells of an agent: [`AgentTold`], answered by [`Agent`].
pub const PUT_AGENT: &str = "chat.agent_put";
/// All agents: [`Nothing`], answered by [`Agents`].
pub const AGENTS: &str = "chat.agents";
/// A customer rates the last resolution: [`Rate`], answered by [`Rating`].
pub const RATE: &str = "chat.rate";
/// A customer rates otherwise than before: [`Rate`], answered by [`Rating`].
pub const RATING_EDIT: &str = "chat.rating_edit";
/// A link by which a customer rates without a login: [`RatingAsk`], answered by [`RatingLink`].
pub const RATING_ASK: &str = "chat.rating_ask";
/// Ratings of a conversation or an agent: [`RatingsWanted`], answered by [`Ratings`].
pub const RATINGS: &str = "chat.ratings";
/// Announces a file: [`FileBegin`], answered by [`FileBegun`].
pub const FILE_BEGIN: &str = "chat.file_begin";
/// A link to a file: [`FileOf`], answered by [`FileLink`].
pub const FILE_LINK: &str = "chat.file_link";
/// Keeps a canned response: [`CannedPut`], answered by [`CannedResponse`].
pub const CANNED_PUT: &str = "chat.canned_put";
/// Removes a canned response: [`CannedOf`], answered by [`CannedDeleted`].
pub const CANNED_DELETE: &str = "chat.canned_delete";
/// Canned responses that the asker may use: [`CannedListWanted`], answered by [`CannedList`].
pub const CANNED_LIST: &str = "chat.canned_list";
/// Fills a canned response in: [`CannedUse`], answered by [`CannedFilled`].
pub const CANNED_USE: &str = "chat.canned_use";
/// Figures by day and agent: [`FiguresWanted`], answered by [`FiguresTold`].
pub const FIGURES: &str = "chat.figures";
/// The shop makes a promise: [`PolicyPut`], answered by the same.
pub const SLA_PUT: &str = "chat.sla_put";
/// All promises: [`Nothing`], answered by [`Policies`].
pub const SLA_POLICIES: &str = "chat.sla_policies";
/// Makes another promise to a conversation: [`PolicyApply`], answered by [`Promise`].
pub const SLA_APPLY: &str = "chat.sla_apply";
/// The promise to a conversation: [`PromiseWanted`], answered by [`Promise`].
pub const SLA_GET: &str = "chat.sla_get";
