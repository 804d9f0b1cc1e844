//! Tasks that read stored values: dead letters, and what a group leaves behind.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::frame::{Frame, Header, Kind};
use sampan_protocol::{Code, Now, Topic};

use super::super::Shard;
use super::manage::{LetterPage, Managed, Outcome};
use super::store::Reading;
use super::{Asker, Say};
use crate::group::{Back, Letter, key};
use crate::message::{Message, Origin};
use crate::session::SessionKey;

/// Bytes of dead letters that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// A task that reads stored values.
#[derive(Debug)]
pub(super) struct Task {
    asker: Asker,
    act: Act,
    group: Topic,
    /// What is still to be read: ids, or all above a key.
    ids: Option<Vec<u64>>,
    after: Option<Bytes>,
    /// The id that is being read.
    id: Option<u64>,
    /// What has been done, and what ended it early.
    outcome: Outcome,
    error: Option<Code>,
    state: State,
    /// Messages that are being published anew: letters by sequence.
    publishing: BTreeMap<u64, u64>,
}

/// What a task does with what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    List {
        max: usize,
    },
    Retry {
        target: Option<Topic>,
    },
    Discard,
    Expire,
    /// Removes what starts with these, last first, and then the definition. Not before what was on
    /// its way when the group ended is stored, or that would be left behind.
    Wipe {
        prefixes: Vec<Bytes>,
        is_begun: bool,
    },
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Reads,
    /// Waits for publishes; then reads on, or is over.
    Publishes {
        is_last: bool,
    },
    /// Waits until what has been changed so far is stored; then reads on.
    Stores,
    /// Waits until all is stored.
    Ends,
}

impl Shard {
    /// Lets the first task read on.
    pub(super) fn work(&mut self, now: Now) {
        let Some(task) = self.groups.tasks.front_mut() else { return };
        if task.state != State::Waits {
            return;
        }
        if let Act::Wipe { is_begun: is_begun @ false, .. } = &mut task.act {
            (*is_begun, task.state) = (true, State::Stores);
            self.groups.again = true;
            return self.answer_later(Asker::Nobody, Say::Stored);
        }
        let group = &task.group;
        let (prefix, after) = match (&mut task.act, &mut task.ids) {
            (Act::Wipe { prefixes, .. }, _) => match prefixes.last() {
                Some(prefix) => (prefix.clone(), None),
                None => {
                    let name = key::group(group);
                    self.groups.erased.push(name);
                    return self.end_task(None);
                }
            },
            (_, Some(ids)) => match ids.pop() {
                Some(id) => {
                    task.id = Some(id);
                    (key::letter(group, id), None)
                }
                None => return self.end_task(None),
            },
            (_, None) => (key::letters(group), task.after.clone()),
        };
        task.state = State::Reads;
        let max_bytes = if task.act == Act::Expire { 1 } else { READ_BYTES };
        self.read_values(now, Reading::Task, prefix, after, max_bytes);
    }

    /// What the first task wanted to read.
    pub(super) fn task_read(&mut self, now: Now, values: &[(Bytes, Bytes)], more: bool) {
        let Some(task) = self.groups.tasks.front_mut() else { return };
        task.state = State::Waits;
        task.after = values.last().map(|(key, _)| key.clone());
        let one_by_one = task.ids.is_some();
        match task.act.clone() {
            Act::Wipe { mut prefixes, is_begun } => {
                self.groups.erased.extend(values.iter().map(|(key, _)| key.clone()));
                if !more {
                    prefixes.pop();
                }
                let Some(task) = self.groups.tasks.front_mut() else { return };
                task.act = Act::Wipe { prefixes, is_begun };
                // What is still there would be read again.
                task.state = State::Stores;
                self.answer_later(Asker::Nobody, Say::Stored);
            }
            Act::List { max } => {
                let mut page =
                    LetterPage { more: more || max < values.len(), ..LetterPage::default() };
                for (key, value) in values.iter().take(max) {
                    let Some(id) = key::parts(key).and_then(|parts| parts.2) else { continue };
                    page.through = Some(id);
                    match Letter::decode(value) {
                        Some(letter) => page.letters.push((id, letter)),
                        None => page.unreadable.push(id),
                    }
                }
                self.counters.groups.values_refused += page.unreadable.len() as u64;
                self.finish_task(Ok(Managed::Letters(page)));
            }
            act => {
                let mut goes_on = one_by_one || more;
                for (key, value) in values {
                    let Some(id) = key::parts(key).and_then(|parts| parts.2) else { continue };
                    match self.act(now, &act, id, Letter::decode(value).as_ref()) {
                        Ok(true) => {}
                        Ok(false) => {
                            goes_on = false;
                            break;
                        }
                        Err(Code::UNKNOWN_GROUP) => {
                            return self.end_task(Some(Code::UNKNOWN_GROUP));
                        }
                        // The others are done all the same.
                        Err(code) => self.letter_failed(id, code),
                    }
                }
                let Some(task) = self.groups.tasks.front_mut() else { return };
                if let (Some(id), true) = (task.id.take(), values.is_empty()) {
                    task.outcome.fail(id, Code::UNKNOWN_DEAD_LETTER);
                }
                let name = &task.group;
                let group = self.groups.names.get(name).and_then(|id| self.groups.all.get(id));
                let is_full = group.is_some_and(|hosted| hosted.group.is_full());
                if !task.publishing.is_empty() {
                    task.state = State::Publishes { is_last: !goes_on };
                } else if !goes_on {
                    self.end_task(None);
                } else if is_full || act != Act::Expire {
                    // What waits to be stored is bounded.
                    task.state = State::Stores;
                    self.answer_later(Asker::Nobody, Say::Stored);
                }
            }
        }
        self.groups.again = true;
    }

    /// Does what is to be done with one dead letter; whether there is more to do.
    fn act(&mut self, now: Now, act: &Act, id: u64, letter: Option<&Letter>) -> Result<bool, Code> {
        let Some(name) = self.groups.tasks.front().map(|task| task.group.clone()) else {
            return Ok(false);
        };
        if letter.is_none() {
            self.counters.groups.values_refused += 1;
        }
        if *act == Act::Expire {
            // What cannot be read is left to operators.
            let Some(letter) = letter else { return Ok(true) };
            let age = u64::try_from(self.config.limits.letters_age.as_millis()).unwrap_or(u64::MAX);
            if letter.moved_ms.saturating_add(age) > now.unix_ms {
                return Ok(false);
            }
        }
        if let Act::Retry { target } = act {
            let letter = letter.ok_or(Code::MALFORMED)?;
            let topic = target.as_ref().unwrap_or(&letter.topic);
            let entry = self.directory.resolve(topic).map_err(|_| Code::BUSY)?;
            let group = &mut self.groups.named(&name).ok_or(Code::UNKNOWN_GROUP)?.group;
            let back = if target.is_some() && *topic != letter.topic {
                Back::Elsewhere
            } else {
                group.put_back(&entry, id, letter)
            };
            match back {
                Back::Here => {}
                Back::Full => return Err(Code::BUSY),
                Back::Elsewhere => return self.publish_letter(&name, id, letter, topic),
            }
        } else {
            let group = &mut self.groups.named(&name).ok_or(Code::UNKNOWN_GROUP)?.group;
            group.discard(id);
            group.counted.dead_expired += u64::from(*act == Act::Expire);
        }
        if let Some(task) = self.groups.tasks.front_mut() {
            task.outcome.count += 1;
        }
        Ok(true)
    }

    /// Publishes a dead letter's message anew. The letter is removed when the message is stored; a
    /// crash between the two leaves a repeat, which its idempotency key tells.
    fn publish_letter(
        &mut self,
        name: &Topic,
        id: u64,
        letter: &Letter,
        topic: &Topic,
    ) -> Result<bool, Code> {
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Topic, topic.as_str().as_bytes());
        let hash = crate::group::name_hash(name);
        let once = format!("dead-letter-{hash:016x}-{id}-{}", letter.moved_ms);
        attribute::put(&mut attributes, Tag::IdempotencyKey, once.as_bytes());
        attributes.extend_from_slice(&letter.attributes);
        self.groups.published += 1;
        let sequence = self.groups.published;
        let header = Header::new(Kind::Publish).number(sequence);
        let frame = header.to_frame(&attributes, &letter.payload).map_err(|e| e.code())?;
        let frame = Frame::decode(frame, letter.payload.len()).map_err(|e| e.code())?;
        let entry = self.directory.resolve(topic).map_err(|_| Code::BUSY)?;
        if let Some(task) = self.groups.tasks.front_mut() {
            task.publishing.insert(sequence, id);
        }
        let origin = Origin { shard: self.me, session: SessionKey::GROUP };
        let (owner, producer) = (entry.owner, self.boot ^ u64::from(self.me));
        self.send(owner, Message::Publish { origin, entry, producer, frame });
        Ok(true)
    }

    /// Messages that a task publishes anew are stored, or one is refused.
    pub(in crate::shard) fn republished(&mut self, from: u64, to: u64, result: Result<(), Code>) {
        let Some(task) = self.groups.tasks.front_mut() else { return };
        let State::Publishes { is_last } = task.state else { return };
        let name = task.group.clone();
        for sequence in from..=to {
            let Some(task) = self.groups.tasks.front_mut() else { return };
            let Some(id) = task.publishing.remove(&sequence) else { continue };
            if let Err(code) = result {
                task.outcome.fail(id, code);
                continue;
            }
            task.outcome.count += 1;
            if let Some(hosted) = self.groups.named(&name) {
                hosted.group.discard(id);
            }
        }
        let Some(task) = self.groups.tasks.front_mut() else { return };
        if task.publishing.is_empty() {
            task.state = State::Waits;
            self.groups.again = true;
            if is_last {
                self.end_task(None);
            }
        }
    }

    /// All is read; the task is over when what it has changed is stored.
    pub(super) fn end_task(&mut self, error: Option<Code>) {
        let Some(task) = self.groups.tasks.front_mut() else { return };
        (task.state, task.error) = (State::Ends, error.or(task.error));
        self.groups.again = true;
        self.answer_later(Asker::Nobody, Say::Stored);
    }

    /// What the first task has changed is stored, or could not be.
    pub(super) fn task_stored(&mut self, error: Option<Code>) {
        let Some(task) = self.groups.tasks.front_mut() else { return };
        self.groups.again = true;
        if task.state == State::Stores && error.is_none() {
            task.state = State::Waits;
            return;
        }
        let result = match task.error.or(error) {
            Some(code) => Err(code),
            None if matches!(task.act, Act::Wipe { .. }) => Ok(Managed::Done(0)),
            None => Ok(Managed::Each(std::mem::take(&mut task.outcome))),
        };
        self.finish_task(result);
    }

    /// What was asked could not be done with one dead letter.
    fn letter_failed(&mut self, id: u64, code: Code) {
        if let Some(task) = self.groups.tasks.front_mut() {
            task.outcome.fail(id, code);
        }
    }

    fn finish_task(&mut self, result: Result<Managed, Code>) {
        let Some(task) = self.groups.tasks.pop_front() else { return };
        // What a wipe that failed has left must not become part of a new group.
        if matches!(task.act, Act::Wipe { .. }) && result.is_ok() {
            self.groups.wiped.remove(&task.group);
        }
        self.groups.again = true;
        self.tell_asker(task.asker, result);
    }
}

/// A task that has not begun.
pub(super) fn task(
    asker: Asker,
    act: Act,
    group: Topic,
    ids: Option<Vec<u64>>,
    after: Option<Bytes>,
) -> Task {
    let (state, publishing) = (State::Waits, BTreeMap::new());
    let (id, outcome, error) = (None, Outcome::default(), None);
    Task { asker, act, group, ids, after, id, outcome, error, state, publishing }
}
