//! Tickets for pages: an `EventSource` can set no header, and a token must not stand in an address.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_protocol::Code;

use crate::bridge::random;
use crate::failure::Failure;

/// How long a ticket is good for.
pub(crate) const LIFE: Duration = Duration::from_secs(30);
/// Tickets at a time.
const TICKETS_MAX: usize = 10_000;

/// Tickets that have not been used.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, Ticket>>);

struct Ticket {
    token: String,
    origin: Option<String>,
    until: Instant,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

impl Tickets {
    /// A ticket that stands for the token, for the page of this origin.
    ///
    /// # Errors
    /// When too many are out.
    pub(crate) fn issue(
        &self,
        now: Instant,
        token: String,
        origin: Option<String>,
    ) -> Result<String, Failure> {
        let name = URL_SAFE_NO_PAD.encode(random::<24>()?);
        let mut tickets = self.tickets();
        if tickets.len() >= TICKETS_MAX {
            tickets.retain(|_, ticket| ticket.until > now);
        }
        if tickets.len() >= TICKETS_MAX {
            let failure = Failure::new(Code::BUSY, "too many tickets are out");
            return Err(Failure { retry_after_ms: 1000, ..failure });
        }
        tickets.insert(name.clone(), Ticket { token, origin, until: now + LIFE });
        Ok(name)
    }

    /// The token that the ticket stands for. It is used up, whoever shows it.
    ///
    /// # Errors
    /// When there is no such ticket, it is too old, or another page shows it.
    pub(crate) fn redeem(
        &self,
        now: Instant,
        name: &str,
        origin: Option<&str>,
    ) -> Result<String, Failure> {
        let ticket = self.tickets().remove(name).filter(|ticket| ticket.until > now);
        // A page sends no origin to its own host.
        let fits = |ticket: &Ticket| origin.is_none() || ticket.origin.as_deref() == origin;
        let ticket = ticket.filter(fits);
        let bad = || Failure::new(Code::BAD_TOKEN, "the ticket is unknown, used or too old");
        ticket.map(|ticket| ticket.token).ok_or_else(bad)
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<String, Ticket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_for_a_while_and_for_one_origin() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let issue = || {
            let origin = Some("http://a".to_owned());
            tickets.issue(now, "token".to_owned(), origin).expect("room")
        };
        let ticket = issue();
        assert!(ticket.len() >= 32);
        assert_eq!(tickets.redeem(now, &ticket, Some("http://a")), Ok("token".to_owned()));
        assert!(tickets.redeem(now, &ticket, Some("http://a")).is_err(), "used");
        assert!(tickets.redeem(now, &issue(), None).is_ok());
        assert!(tickets.redeem(now, &issue(), Some("http://b")).is_err(), "another page");
        assert!(tickets.redeem(now + LIFE, &issue(), None).is_err(), "too old");
        assert!(tickets.redeem(now, "nonsense", None).is_err());
    }

    #[test]
    fn so_many_tickets_are_out_and_no_more() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let issue = |now| tickets.issue(now, String::new(), None).map_err(|f| f.code);
        for _ in 0..TICKETS_MAX {
            issue(now).expect("room");
        }
        assert_eq!(issue(now), Err(Code::BUSY));
        assert!(issue(now + LIFE).is_ok(), "the old ones are gone");
    }
}
