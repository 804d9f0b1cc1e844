//! The rule of scaling. Pure: loads come in with their time, decisions come out.

use std::time::Duration;

use serde::Serialize;

/// Percent of its processors that a process uses.
const CPU_MAX: f64 = 70.0;
/// Percent of its memory.
const MEMORY_MAX: f64 = 80.0;
/// Connections.
const CONNECTIONS_MAX: u64 = 1_000;
/// Nothing is decided so soon after a decision for more.
const OUT_COOLDOWN: Duration = Duration::from_secs(300);
/// For fewer there must be calm for so long, and no decision meanwhile.
const IN_COOLDOWN: Duration = Duration::from_secs(600);
/// It is calm below this part of every threshold, so that one fewer does not at once want one more.
const CALM: f64 = 0.5;

/// How much a process has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Percent of its processors that it uses; 0 where nobody can say.
    pub cpu_percent: f64,
    /// Percent of its memory.
    pub memory_percent: f64,
    /// Connections of clients.
    pub connections: u64,
}

/// What is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// One more.
    Out,
    /// One fewer.
    In,
    /// As many as there are.
    #[default]
    Hold,
}

/// How things stand: the last decision, and what led to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Standing {
    /// What was decided last. Whoever follows acts once for each number.
    pub decision: Decision,
    /// Decisions so far.
    pub number: u64,
    /// Thresholds that were reached then: `cpu`, `memory`, `connections`.
    pub reasons: Vec<&'static str>,
    /// Seconds until the next decision may be made.
    pub cooldown_s: u64,
    /// How much there is to do.
    pub load: Load,
    /// When it was decided, on the clock of those who look.
    #[serde(skip)]
    decided_at: Option<Duration>,
    /// Since when it is calm.
    #[serde(skip)]
    calm_since: Option<Duration>,
}

impl Standing {
    /// How things stand after a look at the load, at a time that never goes back.
    #[must_use]
    pub fn look(&self, load: Load, now: Duration) -> Self {
        let parts = parts(load);
        let reasons: Vec<_> = parts.iter().filter(|(_, part)| *part >= 1.0).map(|p| p.0).collect();
        let is_calm = parts.iter().all(|(_, part)| *part < CALM);
        let calm_since = self.calm_since.filter(|_| is_calm).or(is_calm.then_some(now));
        let since = |then: Option<Duration>| then.map(|then| now.saturating_sub(then));
        let rests = |cooldown: Duration| {
            since(self.decided_at).map_or(Duration::ZERO, |gone| cooldown.saturating_sub(gone))
        };
        let is_long_calm = since(calm_since).is_some_and(|calm| calm >= IN_COOLDOWN);
        let decision = if !reasons.is_empty() && rests(OUT_COOLDOWN).is_zero() {
            Decision::Out
        } else if is_long_calm && rests(IN_COOLDOWN).is_zero() {
            Decision::In
        } else {
            let wait = if is_calm { rests(IN_COOLDOWN) } else { rests(OUT_COOLDOWN) };
            return Standing { load, calm_since, cooldown_s: wait.as_secs(), ..self.clone() };
        };
        let cooldown = if decision == Decision::Out { OUT_COOLDOWN } else { IN_COOLDOWN };
        Standing {
            decision,
            number: self.number + 1,
            reasons,
            cooldown_s: cooldown.as_secs(),
            load,
            decided_at: Some(now),
            // One that is fewer changes the load of the others: calm is counted anew.
            calm_since: calm_since.map(|_| now),
        }
    }
}

/// The load as parts of the thresholds.
#[expect(clippy::cast_precision_loss, reason = "connections of one process are far below 2^53")]
fn parts(load: Load) -> [(&'static str, f64); 3] {
    [
        ("cpu", load.cpu_percent / CPU_MAX),
        ("memory", load.memory_percent / MEMORY_MAX),
        ("connections", load.connections as f64 / CONNECTIONS_MAX as f64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM_LOAD: Load = Load { cpu_percent: 5.0, memory_percent: 10.0, connections: 10 };

    /// Looks every 10 s from one second to another; the decisions with their times.
    fn looks(standing: &mut Standing, load: Load, from: u64, to: u64) -> Vec<(u64, Decision)> {
        let mut decisions = Vec::new();
        for second in (from..=to).step_by(10) {
            let after = standing.look(load, Duration::from_secs(second));
            if after.number != standing.number {
                decisions.push((second, after.decision));
            }
            *standing = after;
        }
        decisions
    }

    #[test]
    fn each_threshold_alone_asks_for_more_and_only_when_it_is_reached() {
        for (load, reason) in [
            (Load { cpu_percent: 70.0, ..CALM_LOAD }, Some("cpu")),
            (Load { memory_percent: 80.0, ..CALM_LOAD }, Some("memory")),
            (Load { connections: 1_000, ..CALM_LOAD }, Some("connections")),
            (Load { cpu_percent: 69.9, memory_percent: 79.9, connections: 999 }, None),
        ] {
            let standing = Standing::default().look(load, Duration::ZERO);
            assert_eq!(standing.reasons.first().copied(), reason);
            let expected = if reason.is_some() { Decision::Out } else { Decision::Hold };
            assert_eq!(standing.decision, expected);
        }
    }

    #[test]
    fn who_has_too_much_to_do_asks_again_every_300_seconds() {
        let mut standing = Standing::default();
        let busy = Load { connections: 2_000, ..CALM_LOAD };
        let decisions = looks(&mut standing, busy, 0, 900);
        let out = |second| (second, Decision::Out);
        assert_eq!(decisions, [out(0), out(300), out(600), out(900)]);
    }

    #[test]
    fn fewer_are_enough_after_600_calm_seconds_and_not_in_between() {
        let mut standing = Standing::default();
        let busy = Load { cpu_percent: 90.0, ..CALM_LOAD };
        looks(&mut standing, busy, 0, 0);
        let decisions = looks(&mut standing, CALM_LOAD, 10, 1_900);
        assert_eq!(decisions, [(610, Decision::In), (1_210, Decision::In), (1_810, Decision::In)]);
        // Half of a threshold is not calm, and begins the count anew.
        let half = Load { cpu_percent: 35.0, ..CALM_LOAD };
        looks(&mut standing, half, 1_910, 1_910);
        let decisions = looks(&mut standing, CALM_LOAD, 1_920, 2_600);
        assert_eq!(decisions, [(2_520, Decision::In)]);
    }

    #[test]
    fn a_load_between_the_two_changes_nothing_for_ever() {
        let mut standing = Standing::default();
        let between = Load { cpu_percent: 60.0, ..CALM_LOAD };
        assert_eq!(looks(&mut standing, between, 0, 100_000), []);
    }
}
