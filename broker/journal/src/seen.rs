//! Where a topic stands, and what was published to it just before.

use sampan_core::journal::{Seen, SeenKey};
use sampan_protocol::Topic;

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
    /// Where a topic stands; one that nothing is known of is new. `unix_ms` is the wall clock, for
    /// the dedupe window.
    ///
    /// # Errors
    /// Whatever the storage reports.
    pub fn standing(&self, topic: &Topic, unix_ms: u64) -> Result<Standing, Error> {
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
            let window = u64::try_from(self.shared.options.window.as_millis()).unwrap_or(u64::MAX);
            let since_ms = unix_ms.saturating_sub(window);
            match self.seen(number, &extents, since_ms, &mut standing) {
                Ok(()) | Err(Missed::Damaged) => return Ok(standing),
                Err(Missed::Moved) => {}
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
        since_ms: u64,
        standing: &mut Standing,
    ) -> Result<(), Missed> {
        let mut bytes = 0;
        'extents: for extent in extents.iter().rev() {
            if extent.total.last_ms < since_ms {
                continue;
            }
            for region in self.shared.regions(extent)?.iter().rev() {
                bytes += region.length;
                let full = standing.seen.len().max(standing.keys.len()) >= SEEN_MAX;
                if bytes > SEEN_BYTES_MAX || full {
                    break 'extents;
                }
                if region.last_ms < since_ms {
                    continue;
                }
                let pieces = match self.shared.pieces(number, extent.segment, region, None) {
                    Err(Missed::Damaged) => continue,
                    pieces => pieces?,
                };
                for Piece { run, entries } in pieces.into_iter().rev() {
                    let at_ms = run.last_ms;
                    let seen = entries.sent.into_iter().rev().map(|sent| Seen { sent, at_ms });
                    standing.seen.extend(seen);
                    let keys = entries.keys.into_iter().rev();
                    standing.keys.extend(keys.map(|(offset, key)| SeenKey { key, offset, at_ms }));
                }
            }
        }
        standing.seen.reverse();
        standing.keys.reverse();
        Ok(())
    }
}
