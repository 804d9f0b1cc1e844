//! Asking about conversations, and taking part in them.

use protocol::control::Start;
use protocol::topic::token;
use protocol::{Code, Pattern};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::room::Room;
use super::{
    AGENTS, ARCHIVE, ASSIGN, AVAILABLE, Agent, AgentStatus, AgentTold, Agents, Assign, Available,
    CANNED_DELETE, CANNED_LIST, CANNED_PUT, CANNED_USE, CannedDeleted, CannedFilled, CannedList,
    CannedListWanted, CannedOf, CannedPut, CannedResponse, CannedUse, Come, Conversation, Cursors,
    DELETE, DELIVERED, Delete, Draft, EDIT, Edit, FIGURES, FILE_BEGIN, FILE_LINK, FiguresTold,
    FiguresWanted, FileBegin, FileBegun, FileLink, FileOf, Found, GET, HISTORY, HandOver,
    HandOverAnswer, JOIN, LEAVE, LIST, List, ListWanted, Message, Messages, Nothing, OPEN, Of,
    Open, PUT_AGENT, PageWanted, Policies, PolicyApply, PolicyPut, Promise, PromiseWanted, RATE,
    RATING_ASK, RATING_EDIT, RATINGS, READ, REQUEUE, RESOLVE, Rate, Rating, RatingAsk, RatingLink,
    Ratings, RatingsWanted, SEARCH, SEND, SLA_APPLY, SLA_GET, SLA_POLICIES, SLA_PUT, SNOOZE,
    SearchWanted, Snapshot, Snooze, TRANSFER, TRANSFER_ANSWER, TYPING, Typing,
};
use crate::error::invalid;
use crate::{Client, Error, Subscription};

impl Client {
    /// Conversations of customers with agents, as the shop's services have them.
    #[must_use]
    pub fn chat(&self) -> Chat {
        Chat { client: self.clone() }
    }
}

/// Conversations of customers with agents, as the shop's services have them.
///
/// ```no_run
/// # async fn example(client: sampan_client::Client) -> Result<(), sampan_client::Error> {
/// use sampan_client::chat::{News, Open};
///
/// let chat = client.chat();
/// let wanted = Open { client_conversation_id: "help-1".to_owned(), ..Open::default() };
/// let conversation = chat.open(&wanted).await?;
/// chat.say(&conversation.id, "m1", "Where is my order?").await?;
/// let mut room = chat.enter(&conversation.id).await?;
/// while let Some(news) = room.next().await {
///     if let News::Message(message) = news {
///         chat.read(&conversation.id, message.seq).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// All methods: `Refused` with BAD_FIELD, NOT_GRANTED, BUSY or a code of the services (904 there is
/// no such thing, or not for the asker; 909 it does not go with how things stand; 910 the key was
/// used for something else; 911 it has ended; 912 no room for one more); as for [`Client::request`].
#[derive(Clone, Debug)]
pub struct Chat {
    client: Client,
}

impl Chat {
    /// Begins a conversation, or finds the one that was begun by the same id.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn open(&self, wanted: &Open) -> Result<Conversation, Error> {
        self.ask(OPEN, wanted).await
    }

    /// Sends a message. The same draft again is the same message, so that it may be sent again after
    /// an error that says so.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn send(&self, draft: &Draft) -> Result<Message, Error> {
        self.ask(SEND, draft).await
    }

    /// Sends a text; `client_message_id` is the sender's own id for it.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn say(
        &self,
        conversation_id: &str,
        client_message_id: &str,
        text: &str,
    ) -> Result<Message, Error> {
        let mut draft = Draft {
            conversation_id: conversation_id.to_owned(),
            client_message_id: client_message_id.to_owned(),
            ..Draft::default()
        };
        draft.content.text = Some(text.to_owned());
        self.send(&draft).await
    }

    /// Gives a message of the asker another text.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn edit(&self, message_id: &str, text: &str) -> Result<Message, Error> {
        let question = Edit { message_id: message_id.to_owned(), text: text.to_owned() };
        self.ask(EDIT, &question).await
    }

    /// Takes from a message of the asker what it said; its place stays.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn delete(&self, message_id: &str) -> Result<Message, Error> {
        self.ask(DELETE, &Delete { message_id: message_id.to_owned() }).await
    }

    /// All up to this sequence have reached the asker. Less than before changes nothing.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn delivered(&self, conversation_id: &str, up_to: u64) -> Result<Cursors, Error> {
        self.ask(DELIVERED, &come(conversation_id, up_to)).await
    }

    /// The asker has read all up to this sequence, which have so reached it too. Less than before
    /// changes nothing.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn read(&self, conversation_id: &str, up_to: u64) -> Result<Cursors, Error> {
        self.ask(READ, &come(conversation_id, up_to)).await
    }

    /// The asker types, or no longer. Others forget it after 7 s; it is told at most every 3 s.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn typing(&self, conversation_id: &str, typing: bool) -> Result<(), Error> {
        let conversation_id = conversation_id.to_owned();
        let question = Typing { conversation_id, typing, user_id: None };
        self.ask::<Value>(TYPING, &question).await.map(drop)
    }

    /// A conversation.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn conversation(&self, id: &str) -> Result<Conversation, Error> {
        self.of(GET, id).await
    }

    /// A page of messages, in order.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn history(&self, wanted: &PageWanted) -> Result<Vec<Message>, Error> {
        Ok(self.ask::<Messages>(HISTORY, wanted).await?.messages)
    }

    /// Messages that have what is sought, the newest first, of those that the asker may see.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn search(&self, wanted: &SearchWanted) -> Result<Found, Error> {
        self.ask(SEARCH, wanted).await
    }

    /// The asker's conversations, a customer's, or those that wait; at most 100.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn list(&self, wanted: &ListWanted) -> Result<Vec<Conversation>, Error> {
        Ok(self.ask::<List>(LIST, wanted).await?.conversations)
    }

    /// Gives a conversation that waits to an agent.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn assign(&self, wanted: &Assign) -> Result<Conversation, Error> {
        self.ask(ASSIGN, wanted).await
    }

    /// Gives a conversation back to those that wait.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn requeue(&self, id: &str) -> Result<Conversation, Error> {
        self.of(REQUEUE, id).await
    }

    /// A conversation is answered.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn resolve(&self, id: &str) -> Result<Conversation, Error> {
        self.of(RESOLVE, id).await
    }

    /// A resolved conversation is over for good.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn archive(&self, id: &str) -> Result<Conversation, Error> {
        self.of(ARCHIVE, id).await
    }

    /// Puts a conversation aside until a time within the next 90 days, or until its customer writes.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn snooze(&self, id: &str, until: &str) -> Result<Conversation, Error> {
        let question: Snooze = Snooze { conversation_id: id.to_owned(), until: until.to_owned() };
        self.ask(SNOOZE, &question).await
    }

    /// Hands a conversation over, to an agent or to whoever has a skill.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn hand_over(&self, wanted: &HandOver) -> Result<Conversation, Error> {
        self.ask(TRANSFER, wanted).await
    }

    /// Takes a conversation that the asker was asked to take, or does not; within 60 s.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn answer_hand_over(&self, id: &str, accept: bool) -> Result<Conversation, Error> {
        let question = HandOverAnswer { conversation_id: id.to_owned(), accept };
        self.ask(TRANSFER_ANSWER, &question).await
    }

    /// The asking agent takes chats, or no longer. To be found by the routing it is also present on
    /// the topic `agents` ([`Client::presence`]).
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn available(&self, status: AgentStatus) -> Result<Agent, Error> {
        self.ask(AVAILABLE, &Available { agent_id: None, status }).await
    }

    /// The shop tells of an agent, in the place of what it told before.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn put_agent(&self, told: &AgentTold) -> Result<Agent, Error> {
        self.ask(PUT_AGENT, told).await
    }

    /// All agents, by id.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn agents(&self) -> Result<Vec<Agent>, Error> {
        Ok(self.ask::<Agents>(AGENTS, &Nothing::default()).await?.agents)
    }

    /// The asking customer rates the last resolution, once.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn rate(&self, rate: &Rate) -> Result<Rating, Error> {
        self.ask(RATE, rate).await
    }

    /// The asking customer rates otherwise than before, within a day.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn rate_otherwise(&self, rate: &Rate) -> Result<Rating, Error> {
        self.ask(RATING_EDIT, rate).await
    }

    /// A link by which the customer rates the last resolution without a login; the same one if it
    /// is asked for again. For the shop: agents do not ask about themselves.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn rating_link(&self, conversation_id: &str) -> Result<RatingLink, Error> {
        let conversation_id = conversation_id.to_owned();
        self.ask(RATING_ASK, &RatingAsk { conversation_id }).await
    }

    /// Ratings of a conversation, or of an agent, with the mean of these.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn ratings(&self, wanted: &RatingsWanted) -> Result<Ratings, Error> {
        self.ask(RATINGS, wanted).await
    }

    /// Announces a file, whose bytes go by HTTP PUT to the `path` of the answer within 15 minutes.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn begin_file(&self, file: &FileBegin) -> Result<FileBegun, Error> {
        self.ask(FILE_BEGIN, file).await
    }

    /// A link to a file, which gives it by HTTP GET for 7 days.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn file_link(&self, id: &str) -> Result<FileLink, Error> {
        self.ask(FILE_LINK, &FileOf { id: id.to_owned() }).await
    }

    /// Keeps a canned response, in the place of its owner's with the same shortcut.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn put_canned(&self, told: &CannedPut) -> Result<CannedResponse, Error> {
        self.ask(CANNED_PUT, told).await
    }

    /// Removes a canned response; whether it was there.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn delete_canned(&self, id: &str) -> Result<bool, Error> {
        let gone: CannedDeleted = self.ask(CANNED_DELETE, &CannedOf { id: id.to_owned() }).await?;
        Ok(gone.deleted)
    }

    /// A page of the canned responses that the asker may use.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn canned(&self, wanted: &CannedListWanted) -> Result<CannedList, Error> {
        self.ask(CANNED_LIST, wanted).await
    }

    /// The text of a canned response, filled in.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn fill_canned(&self, wanted: &CannedUse) -> Result<String, Error> {
        Ok(self.ask::<CannedFilled>(CANNED_USE, wanted).await?.text)
    }

    /// What was answered, how fast and how well, by day and agent; an agent's own, or all.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn figures(&self, wanted: &FiguresWanted) -> Result<FiguresTold, Error> {
        self.ask(FIGURES, wanted).await
    }

    /// Promises customers an answer in time; for the shop.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn put_policy(&self, told: &PolicyPut) -> Result<PolicyPut, Error> {
        self.ask(SLA_PUT, told).await
    }

    /// All promises, by id.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn policies(&self) -> Result<Vec<PolicyPut>, Error> {
        Ok(self.ask::<Policies>(SLA_POLICIES, &Nothing::default()).await?.policies)
    }

    /// Makes another promise to a conversation whose customer has written.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn apply_policy(
        &self,
        conversation_id: &str,
        policy_id: &str,
    ) -> Result<Promise, Error> {
        let (conversation_id, policy_id) = (conversation_id.to_owned(), policy_id.to_owned());
        self.ask(SLA_APPLY, &PolicyApply { conversation_id, policy_id }).await
    }

    /// The promise to a conversation, and how it was kept.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn promise(&self, conversation_id: &str) -> Result<Promise, Error> {
        let conversation_id = conversation_id.to_owned();
        self.ask(SLA_GET, &PromiseWanted { conversation_id }).await
    }

    /// Comes to look at a conversation: how it stands, and then all that is told of it, without a
    /// hole between and without anything twice, over every loss of the connection.
    ///
    /// # Errors
    /// See [`Chat`]; as for [`Client::subscribe`].
    pub async fn enter(&self, id: &str) -> Result<Room, Error> {
        // Whatever is told while it is asked for waits in the subscription.
        let told = self.subscribe("conversation", id).await?;
        let typing = self.subscribe("typing", id).await?;
        let notes = match self.subscribe("note", id).await {
            Ok(notes) => Some(notes),
            // Notes are for agents.
            Err(error) if is_denied(&error) => None,
            Err(error) => return Err(error),
        };
        let snapshot: Snapshot = self.of(JOIN, id).await?;
        Ok(Room::new(snapshot, told, typing, notes))
    }

    /// The asker takes part in a conversation no longer.
    ///
    /// # Errors
    /// See [`Chat`].
    pub async fn leave(&self, id: &str) -> Result<(), Error> {
        self.of::<Value>(LEAVE, id).await.map(drop)
    }

    async fn subscribe(&self, kind: &str, id: &str) -> Result<Subscription, Error> {
        let pattern = Pattern::parse(&format!("chat.{kind}.{}", token(id))).map_err(invalid)?;
        self.client.subscribe(pattern, Start::Now).await
    }

    async fn of<T: DeserializeOwned>(&self, topic: &str, id: &str) -> Result<T, Error> {
        self.ask(topic, &Of { conversation_id: id.to_owned() }).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        topic: &str,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        self.client.question(topic, question).await
    }
}

fn come(conversation_id: &str, up_to: u64) -> Come {
    let conversation_id = Some(conversation_id.to_owned());
    Come { conversation_id, up_to_seq: Some(up_to), ..Come::default() }
}

fn is_denied(error: &Error) -> bool {
    matches!(error.code(), Some(Code::NOT_GRANTED | Code::NOT_AUTHORIZED))
}
