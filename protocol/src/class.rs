//! Topic classes and publish ack levels.

/// What a topic promises about its messages. See `spec/topics.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Live only, nothing is kept; a slow reader loses the oldest.
    Ephemeral,
    /// The newest message per key is kept and conflated.
    Latest,
    /// Ordered, kept in the journal, never dropped within retention.
    Durable,
}

impl Class {
    /// The class's number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Class::Ephemeral => 1,
            Class::Latest => 2,
            Class::Durable => 3,
        }
    }

    /// The class with this number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Class::Ephemeral, Class::Latest, Class::Durable].into_iter().find(|c| c.number() == number)
    }

    /// The class's name in configuration and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Ephemeral => "ephemeral",
            Class::Latest => "latest",
            Class::Durable => "durable",
        }
    }
}

/// What has happened to a message when its publisher is told so. Each level includes those below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AckLevel {
    /// Ordered by the topic's owner and on its way to subscribers; survives nothing.
    Routed,
    /// Written to the journal file; survives a killed broker, not a power cut.
    Logged,
    /// Flushed to stable storage; survives a power cut on storage that honours flush.
    Synced,
    /// Held by a second node as well.
    Replicated,
}

impl AckLevel {
    /// Every level, weakest first.
    pub const ALL: [AckLevel; 4] =
        [AckLevel::Routed, AckLevel::Logged, AckLevel::Synced, AckLevel::Replicated];

    /// The level's number on the wire, 1 to 4; 0 there means "the topic's default".
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The level with this number on the wire.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        AckLevel::ALL.into_iter().find(|level| level.number() == number)
    }

    /// The level's name in configuration, flags and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AckLevel::Routed => "routed",
            AckLevel::Logged => "logged",
            AckLevel::Synced => "synced",
            AckLevel::Replicated => "replicated",
        }
    }
}

impl std::str::FromStr for AckLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        AckLevel::ALL.into_iter().find(|level| level.name() == name).ok_or(UnknownName)
    }
}

impl std::str::FromStr for Class {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Class::Ephemeral, Class::Latest, Class::Durable]
            .into_iter()
            .find(|class| class.name() == name)
            .ok_or(UnknownName)
    }
}

/// The text names no class or level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName;

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unknown name")
    }
}

impl std::error::Error for UnknownName {}
