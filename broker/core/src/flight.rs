//! What of a topic is on its way to the journal, and who waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sampan_protocol::AckLevel;

use crate::journal::{Run, Ticket};
use crate::latest::Coming;
use crate::message::{AckRun, Origin};

/// Publishers that are acknowledged together, and since when the first of them has waited.
pub(crate) type Acks = (Instant, Vec<(Origin, AckRun)>);

/// The batches of one topic that the journal has been given, in order, until it has told the last
/// of them.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    batches: VecDeque<Flight>,
}

/// One batch.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) ticket: Ticket,
    /// When its first message was ordered.
    pub(crate) since: Instant,
    pub(crate) run: Arc<Run>,
    /// The values that the run brings, if the topic keeps values.
    pub(crate) values: Vec<Coming>,
    /// Publishers that wait for the journal.
    pub(crate) acks: Vec<(Origin, AckRun)>,
    /// The weakest level that anybody may hear of.
    pub(crate) heard_from: AckLevel,
    /// The level from which on subscribers see it.
    pub(crate) shown_from: AckLevel,
    /// What the journal has told.
    pub(crate) reached: Option<AckLevel>,
    /// Whether the journal has told the last of it.
    pub(crate) has_ended: bool,
    /// Whether it has been shown or given up.
    pub(crate) is_told: bool,
}

/// What failed, and whether subscribers have seen it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) run: Arc<Run>,
    pub(crate) values: Vec<Coming>,
    pub(crate) acks: Vec<(Origin, AckRun)>,
    pub(crate) was_shown: bool,
}

impl Flights {
    pub(crate) fn push(&mut self, flight: Flight) {
        self.batches.push_back(flight);
    }

    /// Notes what the journal has told of a batch; the publishers that waited for no more.
    pub(crate) fn reached(
        &mut self,
        ticket: Ticket,
        level: AckLevel,
        best: AckLevel,
    ) -> Option<Acks> {
        let flight = self.batches.iter_mut().find(|flight| flight.ticket == ticket)?;
        if level < flight.heard_from {
            return None;
        }
        flight.reached = Some(level);
        flight.has_ended = level >= best;
        let all = std::mem::take(&mut flight.acks);
        let (now_true, later) = all.into_iter().partition(|(_, ack)| ack.level <= level);
        flight.acks = later;
        Some((flight.since, now_true))
    }

    /// Gives up a batch that has failed.
    pub(crate) fn failed(&mut self, ticket: Ticket) -> Option<Failure> {
        let flight = self.batches.iter_mut().find(|flight| flight.ticket == ticket)?;
        let (values, acks) = (std::mem::take(&mut flight.values), std::mem::take(&mut flight.acks));
        let failure = Failure { run: flight.run.clone(), values, acks, was_shown: flight.is_told };
        (flight.has_ended, flight.is_told) = (true, true);
        Some(failure)
    }

    /// The batch with this offset, while the journal has more to tell of it.
    pub(crate) fn holding(&mut self, offset: u64) -> Option<&mut Flight> {
        let holds = |flight: &&mut Flight| (flight.run.from..=flight.run.to).contains(&offset);
        self.batches.iter_mut().find(holds).filter(|flight| !flight.has_ended)
    }

    /// Takes the batches that are to be shown now, with the values that they bring.
    pub(crate) fn shown(&mut self) -> Vec<(Arc<Run>, Vec<Coming>)> {
        let mut out = Vec::new();
        for flight in self.batches.iter_mut().filter(|flight| !flight.is_told) {
            if flight.reached.is_none_or(|reached| reached < flight.shown_from) {
                break;
            }
            flight.is_told = true;
            out.push((flight.run.clone(), std::mem::take(&mut flight.values)));
        }
        while self.batches.front().is_some_and(|flight| flight.has_ended && flight.is_told) {
            self.batches.pop_front();
        }
        out
    }
}
