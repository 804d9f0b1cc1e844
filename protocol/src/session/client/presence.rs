//! Presence: entries, watches, and the changes that reach them.

use super::output::Event;
use super::requests::Wants;
use super::standing::{Standing, What};
use super::{Answer, Client, NotTaken};
use crate::control::{self, Members, MembersChanged, Presence, PresenceAct};
use crate::error::Error;
use crate::frame::Frame;
use crate::topic::Topic;

impl Client {
    /// Makes the session's user present in a topic.
    ///
    /// # Errors
    /// `Full`, `Closed`.
    pub fn enter(&mut self, topic: Topic) -> Result<u64, NotTaken> {
        self.stand(What::Entry { topic })
    }

    /// Takes the oldest entry in a topic back. The broker is told when none is left; answers the
    /// number of that request.
    pub fn leave(&mut self, topic: &Topic) -> Option<u64> {
        let of_topic = |what: &What| matches!(what, What::Entry { topic: other } if other == topic);
        let mut entries = self.standing.iter().filter(|(_, standing)| of_topic(&standing.what));
        let number = *entries.next()?.0;
        let last = entries.next().is_none();
        self.standing.remove(&number);
        last.then(|| self.presence(topic, PresenceAct::Leave, Wants::Done).ok()).flatten()
    }

    /// Watches the members of a topic: all of them first, then every change.
    ///
    /// # Errors
    /// `Full`, `Closed`.
    pub fn watch(&mut self, topic: Topic) -> Result<u64, NotTaken> {
        self.stand(What::Watch { topic, sequence: None })
    }

    /// Ends a watch. Nothing more is told about it.
    pub fn unwatch(&mut self, number: u64) {
        let Some(Standing { what: What::Watch { topic, .. }, .. }) = self.standing.get(&number)
        else {
            return;
        };
        let topic = topic.clone();
        let asked = self.withdraw_from(number).is_some();
        let same =
            |what: &What| matches!(what, What::Watch { topic: other, .. } if *other == topic);
        if asked && !self.standing.values().any(|standing| same(&standing.what)) {
            let body = Presence::of(topic.as_str(), PresenceAct::Unwatch);
            let number = self.requests.number();
            if let Ok(frame) = control::encode(&body, number) {
                self.send(frame);
            }
        }
    }

    /// Asks for all members again, for a reader that could not follow the changes.
    pub fn watch_again(&mut self, number: u64) {
        let Some(standing) = self.standing.get_mut(&number) else { return };
        let What::Watch { sequence, .. } = &mut standing.what else { return };
        if sequence.take().is_some() && self.phase.is_live() {
            self.register(number);
        }
    }

    /// MEMBERS: for a watch, or the answer to a read.
    pub(super) fn all_members(&mut self, frame: &Frame) -> Result<(), Error> {
        let members: Members = control::decode(frame)?;
        let asked = frame.header.number;
        if self.requests.take_if(asked, |wants| *wants == Wants::Members).is_some() {
            self.answer_with(asked, Answer::Members(members));
            return Ok(());
        }
        let Some(watch) = self.standing_of(asked) else {
            self.counters.unmatched += 1;
            return Ok(());
        };
        if let Some(Standing { what: What::Watch { sequence, .. }, .. }) =
            self.standing.get_mut(&watch)
        {
            *sequence = Some(members.sequence);
            self.ready(watch, None);
            self.event(Event::Members { watch, members });
        }
        Ok(())
    }

    /// MEMBERS_CHANGED: goes to every watch of its topic. A hole makes a watch start over.
    pub(super) fn members_changed(&mut self, frame: &Frame) -> Result<(), Error> {
        let change: MembersChanged = control::decode(frame)?;
        let mut broken = Vec::new();
        let mut next = Vec::new();
        for (number, standing) in &mut self.standing {
            let What::Watch { topic, sequence } = &mut standing.what else { continue };
            let Some(known) = *sequence else { continue };
            if topic.as_str() != change.topic || change.sequence <= known {
                continue;
            }
            if change.sequence == known + 1 {
                *sequence = Some(change.sequence);
                next.push(*number);
            } else {
                *sequence = None;
                broken.push(*number);
            }
        }
        for watch in next {
            self.event(Event::MembersChanged { watch, change: change.clone() });
        }
        for watch in broken {
            self.register(watch);
        }
        Ok(())
    }
}
