//! Where a topic stands, and what was published to it just before.

use std::time::Duration;

use sampan_core::journal::{Seen, SeenKey};
use sampan_protocol::{Now, Topic};

use crate::api::Standing;
use crate::error::Error;
use crate::extent::Extent;
use crate::key;
use crate::read::{Missed, Piece};
use crate::reader::{LOOKS_MAX, Reader};
use crate::storage::Storage;

/// Bytes that are read at most to find the publishes of the dedupe window.
const SEEN_BYTES_MAX: u64 = 64 << 20;

/// Publishes and keys of a topic that are found at most.
const SEEN_MAX: usize = 16_384;

impl<S: Storage> Reader<S> {
    /// Where a topic stands; one that nothing is known of is new. The dedupe window goes by the clock
    /// of retention, which no jump of the wall clock moves.
    ///
    /// # Errors
    /// Whatever the storage reports.
    pub fn standing(&self, topic: &Topic, now: Now) -> Result<Standing, Error> {
        for _ in 0..LOOKS_MAX {
            let (number, mut standing, extents) = {
                let state = self.shared.state();
                let Some(found) = state.topics.find(topic) else {
                    return Ok(Standing {
                        epoch: state.epoch,
                        floor: 1,
                        next: 1,
                        ..Standing::default()
                    });
                };
                let mut lost = found.lost.clone();
                found.damaged.iter().for_each(|hole| key::join(&mut lost, *hole));
                let standing = Standing {
                    epoch: found.epoch,
                    floor: found.floor,
                    next: found.next(),
                    lost,
                    ..Standing::default()
                };
                let number = state.topics.number(topic).unwrap_or(0);
                (number, standing, found.extents.values().cloned().collect::<Vec<_>>())
            };
            match self.seen(number, &extents, now, &mut standing) {
                Ok(()) => return Ok(standing),
                Err(Missed::Moved | Missed::Damaged) => {}
                Err(Missed::Failed(error)) => return Err(error),
            }
        }
        Err(Error::Damaged)
    }

    /// Collects the publishes of the dedupe window, the newest first and then turned round.
    fn seen(
        &self,
        number: u32,
        extents: &[Extent],
        now: Now,
        standing: &mut Standing,
    ) -> Result<(), Missed> {
        let (now_ms, since_ms) = (self.shared.clock.at(now), self.shared.window_from(now));
        let mut bytes = 0;
        'extents: for extent in extents.iter().rev() {
            if extent.total.time_ms < since_ms {
                continue;
            }
            let regions = match self.shared.regions(extent) {
                Err(Missed::Damaged) => continue,
                regions => regions?,
            };
            for region in regions.iter().rev() {
                bytes += region.length;
                let full = standing.seen.len().max(standing.keys.len()) >= SEEN_MAX;
                if bytes > SEEN_BYTES_MAX || full {
                    break 'extents;
                }
                if region.time_ms < since_ms {
                    continue;
                }
                let pieces = match self.shared.pieces(number, extent.segment, region, None) {
                    Err(Missed::Damaged) => continue,
                    pieces => pieces?,
                };
                for Piece { entries, .. } in pieces.into_iter().rev() {
                    let Some(time_ms) = entries.time_ms.filter(|time| *time >= since_ms) else {
                        continue;
                    };
                    let age = Duration::from_millis(now_ms.saturating_sub(time_ms));
                    let seen = entries.sent.into_iter().rev().map(|sent| Seen { sent, age });
                    standing.seen.extend(seen);
                    let keys = entries.keys.into_iter().rev();
                    standing.keys.extend(keys.map(|(offset, key)| SeenKey { key, offset, age }));
                }
            }
        }
        standing.seen.reverse();
        standing.keys.reverse();
        Ok(())
    }
}
