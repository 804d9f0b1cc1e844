//! The outer end of a session in the same process: a mailbox that its owner fills.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sampan_protocol::Code;
use sampan_protocol::link::{Broker, Link, Sink};

use super::command::Note;
use crate::udp::Waker;

/// Bytes that may wait in one mailbox. One more frame is taken into an empty one, however large.
const MAILBOX_BYTES: usize = 1024 * 1024;

/// The way to one shard from outside.
#[derive(Clone)]
pub(super) struct Inbox {
    notes: Sender<Note>,
    waker: Waker,
}

/// What one session's owner has sent and the shard not yet taken.
#[derive(Default)]
pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    /// Whether the shard has been told of mail and has not looked since.
    told: AtomicBool,
    /// Whether the shard has been told of room and has not used it since.
    room_told: AtomicBool,
}

#[derive(Default)]
struct Mail {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// Attaches sessions to the shards in turn.
pub(super) struct Links {
    inboxes: Vec<Inbox>,
    made: AtomicU64,
}

/// One session's outer end.
struct Attached {
    link: u64,
    mailbox: Arc<Mailbox>,
    inbox: Inbox,
}

impl Inbox {
    pub(super) fn new(notes: Sender<Note>, waker: Waker) -> Self {
        Inbox { notes, waker }
    }

    /// Puts a note into the inbox; whether the shard still runs.
    pub(super) fn put(&self, note: Note) -> bool {
        let taken = self.notes.send(note).is_ok();
        self.waker.wake();
        taken
    }
}

impl Mailbox {
    /// Takes all that waits. What comes later is told anew.
    pub(super) fn take(&self) -> VecDeque<Bytes> {
        self.told.store(false, Ordering::Release);
        let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        mail.bytes = 0;
        std::mem::take(&mut mail.frames)
    }

    /// The shard is about to use the room that it was told of.
    pub(super) fn use_room(&self) {
        self.room_told.store(false, Ordering::Release);
    }

    fn put(&self, frames: Bytes) -> bool {
        let mut mail = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        if mail.bytes > 0 && mail.bytes + frames.len() > MAILBOX_BYTES {
            return false;
        }
        mail.bytes += frames.len();
        mail.frames.push_back(frames);
        true
    }
}

impl Links {
    pub(super) fn new(inboxes: Vec<Inbox>) -> Self {
        Links { inboxes, made: AtomicU64::new(0) }
    }
}

impl Broker for Links {
    fn attach(&self, address: &str, sink: Box<dyn Sink>) -> Result<Box<dyn Link>, Code> {
        let link = self.made.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(link % self.inboxes.len().max(1) as u64).unwrap_or(0);
        let inbox = self.inboxes.get(turn).ok_or(Code::GOING_AWAY)?.clone();
        let mailbox = Arc::new(Mailbox::default());
        let note =
            Note::Attach { link, address: address.to_owned(), mailbox: mailbox.clone(), sink };
        if !inbox.put(note) {
            return Err(Code::GOING_AWAY);
        }
        Ok(Box::new(Attached { link, mailbox, inbox }))
    }
}

impl Link for Attached {
    fn send(&self, frames: Bytes) -> bool {
        if frames.is_empty() {
            return true;
        }
        if !self.mailbox.put(frames) {
            return false;
        }
        if !self.mailbox.told.swap(true, Ordering::AcqRel) {
            self.inbox.put(Note::Mail { link: self.link });
        }
        true
    }

    fn ready(&self) {
        if !self.mailbox.room_told.swap(true, Ordering::AcqRel) {
            self.inbox.put(Note::Room { link: self.link });
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.inbox.put(Note::Detach { link: self.link });
    }
}

/// The network address that a peer's name stands for, if it is one.
pub(super) fn ip(address: &str) -> Option<IpAddr> {
    let socket = address.parse::<SocketAddr>().map(|address| address.ip());
    socket.ok().or_else(|| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_takes_so_much_and_no_more() {
        let mailbox = Mailbox::default();
        assert!(mailbox.put(Bytes::from(vec![0; MAILBOX_BYTES * 2])));
        assert!(!mailbox.put(Bytes::from_static(b"x")));
        assert_eq!(mailbox.take().len(), 1);
        assert!(mailbox.put(Bytes::from_static(b"x")));
    }

    #[test]
    fn a_peer_is_named_with_or_without_port() {
        assert_eq!(ip("192.0.2.1:80"), ip("192.0.2.1"));
        assert_eq!(ip("[2001:db8::1]:80"), ip("2001:db8::1"));
        assert_eq!(ip("services"), None);
    }
}
