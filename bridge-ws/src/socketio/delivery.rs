//! A delivered message as an event of Socket.IO, made once for all clients.

use bytes::Bytes;
use sampan_protocol::Frame;
use serde_json::Value;

use super::packet::is_reserved;
use super::{Message, Output};
use crate::failure::Failure;
use crate::inflate::inflate;
use crate::json::{Payload, text};
use crate::newest::Newest;
use crate::session::Named;

/// The event of a message whose publisher named none, or one that clients take for something else.
const UNNAMED: &str = "message";

/// Events of the newest messages.
pub(super) type Deliveries = Newest<Delivery>;

/// An event without what differs from client to client.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The whole packet, for clients that are not recovered.
    packet: Bytes,
    attachment: Option<Bytes>,
}

impl Delivery {
    /// The event of a DELIVER frame.
    ///
    /// # Errors
    /// When the frame's attributes make no sense.
    pub(super) fn of(
        deliveries: &Deliveries,
        topic: &Named,
        frame: &Frame,
    ) -> Result<Delivery, Failure> {
        deliveries.of(topic, frame, || {
            let delivery = Delivery::new(frame)?;
            let attached = delivery.attachment.as_ref().map_or(0, Bytes::len);
            let bytes = delivery.packet.len() + attached;
            Ok((delivery, bytes))
        })
    }

    fn new(frame: &Frame) -> Result<Delivery, Failure> {
        let attributes = frame.attributes()?;
        let name = attributes.event.filter(|name| !is_reserved(name)).unwrap_or(UNNAMED);
        let name = text(&name);
        let body = frame.body_bytes();
        // What cannot be inflated comes as the bytes that it is.
        let opened = inflate(attributes.content_encoding, body).ok();
        let payload = opened.as_ref().and_then(|opened| {
            Payload::of(attributes.content_type, opened.encoding, &opened.bytes)
        });
        let (packet, attachment) = match payload {
            Some(payload) => (format!("42[{name},{}]", text(&payload)), None),
            None => {
                let packet = format!("451-[{name},{{\"_placeholder\":true,\"num\":0}}]");
                let bytes =
                    opened.map_or_else(|| body.to_vec(), |opened| opened.bytes.into_owned());
                (packet, Some(bytes.into()))
            }
        };
        Ok(Delivery { packet: packet.into(), attachment })
    }

    /// Appends the event, with one more argument if there is one.
    pub(super) fn put(&self, last: Option<&str>, out: &mut Output) {
        let packet = last.map_or_else(|| self.packet.clone(), |last| with(&self.packet, last));
        out.messages.push(Message::Text(packet));
        out.messages.extend(self.attachment.clone().map(Message::Binary));
    }
}

/// The packet of an event with one more argument, a text.
pub(super) fn with(packet: &[u8], last: &str) -> Bytes {
    let last = Value::from(last).to_string();
    let before = packet.strip_suffix(b"]").unwrap_or(packet);
    [before, b",", last.as_bytes(), b"]"].concat().into()
}
