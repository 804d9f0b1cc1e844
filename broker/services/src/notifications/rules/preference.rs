//! Whether a user is told by a way at all. Asked again when what was put off is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::moment::Moment;
use crate::notifications::model::{Channel, Kind};

/// A push is left out if a live session of the user took the message within this time.
pub const LIVE: Duration = Duration::from_secs(5);

/// What a user has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// By type and channel.
    pub kinds: BTreeMap<(Kind, Channel), bool>,
    /// By channel.
    pub channels: BTreeMap<Channel, bool>,
}

/// What is known of the address that a channel would use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Whether there is one: a live device, an address, an inbox.
    pub is_known: bool,
    /// Whether it was shown to be the user's.
    pub is_verified: bool,
    /// Whether it wants nothing more, or nothing arrives there.
    pub is_suppressed: bool,
}

/// Why a user is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// The user does not want it.
    Preference,
    /// Nobody knows where.
    NoAddress,
    /// It is not known to be the user's.
    Unverified,
    /// It wants nothing more, or nothing arrives there.
    Listed,
    /// A live session has it already.
    Live,
}

/// Whether the user wants it: what is critical goes always, then the most exact choice counts.
/// Offers are only for those who asked, everything else for those who did not refuse.
#[must_use]
pub fn wants(all: &Preferences, kind: Kind, channel: Channel, is_critical: bool) -> bool {
    let chosen = all.kinds.get(&(kind, channel)).or(all.channels.get(&channel));
    is_critical || chosen.copied().unwrap_or(kind != Kind::PromotionAlert)
}

/// Whether a channel is used.
///
/// # Errors
/// Why not.
pub fn check(
    all: &Preferences,
    kind: Kind,
    channel: Channel,
    address: Address,
    is_critical: bool,
) -> Result<(), Suppressed> {
    let is_strict = matches!(channel, Channel::Email | Channel::Sms);
    let reasons = [
        (!wants(all, kind, channel, is_critical), Suppressed::Preference),
        (!address.is_known, Suppressed::NoAddress),
        (is_strict && !address.is_verified, Suppressed::Unverified),
        (address.is_suppressed, Suppressed::Listed),
    ];
    reasons.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, reason)| Err(reason))
}

/// Whether a live session of the user took the message soon enough for a push to be left out.
#[must_use]
pub fn is_live(published_at: Moment, acknowledged_at: Option<Moment>) -> bool {
    acknowledged_at.is_some_and(|at| at.since(published_at) <= LIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Address = Address { is_known: true, is_verified: true, is_suppressed: false };

    fn chosen(kind: Option<bool>, channel: Option<bool>) -> Preferences {
        let key = (Kind::OrderStatusUpdate, Channel::Push);
        Preferences {
            kinds: kind.map(|on| (key, on)).into_iter().collect(),
            channels: channel.map(|on| (Channel::Push, on)).into_iter().collect(),
        }
    }

    #[test]
    fn the_most_exact_choice_counts_and_what_is_critical_goes_always() {
        let wanted = |all: Preferences, critical| {
            wants(&all, Kind::OrderStatusUpdate, Channel::Push, critical)
        };
        assert!(wanted(chosen(Some(true), Some(false)), false));
        assert!(!wanted(chosen(Some(false), Some(true)), false));
        assert!(!wanted(chosen(None, Some(false)), false));
        assert!(wanted(chosen(Some(false), Some(false)), true));
    }

    #[test]
    fn no_choice_means_yes_but_for_offers() {
        for channel in [Channel::Push, Channel::Email, Channel::Sms, Channel::Websocket] {
            let none = Preferences::default();
            assert!(wants(&none, Kind::PaymentConfirmation, channel, false));
            assert!(!wants(&none, Kind::PromotionAlert, channel, false));
        }
    }

    #[test]
    fn nothing_goes_to_an_address_that_is_not_shown_to_be_the_users() {
        let all = Preferences::default();
        let sent = |channel, address| check(&all, Kind::ChatMessage, channel, address, false);
        let loose = Address { is_verified: false, ..GOOD };
        assert_eq!(sent(Channel::Sms, loose), Err(Suppressed::Unverified));
        assert_eq!(sent(Channel::Email, loose), Err(Suppressed::Unverified));
        assert_eq!(sent(Channel::Push, loose), Ok(()));
        let listed = Address { is_suppressed: true, ..GOOD };
        assert_eq!(sent(Channel::Email, listed), Err(Suppressed::Listed));
        assert_eq!(sent(Channel::Push, Address::default()), Err(Suppressed::NoAddress));
    }

    #[test]
    fn a_push_is_left_out_if_a_session_had_it_within_five_seconds() {
        let at = Moment::from_ms;
        assert!(is_live(at(0), Some(at(5_000))));
        assert!(!is_live(at(0), Some(at(5_001))));
        assert!(!is_live(at(0), None));
    }
}
