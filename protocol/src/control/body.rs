//! The control bodies themselves: fields and ranges.

use rkyv::{Archive, Deserialize, Serialize, rancor};

use super::check::{list, numbers, text};
use super::codec::Body;
use super::number::{Action, GapReason, GroupOrder, PresenceAct};
use super::part::{From, Member, Start, TopicPosition};
use crate::code::Code;
use crate::error::Error;
use crate::frame::Kind;
use crate::limits::{
    CLIENT_BYTES_MAX, DELAY_MS_MAX, MEMBERS_MAX, REASON_BYTES_MAX, TOKEN_BYTES_MAX,
    TOPIC_BYTES_MAX, USER_BYTES_MAX, WINDOW_MAX,
};

/// Defines control bodies: struct, kind, and check in one place.
macro_rules! bodies {
    ($($(#[$doc:meta])* $kind:ident => $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    } check($self:ident) $check:block)*) => {
        $(
            $(#[$doc])*
            #[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl Body for $name {
                const KIND: Kind = Kind::$kind;

                fn check(&$self) -> Result<(), Error> $check

                fn archive(&self) -> Option<Vec<u8>> {
                    rkyv::api::high::to_bytes_in::<_, rancor::Error>(self, Vec::new()).ok()
                }

                fn from_archive(bytes: &[u8]) -> Option<Self> {
                    rkyv::from_bytes::<Self, rancor::Error>(bytes).ok()
                }
            }
        )*
    };
}

bodies! {
    /// Client's first words.
    Hello => Hello {
        /// Protocol version that the client speaks.
        version: u16,
        /// Features that the client knows, as bits of [`feature`](super::feature).
        features: u64,
        /// Random id of this client's publish sequence; kept across reconnects, not 0.
        producer: u64,
        /// Name and version of the client software.
        client: String,
        /// Access token.
        token: String,
    } check(self) {
        text("client", &self.client, CLIENT_BYTES_MAX)?;
        text("token", &self.token, TOKEN_BYTES_MAX)?;
        if self.producer == 0 { return Err(Error::Invalid { field: "producer" }); }
        Ok(())
    }

    /// The session is live.
    Welcome => Welcome {
        /// Protocol version that both speak.
        version: u16,
        /// Features that both know.
        features: u64,
        /// Session id, unique in the life of the broker process.
        session: u64,
        /// Random id of the broker process; topic ids are valid within it.
        boot: u64,
        /// User that the token names.
        user: String,
        /// Role that the token gives.
        role: String,
        /// When the token expires, Unix milliseconds.
        expires_ms: u64,
        /// The broker's clock, Unix milliseconds.
        now_ms: u64,
        /// Largest payload that the broker accepts, bytes.
        payload_bytes_max: u32,
        /// Subscriptions that the session may hold.
        subscriptions_max: u32,
        /// After how much silence the client should send a keep-alive, milliseconds.
        keep_alive_ms: u32,
    } check(self) {
        text("user", &self.user, USER_BYTES_MAX)?;
        text("role", &self.role, USER_BYTES_MAX)?;
        numbers("time", &[self.expires_ms, self.now_ms])
    }

    /// A fresh token for the live session.
    Refresh => Refresh {
        /// Access token of the same user.
        token: String,
    } check(self) { text("token", &self.token, TOKEN_BYTES_MAX) }

    /// The fresh token was accepted.
    Refreshed => Refreshed {
        /// When it expires, Unix milliseconds.
        expires_ms: u64,
    } check(self) { numbers("time", &[self.expires_ms]) }

    /// The token expires soon.
    Expiring => Expiring {
        /// When the session will be closed, Unix milliseconds.
        expires_ms: u64,
    } check(self) { numbers("time", &[self.expires_ms]) }

    /// The request with the frame's number was refused.
    Refused => Refused {
        /// Why; see `spec/codes.md`.
        code: u16,
        /// When the same request may be tried again, milliseconds; 0 if that is not known.
        retry_after_ms: u32,
        /// One sentence for a person.
        reason: String,
    } check(self) { text("reason", &self.reason, REASON_BYTES_MAX) }

    /// The publish with the frame's number was refused; the header names its topic id if known.
    PublishRefused => PublishRefused {
        /// Why; see `spec/codes.md`.
        code: u16,
        /// When the same publish may be tried again, milliseconds; 0 if that is not known.
        retry_after_ms: u32,
        /// One sentence for a person.
        reason: String,
    } check(self) { text("reason", &self.reason, REASON_BYTES_MAX) }

    /// The broker drains.
    GoAway => GoAway {
        /// Why; normally GOING_AWAY.
        code: u16,
        /// The client connects again after a random time up to this, milliseconds.
        reconnect_within_ms: u32,
        /// When the broker closes the session, milliseconds from now.
        close_after_ms: u32,
        /// One sentence for a person.
        reason: String,
    } check(self) { text("reason", &self.reason, REASON_BYTES_MAX) }

    /// The sender ends the session; nothing follows.
    Close => Close {
        /// Why; see `spec/codes.md`.
        code: u16,
        /// When a new session may be tried, milliseconds; 0 if the code's own rule applies.
        retry_after_ms: u32,
        /// One sentence for a person.
        reason: String,
    } check(self) { text("reason", &self.reason, REASON_BYTES_MAX) }

    /// Asks for a subscription under the frame's number.
    Subscribe => Subscribe {
        /// Topic or pattern.
        pattern: String,
        /// Where delivery starts.
        start: Start,
    } check(self) {
        text("pattern", &self.pattern, TOPIC_BYTES_MAX)?;
        self.start.check()
    }

    /// The subscription is live from its join point on.
    Subscribed => Subscribed {
        /// The broker's clock at the join; a later resume of a pattern gives it back.
        joined_ms: u64,
        /// For a single topic, the position at the join, ahead of kept values that follow; empty for
        /// a pattern.
        positions: Vec<TopicPosition>,
    } check(self) {
        numbers("joined", &[self.joined_ms])?;
        list("positions", &self.positions, 1)?;
        self.positions.iter().try_for_each(TopicPosition::check)
    }

    /// Asks for one page of history; the answer is a PAGE with the same number.
    History => History {
        /// Topic name.
        topic: String,
        /// Where the page starts.
        from: From,
        /// Messages wanted at most, 1 or more.
        limit: u32,
    } check(self) {
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        if self.limit == 0 { return Err(Error::Invalid { field: "limit" }); }
        match self.from {
            From::Offset(n) | From::Since(n) => numbers("from", &[n]),
            From::Last(_) => Ok(()),
        }
    }

    /// Names the header's topic id on this lane, ahead of its first delivery.
    Topic => TopicName {
        /// Topic name.
        name: String,
        /// Class number.
        class: u8,
        /// Epoch of the offsets that follow.
        epoch: u64,
        /// Offset at which this session's delivery starts.
        next: u64,
    } check(self) {
        text("name", &self.name, TOPIC_BYTES_MAX)?;
        numbers("epoch", &[self.epoch, self.next])?;
        if crate::class::Class::from_number(self.class).is_none() {
            return Err(Error::Invalid { field: "class" });
        }
        Ok(())
    }

    /// Offsets of the header's topic that will not be delivered.
    Gap => Gap {
        /// Epoch of these offsets.
        epoch: u64,
        /// First missing offset.
        from: u64,
        /// Last missing offset; 2^53 - 1 when the end of a lost epoch is not known.
        to: u64,
        /// Why, as a number of [`GapReason`].
        reason: u8,
    } check(self) {
        numbers("gap", &[self.epoch, self.from, self.to])?;
        if self.from > self.to || GapReason::from_number(self.reason).is_none() {
            return Err(Error::Invalid { field: "gap" });
        }
        Ok(())
    }

    /// Offers to answer for a pattern, under the frame's number.
    Serve => Serve {
        /// Topic or pattern.
        pattern: String,
        /// 1: requests. 2: authorization questions.
        role: u8,
    } check(self) {
        text("pattern", &self.pattern, TOPIC_BYTES_MAX)?;
        if !(1..=2).contains(&self.role) { return Err(Error::Invalid { field: "role" }); }
        Ok(())
    }

    /// Asks an authorizer whether a user may act on a topic.
    Ask => Ask {
        /// User that wants to act.
        user: String,
        /// Role of that user.
        role: String,
        /// Number of the [`Action`].
        action: u8,
        /// Topic or pattern that is acted on.
        topic: String,
    } check(self) {
        text("user", &self.user, USER_BYTES_MAX)?;
        text("role", &self.role, USER_BYTES_MAX)?;
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        Action::from_number(self.action).map(|_| ()).ok_or(Error::Invalid { field: "action" })
    }

    /// The authorizer's answer to the ASK with the same number.
    Answer => Answer {
        /// Whether the user may.
        allow: bool,
        /// How long the answer holds, milliseconds; at most an hour is kept.
        ttl_ms: u32,
    } check(self) { Ok(()) }

    /// Acts on the presence of one topic.
    Presence => Presence {
        /// Topic name.
        topic: String,
        /// Number of the [`PresenceAct`].
        act: u8,
        /// Where a page that is read begins: behind this user, by name. Else empty.
        after: String,
    } check(self) {
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        text("after", &self.after, USER_BYTES_MAX)?;
        PresenceAct::from_number(self.act).map(|_| ()).ok_or(Error::Invalid { field: "act" })
    }

    /// The members of the header's topic.
    Members => Members {
        /// Topic name.
        topic: String,
        /// Sequence of the last change included.
        sequence: u64,
        /// Users present.
        count: u32,
        /// The users by name: a page of at most `MEMBERS_MAX` where they were read, else all, or none
        /// if there are more.
        members: Vec<Member>,
    } check(self) {
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        numbers("sequence", &[self.sequence])?;
        list("members", &self.members, MEMBERS_MAX)?;
        self.members.iter().try_for_each(Member::check)
    }

    /// What has changed since the previous sequence.
    MembersChanged => MembersChanged {
        /// Topic name.
        topic: String,
        /// One above the previous change's.
        sequence: u64,
        /// Users present after the change.
        count: u32,
        /// Users that came or whose sessions changed; empty with `left` above `MEMBERS_MAX`.
        joined: Vec<Member>,
        /// Users that left.
        left: Vec<String>,
    } check(self) {
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        numbers("sequence", &[self.sequence])?;
        list("joined", &self.joined, MEMBERS_MAX)?;
        list("left", &self.left, MEMBERS_MAX)?;
        self.joined.iter().try_for_each(Member::check)?;
        self.left.iter().try_for_each(|user| text("left", user, USER_BYTES_MAX))
    }

    /// Takes part in a group, which is made if there is none of that name.
    Consume => Consume {
        /// Name of the group, by the grammar of topic names.
        group: String,
        /// Topic or pattern that the group reads; fixed when the group is made.
        pattern: String,
        /// Where a group that is made starts; without meaning for one that exists.
        start: Start,
        /// Jobs that the consumer holds at most; 0: only what it pulls.
        window: u32,
        /// Number of the [`GroupOrder`], fixed when the group is made; 0 for what it is.
        order: u8,
        /// How long a consumer may take for a job, milliseconds; 0 for what it is.
        ack_wait_ms: u32,
        /// How often a message is handed out at most; 0 for what it is.
        attempts_max: u32,
    } check(self) {
        text("group", &self.group, TOPIC_BYTES_MAX)?;
        text("pattern", &self.pattern, TOPIC_BYTES_MAX)?;
        self.start.check()?;
        if self.window > WINDOW_MAX {
            let (max, had) = (WINDOW_MAX as usize, self.window.into());
            return Err(Error::TooLarge { field: "window", max, had });
        }
        if self.ack_wait_ms > DELAY_MS_MAX {
            return Err(Error::Invalid { field: "ack wait" });
        }
        if self.order != 0 && GroupOrder::from_number(self.order).is_none() {
            return Err(Error::Invalid { field: "order" });
        }
        Ok(())
    }
}

/// A refusal body, with its reason cut to the limit and control characters replaced.
#[must_use]
pub fn refused(code: Code, retry_after_ms: u32, reason: &str) -> Refused {
    Refused { code: code.0, retry_after_ms, reason: reason_text(reason) }
}

/// `reason` as a valid reason text: cut at a character within the limit, control characters
/// replaced by spaces.
#[must_use]
pub fn reason_text(reason: &str) -> String {
    let mut out = String::new();
    for c in reason.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if out.len() + c.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}

impl Presence {
    /// What a session does on a topic.
    #[must_use]
    pub fn of(topic: &str, act: PresenceAct) -> Self {
        Presence { topic: topic.to_owned(), act: act.number(), after: String::new() }
    }
}
