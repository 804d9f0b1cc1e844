//! A way to the broker that changes while it is used: as a phone's does that leaves its Wi-Fi, or
//! enters a tunnel.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The client seems to come from another port from now on; what is under way to the old one
    /// is lost.
    Move,
    /// Nothing passes any more, in either direction, until the way is mended.
    Cut,
}

/// A relay of datagrams for one client. Dropping it ends it.
pub(crate) struct Detour {
    /// Where the client finds the broker.
    pub(crate) address: SocketAddr,
    way: Arc<Way>,
}

struct Way {
    front: UdpSocket,
    /// Where the client is, once it has sent something: the port of a loopback address.
    client: AtomicU16,
    back: Mutex<Arc<UdpSocket>>,
    broker: SocketAddr,
    cut: AtomicBool,
    turns: AtomicUsize,
    closed: AtomicBool,
}

/// How long a relay may take to find out that it is no longer needed.
const IDLE: Duration = Duration::from_millis(100);

impl Detour {
    /// A way to `broker` that takes these turns, each once so many bytes have reached the client.
    pub(crate) fn to(broker: SocketAddr, turns: Vec<(u64, Turn)>) -> Self {
        let front = socket();
        let address = front.local_addr().expect("bound");
        let back = Mutex::new(Arc::new(socket()));
        let way = Way {
            front,
            client: AtomicU16::new(0),
            back,
            broker,
            cut: AtomicBool::new(false),
            turns: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        };
        let way = Arc::new(way);
        let (up, down) = (Arc::clone(&way), Arc::clone(&way));
        std::thread::spawn(move || up.to_broker());
        std::thread::spawn(move || down.to_client(turns));
        Detour { address, way }
    }

    /// How many turns it has taken.
    pub(crate) fn turns(&self) -> usize {
        self.way.turns.load(Ordering::Relaxed)
    }

    /// Ends a cut.
    pub(crate) fn mend(&self) {
        self.way.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.way.closed.store(true, Ordering::Relaxed);
    }
}

impl Way {
    fn to_broker(&self) {
        let mut packet = [0; 2048];
        while !self.closed.load(Ordering::Relaxed) {
            let Ok((bytes, from)) = self.front.recv_from(&mut packet) else { continue };
            self.client.store(from.port(), Ordering::Relaxed);
            self.pass(&self.back(), &packet[..bytes], self.broker);
        }
    }

    fn to_client(&self, turns: Vec<(u64, Turn)>) {
        let (mut passed, mut turns) = (0, turns.into_iter().peekable());
        let mut packet = [0; 2048];
        while !self.closed.load(Ordering::Relaxed) {
            let Ok(bytes) = self.back().recv(&mut packet) else { continue };
            let client = (Ipv4Addr::LOCALHOST, self.client.load(Ordering::Relaxed)).into();
            self.pass(&self.front, &packet[..bytes], client);
            passed += bytes as u64;
            let Some((_, turn)) = turns.next_if(|(after, _)| *after <= passed) else { continue };
            self.turns.fetch_add(1, Ordering::Relaxed);
            match turn {
                Turn::Move => *self.back.lock().expect("not poisoned") = Arc::new(socket()),
                Turn::Cut => self.cut.store(true, Ordering::Relaxed),
            }
        }
    }

    /// A packet that the system refuses is lost, as on any way.
    fn pass(&self, by: &UdpSocket, packet: &[u8], to: SocketAddr) {
        if !self.cut.load(Ordering::Relaxed) {
            let _ = by.send_to(packet, to);
        }
    }

    fn back(&self) -> Arc<UdpSocket> {
        Arc::clone(&self.back.lock().expect("not poisoned"))
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    socket.set_read_timeout(Some(IDLE)).expect("set");
    socket
}
