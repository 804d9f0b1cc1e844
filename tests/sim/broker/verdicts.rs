//! The verifier of tokens, which answers a little later. A token is `user/role`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sampan_core::grant::{Identity, Role};
use sampan_core::session::SessionKey;
use sampan_protocol::{Code, Now};

use crate::chance::Chance;

/// How long an identity is good for; long enough for every scenario.
const LIFETIME_MS: u64 = 24 * 3600 * 1000;

/// The verdict on one token, for a session of a shard.
pub(crate) struct Verdict {
    pub(crate) shard: u8,
    pub(crate) key: SessionKey,
    pub(crate) identity: Result<Identity, Code>,
}

pub(crate) struct Verdicts {
    takes: std::ops::RangeInclusive<Duration>,
    waiting: BTreeMap<(Instant, u64), Verdict>,
    asked: u64,
    chance: Chance,
}

impl Verdicts {
    pub(crate) fn new(takes: std::ops::RangeInclusive<Duration>, chance: Chance) -> Self {
        Verdicts { takes, waiting: BTreeMap::new(), asked: 0, chance }
    }

    pub(crate) fn ask(&mut self, now: Now, shard: u8, key: SessionKey, token: &str) {
        self.asked += 1;
        let at = now.mono + self.chance.within(&self.takes);
        let identity = judge(now, token);
        self.waiting.insert((at, self.asked), Verdict { shard, key, identity });
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    pub(crate) fn due(&mut self, now: Instant) -> Option<Verdict> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

fn judge(now: Now, token: &str) -> Result<Identity, Code> {
    let (user, role) = token.split_once('/').ok_or(Code::BAD_TOKEN)?;
    let role: Role = role.parse().map_err(|_| Code::BAD_TOKEN)?;
    let expires_ms = now.unix_ms + LIFETIME_MS;
    Ok(Identity { user: user.into(), role, expires_ms, issued_ms: None, token_id: None })
}
