//! Every protocol limit, with its unit, in one place.
//!
//! These are part of the protocol, not configuration: both ends may rely on them. A server may
//! announce lower values in WELCOME, never higher ones.

/// Bytes of the fixed frame header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of all attributes of one frame together.
pub const ATTRIBUTES_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one published payload that any server accepts by default.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one control body (everything that is not a payload or a history page).
pub const CONTROL_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one page of history.
pub const PAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 64 * 1024;
/// Bytes of a topic name or a pattern.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Tokens of a topic name or a pattern.
pub const TOPIC_TOKENS_MAX: usize = 16;
/// Bytes of an access token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a user id.
pub const USER_BYTES_MAX: usize = 128;
/// Bytes of the client's description of itself in HELLO.
pub const CLIENT_BYTES_MAX: usize = 128;
/// Bytes of an event name.
pub const EVENT_BYTES_MAX: usize = 128;
/// Bytes of a conflation or group key.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of a content type or content encoding.
pub const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// Bytes of the text of an error or close reason.
pub const REASON_BYTES_MAX: usize = 256;
/// Positions in one SUBSCRIBE frame.
pub const POSITIONS_MAX: usize = 4096;
/// Members named in one presence snapshot or diff; above it only counts are told.
pub const MEMBERS_MAX: usize = 256;
/// Subscriptions that one session may hold at the same time, by default.
pub const SUBSCRIPTIONS_MAX: u32 = 1024;
/// Messages that a subscription may ask to be replayed with `last`.
pub const LAST_MAX: u32 = 1_000_000;
/// Jobs that one consumer may hold at the same time.
pub const WINDOW_MAX: u32 = 10_000;
/// Milliseconds of a job's delay or of a group's ack wait.
pub const DELAY_MS_MAX: u32 = 24 * 60 * 60 * 1000;
/// Largest epoch, offset, sequence, version or time: JSON carries them without loss.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Server-to-client delivery lanes of one connection.
pub const LANES: u8 = 4;
/// Bytes of a datagram's frame, so that it fits the smallest QUIC path.
pub const DATAGRAM_BYTES_MAX: usize = 1100;

const _: () = assert!(ATTRIBUTES_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(PAGE_BYTES_MAX > PAYLOAD_BYTES_MAX + ATTRIBUTES_BYTES_MAX + HEADER_BYTES);
const _: () = assert!(CONTROL_BYTES_MAX <= PAYLOAD_BYTES_MAX);
const _: () = assert!(TOPIC_BYTES_MAX + EVENT_BYTES_MAX + KEY_BYTES_MAX < ATTRIBUTES_BYTES_MAX);
