//! The life of a hold: made, made longer, paid, given up, or over. Each ends once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::inventory::model::{Hold, HoldStatus, Key, Reason};
use crate::moment::Moment;
use crate::refusal::Refusal;

/// How long a hold holds.
pub const HOLD: Duration = Duration::from_secs(15 * 60);
/// How long one holds while its customer pays.
pub const PAYMENT: Duration = Duration::from_secs(30 * 60);
/// Pieces of one line.
pub const QUANTITY_MAX: i64 = 1_000_000;
/// Lines of one request.
pub const LINES_MAX: usize = 100;

/// What happens to a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is made longer.
    Extend,
    /// Its customer pays.
    PaymentStarted,
    /// The payment came to nothing: it holds as long as a new one.
    PaymentFailed,
    /// It is paid, for this order.
    Commit(String),
    /// It is given up.
    Release,
    /// Its time is over.
    Expire,
}

/// What a hold's change does to its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// To what is there.
    pub on_hand: i64,
    /// To what is held.
    pub reserved: i64,
    /// Why, if anything changed.
    pub reason: Option<Reason>,
}

impl Delta {
    /// Nothing.
    pub const NONE: Delta = Delta { on_hand: 0, reserved: 0, reason: None };
}

/// The hold after the event, and what to do to the level in the same transaction. Whatever was
/// done already is done again without effect, so that a request may be sent twice.
///
/// # Errors
/// `Conflict` if the hold does not stand so, `Closed` if it has ended.
pub fn step(hold: &Hold, event: &Event, now: Moment) -> Result<(Hold, Delta), Refusal> {
    let quantity = hold.quantity;
    let is_over = now >= hold.expires_at;
    let ended = |status, on_hand, reason| {
        let after = Hold { status, ..hold.clone() };
        Ok((after, Delta { on_hand, reserved: -quantity, reason: Some(reason) }))
    };
    let kept = |status, expires_at, is_extended| {
        Ok((Hold { status, expires_at, is_extended, ..hold.clone() }, Delta::NONE))
    };
    match (hold.status, event) {
        (HoldStatus::Committed, Event::Commit(order)) if hold.order_id.as_ref() == Some(order) => {
            Ok((hold.clone(), Delta::NONE))
        }
        (HoldStatus::Released, Event::Release) => Ok((hold.clone(), Delta::NONE)),
        (status, _) if !status.is_live() => Err(Refusal::Closed("the hold has ended")),
        (_, Event::Release) => ended(HoldStatus::Released, 0, Reason::Released),
        (_, Event::Expire) if is_over => ended(HoldStatus::Expired, 0, Reason::Expired),
        (_, Event::Expire) => Err(Refusal::Conflict("the hold still holds")),
        (_, _) if is_over => Err(Refusal::Closed("the time of the hold is over")),
        (_, Event::Commit(order)) => {
            let (after, delta) = ended(HoldStatus::Committed, -quantity, Reason::Committed)?;
            Ok((Hold { order_id: Some(order.clone()), ..after }, delta))
        }
        (HoldStatus::PaymentPending, Event::PaymentStarted) => Ok((hold.clone(), Delta::NONE)),
        (_, Event::PaymentStarted) => kept(
            HoldStatus::PaymentPending,
            hold.expires_at.max(now.after(PAYMENT)),
            hold.is_extended,
        ),
        (HoldStatus::PaymentPending, Event::PaymentFailed) => {
            kept(HoldStatus::Held, now.after(HOLD), hold.is_extended)
        }
        (_, Event::PaymentFailed) => Err(Refusal::Conflict("no payment is under way")),
        (_, Event::Extend) if hold.is_extended => {
            Err(Refusal::Conflict("a hold is made longer once"))
        }
        (status, Event::Extend) => kept(status, hold.expires_at.max(now.after(HOLD)), true),
    }
}

/// The hold after a payment that came when its time was over, if its stock can be had again: what
/// the level must still have is `Delta::on_hand`, unless nobody has ended the hold yet.
///
/// # Errors
/// `Closed` if it ended otherwise, or if this was tried before.
pub fn late(hold: &Hold, order: &str, now: Moment) -> Result<(Hold, Delta), Refusal> {
    let is_kept = hold.status.is_live() && now >= hold.expires_at;
    let is_lost = hold.status == HoldStatus::Expired && hold.order_id.is_none();
    if !is_kept && !is_lost {
        return Err(Refusal::Closed("the hold has ended"));
    }
    let (status, order_id) = (HoldStatus::Committed, Some(order.to_owned()));
    let reserved = if is_kept { -hold.quantity } else { 0 };
    let delta = Delta { on_hand: -hold.quantity, reserved, reason: Some(Reason::Committed) };
    Ok((Hold { status, order_id, ..hold.clone() }, delta))
}

/// A line of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What of, and where.
    #[serde(flatten)]
    pub key: Key,
    /// How much.
    pub quantity: i64,
}

/// The lines with each key once, in the order in which all requests take their locks.
///
/// # Errors
/// A refusal of `quantity` or `lines`.
pub fn lines(lines: &[Line]) -> Result<Vec<Line>, Refusal> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Refusal::field("lines", "1 to 100"));
    }
    let mut sums: BTreeMap<&Key, i64> = BTreeMap::new();
    for line in lines {
        let sum = sums.entry(&line.key).or_default();
        *sum = sum.saturating_add(line.quantity);
        if line.quantity < 1 || *sum > QUANTITY_MAX {
            return Err(Refusal::field("quantity", "1 to 1,000,000"));
        }
    }
    let line = |(key, quantity): (&Key, i64)| Line { key: key.clone(), quantity };
    Ok(sums.into_iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn hold() -> Hold {
        Hold { quantity: 3, expires_at: at(900), ..Hold::default() }
    }

    fn commit() -> Event {
        Event::Commit("o".to_owned())
    }

    #[test]
    fn of_commit_and_expiry_one_wins_at_every_moment() {
        for seconds in [0, 899, 900, 901, 9_999] {
            let committed = step(&hold(), &commit(), at(seconds)).is_ok();
            let expired = step(&hold(), &Event::Expire, at(seconds)).is_ok();
            assert_ne!(committed, expired, "at {seconds}");
        }
    }

    #[test]
    fn stock_comes_back_once() {
        for event in [Event::Release, Event::Expire] {
            let (ended, delta) = step(&hold(), &event, at(900)).unwrap();
            assert_eq!((delta.on_hand, delta.reserved), (0, -3));
            for again in [Event::Release, Event::Expire, commit(), Event::Extend] {
                if let Ok((_, delta)) = step(&ended, &again, at(900)) {
                    assert_eq!(delta, Delta::NONE, "{event:?} then {again:?}");
                }
            }
        }
    }

    #[test]
    fn a_commit_sells_what_was_held_and_is_the_same_twice() {
        let (sold, delta) = step(&hold(), &commit(), at(1)).unwrap();
        let reason = Some(Reason::Committed);
        assert_eq!(delta, Delta { on_hand: -3, reserved: -3, reason });
        assert_eq!(step(&sold, &commit(), at(9_999)), Ok((sold.clone(), Delta::NONE)));
        let other = Event::Commit("other".to_owned());
        assert!(matches!(step(&sold, &other, at(2)), Err(Refusal::Closed(_))));
        assert!(step(&sold, &Event::Release, at(2)).is_err());
    }

    #[test]
    fn a_hold_is_made_longer_once() {
        let (longer, _) = step(&hold(), &Event::Extend, at(600)).unwrap();
        assert_eq!(longer.expires_at, at(1_500));
        assert!(step(&longer, &Event::Extend, at(700)).is_err());
        assert!(step(&hold(), &Event::Extend, at(900)).is_err());
    }

    #[test]
    fn a_sweeper_does_not_take_what_is_being_paid() {
        let (paying, _) = step(&hold(), &Event::PaymentStarted, at(899)).unwrap();
        assert!(step(&paying, &Event::Expire, at(901)).is_err());
        assert!(step(&paying, &commit(), at(2_000)).is_ok());
        assert!(step(&paying, &Event::Expire, at(899 + 1_800)).is_ok());
        let (failed, _) = step(&paying, &Event::PaymentFailed, at(1_000)).unwrap();
        assert_eq!((failed.status, failed.expires_at), (HoldStatus::Held, at(1_900)));
    }

    #[test]
    fn a_late_payment_buys_what_is_still_held_or_can_be_had_again_once() {
        let (sold, delta) = late(&hold(), "o", at(900)).unwrap();
        assert_eq!((delta.on_hand, delta.reserved), (-3, -3));
        assert_eq!((sold.status, sold.order_id.as_deref()), (HoldStatus::Committed, Some("o")));
        let (over, _) = step(&hold(), &Event::Expire, at(900)).unwrap();
        let (_, delta) = late(&over, "o", at(901)).unwrap();
        assert_eq!((delta.on_hand, delta.reserved), (-3, 0));
        let failed = Hold { order_id: Some("o".to_owned()), ..over };
        let (released, _) = step(&hold(), &Event::Release, at(1)).unwrap();
        for ended in [failed, sold, released, hold()] {
            assert!(late(&ended, "o", at(2)).is_err(), "{ended:?}");
        }
    }

    #[test]
    fn lines_of_one_product_are_summed_and_in_one_order_for_all() {
        let line = |product: &str, quantity| Line {
            key: Key { product_id: product.to_owned(), ..Key::default() },
            quantity,
        };
        let sorted = lines(&[line("b", 1), line("a", 2), line("b", 4)]).unwrap();
        assert_eq!(sorted, [line("a", 2), line("b", 5)]);
        for bad in [0, -1, i64::MIN, i64::MAX, QUANTITY_MAX + 1] {
            assert!(lines(&[line("a", bad)]).is_err(), "{bad}");
        }
        assert!(lines(&[line("a", QUANTITY_MAX), line("a", 1)]).is_err());
        assert!(lines(&[]).is_err());
    }
}
