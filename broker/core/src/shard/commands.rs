//! What a client may ask for: rates, grants, authorizers, then the command itself.

use std::time::{Duration, Instant};

use sampan_protocol::control::{self, Action, Start};
use sampan_protocol::session::server::{self, Command};
use sampan_protocol::{Code, Frame, Now, Pattern, Topic};

use super::Shard;
use crate::call::{Question, Waiting};
use crate::grant::Verdict;
use crate::journal;
use crate::message::Message;
use crate::session::{SessionKey, Subscription};
use crate::timer::Timer;

/// Between two questions about one subscription, at least.
const STANDING_MIN: Duration = Duration::from_secs(1);
/// How long a subscription stands whose authorizer could not be asked, until the next try.
const UNANSWERED: Duration = Duration::from_secs(10);

impl Shard {
    /// A command of a live session.
    pub(super) fn command(&mut self, now: Now, key: SessionKey, command: Command) {
        if let Err(wait) = self.pay(now, key, &command) {
            return self.refuse(key, &command, Code::RATE_LIMITED, wait);
        }
        if matches!(&command, Command::Publish(frame) if self.publish_known(key, frame)) {
            return;
        }
        let (action, pattern) = match self.subject(&command) {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.execute(now, key, command),
            Err(code) => return self.refuse(key, &command, code, Duration::ZERO),
        };
        match self.check(key, action, &pattern) {
            Verdict::Yes => self.execute(now, key, command),
            Verdict::Ask => self.ask(now, key, action, &pattern, command),
            Verdict::No => self.refuse(key, &command, Code::NOT_GRANTED, Duration::ZERO),
        }
    }

    /// What a command needs a grant for.
    fn subject(&self, command: &Command) -> Result<Option<(Action, Pattern)>, Code> {
        Ok(match command {
            Command::Publish(frame) => {
                let topic = self.published_topic(frame)?;
                Some((Action::Publish, Pattern::from(&topic)))
            }
            Command::Request(frame) => Some((Action::Publish, Pattern::from(&named_topic(frame)?))),
            Command::Subscribe { pattern, start, .. } => {
                Some((subscribing(start), pattern.clone()))
            }
            Command::History { topic, .. } => Some((Action::History, Pattern::from(topic))),
            Command::Serve { pattern, .. } => Some((Action::Serve, pattern.clone())),
            Command::Presence { topic, .. } => Some((Action::Presence, Pattern::from(topic))),
            Command::Consume(consume) => Some((Action::Consume, consume.pattern.clone())),
            Command::Unsubscribe { .. }
            | Command::Reply(_)
            | Command::Answer { .. }
            | Command::Withdraw { .. }
            | Command::Pull { .. }
            | Command::Settle(_)
            | Command::Leave { .. } => None,
        })
    }

    /// The topic of a publish, by its id if it has one: a client may know the id from an earlier
    /// session, or from a TOPIC frame.
    pub(super) fn published_topic(&self, frame: &Frame) -> Result<Topic, Code> {
        match frame.header.topic_id {
            0 => named_topic(frame),
            id => {
                frame.attributes().map_err(|error| error.code())?;
                let entry = self.directory.by_id(id).ok_or(Code::UNKNOWN_TOPIC)?;
                Ok(entry.topic.clone())
            }
        }
    }

    /// What the session's grants say. Replaying kept messages needs the history grant too.
    pub(super) fn check(&self, key: SessionKey, action: Action, pattern: &Pattern) -> Verdict {
        let Some(session) = self.peek(key) else { return Verdict::No };
        match (&session.grants, &session.identity) {
            (Some(grants), Some(identity)) => grants.check(&identity.user, action, pattern),
            _ => Verdict::No,
        }
    }

    /// Takes the command's cost from the buckets of connection, user and address.
    fn pay(&mut self, now: Now, key: SessionKey, command: &Command) -> Result<(), Duration> {
        let Some(session) = self.sessions.get_mut(key.index as usize) else { return Ok(()) };
        let Some(identity) = &session.identity else { return Ok(()) };
        match command {
            Command::Publish(_) | Command::Request(_) => {
                session.publishes.take(now.mono, 1)?;
                let role = identity.role as usize;
                if self.config.limits.user_rate.of(identity.role).per_s > 0 {
                    self.user_rates[role].take(&identity.user, now.mono, 1)?;
                }
                match session.peer.address {
                    Some(address)
                        if self.config.limits.address_rate.of(identity.role).per_s > 0 =>
                    {
                        self.address_rates[role].take(&address, now.mono, 1)
                    }
                    _ => Ok(()),
                }
            }
            Command::Reply(_)
            | Command::Answer { .. }
            | Command::Pull { .. }
            | Command::Settle(_) => Ok(()),
            _ => session.controls.take(now.mono, 1),
        }
    }

    /// Does what the session has been found to be allowed to do.
    pub(super) fn execute(&mut self, now: Now, key: SessionKey, command: Command) {
        match command {
            Command::Publish(frame) => self.publish(key, frame),
            Command::Subscribe { number, pattern, start } => {
                self.subscribe(now, key, number, pattern, start);
            }
            Command::Unsubscribe { number } => self.unsubscribe(key, number),
            Command::History { number, topic, from, limit } => {
                let Some(entry) = self.directory.find(&topic) else {
                    return self.refuse_request(key, number, Code::UNKNOWN_TOPIC, Duration::ZERO);
                };
                let origin = self.origin(key);
                let from = start_of(from);
                self.send(entry.owner, Message::History { origin, number, entry, from, limit });
            }
            Command::Request(frame) => self.request(now, key, frame),
            Command::Reply(frame) => self.pass_reply(key, frame),
            Command::Serve { number, pattern, authorizer } => {
                self.offer(key, number, pattern, authorizer);
            }
            Command::Answer { number, answer } => self.pass_answer(key, number, answer),
            Command::Withdraw { number } => self.withdraw(key, number),
            Command::Presence { number, topic, act, after } => {
                self.ask_presence(key, number, &topic, act, after);
            }
            Command::Consume(consume) => self.consume(key, consume),
            Command::Pull { number, count } => self.pull(key, number, count),
            Command::Settle(settle) => self.settle_jobs(key, settle),
            Command::Leave { number } => self.leave_group(key, number),
        }
    }

    /// Puts a command off until an authorizer has answered. Commands with the same question wait
    /// in order behind the same asking.
    fn ask(
        &mut self,
        now: Now,
        key: SessionKey,
        action: Action,
        pattern: &Pattern,
        command: Command,
    ) {
        let Some(question) = self.question(key, action, pattern) else { return };
        match self.answers.find(now.mono, &question) {
            Some((allow, until)) => {
                self.answered(now, key, Waiting::Command(command), allow, until)
            }
            None => self.put_question(now, key, question, pattern, Waiting::Command(command)),
        }
    }

    fn question(&self, key: SessionKey, action: Action, pattern: &Pattern) -> Option<Question> {
        let identity = self.peek(key)?.identity.as_ref()?;
        let (user, role) = (identity.user.clone(), identity.role.name());
        Some(Question::new(user, role, action, pattern.as_str()))
    }

    /// Does what has waited for an authorizer, whose answer holds until then.
    pub(super) fn answered(
        &mut self,
        now: Now,
        key: SessionKey,
        waiting: Waiting,
        allow: bool,
        until: Instant,
    ) {
        match (waiting, allow) {
            (Waiting::Command(command), true) => {
                let standing = match &command {
                    Command::Subscribe { number, .. } => Some(*number),
                    _ => None,
                };
                self.execute(now, key, command);
                if let Some(number) = standing {
                    self.check_again(now, key, number, until);
                }
            }
            (Waiting::Command(command), false) => {
                self.refuse(key, &command, Code::NOT_AUTHORIZED, Duration::ZERO);
            }
            (Waiting::Standing(number), true) => self.check_again(now, key, number, until),
            (Waiting::Standing(number), false) => {
                self.end_standing(key, number, Code::NOT_AUTHORIZED);
            }
        }
    }

    /// What has waited for an authorizer gets no answer: a command is refused, and a subscription
    /// stays until there is one.
    pub(super) fn unanswered(&mut self, now: Now, key: SessionKey, waiting: &Waiting) {
        match waiting {
            Waiting::Command(command) => {
                self.refuse(key, command, Code::NOT_AUTHORIZED, Duration::ZERO);
            }
            Waiting::Standing(number) => {
                self.check_again(now, key, *number, now.mono + UNANSWERED);
            }
        }
    }

    /// Looks whether a subscription may still be there, and asks its authorizer if it takes one.
    pub(super) fn check_standing(&mut self, now: Now, key: SessionKey, number: u64) {
        let standing = self.peek(key).and_then(|session| session.subscriptions.get(&number));
        let Some(Subscription { action, pattern, .. }) = standing else { return };
        let (action, pattern) = (*action, pattern.clone());
        match self.check(key, action, &pattern) {
            Verdict::Yes => {}
            Verdict::No => self.end_standing(key, number, Code::NOT_GRANTED),
            Verdict::Ask => {
                let Some(question) = self.question(key, action, &pattern) else { return };
                let waiting = Waiting::Standing(number);
                match self.answers.find(now.mono, &question) {
                    Some((allow, until)) => self.answered(now, key, waiting, allow, until),
                    None => self.put_question(now, key, question, &pattern, waiting),
                }
            }
        }
    }

    /// Looks at a subscription again when the answer that it stands by is over.
    fn check_again(&mut self, now: Now, key: SessionKey, number: u64, until: Instant) {
        let at = until.max(now.mono + STANDING_MIN);
        let session = self.session(key);
        let standing = session.and_then(|session| session.subscriptions.get_mut(&number));
        if let Some(standing) = standing {
            standing.answered_until = Some(at);
            self.arm_standing(key, at);
        }
    }

    /// One timer is enough for all subscriptions of a session: that of the answer that is over first.
    fn arm_standing(&mut self, key: SessionKey, at: Instant) {
        let Some(session) = self.session(key) else { return };
        if session.standing_at.is_none_or(|armed| at < armed) {
            session.standing_at = Some(at);
            self.timers.set(at, Timer::Standing(key));
        }
    }

    pub(super) fn standing_time(&mut self, now: Now, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        if session.standing_at.take_if(|at| *at <= now.mono).is_none() {
            return;
        }
        let (mut due, mut next) = (Vec::new(), None);
        for (number, standing) in &mut session.subscriptions {
            if standing.answered_until.take_if(|until| *until <= now.mono).is_some() {
                due.push(*number);
            } else if let Some(until) = standing.answered_until {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
            }
        }
        if let Some(at) = next {
            self.arm_standing(key, at);
        }
        for number in due {
            self.check_standing(now, key, number);
        }
    }

    /// Tells the client that its command was refused.
    pub(super) fn refuse(
        &mut self,
        key: SessionKey,
        command: &Command,
        code: Code,
        wait: Duration,
    ) {
        match command {
            Command::Publish(frame) => {
                let header = frame.header;
                let wait = millis(wait);
                self.refuse_publish(key, header.number, header.topic_id, code, wait);
            }
            Command::Request(frame) | Command::Reply(frame) => {
                self.refuse_request(key, frame.header.number, code, wait);
            }
            Command::Subscribe { number, .. }
            | Command::Unsubscribe { number }
            | Command::History { number, .. }
            | Command::Serve { number, .. }
            | Command::Answer { number, .. }
            | Command::Withdraw { number }
            | Command::Presence { number, .. }
            | Command::Consume(server::Consume { number, .. })
            | Command::Pull { number, .. }
            | Command::Settle(server::Settle { number, .. })
            | Command::Leave { number } => self.refuse_request(key, *number, code, wait),
        }
    }

    /// REFUSED for a numbered request of a session of this shard.
    pub(super) fn refuse_request(
        &mut self,
        key: SessionKey,
        number: u64,
        code: Code,
        wait: Duration,
    ) {
        *self.counters.refused.entry(code.0).or_default() += 1;
        self.tell(key, refused(number, code, wait));
    }

    /// DONE for a numbered request of a session of this shard.
    pub(super) fn done(&mut self, key: SessionKey, number: u64) {
        self.tell(key, server::done(number));
    }
}

/// What a subscription needs a grant for. Replaying kept messages needs that of history.
pub(super) fn subscribing(start: &Start) -> Action {
    match start {
        Start::Last(_) | Start::Since(_) => Action::History,
        Start::Now | Start::Resume { .. } => Action::Subscribe,
    }
}

/// A REFUSED frame.
pub(super) fn refused(number: u64, code: Code, wait: Duration) -> bytes::Bytes {
    let body = control::refused(code, millis(wait), code.text());
    // The body is the broker's own and within its limits.
    control::encode(&body, number).unwrap_or_default()
}

pub(super) fn millis(wait: Duration) -> u32 {
    // Rounded up, so that a client that waits exactly as told is not early.
    u32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

pub(super) fn start_of(from: control::From) -> journal::Start {
    match from {
        control::From::Offset(offset) => journal::Start::Offset(offset),
        control::From::Last(count) => journal::Start::Last(count),
        control::From::Since(ms) => journal::Start::Since(ms),
    }
}

/// The topic that a frame names.
fn named_topic(frame: &Frame) -> Result<Topic, Code> {
    let attributes = frame.attributes().map_err(|error| error.code())?;
    let name = attributes.topic.ok_or(Code::BAD_FIELD)?;
    Topic::parse(name).map_err(|_| Code::BAD_TOPIC)
}
