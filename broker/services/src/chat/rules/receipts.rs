//! How far messages have come, by cursors that only grow.

use crate::chat::model::{Message, Participant, Receipt};

/// Which receipt moves which cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Messages have reached the user.
    Delivered,
    /// The user has read, and so they have reached the user.
    Read,
}

/// The participant with its cursors at `seq`, or `None` if that changes nothing. A sequence above
/// `last`, the last of the conversation, counts as `last`.
#[must_use]
pub fn advance(who: &Participant, mark: Mark, seq: u64, last: u64) -> Option<Participant> {
    let seq = seq.min(last);
    let read_seq = if mark == Mark::Read { who.read_seq.max(seq) } else { who.read_seq };
    let delivered_seq = who.delivered_seq.max(seq).max(read_seq);
    let is_moved = (delivered_seq, read_seq) != (who.delivered_seq, who.read_seq);
    is_moved.then(|| Participant { delivered_seq, read_seq, ..who.clone() })
}

/// How far a message has come: as far as it has with the one of the others who came furthest.
#[must_use]
pub fn status<'a>(
    message: &Message,
    participants: impl IntoIterator<Item = &'a Participant>,
) -> Receipt {
    let others = participants.into_iter().filter(|who| who.user_id != message.sender_id);
    let reached = others.map(|who| {
        if who.read_seq >= message.seq {
            Receipt::Read
        } else if who.delivered_seq >= message.seq {
            Receipt::Delivered
        } else {
            Receipt::Sent
        }
    });
    reached.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::model::{Content, Kind, Sender};
    use crate::moment::Moment;

    fn participant(user_id: &str) -> Participant {
        Participant {
            conversation_id: "c".to_owned(),
            user_id: user_id.to_owned(),
            role: Sender::Customer,
            delivered_seq: 0,
            read_seq: 0,
            joined_at: Moment::from_ms(0),
            left_at: None,
            muted: false,
        }
    }

    fn message(seq: u64) -> Message {
        Message {
            id: seq.to_string(),
            conversation_id: "c".to_owned(),
            seq,
            client_message_id: seq.to_string(),
            sender_id: "agent".to_owned(),
            sender_type: Sender::Agent,
            content: Content::default(),
            message_type: Kind::Text,
            status: Receipt::Sent,
            created_at: Moment::from_ms(0),
            updated_at: Moment::from_ms(0),
            epoch: 0,
            reply_to: None,
            private: false,
            edited_at: None,
            deleted_at: None,
        }
    }

    #[test]
    fn reading_one_message_reads_and_delivers_all_before_it() {
        let read = advance(&participant("u"), Mark::Read, 7, 9).unwrap();
        assert_eq!((read.delivered_seq, read.read_seq), (7, 7));
        for seq in 1..=7 {
            assert_eq!(status(&message(seq), [&read]), Receipt::Read);
        }
        assert_eq!(status(&message(8), [&read]), Receipt::Sent);
    }

    #[test]
    fn nobody_reads_what_was_not_sent() {
        let read = advance(&participant("u"), Mark::Read, u64::MAX, 3).unwrap();
        assert_eq!(read.read_seq, 3);
    }

    #[test]
    fn a_senders_own_reading_is_no_receipt() {
        let own = advance(&participant("agent"), Mark::Read, 5, 5).unwrap();
        assert_eq!(status(&message(5), [&own]), Receipt::Sent);
    }

    proptest! {
        #[test]
        fn a_status_never_goes_backwards(
            marks in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..12), 1..60),
        ) {
            let mut all = [participant("a"), participant("b")];
            let mut before = [Receipt::Sent; 11];
            for (is_first, is_read, seq) in marks {
                let mark = if is_read { Mark::Read } else { Mark::Delivered };
                let who = &mut all[usize::from(is_first)];
                if let Some(moved) = advance(who, mark, seq, 10) {
                    *who = moved;
                }
                prop_assert!(who.read_seq <= who.delivered_seq && who.delivered_seq <= 10);
                for (seq, before) in (0u64..).zip(&mut before).skip(1) {
                    let after = status(&message(seq), &all);
                    prop_assert!(after >= *before);
                    *before = after;
                }
            }
        }
    }
}
