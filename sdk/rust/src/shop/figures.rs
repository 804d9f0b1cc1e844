//! The figures that a shop is run by, of all its services, by day.

use serde::{Deserialize, Serialize};

use crate::chat::{FiguresShown, ratio};

/// Which days are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The first day, such as `2026-11-01`, of UTC.
    pub from: String,
    /// The last day; up to 400.
    pub to: String,
}

/// What is counted of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// Reservations that customers made on the day.
    pub reservations: u64,
    /// Of these, those that were paid since.
    pub sold: u64,
    /// Orders that were placed on the day.
    pub orders: u64,
    /// Of these, those that have come.
    pub delivered: u64,
    /// Of these, those that were cancelled or came back.
    pub cancelled: u64,
    /// Deliveries of notifications that stand as sent or better since the day.
    pub notified: u64,
    /// Of these, those that the user opened.
    pub clicked: u64,
    /// Deliveries of notifications that failed for good on the day.
    pub undelivered: u64,
}

impl Counts {
    /// Counts all that another has counted.
    pub fn join(&mut self, other: &Counts) {
        self.reservations += other.reservations;
        self.sold += other.sold;
        self.orders += other.orders;
        self.delivered += other.delivered;
        self.cancelled += other.cancelled;
        self.notified += other.notified;
        self.clicked += other.clicked;
        self.undelivered += other.undelivered;
    }
}

/// Counts with what follows from them; null where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Share of reservations that were paid.
    pub conversion: Option<f64>,
    /// Share of notifications that the user opened.
    pub opened: Option<f64>,
    /// The chats of all agents, as `chat.figures` has them.
    pub chat: FiguresShown,
}

impl Figures {
    /// What follows from these counts, beside the chats.
    #[must_use]
    pub fn new(counts: Counts, chat: FiguresShown) -> Self {
        let conversion = ratio(counts.sold, counts.reservations);
        let opened = ratio(counts.clicked, counts.notified);
        Figures { counts, conversion, opened, chat }
    }
}

/// The figures of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Day {
    /// The day, of UTC.
    pub day: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of some days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shown {
    /// All of them together.
    pub total: Figures,
    /// Those of days on which something was counted, in order.
    pub days: Vec<Day>,
}
