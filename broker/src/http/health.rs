//! Whether the broker is ready: its phase, and when a message last went through it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How old the last delivered probe may be. Probes go out every second.
const PROBE_AGE_MAX: Duration = Duration::from_secs(5);

/// Where the broker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all of it is up.
    Starting,
    /// It takes clients.
    Serving,
    /// It tells its clients to leave.
    Draining,
    /// It can store nothing more, and ends.
    Failed,
}

/// What readiness depends on. Shared by those who know and those who ask.
pub struct Health {
    state: Mutex<State>,
    /// Asks the services whether they work.
    services: OnceLock<Look>,
}

type Look = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Health").field(&self.state).finish()
    }
}

#[derive(Debug)]
struct State {
    phase: Phase,
    delivered: Option<Instant>,
    /// Why the last probe failed, if it did.
    failure: Option<String>,
}

/// Why the broker is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It is starting.
    Starting,
    /// It is draining.
    Draining,
    /// It has failed.
    Failed,
    /// No message has gone through it for too long; why the last one did not.
    NotDelivering(String),
}

impl Health {
    /// A broker that is starting.
    #[must_use]
    pub fn starting() -> Self {
        let state = State { phase: Phase::Starting, delivered: None, failure: None };
        Health { state: Mutex::new(state), services: OnceLock::new() }
    }

    /// Names whom to ask whether the services work. The first that is named counts.
    pub fn look_at_services(&self, look: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let _ = self.services.set(Box::new(look));
    }

    /// Whether the services work; also where there are none. The broker is ready without them.
    ///
    /// # Errors
    /// Why they do not.
    pub fn check_services(&self) -> Result<(), String> {
        self.services.get().map_or(Ok(()), |look| look())
    }

    /// Whether the broker is ready at `now`, in a sentence. Messages go their way without services too.
    ///
    /// # Errors
    /// Why it is not.
    pub fn ready(&self, now: Instant) -> Result<String, String> {
        self.check(now).map_err(|why| why.to_string())?;
        Ok(match self.check_services() {
            Ok(()) => "ready".to_owned(),
            Err(why) => format!("ready, but without services: {why}"),
        })
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// A probe was published and came back.
    pub fn delivered(&self, now: Instant) {
        let mut state = self.state();
        state.delivered = Some(now);
        state.failure = None;
    }

    /// A probe was lost.
    pub fn failed(&self, why: impl std::fmt::Display) {
        self.state().failure = Some(why.to_string());
    }

    /// Whether the broker is ready at `now`.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, now: Instant) -> Result<(), NotReady> {
        let state = self.state();
        let is_fresh = |at: Instant| now.saturating_duration_since(at) <= PROBE_AGE_MAX;
        match state.phase {
            Phase::Starting => Err(NotReady::Starting),
            Phase::Draining => Err(NotReady::Draining),
            Phase::Failed => Err(NotReady::Failed),
            Phase::Serving if state.delivered.is_some_and(is_fresh) => Ok(()),
            Phase::Serving => {
                let why = state.failure.clone();
                let why = why.unwrap_or_else(|| "no probe has come back yet".to_owned());
                Err(NotReady::NotDelivering(why))
            }
        }
    }

    /// A panic elsewhere leaves the state as whole as it was: each field is set at once.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotReady::Starting => f.write_str("starting"),
            NotReady::Draining => f.write_str("draining: clients are told to leave"),
            NotReady::Failed => f.write_str("failed: the journal cannot go on"),
            NotReady::NotDelivering(why) => write!(f, "not delivering: {why}"),
        }
    }
}

impl std::error::Error for NotReady {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_serving_and_delivering() {
        let (health, now) = (Health::starting(), Instant::now());
        assert_eq!(health.check(now), Err(NotReady::Starting));
        health.enter(Phase::Serving);
        assert!(matches!(health.check(now), Err(NotReady::NotDelivering(_))));
        health.delivered(now);
        assert_eq!(health.check(now), Ok(()));
        health.failed("lost");
        assert_eq!(health.check(now + Duration::from_secs(1)), Ok(()));
        let late = now + Duration::from_secs(6);
        assert_eq!(health.check(late), Err(NotReady::NotDelivering("lost".to_owned())));
        health.delivered(late);
        assert_eq!(health.check(late), Ok(()));
        health.enter(Phase::Draining);
        assert_eq!(health.check(late), Err(NotReady::Draining));
        health.enter(Phase::Failed);
        assert_eq!(health.check(late), Err(NotReady::Failed));
    }
}
