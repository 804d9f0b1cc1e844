//! RFC 6455 against the bridge's own sockets: framing, fragments, UTF-8, control frames, closing.

mod peer;
mod server;

use peer::{Frame, Peer, fin, frame, part};

/// Bytes of a message that these servers take.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What comes back for these bytes, on a connection of their own, up to the close or so many frames.
async fn answers(bytes: &[u8], frames: usize) -> Vec<Frame> {
    let mut peer = Peer::connect(server::router(MESSAGE_BYTES_MAX)).await;
    peer.send(bytes).await;
    let mut answers = Vec::new();
    while answers.len() < frames {
        let answer = peer.receive().await;
        let is_close = answer.0 == CLOSE;
        answers.push(answer);
        if is_close {
            break;
        }
    }
    answers
}

/// The close code that these bytes earn; 0 for a close without one.
async fn code(bytes: &[u8]) -> u16 {
    let answers = answers(bytes, usize::MAX).await;
    let (_, payload) = answers.last().expect("a close");
    payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code))
}

#[tokio::test]
async fn messages_of_every_length_come_back() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, MESSAGE_BYTES_MAX] {
        for opcode in [TEXT, BINARY] {
            let payload = vec![b'*'; length];
            let answer = answers(&fin(opcode, &payload), 1).await;
            assert!(answer == [(opcode, payload)], "{opcode} of {length} bytes");
        }
    }
}

#[tokio::test]
async fn a_message_may_come_in_pieces_of_any_size() {
    let payload: Vec<u8> =
        (0..1000_u32).map(|n| b'a' + u8::try_from(n % 26).expect("small")).collect();
    let bytes = fin(TEXT, &payload);
    for size in [1, 2, 3, 64, 997] {
        let mut peer = Peer::connect(server::router(MESSAGE_BYTES_MAX)).await;
        for piece in bytes.chunks(size) {
            peer.send(piece).await;
        }
        assert_eq!(peer.receive().await, (TEXT, payload.clone()), "in pieces of {size}");
    }
}

#[tokio::test]
async fn messages_beyond_the_limit_are_closed_with_1009_also_in_fragments() {
    let half = vec![b'*'; MESSAGE_BYTES_MAX / 2 + 1];
    assert_eq!(code(&fin(BINARY, &vec![0; MESSAGE_BYTES_MAX + 1])).await, 1009);
    assert_eq!(code(&[part(TEXT, &half), fin(CONTINUATION, &half)].concat()).await, 1009);
    // Who says that very much follows is not waited for.
    let mut huge = vec![0x82, 0xff];
    huge.extend(u64::MAX.to_be_bytes().map(|byte| byte & 0x7f));
    huge.extend([0; 4]);
    assert_eq!(code(&huge).await, 1009);
}

#[tokio::test]
async fn pings_are_answered_with_what_they_say_and_pongs_are_not() {
    for payload in [&b""[..], b"hello", &[0xff; 3], &[7; 125]] {
        assert_eq!(answers(&fin(PING, payload), 1).await, [(PONG, payload.to_vec())]);
    }
    let many: Vec<u8> = (0..10).flat_map(|n| fin(PING, &[n])).collect();
    let last = answers(&[many, fin(CLOSE, b"")].concat(), usize::MAX).await;
    assert!(last.contains(&(PONG, vec![9])), "the newest at least: {last:?}");
    let bytes = [fin(PONG, b"unasked"), fin(PONG, b""), fin(TEXT, b"x")].concat();
    assert_eq!(answers(&bytes, 1).await, [(TEXT, b"x".to_vec())]);
}

#[tokio::test]
async fn control_frames_are_short_and_whole() {
    assert_eq!(code(&fin(PING, &[0; 126])).await, 1002);
    assert_eq!(code(&fin(CLOSE, &[3; 126])).await, 1002);
    for opcode in [PING, PONG, CLOSE] {
        assert_eq!(code(&part(opcode, b"")).await, 1002, "{opcode} in fragments");
    }
}

#[tokio::test]
async fn reserved_bits_and_opcodes_and_frames_without_a_mask_break_the_protocol() {
    for bits in [0x40, 0x20, 0x10, 0x70] {
        assert_eq!(code(&frame(0x80 | bits | TEXT, b"x")).await, 1002, "bits {bits:x}");
        assert_eq!(code(&frame(0x80 | bits | PING, b"x")).await, 1002, "bits {bits:x}");
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(code(&fin(opcode, b"x")).await, 1002, "opcode {opcode}");
    }
    assert_eq!(code(&[0x81, 1, b'x']).await, 1002, "no mask");
    let earlier = answers(&[fin(TEXT, b"a"), fin(3, b"x")].concat(), usize::MAX).await;
    assert_eq!(earlier.first(), Some(&(TEXT, b"a".to_vec())), "what came before is answered");
}

#[tokio::test]
async fn fragments_are_put_together_and_pings_between_them_answered() {
    let whole = |parts: &[Vec<u8>]| parts.concat();
    let rows = [
        (whole(&[part(TEXT, b"a"), fin(CONTINUATION, b"b")]), TEXT, &b"ab"[..]),
        (
            whole(&[part(BINARY, b"a"), part(CONTINUATION, b""), fin(CONTINUATION, b"b")]),
            BINARY,
            b"ab",
        ),
        (whole(&[part(TEXT, b""), part(CONTINUATION, b""), fin(CONTINUATION, b"")]), TEXT, b""),
        (whole(&[part(TEXT, b""), part(CONTINUATION, b"x"), fin(CONTINUATION, b"")]), TEXT, b"x"),
    ];
    for (bytes, opcode, payload) in rows {
        assert_eq!(answers(&bytes, 1).await, [(opcode, payload.to_vec())]);
    }
    let between = [part(TEXT, b"a"), fin(PING, b"p"), fin(CONTINUATION, b"b")].concat();
    let expected = [(PONG, b"p".to_vec()), (TEXT, b"ab".to_vec())];
    assert_eq!(answers(&between, 2).await, expected);
}

#[tokio::test]
async fn fragments_out_of_place_break_the_protocol() {
    for bytes in [
        fin(CONTINUATION, b"x"),
        part(CONTINUATION, b"x"),
        [part(TEXT, b"a"), fin(TEXT, b"b")].concat(),
        [part(TEXT, b"a"), fin(CONTINUATION, b"b"), fin(CONTINUATION, b"c")].concat(),
    ] {
        assert_eq!(code(&bytes).await, 1002, "{bytes:x?}");
    }
}

#[tokio::test]
async fn text_is_utf_8_wherever_it_is_cut() {
    for text in ["κόσμε", "\u{0}", "\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}", "\u{fffe}"] {
        for cut in 0..=text.len() {
            let (start, end) = text.as_bytes().split_at(cut);
            let bytes = [part(TEXT, start), fin(CONTINUATION, end)].concat();
            assert_eq!(
                answers(&bytes, 1).await,
                [(TEXT, text.as_bytes().to_vec())],
                "cut at {cut}"
            );
        }
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_closed_with_1007() {
    let rows: [&[u8]; 12] = [
        b"\x80",
        b"\xff",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xce\xba\xe1",
        b"\xce",
        b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited",
    ];
    for bad in rows {
        assert_eq!(code(&fin(TEXT, bad)).await, 1007, "{bad:x?}");
        for cut in 0..=bad.len() {
            let (start, end) = bad.split_at(cut);
            let bytes = [part(TEXT, start), fin(CONTINUATION, end)].concat();
            assert_eq!(code(&bytes).await, 1007, "{bad:x?} cut at {cut}");
        }
    }
    assert_eq!(answers(&fin(BINARY, b"\xff"), 1).await, [(BINARY, b"\xff".to_vec())]);
}

/// A close with this code and reason.
fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    fin(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    assert_eq!(code(&fin(CLOSE, b"")).await, 0);
    for given in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        assert_eq!(code(&close(given, b"")).await, given);
    }
    assert_eq!(code(&close(1000, &[b'*'; 123])).await, 1000);
    let after = [close(1000, b"bye"), fin(TEXT, b"x"), fin(PING, b"")].concat();
    let heard = answers(&after, usize::MAX).await;
    assert_eq!(heard.len(), 1, "nothing after a close is answered");
}

#[tokio::test]
async fn a_close_that_makes_no_sense_is_told_so() {
    for given in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(code(&close(given, b"")).await, 1002, "{given}");
    }
    assert_eq!(code(&fin(CLOSE, b"\x03")).await, 1002, "half a code");
    assert_eq!(code(&close(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")).await, 1007);
}
