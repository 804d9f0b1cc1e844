//! The one rule that names a datagram's shard, as a function and as a kernel filter.
//!
//! The first byte of the destination connection id, modulo the number of shards. A shard's
//! connection id generator keeps to the same rule, so a client that moves stays on its shard.

use libc::sock_filter;

/// Most shards that can share a port: one byte names a shard.
pub const SHARDS_MAX: usize = 256;

const LONG_HEADER: u8 = 0x80;
/// Flags, a four-byte version and the id's length come before the id.
const LONG_ID_OFFSET: u8 = 6;
const SHORT_ID_OFFSET: u8 = 1;

/// The shard, of `shards`, that a QUIC datagram belongs to.
///
/// Datagrams too short to hold a connection id belong to shard 0, and so does everything when
/// `shards` is 0 or 1. This is exactly what the kernel does for a group of
/// [`bind_group`](super::bind_group).
pub fn shard_of(datagram: &[u8], shards: usize) -> usize {
    let offset = match datagram.first() {
        Some(flags) if flags & LONG_HEADER != 0 => LONG_ID_OFFSET,
        _ => SHORT_ID_OFFSET,
    };
    let byte = datagram.get(usize::from(offset)).copied().map_or(0, usize::from);
    byte.checked_rem(shards).unwrap_or(0)
}

/// [`shard_of`] in classic BPF: a load beyond the datagram's end returns 0, that is, shard 0.
pub(super) fn filter(shards: u32) -> [sock_filter; 7] {
    let load = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    let jump_if_set = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    let jump = (libc::BPF_JMP | libc::BPF_JA) as u16;
    let modulo = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_A) as u16;
    [
        op(load, 0, 0),
        op(jump_if_set, 2, u32::from(LONG_HEADER)),
        op(load, 0, u32::from(SHORT_ID_OFFSET)),
        op(jump, 0, 1),
        op(load, 0, u32::from(LONG_ID_OFFSET)),
        op(modulo, 0, shards),
        op(answer, 0, 0),
    ]
}

fn op(code: u16, jt: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_of_the_connection_id_names_the_shard() {
        let cases: [(&[u8], usize); 6] = [
            (&[0x40, 7, 0], 3),
            (&[0xc0, 0, 0, 0, 1, 8, 6], 2),
            (&[0xc0, 9, 9, 9, 9, 9], 0),
            (&[0x40], 0),
            (&[], 0),
            (&[0x40, 255], 3),
        ];
        for (datagram, shard) in cases {
            assert_eq!(shard_of(datagram, 4), shard, "{datagram:?}");
        }
        assert_eq!(shard_of(&[0x40, 7], 1), 0);
        assert_eq!(shard_of(&[0x40, 7], 0), 0);
    }
}
