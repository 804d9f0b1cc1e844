//! What leaves for a client: JSON objects, several to a frame when several wait.

use serde::Serialize;

use crate::json::text;

/// Bytes of one frame after which the next is begun.
const FRAME_BYTES: usize = 32 * 1024;

/// Frames of text for a client.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    whole: Vec<String>,
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

    /// The frames, each an object or a list of objects.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.end_frame();
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
        self.whole.push(text);
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
        assert_eq!((frames.len(), frames[1].as_str()), (2, r#"{"b":1}"#));
    }
}
