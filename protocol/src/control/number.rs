//! The small enumerations that control bodies carry as numbers.

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every variant, by ascending number.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub fn number(self) -> u8 { match self { $($name::$variant => $number,)* } }

            /// The variant with this number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some($name::$variant),)* _ => None }
            }

            /// The name in JSON, configuration and metrics.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $($name::$variant => $text,)* } }
        }
    };
}

numbered! {
    /// Why offsets are missing.
    GapReason {
        /// Retention removed them: lost to this reader.
        Retention = 1 "retention",
        /// The reader was too slow for an ephemeral topic: lost to this reader.
        SlowReader = 2 "slow_reader",
        /// A crash took them before they were stored: lost.
        UnsyncedLost = 3 "unsynced_lost",
        /// The offsets were never given to a message: nothing is lost.
        NeverUsed = 4 "never_used",
        /// Of these offsets, those that do not follow were replaced by a newer value of their key.
        Conflated = 5 "conflated",
        /// Damage of the storage took them: lost.
        Damaged = 6 "damaged",
    }
}

impl GapReason {
    /// Whether messages are missing that this reader should have had.
    #[must_use]
    pub fn is_loss(self) -> bool {
        !matches!(self, GapReason::NeverUsed | GapReason::Conflated)
    }
}

numbered! {
    /// What a grant allows.
    Action {
        /// Send messages and requests.
        Publish = 1 "publish",
        /// Receive live messages.
        Subscribe = 2 "subscribe",
        /// Enter, watch and read presence.
        Presence = 3 "presence",
        /// Read kept messages.
        History = 4 "history",
        /// Answer requests and authorization questions.
        Serve = 5 "serve",
        /// Take part in groups.
        Consume = 6 "consume",
    }
}

numbered! {
    /// In which order a group hands out the messages of a topic.
    GroupOrder {
        /// Any number of them at the same time.
        Any = 1 "any",
        /// Those of one key one after the other.
        Key = 2 "key",
    }
}

numbered! {
    /// What became of a job, or what its consumer wants for it.
    Settlement {
        /// It is done.
        Ack = 1 "ack",
        /// It failed, and may come again.
        Nak = 2 "nak",
        /// It was not tried, and may come again; the attempt does not count.
        Release = 3 "release",
        /// It can never succeed: it becomes a dead letter.
        Reject = 4 "reject",
        /// It takes longer.
        Extend = 5 "extend",
    }
}

numbered! {
    /// What a PRESENCE frame does.
    PresenceAct {
        /// The session's user becomes present.
        Enter = 1 "enter",
        /// The session no longer makes its user present.
        Leave = 2 "leave",
        /// Members now, then changes as they come.
        Watch = 3 "watch",
        /// No more changes.
        Unwatch = 4 "unwatch",
        /// Members now.
        Read = 5 "read",
    }
}
