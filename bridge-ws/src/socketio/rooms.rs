//! The rooms of one client and how far it has read each, as a text that the client can give back.

use std::collections::BTreeMap;

use sampan_protocol::control::TopicPosition;
use sampan_protocol::{Position, Topic};

use crate::events::is_fleeting;

/// Bytes of the text. A client in more rooms than fit is not recovered, and told so.
const BYTES_MAX: usize = 2048;
/// Stands for rooms that do not fit.
const TOO_MANY: &str = "-";

/// The rooms of a client, by topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rooms(BTreeMap<String, Room>);

/// One room.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Number of the subscription.
    pub(super) number: u64,
    /// The last message of it; none before the join is confirmed.
    pub(super) position: Option<Position>,
}

impl Rooms {
    /// The rooms that a text names; none if it is not one of ours or says that they did not fit.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let parse = |part: &str| {
            let (topic, position) = part.split_once('=')?;
            let topic = Topic::parse(topic).ok()?.as_str().to_owned();
            Some((topic, Room { number: 0, position: Some(position.parse().ok()?) }))
        };
        let parts = text.split(';').filter(|part| !part.is_empty());
        parts.map(parse).collect::<Option<_>>().map(Rooms)
    }

    /// The rooms whose join is confirmed, with positions.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        for (topic, room) in &self.0 {
            let Some(position) = room.position else { continue };
            // They are joined with the room that they go with.
            if is_fleeting(topic) {
                continue;
            }
            if !text.is_empty() {
                text.push(';');
            }
            for part in [topic, "=", &position.to_string()] {
                text.push_str(part);
            }
            if text.len() > BYTES_MAX {
                return TOO_MANY.to_owned();
            }
        }
        text
    }

    /// How far each room has been read.
    pub(super) fn positions(&self) -> Vec<TopicPosition> {
        let position = |(topic, room): (&String, &Room)| {
            let Position { epoch, offset } = room.position?;
            Some(TopicPosition { topic: topic.clone(), epoch, offset })
        };
        self.0.iter().filter_map(position).collect()
    }

    /// The room is joined again under this number, from where it was.
    pub(super) fn rejoin(&mut self, topic: &str, number: u64) {
        if let Some(room) = self.0.get_mut(topic) {
            room.number = number;
        }
    }

    pub(super) fn get(&self, topic: &str) -> Option<&Room> {
        self.0.get(topic)
    }

    /// The topic of the room that was joined under this number.
    pub(super) fn joined_as(&self, number: u64) -> Option<String> {
        let joined = self.0.iter().find(|(_, room)| number > 0 && room.number == number);
        joined.map(|(topic, _)| topic.clone())
    }

    pub(super) fn join(&mut self, topic: String, number: u64) {
        self.0.insert(topic, Room { number, position: None });
    }

    pub(super) fn leave(&mut self, topic: &str) -> Option<Room> {
        self.0.remove(topic)
    }

    /// The join of this room is confirmed here, unless something of it has been seen.
    pub(super) fn confirm(&mut self, topic: &str, at: Option<&TopicPosition>) {
        if let Some(room) = self.0.get_mut(topic) {
            let at = at
                .map_or(Position::default(), |at| Position { epoch: at.epoch, offset: at.offset });
            room.position.get_or_insert(at);
        }
    }

    /// The client is about to see this message. Whether it is in the room and has not seen it.
    pub(super) fn see(&mut self, topic: &str, position: Position) -> bool {
        let Some(room) = self.0.get_mut(topic) else { return false };
        let is_new = room
            .position
            .is_none_or(|at| at.epoch != position.epoch || at.offset < position.offset);
        if is_new {
            room.position = Some(position);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 1_795_376_191_129, offset }
    }

    #[test]
    fn the_text_holds_what_has_been_seen_and_reads_back() {
        let mut rooms = Rooms::default();
        rooms.join("order.1".to_owned(), 1);
        rooms.join("order.2".to_owned(), 2);
        assert_eq!(rooms.text(), "", "no join is confirmed");
        assert!(rooms.see("order.1", at(3)) && !rooms.see("order.1", at(3)));
        assert!(!rooms.see("order.3", at(1)), "not a room of this client");
        let first = TopicPosition { topic: "order.2".to_owned(), epoch: 7, offset: 0 };
        rooms.confirm("order.2", Some(&first));
        rooms.confirm("order.1", Some(&first));
        assert_eq!(rooms.text(), "order.1=1795376191129:3;order.2=7:0");
        let read = Rooms::parse(&rooms.text()).expect("ours");
        assert_eq!(read.text(), rooms.text());
        assert_eq!(Rooms::parse(""), Some(Rooms::default()));
        for bad in ["-", "a", "a=1", "a=x:1", "*=1:2", &"x".repeat(BYTES_MAX + 1)] {
            assert_eq!(Rooms::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn more_rooms_than_fit_are_none() {
        let mut rooms = Rooms::default();
        for number in 1..100 {
            let topic = format!("order.{number}");
            rooms.join(topic.clone(), number);
            rooms.see(&topic, at(1));
        }
        assert_eq!(rooms.text(), TOO_MANY);
        assert_eq!(Rooms::parse(TOO_MANY), None);
    }
}
