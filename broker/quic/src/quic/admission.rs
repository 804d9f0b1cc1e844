//! First packets: let in, asked for proof, or turned away.

use quinn_proto::{Incoming, Transmit};
use sampan_protocol::Now;

use super::{Quic, number};
use crate::connection::Connection;
use crate::counters::cause;
use crate::envelope::Envelope;
use crate::gate::{Admission, Attempt};

impl Quic {
    pub(super) fn incoming(
        &mut self,
        now: Now,
        incoming: Incoming,
        respond: &mut dyn FnMut(Envelope, &[u8]),
    ) {
        let attempt = Attempt {
            address: incoming.remote_address().ip(),
            proven: incoming.remote_address_validated(),
            half_open: usize::try_from(self.counters.half_open).unwrap_or(usize::MAX),
            connections: usize::try_from(self.counters.connections).unwrap_or(usize::MAX),
        };
        match self.gate.judge(now.mono, attempt) {
            Admission::Accept => self.accept(now, incoming, respond),
            Admission::Retry => match self.endpoint.retry(incoming, &mut self.scratch) {
                Ok(transmit) => {
                    self.counters.retries += 1;
                    self.respond(transmit, respond);
                }
                Err(error) => self.endpoint.ignore(error.into_incoming()),
            },
            Admission::Refuse(cause) => {
                *self.counters.turned_away.entry(cause).or_default() += 1;
                let transmit = self.endpoint.refuse(incoming, &mut self.scratch);
                self.respond(transmit, respond);
            }
            Admission::Ignore(cause) => {
                *self.counters.turned_away.entry(cause).or_default() += 1;
                self.endpoint.ignore(incoming);
            }
        }
    }

    fn accept(&mut self, now: Now, incoming: Incoming, respond: &mut dyn FnMut(Envelope, &[u8])) {
        self.counters.handshakes_started += 1;
        match self.endpoint.accept(incoming, now.mono, &mut self.scratch, None) {
            Ok((handle, transport)) => {
                self.turn_to(now, number(handle));
                if self.connections.len() <= handle.0 {
                    self.connections.resize_with(handle.0 + 1, || None);
                }
                let connection = Connection::new(transport, now, &self.limits);
                self.connections[handle.0] = Some(Box::new(connection));
                self.counters.connections += 1;
                self.counters.half_open += 1;
            }
            Err(error) => {
                let cause = cause(&error.cause);
                *self.counters.handshakes_failed.entry(cause).or_default() += 1;
                if let Some(transmit) = error.response {
                    self.respond(transmit, respond);
                }
            }
        }
    }

    pub(super) fn respond(&mut self, transmit: Transmit, respond: &mut dyn FnMut(Envelope, &[u8])) {
        self.counters.responses += 1;
        let size = transmit.size.min(self.scratch.len());
        respond(transmit.into(), &self.scratch[..size]);
    }
}
