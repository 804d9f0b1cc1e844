//! Changes of conversations: asked for again until nobody is in between.

use std::sync::{Arc, Mutex};

use sampan_client::{Client, Message as Published};
use tokio::sync::Notify;
use tracing::warn;

use super::events::{follow, topic};
use super::typing::Keyboards;
use crate::chat::access;
use crate::chat::course::Courses;
use crate::chat::files::{Blobs, Files};
use crate::chat::model::{Agent, Conversation, LoadEvent, Message, Name, Participant, Sender};
use crate::chat::ratings::Answers;
use crate::chat::rules::due::Patience;
use crate::chat::rules::lifecycle::{Change, Effect, Event, step};
use crate::chat::rules::queue::Board;
use crate::chat::rules::rating::COOLDOWN;
use crate::chat::rules::routing::Policy;
use crate::chat::store::{Outcome, Room, Step, Store};
use crate::moment::Moment;
use crate::role::Role;
use crate::service::{Asker, Problem};
use crate::users::Users;

/// Times that a change is tried while others are faster.
const TRIES: u32 = 20;

/// How chats are handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How chats find agents.
    pub policy: Policy,
    /// How long everything may take.
    pub patience: Patience,
}

/// Chats and those who answer them.
#[derive(Clone, Debug)]
pub struct Desk<S, B> {
    pub(super) store: S,
    pub(super) users: Users,
    pub(super) courses: Courses,
    pub(super) files: Files<S, B>,
    /// Who was asked for a rating.
    answers: Answers,
    pub(super) client: Client,
    pub(super) settings: Arc<Settings>,
    pub(super) keyboards: Keyboards,
    /// What those who wait have been told of their places.
    pub(super) board: Arc<Mutex<Board>>,
    /// Told when a chat may find an agent.
    pub(super) moved: Arc<Notify>,
}

/// A change that somebody wants.
pub(super) struct Wish {
    /// What happens; nothing, for what leaves the conversation as it stands.
    pub(super) event: Option<Event>,
    /// What is said with it; it gets its sequence from the store.
    pub(super) message: Option<Message>,
    /// What an agent that gets the conversation must have.
    pub(super) room: Room,
}

impl From<Event> for Wish {
    fn from(event: Event) -> Self {
        Wish { event: Some(event), message: None, room: Room::Online }
    }
}

/// A change that has been stored.
pub(super) struct Done {
    pub(super) conversation: Conversation,
    /// The message that was asked for, with its sequence; also if it had come before.
    pub(super) message: Option<Message>,
}

impl<S: Store, B: Blobs> Desk<S, B> {
    /// The desk over a store, for messages with these files and chats with these ratings.
    #[must_use]
    pub fn new(
        store: S,
        users: Users,
        courses: Courses,
        (files, answers): (Files<S, B>, Answers),
        client: Client,
        settings: Settings,
    ) -> Self {
        let settings = Arc::new(settings);
        let (keyboards, moved) = (Keyboards::default(), Arc::new(Notify::new()));
        let board = Arc::default();
        Desk { store, users, courses, files, answers, client, settings, keyboards, board, moved }
    }

    /// The conversation of this id, whoever asks.
    pub(super) async fn find(&self, id: &str) -> Result<Conversation, Problem> {
        access::find(&self.store, id).await
    }

    /// The conversation, if it is there for this asker: of another's nobody learns that there is
    /// one.
    pub(super) async fn seen(&self, id: &str, asker: &Asker) -> Result<Conversation, Problem> {
        access::seen(&self.store, id, asker).await
    }

    /// Changes a conversation as `wish` wants it, which is asked anew whenever another change was
    /// faster.
    pub(super) async fn change<W, R>(&self, id: &str, wish: W) -> Result<Done, Problem>
    where
        W: Fn(Conversation, Moment) -> R,
        R: Future<Output = Result<Wish, Problem>>,
    {
        for _ in 0..TRIES {
            let before = self.find(id).await?;
            let at = Moment::now();
            let Wish { event, message, room } = wish(before.clone(), at).await?;
            let mut change = match event {
                Some(event) => step(&before, event, at)?,
                None => quiet(&before),
            };
            self.spare(&mut change, at).await?;
            let (events, lines) = follow(&change, at)?;
            // What somebody says comes before what the shop says of it.
            let is_asked = message.is_some();
            let messages = message
                .into_iter()
                .chain(lines)
                .map(|message| Message { epoch: change.conversation.epoch, ..message });
            let wanted = Step {
                events,
                room,
                messages: messages.collect(),
                ..Step::new(change.clone(), at)
            };
            match self.store.apply(&wanted).await? {
                Outcome::Done(messages) => {
                    self.after(&change).await;
                    let message = messages.into_iter().next().filter(|_| is_asked);
                    return Ok(Done { conversation: change.conversation, message });
                }
                Outcome::Repeated(message) => {
                    let conversation = self.find(id).await?;
                    return Ok(Done { conversation, message: Some(*message) });
                }
                Outcome::Differs => return Err(used()),
                Outcome::Full => return Err(Problem::full("the agent has no free slot")),
                Outcome::Moved => {}
            }
        }
        Err(Problem::new(sampan_client::Code::BUSY, "others change the conversation; try again"))
    }

    /// Does not ask for a rating who was asked for one, or has given one, less than a week ago.
    async fn spare(&self, change: &mut Change, at: Moment) -> Result<(), Problem> {
        let Change { conversation: chat, effects } = change;
        if effects.iter().any(|effect| matches!(effect, Effect::AskRating(_))) {
            let (about, quiet) = ((chat.id.as_str(), chat.resolution_no), at.before(COOLDOWN));
            if self.answers.ask(&chat.customer_id, about, at, quiet).await?.is_none() {
                effects.retain(|effect| !matches!(effect, Effect::AskRating(_)));
            }
        }
        Ok(())
    }

    /// What is done once a change is stored; done again, it changes nothing.
    async fn after(&self, change: &Change) {
        for effect in &change.effects {
            match effect {
                Effect::Assigned { agent_id, .. } => {
                    let id = &change.conversation.id;
                    let who = participant(id, agent_id, Sender::Agent, Moment::now());
                    // Who comes to look at it is noted then.
                    if let Err(error) = self.store.join(&who).await {
                        warn!(%error, agent_id, "an agent who got a chat was not noted there");
                    }
                    self.look_at_load(agent_id).await;
                }
                Effect::Ended { agent_id, .. } => {
                    self.moved.notify_one();
                    self.look_at_load(agent_id).await;
                }
                Effect::Queued => self.moved.notify_one(),
                _ => {}
            }
        }
    }

    /// Tells how many chats an agent has. Who misses it reads it with the agents.
    async fn look_at_load(&self, id: &str) {
        match self.store.agent(id).await {
            Ok(Some(agent)) => self.tell_load(&agent).await,
            Ok(None) => {}
            Err(error) => warn!(%error, agent_id = id, "it was not told how many chats it has"),
        }
    }

    pub(super) async fn tell_load(&self, agent: &Agent) {
        let id = &agent.id;
        let told = LoadEvent {
            agent_id: id.clone(),
            current: agent.current_conversations,
            limit: agent.concurrent_limit,
            version: agent.load_version,
        };
        let (Ok(topic), Ok(json)) = (topic("agent", id), serde_json::to_vec(&told)) else { return };
        let message = Published::new(topic, json)
            .event(Name::Load.text())
            .content_type("application/json")
            .key(id);
        let _ = self.client.publish_unacked(message).await;
    }
}

/// A change that leaves the conversation as it stands, but for what is said.
fn quiet(before: &Conversation) -> Change {
    let conversation = Conversation { version: before.version.saturating_add(1), ..before.clone() };
    Change { conversation, effects: Vec::new() }
}

/// A user who takes part from then on.
pub(super) fn participant(id: &str, user: &str, role: Sender, at: Moment) -> Participant {
    Participant {
        conversation_id: id.to_owned(),
        user_id: user.to_owned(),
        role,
        delivered_seq: 0,
        read_seq: 0,
        joined_at: at,
        left_at: None,
        muted: false,
    }
}

/// As what a user takes part.
pub(super) fn sender(role: Role) -> Sender {
    match role {
        Role::Customer => Sender::Customer,
        Role::Agent | Role::Admin => Sender::Agent,
        Role::Service => Sender::System,
    }
}

/// The same id for something else.
pub(super) fn used() -> Problem {
    Problem::differs("client_message_id: it was used for another message")
}
