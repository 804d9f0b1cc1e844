//! The sessions of a shard: attaching, admitting, closing, and what is queued for them.

use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::session::server;
use sampan_protocol::{Code, Error, Frame, Now};

use super::{Output, Shard};
use crate::bucket::Bucket;
use crate::grant::Identity;
use crate::message::Message;
use crate::session::{Peer, Session, SessionKey};
use crate::timer::Timer;

impl Shard {
    /// Attaches a client whose transport is up.
    ///
    /// # Errors
    /// `OVERLOADED` when the shard holds as many sessions as it may.
    pub fn open(&mut self, now: Now, peer: Peer) -> Result<SessionKey, Code> {
        if self.sessions.len() >= self.config.limits.sessions_max {
            return Err(Code::OVERLOADED);
        }
        self.nonce = self.nonce.wrapping_add(1);
        let vacant = self.sessions.vacant_entry();
        let index = u32::try_from(vacant.key()).map_err(|_| Code::OVERLOADED)?;
        let key = SessionKey { index, nonce: self.nonce };
        vacant.insert(Session::new(key, peer, now, &self.config.limits));
        self.counters.sessions_opened += 1;
        self.arm(key);
        Ok(key)
    }

    /// A frame arrived from the client, on any of its channels.
    pub fn frame(&mut self, now: Now, key: SessionKey, frame: Frame) {
        self.input(now, key, server::Input::Frame(frame));
    }

    /// A stream of the client cannot be cut into frames any further.
    pub fn broken(&mut self, now: Now, key: SessionKey, error: Error) {
        self.counters.malformed += 1;
        self.input(now, key, server::Input::Broken(error));
    }

    /// Ends a session from the broker's side.
    pub fn close(&mut self, now: Now, key: SessionKey, code: Code, retry_after: Duration) {
        self.input(now, key, server::Input::Close { code, retry_after });
    }

    /// The answer to [`Output::Authenticate`]. A verdict for a session that is gone is ignored.
    pub fn verdict(&mut self, now: Now, key: SessionKey, verdict: Result<Identity, Code>) {
        let limits = self.config.limits.clone();
        let boot = self.boot;
        let number = (u64::from(self.me) << 56) | (key.number() & ((1 << 56) - 1));
        let Some(session) = self.session(key) else { return };
        // A refresh must name the same user: a session never changes hands.
        let verdict = match (verdict, &session.identity) {
            (Ok(new), Some(old)) if new.user != old.user => Err(Code::BAD_TOKEN),
            (verdict, _) => verdict,
        };
        let accepted = verdict.map(|identity| {
            let accepted = server::Accepted {
                user: identity.user.to_string(),
                role: identity.role.name().to_owned(),
                expires_ms: identity.expires_ms,
                session: number,
                boot,
                payload_bytes_max: limits.payload_bytes_max,
                subscriptions_max: limits.subscriptions_max,
                keep_alive: limits.keep_alive,
            };
            (identity, accepted)
        });
        let input = match accepted {
            Ok((identity, accepted)) => {
                self.admit(now, key, identity);
                Ok(accepted)
            }
            Err(code) => Err(code),
        };
        self.input(now, key, server::Input::Verdict(input));
    }

    /// Gives the session what its token allows.
    fn admit(&mut self, now: Now, key: SessionKey, identity: Identity) {
        let config = self.config.clone();
        let role = identity.role;
        let Some(session) = self.session(key) else { return };
        let is_other = session.identity.as_ref().is_some_and(|before| before.role != role);
        let rate = config.limits.connection_rate.of(identity.role);
        session.publishes = Bucket::new(rate, now.mono);
        session.grants = Some(config.roles.grants(identity.role).clone());
        session.publishable.clear();
        let user = identity.user.clone();
        session.identity = Some(identity);
        let standing: Vec<u64> = session.subscriptions.keys().copied().collect();
        self.answers.forget(&user);
        for number in standing.into_iter().filter(|_| is_other) {
            self.check_standing(now, key, number);
        }
    }

    /// The client's transport is gone: everything that the session held ends.
    pub fn closed(&mut self, now: Now, key: SessionKey) {
        if self.session(key).is_none() {
            return;
        }
        let session = self.sessions.remove(key.index as usize);
        if session.identity.is_some() && session.server.is_live() {
            self.counters.sessions_live -= 1;
        }
        let code = session.closing.as_ref().map_or(0, |(code, _)| code.0);
        *self.counters.sessions_closed.entry(code).or_default() += 1;
        self.lane_bytes -= session.outbox.lane_bytes();
        self.end_subscriptions(key, &session);
        self.end_calls(now, key, &session);
        self.end_consumers(key, &session);
        let origin = self.origin(key);
        for topic_id in session.presence {
            let owner = self.directory.by_id(topic_id).map_or(self.me, |entry| entry.owner);
            self.send(owner, Message::PresenceEnded { origin, topic_id });
        }
    }

    /// Tells one session to go and connect elsewhere or again.
    pub fn drain(
        &mut self,
        now: Now,
        key: SessionKey,
        reconnect_within: Duration,
        close_after: Duration,
    ) {
        self.input(now, key, server::Input::Drain { reconnect_within, close_after });
    }

    /// The sessions there are, in a fixed order, but those whose identity matches.
    #[must_use]
    pub fn sessions_but(&self, spared: &dyn Fn(&Identity) -> bool) -> Vec<SessionKey> {
        let is_spared = |session: &Session| session.identity.as_ref().is_some_and(spared);
        let others = self.sessions.iter().filter(|(_, session)| !is_spared(session));
        others.map(|(_, session)| session.key).collect()
    }

    /// Ends every session whose identity matches, as a revocation does. Answers how many.
    pub fn close_where(
        &mut self,
        now: Now,
        code: Code,
        matches: &mut dyn FnMut(&Identity) -> bool,
    ) -> usize {
        let hit = |s: &Session| s.identity.as_ref().is_some_and(&mut *matches);
        let mut hit = hit;
        let keys: Vec<SessionKey> =
            self.sessions.iter().filter(|(_, s)| hit(s)).map(|(_, s)| s.key).collect();
        for key in &keys {
            self.close(now, *key, code, Duration::ZERO);
        }
        keys.len()
    }

    /// Feeds one input to the session's own state machine and carries out what it answers.
    pub(super) fn input(&mut self, now: Now, key: SessionKey, input: server::Input) {
        let mut outputs = std::mem::take(&mut self.session_outputs);
        if let Some(session) = self.session(key) {
            session.server.handle(now, input, &mut outputs);
        }
        for output in outputs.drain(..) {
            self.session_output(now, key, output);
        }
        self.session_outputs = outputs;
        self.arm(key);
    }

    fn session_output(&mut self, now: Now, key: SessionKey, output: server::Output) {
        match output {
            server::Output::Authenticate { token } => {
                self.outputs.push_back(Output::Authenticate { key, token });
            }
            server::Output::Live { producer, features, client: _ } => {
                let Some(session) = self.session(key) else { return };
                session.producer = producer;
                session.features = features;
                self.counters.sessions_live += 1;
                self.outputs.push_back(Output::Live { key });
            }
            server::Output::Command(command) => self.command(now, key, command),
            server::Output::Send(frame) => self.tell(key, frame),
            server::Output::Close { code, reason } => {
                let Some(session) = self.session(key) else { return };
                let was_live = session.identity.is_some() && session.closing.is_none();
                session.closing = Some((code, reason));
                if was_live && self.counters.sessions_live > 0 {
                    self.counters.sessions_live -= 1;
                }
                self.mark_ready(key);
            }
        }
    }

    /// Queues a frame for the session's control stream. A client that has stopped reading is
    /// closed, since its answers cannot be dropped.
    pub(super) fn tell(&mut self, key: SessionKey, frame: Bytes) {
        let max = self.config.limits.control_bytes;
        let Some(session) = self.session(key) else { return };
        if session.outbox.control_bytes() + frame.len() > max {
            session.closing.get_or_insert((Code::ABUSE, "answers are not read".to_owned()));
        } else {
            session.outbox.push_control(frame);
        }
        self.mark_ready(key);
    }

    pub(super) fn mark_ready(&mut self, key: SessionKey) {
        if let Some(session) = self.session(key)
            && !session.ready
        {
            session.ready = true;
            self.ready.push_back(key);
        }
    }

    /// Sets a timer for the session's deadline, unless an earlier one will ask again.
    fn arm(&mut self, key: SessionKey) {
        let Some(session) = self.session(key) else { return };
        let Some(deadline) = session.server.deadline() else { return };
        if session.armed.is_none_or(|armed| deadline < armed) {
            session.armed = Some(deadline);
            self.timers.set(deadline, Timer::Session(key));
        }
    }
}
