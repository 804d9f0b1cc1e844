//! Named events of clients, and what each stands for, in one table.

use sampan_protocol::{Code, Topic, topic};
use serde_json::Value;

use crate::failure::Failure;

/// Topics of one sort, one for each id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rooms {
    /// What stands in front of the id.
    prefix: &'static str,
    /// Members of an object that may hold the id; an id may also stand alone.
    members: &'static [&'static str],
    /// Whether who joins is present there.
    present: bool,
    /// What stands in front of the id in the topics that are joined and left with it, by whoever may.
    also: &'static [&'static str],
    /// What is asked next, if something is.
    asked: Option<Asked>,
}

/// Topics of the requests that tell who has joined a room how things stand there, and who has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    joined: &'static str,
    left: &'static str,
}

/// Where a message is worth nothing a moment later: whoever is recovered joins anew.
const FLEETING: [&str; 2] = ["chat.typing.", "chat.position."];

/// What follows from joining or leaving a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Follow {
    /// Topics that are joined or left too.
    pub(crate) also: Vec<String>,
    /// Topic of the request that is asked next, and its payload.
    pub(crate) joined: &'static str,
    /// As `joined`, for who leaves.
    pub(crate) left: &'static str,
    /// The payload of either.
    pub(crate) payload: String,
}

/// What follows from joining or leaving this topic, if something does.
pub(crate) fn follow(topic: &str) -> Option<Follow> {
    let of = |rooms: &'static Rooms| topic.strip_prefix(rooms.prefix).map(|token| (rooms, token));
    let (rooms, token) = ROOMS.iter().find_map(of)?;
    let Asked { joined, left } = rooms.asked?;
    let id = topic::token_to_id(token)?;
    let also = rooms.also.iter().map(|prefix| format!("{prefix}{token}")).collect();
    let payload = serde_json::json!({ "conversation_id": id }).to_string();
    Some(Follow { also, joined, left, payload })
}

/// Whether a room's messages are worth nothing a moment later.
pub(crate) fn is_fleeting(topic: &str) -> bool {
    FLEETING.iter().any(|prefix| topic.starts_with(prefix))
}

/// What an event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Subscribes a room's topic.
    Join(Rooms),
    /// Ends the subscription.
    Leave(Rooms),
    /// Asks whoever serves this topic; the answer is the reply.
    Ask(&'static str),
    /// Renews the token.
    Refresh,
}

const CONVERSATION: Rooms = Rooms {
    prefix: "chat.conversation.",
    members: &["conversationId", "conversation_id", "id"],
    present: true,
    also: &["chat.typing.", "chat.position.", "chat.note."],
    asked: Some(Asked { joined: "chat.join_conversation", left: "chat.leave_conversation" }),
};
const PRODUCT: Rooms = Rooms::alone("inventory.product.", &["productId", "product_id", "id"]);
const ORDER: Rooms = Rooms::alone("order.", &["orderId", "order_id", "id"]);

/// Every sort of rooms.
static ROOMS: [Rooms; 3] = [CONVERSATION, PRODUCT, ORDER];

/// Every event that a client may send.
pub(crate) const EVENTS: [(&str, Action); 18] = [
    ("chat:join_conversation", Action::Join(CONVERSATION)),
    ("conversation:join", Action::Join(CONVERSATION)),
    ("conversation:leave", Action::Leave(CONVERSATION)),
    ("product:track", Action::Join(PRODUCT)),
    ("product:untrack", Action::Leave(PRODUCT)),
    ("order:track", Action::Join(ORDER)),
    ("order:untrack", Action::Leave(ORDER)),
    ("chat:send_message", Action::Ask("chat.send_message")),
    ("message:send", Action::Ask("chat.send_message")),
    ("message:delivered", Action::Ask("chat.message_delivered")),
    ("message:read", Action::Ask("chat.message_read")),
    ("user:typing", Action::Ask("chat.user_typing")),
    ("agent:transfer", Action::Ask("chat.agent_transfer")),
    ("agent:available", Action::Ask("chat.agent_available")),
    ("inventory:reserve", Action::Ask("inventory.reserve")),
    ("inventory:release", Action::Ask("inventory.release")),
    ("inventory:extend", Action::Ask("inventory.extend")),
    ("auth:refresh", Action::Refresh),
];

/// Where agents are present, so that chats find those who are there.
const AGENTS: &str = "agents";

/// Rooms that a client of a role joins by connecting, beside its own.
const OF_ROLE: [(&str, &str); 2] = [("agent", AGENTS), ("admin", "admin.dashboard")];

/// What an event stands for.
///
/// # Errors
/// When there is no such event.
pub(crate) fn action(event: &str) -> Result<Action, Failure> {
    let found = EVENTS.iter().find(|(name, _)| *name == event).map(|(_, action)| *action);
    found.ok_or_else(|| Failure::new(Code::UNKNOWN_KIND, "there is no such event"))
}

/// The topics that a user of this role joins by connecting.
pub(crate) fn at_connect(user: &str, role: &str) -> Vec<String> {
    let own = format!("user.{}", topic::token(user));
    let of_role = OF_ROLE.iter().filter(|(name, _)| *name == role);
    std::iter::once(own).chain(of_role.map(|(_, topic)| (*topic).to_owned())).collect()
}

/// Whether who joins this topic is present there.
pub(crate) fn is_present(topic: &str) -> bool {
    topic == AGENTS || ROOMS.iter().any(|rooms| rooms.present && topic.starts_with(rooms.prefix))
}

impl Rooms {
    /// Rooms that nothing else goes with.
    const fn alone(prefix: &'static str, members: &'static [&'static str]) -> Self {
        Rooms { prefix, members, present: false, also: &[], asked: None }
    }

    /// The topic of the room that the argument names, by its id or by an object that holds it.
    ///
    /// # Errors
    /// When there is no id, or one that is too long.
    pub(crate) fn topic(&self, argument: &str) -> Result<String, Failure> {
        let bad = || Failure::new(Code::BAD_FIELD, "give an id, a text or a number");
        let argument: Value = serde_json::from_str(argument).map_err(|_| bad())?;
        let id = match &argument {
            Value::Object(object) => self.members.iter().find_map(|name| object.get(*name)),
            id => Some(id),
        };
        let id = match id {
            Some(Value::String(id)) if !id.is_empty() => topic::token(id),
            Some(Value::Number(id)) if !id.is_f64() => topic::token(&id.to_string()),
            _ => return Err(bad()),
        };
        let name = format!("{}{id}", self.prefix);
        Topic::parse(&name).map_err(sampan_protocol::Error::from)?;
        Ok(name)
    }
}

/// The token of a refresh, which stands alone or in an object.
///
/// # Errors
/// When there is none.
pub(crate) fn token(argument: &str) -> Result<String, Failure> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Token {
        Bare(String),
        Named { token: String },
    }
    let token = serde_json::from_str(argument);
    let token = token.map_err(|_| Failure::new(Code::BAD_FIELD, "give a token"))?;
    let (Token::Bare(token) | Token::Named { token }) = token;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What the document says of each event.
    fn documented() -> BTreeMap<&'static str, &'static str> {
        let document = include_str!("../../spec/bridge.md");
        let (_, table) = document.split_once("### Events of clients").expect("a chapter");
        let (table, _) = table.split_once("\n###").expect("another chapter");
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.flat_map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            let names = cells[0].split('`').skip(1).step_by(2);
            names.map(move |name| (name, cells[2].trim_end_matches(" |")))
        });
        rows.collect()
    }

    #[test]
    fn the_document_says_of_every_event_what_the_table_says() {
        let documented = documented();
        let names: Vec<_> = documented.keys().copied().collect();
        let mut events: Vec<_> = EVENTS.iter().map(|(name, _)| *name).collect();
        events.sort_unstable();
        assert_eq!(names, events);
        for (name, action) in EVENTS {
            let said = documented[name];
            let (verb, topic, present) = match action {
                Action::Join(rooms) => ("join", format!("`{}{{id}}`", rooms.prefix), rooms.present),
                Action::Leave(rooms) => {
                    ("leave", format!("`{}{{id}}`", rooms.prefix), rooms.present)
                }
                Action::Ask(topic) => ("requests", format!("`{topic}`"), false),
                Action::Refresh => ("renews", "token".to_owned(), false),
            };
            assert!(said.contains(verb) && said.contains(&topic), "{name}: {said}");
            assert_eq!(said.contains("presence"), present, "{name}: {said}");
        }
    }

    #[test]
    fn a_token_stands_alone_or_in_an_object() {
        let token = |argument| token(argument).map_err(|failure| failure.code);
        assert_eq!(token("\"t\""), Ok("t".to_owned()));
        assert_eq!(token(r#"{"token":"t"}"#), Ok("t".to_owned()));
        for bad in ["null", "7", "{}", "[]", r#"{"token":7}"#] {
            assert_eq!(token(bad), Err(Code::BAD_FIELD), "{bad}");
        }
    }

    #[test]
    fn an_id_becomes_one_token_however_it_is_given() {
        let topic = |argument| ORDER.topic(argument).map_err(|failure| failure.code);
        assert_eq!(topic("\"42\""), Ok("order.42".to_owned()));
        assert_eq!(topic("42"), Ok("order.42".to_owned()));
        assert_eq!(topic(r#"{"orderId":"42","id":"7"}"#), Ok("order.42".to_owned()));
        assert_eq!(topic("\">\""), Ok("order.%3E".to_owned()));
        assert_eq!(topic("\"a.*\""), Ok("order.a%2E%2A".to_owned()));
        for bad in ["\"\"", "null", "[]", "{}", "1.5", "true", r#"{"id":{}}"#] {
            assert_eq!(topic(bad), Err(Code::BAD_FIELD), "{bad}");
        }
        let long = format!("\"{}\"", "x".repeat(300));
        assert_eq!(topic(&long), Err(Code::BAD_TOPIC));
    }

    #[test]
    fn a_user_joins_an_own_room_and_that_of_the_role() {
        assert_eq!(at_connect("a.b", "customer"), ["user.a%2Eb"]);
        assert_eq!(at_connect("a", "agent"), ["user.a", "agents"]);
        assert_eq!(at_connect("a", "admin"), ["user.a", "admin.dashboard"]);
    }

    #[test]
    fn every_event_is_there_once_and_asks_a_topic() {
        for (at, (name, action)) in EVENTS.iter().enumerate() {
            assert!(EVENTS[..at].iter().all(|(other, _)| other != name), "{name}");
            if let Action::Ask(topic) = action {
                let of_service = ["chat.", "inventory."].iter().any(|it| topic.starts_with(it));
                assert!(Topic::parse(topic).is_ok() && of_service, "{name}");
            }
        }
        assert_eq!(action("constructor").map_err(|f| f.code), Err(Code::UNKNOWN_KIND));
        assert!(is_present("chat.conversation.1") && !is_present("order.1"));
    }

    #[test]
    fn who_joins_a_conversation_joins_what_goes_with_it_and_is_told_how_it_stands() {
        let follow = follow("chat.conversation.a%2Eb").expect("something");
        assert_eq!(follow.also, ["chat.typing.a%2Eb", "chat.position.a%2Eb", "chat.note.a%2Eb"]);
        assert_eq!(follow.payload, r#"{"conversation_id":"a.b"}"#);
        assert_eq!(super::follow("order.1"), None);
        assert!(is_fleeting("chat.typing.1") && !is_fleeting("chat.note.1"));
    }
}
