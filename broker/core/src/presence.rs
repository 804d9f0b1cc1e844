//! The presence of one topic, at its owner: who is there, who watches, and what watchers are told.
//!
//! Users are present, sessions make them so. A user whose last session broke off stays a member
//! without sessions until its grace is over. Encoding and sending is the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::control::Member;
use sampan_protocol::{Now, limits::MEMBERS_MAX};

use crate::grant::Role;

/// How long a user without sessions stays a member, by role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// For customers. Default 30 s.
    pub customer: Duration,
    /// For agents. Default 60 s.
    pub agent: Duration,
    /// For admins and services. Default 30 s.
    pub other: Duration,
}

impl Grace {
    fn of(&self, role: Role) -> Duration {
        match role {
            Role::Customer => self.customer,
            Role::Agent => self.agent,
            Role::Admin | Role::Service => self.other,
        }
    }
}

/// What a topic's presence is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long changes are gathered before watchers are told. Default 250 ms.
    pub coalesce: Duration,
    /// Members up to which they are named; above it only their number is told. Default and most is
    /// `MEMBERS_MAX`.
    pub names_max: usize,
    /// Members that the topic may have. Default 100,000.
    pub members_max: usize,
    /// Graces.
    pub grace: Grace,
}

impl Default for Config {
    fn default() -> Self {
        let (short, long) = (Duration::from_secs(30), Duration::from_secs(60));
        Config {
            coalesce: Duration::from_millis(250),
            names_max: MEMBERS_MAX,
            members_max: 100_000,
            grace: Grace { customer: short, agent: long, other: short },
        }
    }
}

/// All members, or a page of them, after the change of that sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Sequence of the last change included.
    pub sequence: u64,
    /// Users present.
    pub count: u32,
    /// The users by name; empty if there are too many to name.
    pub members: Vec<Member>,
}

/// The net difference to the state that the previous change or snapshot told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// One above the previous change's.
    pub sequence: u64,
    /// Users present after it.
    pub count: u32,
    /// Users that came or whose sessions changed, by name. Empty with `left` if there are too many
    /// members to name; all of them when there no longer are.
    pub joined: Vec<Member>,
    /// Users that left, by name.
    pub left: Vec<String>,
}

/// The topic has as many members as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Who is present in one topic. `S` names a session.
///
/// Law: after every call, [`Presence::deadline`] says when to call [`Presence::time`]. A watcher
/// that takes the snapshot of the moment in which it begins to watch, and then every change, knows
/// the members as they were at the last change. Memory is one entry per member, per session that
/// entered, and per watcher, and one per member that changed since the last change was told.
#[derive(Debug)]
pub struct Presence<S> {
    config: Config,
    sequence: u64,
    members: BTreeMap<Arc<str>, Present>,
    sessions: BTreeMap<S, Arc<str>>,
    watchers: BTreeSet<S>,
    /// Members without sessions, by the end of their grace.
    graces: BTreeSet<(Instant, Arc<str>)>,
    told: Told,
    /// When the gathered changes are told.
    tell_at: Option<Instant>,
}

/// One member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Present {
    role: Role,
    sessions: u32,
    since_ms: u64,
    /// When the grace is over, while there are no sessions.
    until: Option<Instant>,
}

impl Present {
    fn to_member(self, user: &str) -> Member {
        let Present { role, sessions, since_ms, .. } = self;
        Member { user: user.to_owned(), role: role.name().to_owned(), sessions, since_ms }
    }

    /// Whether watchers see no difference.
    fn looks_like(&self, other: &Present) -> bool {
        Present { until: None, ..*self } == Present { until: None, ..*other }
    }
}

/// What watchers have been told.
#[derive(Debug)]
enum Told {
    /// Nobody watches: nothing is gathered.
    Nothing,
    /// All names; here are the members that changed since, as they were told.
    Names(BTreeMap<Arc<str>, Option<Present>>),
    /// This number only.
    Count(u32),
}

impl<S: Ord + Copy> Presence<S> {
    /// Nobody is present and nobody watches.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Presence {
            config: Config { names_max: config.names_max.min(MEMBERS_MAX), ..config },
            sequence: 0,
            members: BTreeMap::new(),
            sessions: BTreeMap::new(),
            watchers: BTreeSet::new(),
            graces: BTreeSet::new(),
            told: Told::Nothing,
            tell_at: None,
        }
    }

    /// Whether nobody is present, in grace or watching, so that nothing is lost by dropping this.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.watchers.is_empty()
    }

    /// The session makes its user present, or adds itself to the user's sessions. The role of the
    /// user is that of the last session to enter. Entering again has no effect.
    ///
    /// # Errors
    /// If the topic has no room for another user; nothing changes then.
    pub fn enter(&mut self, now: Now, session: S, user: Arc<str>, role: Role) -> Result<(), Full> {
        let before = self.sessions.get(&session);
        if before == Some(&user) {
            return Ok(());
        }
        if !self.members.contains_key(&user) && self.members.len() >= self.config.members_max {
            return Err(Full);
        }
        if before.is_some() {
            self.leave(now, session, false);
        }
        self.touch(now, &user);
        self.sessions.insert(session, user.clone());
        let fresh = Present { role, sessions: 0, since_ms: now.unix_ms, until: None };
        let member = self.members.entry(user.clone()).or_insert(fresh);
        member.role = role;
        member.sessions += 1;
        if let Some(until) = member.until.take() {
            self.graces.remove(&(until, user));
        }
        Ok(())
    }

    /// The session no longer makes its user present.
    ///
    /// With `ended` the session is gone: it no longer watches either, and if it was its user's last
    /// one, the user stays until the grace is over. Without, the session asked to leave: if it was
    /// the last, the user is absent at once.
    pub fn leave(&mut self, now: Now, session: S, ended: bool) {
        if ended {
            self.unwatch(session);
        }
        let Some(user) = self.sessions.remove(&session) else { return };
        self.touch(now, &user);
        let Some(member) = self.members.get_mut(&user) else { return };
        member.sessions = member.sessions.saturating_sub(1);
        if member.sessions > 0 {
            return;
        }
        if ended {
            let until = now.mono + self.config.grace.of(member.role);
            member.until = Some(until);
            self.graces.insert((until, user));
        } else {
            self.members.remove(&user);
        }
    }

    /// The session wants to be told changes from now on. Its starting point is
    /// [`Presence::snapshot`].
    pub fn watch(&mut self, session: S) {
        self.watchers.insert(session);
        if matches!(self.told, Told::Nothing) {
            self.told = match self.named() {
                true => Told::Names(BTreeMap::new()),
                false => Told::Count(self.count()),
            };
        }
    }

    /// The session is told no more changes.
    pub fn unwatch(&mut self, session: S) {
        if self.watchers.remove(&session) && self.watchers.is_empty() {
            let pending = self.tell_at.take().is_some();
            self.sequence += u64::from(pending);
            self.told = Told::Nothing;
        }
    }

    /// The sessions that are told changes, in order.
    pub fn watchers(&self) -> impl Iterator<Item = S> {
        self.watchers.iter().copied()
    }

    /// The members as the watchers know them: what is being gathered is not in it, and follows as
    /// the next change. While nobody watches, the members as they are.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let sequence = self.sequence;
        let changed = match &self.told {
            Told::Count(count) => return Snapshot { sequence, count: *count, members: Vec::new() },
            Told::Nothing if !self.named() => {
                return Snapshot { sequence, count: self.count(), members: Vec::new() };
            }
            Told::Nothing => None,
            Told::Names(changed) => Some(changed),
        };
        let untold = |user: &Arc<str>| changed.is_some_and(|changed| changed.contains_key(user));
        let kept = self.members.iter().filter(|(user, _)| !untold(user));
        let before = changed.into_iter().flatten();
        let before = before.filter_map(|(user, told)| told.as_ref().map(|told| (user, told)));
        let told: BTreeMap<_, _> = kept.chain(before).collect();
        let members: Vec<_> = told.into_iter().map(|(user, m)| m.to_member(user)).collect();
        Snapshot { sequence, count: number(members.len()), members }
    }

    /// The members as they are, those behind a user by name, as many as are named at once; the
    /// sequence of what watchers were told last, who may know less. Whoever is present all the while
    /// is on one of the pages that follow one another.
    #[must_use]
    pub fn page(&self, after: &str) -> Snapshot {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let members = self.members.range::<str, _>(behind).take(self.config.names_max);
        let members = members.map(|(user, member)| member.to_member(user)).collect();
        Snapshot { sequence: self.sequence, count: self.count(), members }
    }

    /// When to call [`Presence::time`].
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let grace = self.graces.first().map(|(until, _)| *until);
        grace.into_iter().chain(self.tell_at).min()
    }

    /// Ends graces, and answers the change to tell all watchers, if it is time for one and there is
    /// a net effect.
    pub fn time(&mut self, now: Now) -> Option<Change> {
        while self.graces.first().is_some_and(|(until, _)| *until <= now.mono) {
            let (_, user) = self.graces.pop_first()?;
            self.touch(now, &user);
            self.members.remove(&user);
        }
        self.tell_at.filter(|at| *at <= now.mono)?;
        self.tell_at = None;
        let (joined, left) = self.tell()?;
        self.sequence += 1;
        Some(Change { sequence: self.sequence, count: self.count(), joined, left })
    }

    /// What to tell the watchers, who then know it; `None` if they see no difference.
    fn tell(&mut self) -> Option<(Vec<Member>, Vec<String>)> {
        let (named, count) = (self.named(), self.count());
        let unnamed = || Some((Vec::new(), Vec::new()));
        match &mut self.told {
            Told::Nothing => None,
            Told::Count(told) if !named => {
                let before = std::mem::replace(told, count);
                if before == count { None } else { unnamed() }
            }
            Told::Count(_) => {
                self.told = Told::Names(BTreeMap::new());
                let all = self.members.iter().map(|(user, member)| member.to_member(user));
                Some((all.collect(), Vec::new()))
            }
            Told::Names(_) if !named => {
                self.told = Told::Count(count);
                unnamed()
            }
            Told::Names(changed) => {
                let changed = std::mem::take(changed);
                let (joined, left) = self.difference(changed);
                (!joined.is_empty() || !left.is_empty()).then_some((joined, left))
            }
        }
    }

    /// Who of the changed came or changed, and who left.
    fn difference(
        &self,
        changed: BTreeMap<Arc<str>, Option<Present>>,
    ) -> (Vec<Member>, Vec<String>) {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (user, before) in changed {
            match (before, self.members.get(&user)) {
                (Some(before), Some(member)) if before.looks_like(member) => {}
                (_, Some(member)) => joined.push(member.to_member(&user)),
                (Some(_), None) => left.push(user.as_ref().to_owned()),
                (None, None) => {}
            }
        }
        (joined, left)
    }

    /// Notes that a user is about to change.
    fn touch(&mut self, now: Now, user: &Arc<str>) {
        match &mut self.told {
            Told::Nothing => {
                self.sequence += 1;
                return;
            }
            Told::Names(changed) => {
                let before = || self.members.get(user).copied();
                changed.entry(user.clone()).or_insert_with(before);
            }
            Told::Count(_) => {}
        }
        self.tell_at.get_or_insert(now.mono + self.config.coalesce);
    }

    /// Whether there are few enough members to name them.
    fn named(&self) -> bool {
        self.members.len() <= self.config.names_max
    }

    fn count(&self) -> u32 {
        number(self.members.len())
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
