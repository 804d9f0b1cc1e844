//! What leaves for a client: JSON objects, several to a frame when several wait.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::json::text;

/// Bytes of one frame after which the next is begun.
const FRAME_BYTES: usize = 32 * 1024;

/// Frames of text for a client.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    whole: Vec<Bytes>,
    /// Bytes of the whole ones.
    bytes: usize,
    /// `[` and the objects so far, with commas between them.
    open: String,
    objects: usize,
}

impl Outgoing {
    /// Adds `{"id": ID, "NAME": BODY}`; without the id if it is 0.
    pub(super) fn put(&mut self, id: u64, name: &str, body: &impl Serialize) {
        self.put_json(id, name, &text(body));
    }

    /// Adds an object whose body is JSON already.
    pub(super) fn put_json(&mut self, id: u64, name: &str, body: &str) {
        self.open.push(if self.objects == 0 { '[' } else { ',' });
        self.open.push('{');
        if id > 0 {
            self.open.push_str("\"id\":");
            self.open.push_str(&id.to_string());
            self.open.push(',');
        }
        for part in ["\"", name, "\":", body, "}"] {
            self.open.push_str(part);
        }
        self.objects += 1;
        if self.open.len() >= FRAME_BYTES {
            self.end_frame();
        }
    }

    /// Adds frames as another connection has made them.
    pub(super) fn put_run(&mut self, frames: &Arc<[Bytes]>) {
        self.end_frame();
        self.bytes += frames.iter().map(Bytes::len).sum::<usize>();
        self.whole.extend_from_slice(frames);
    }

    /// Begins frames of their own, for [`Outgoing::end_run`].
    pub(super) fn begin_run(&mut self) -> usize {
        self.end_frame();
        self.whole.len()
    }

    /// The frames since then.
    pub(super) fn end_run(&mut self, begin: usize) -> Arc<[Bytes]> {
        self.end_frame();
        self.whole.get(begin..).unwrap_or_default().into()
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.open.len()
    }

    /// The frames, each an object or a list of objects, in UTF-8.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.end_frame();
        self.bytes = 0;
        std::mem::take(&mut self.whole)
    }

    fn end_frame(&mut self) {
        let mut text = std::mem::take(&mut self.open);
        match std::mem::take(&mut self.objects) {
            0 => return,
            // One object stands alone, without the bracket in front.
            1 => _ = text.remove(0),
            _ => text.push(']'),
        }
        self.bytes += text.len();
        self.whole.push(text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_stands_alone_and_several_make_a_list() {
        let mut out = Outgoing::default();
        assert!(out.take().is_empty());
        out.put(0, "a", &1);
        assert_eq!(out.take(), [r#"{"a":1}"#]);
        out.put(7, "a", &"x");
        out.put_json(0, "b", "[]");
        assert_eq!(out.take(), [r#"[{"id":7,"a":"x"},{"b":[]}]"#]);
        out.put(0, "a", &"x".repeat(FRAME_BYTES));
        out.put(0, "b", &1);
        let frames = out.take();
        assert_eq!((frames.len(), &frames[1][..]), (2, &br#"{"b":1}"#[..]));
    }

    #[test]
    fn a_run_has_frames_of_its_own_that_another_takes_over() {
        let mut first = Outgoing::default();
        first.put(7, "done", &1);
        let begin = first.begin_run();
        first.put_json(0, "message", "1");
        first.put_json(0, "message", "2");
        let run = first.end_run(begin);
        assert_eq!(*run, [Bytes::from_static(br#"[{"message":1},{"message":2}]"#)]);
        let mut second = Outgoing::default();
        second.put(8, "done", &1);
        second.put_run(&run);
        assert!(second.bytes() > run[0].len());
        let frames = second.take();
        assert_eq!(frames, [Bytes::from_static(br#"{"id":8,"done":1}"#), run[0].clone()]);
        assert_eq!((frames[1].as_ptr(), second.bytes()), (run[0].as_ptr(), 0));
    }
}
