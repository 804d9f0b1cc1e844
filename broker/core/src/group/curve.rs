//! When a failed job comes again: one jittered curve for time-outs, naks and lost consumers.

use std::time::Duration;

/// Ceiling after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// Ceiling after many.
const LAST: Duration = Duration::from_secs(300);

/// A seed from text and numbers, for [`delay`].
pub(crate) fn seed(boot: u64, name: &str) -> u64 {
    name.bytes().fold(mix(boot), |hash, byte| mix(hash ^ u64::from(byte)))
}

/// How long a message waits after its failure number `attempts`: evenly drawn by the seed from 0 to a
/// ceiling that doubles with each.
pub(crate) fn delay(seed: u64, topic_id: u64, offset: u64, attempts: u32) -> Duration {
    let ceiling = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LAST);
    let drawn = mix(mix(mix(seed ^ topic_id) ^ offset) ^ u64::from(attempts));
    let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(drawn % (micros + 1))
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_fill_a_ceiling_that_doubles_up_to_five_minutes() {
        let seed = seed(7, "chat");
        for (attempts, ceiling) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (u32::MAX, 300)] {
            let drawn: Vec<f64> =
                (0..1000).map(|offset| delay(seed, 3, offset, attempts).as_secs_f64()).collect();
            let most = drawn.iter().copied().fold(0.0, f64::max);
            let mean = drawn.iter().sum::<f64>() / 1000.0;
            let ceiling = f64::from(ceiling);
            assert!(most <= ceiling && most > 0.9 * ceiling, "{attempts}: {most}");
            assert!((0.4..0.6).contains(&(mean / ceiling)), "{attempts}: {mean}");
        }
    }

    #[test]
    fn the_same_message_of_another_group_or_process_waits_another_time() {
        let delays = [seed(7, "chat"), seed(8, "chat"), seed(7, "inventory")];
        let delays = delays.map(|seed| delay(seed, 1, 1, 5));
        assert!(delays[0] != delays[1] && delays[0] != delays[2]);
    }
}
