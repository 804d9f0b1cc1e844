//! Counts the payload bytes that one shard copies per publish and per delivery, and fails when
//! there are more than the design allows: at most one copy per publish, none per delivery.
//!
//! A copy needs somewhere to go. The allocator counts every byte that is asked of it, and the same
//! work is done with two payload sizes: what grows with the payload is the payload's copies, what
//! stays the same is bookkeeping. Copies into memory that was there before would not show, so the
//! addresses of the chunks are compared too: every subscriber must be handed the same bytes.

mod shard;

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sampan_core::session::SessionKey;
use shard::World;

/// Counts the bytes that are asked for, and leaves the rest to the system.
struct Counting;

static ASKED_BYTES: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code, reason = "an allocator can be written no other way; this one only counts")]
// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED_BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_bytes: usize) -> *mut u8 {
        // A grown allocation may have been copied as a whole.
        ASKED_BYTES.fetch_add(new_bytes as u64, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, new_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Passes after which every queue has its lasting size.
const WARM_UP: usize = 8;
/// Passes that are counted.
const PASSES: u64 = 64;

/// One kind of publish.
struct Case {
    name: &'static str,
    /// Two payload sizes that are handled in the same way.
    sizes: [usize; 2],
    /// Publishes of one pass.
    publishes: u64,
    /// Copies of each payload that are allowed.
    copies_max: f64,
}

/// What a case was found to do.
struct Found {
    /// Payload copies per publish, whatever the number of subscribers.
    per_publish: f64,
    /// Payload copies that each further delivery adds.
    per_delivery: f64,
    /// Bytes allocated per delivery besides, with the larger payload.
    bookkeeping_bytes: f64,
    /// Whether all subscribers were handed the same memory.
    shared: bool,
}

/// Compares the memory that the subscribers are handed with that of the first of them.
struct Handed {
    chunks: Vec<(*const u8, usize)>,
    first: Option<SessionKey>,
    /// Chunks seen in all.
    at: usize,
    shared: bool,
}

impl Handed {
    fn see(&mut self, key: SessionKey, chunk: &Bytes) {
        let place = (chunk.as_ptr(), chunk.len());
        if *self.first.get_or_insert(key) == key {
            self.chunks.push(place);
        }
        self.shared &= self.chunks[self.at % self.chunks.len()] == place;
        self.at += 1;
    }
}

/// Bytes asked for in the counted passes, and whether every subscriber got the same chunks.
fn measure(subscribers: usize, size: usize, publishes: u64) -> (u64, bool) {
    let mut world = World::new(subscribers);
    let (mut asked, mut shared) = (0, true);
    let payload = Bytes::from(vec![b'.'; size]);
    for pass in 0..WARM_UP as u64 + PASSES {
        let frames: Vec<_> = (0..publishes).map(|_| world.frame(payload.clone())).collect();
        let mut handed = Handed { chunks: Vec::with_capacity(4096), first: None, at: 0, shared };
        let before = ASKED_BYTES.load(Ordering::Relaxed);
        for frame in frames {
            world.shard.frame(world.now, world.publisher, frame);
        }
        world.shard.settle(world.now);
        world.take(&mut |key, chunk| handed.see(key, chunk));
        let after = ASKED_BYTES.load(Ordering::Relaxed);
        shared = handed.shared && handed.at == handed.chunks.len() * subscribers;
        if pass >= WARM_UP as u64 {
            asked += after - before;
        }
    }
    (asked, shared)
}

fn find(case: &Case) -> Found {
    const FEW: usize = 10;
    const MANY: usize = 110;
    let [small, large] = case.sizes;
    let growth = |subscribers| {
        let ((small_asked, a), (large_asked, b)) = (
            measure(subscribers, small, case.publishes),
            measure(subscribers, large, case.publishes),
        );
        let bytes = ((large - small) as u64 * case.publishes * PASSES) as f64;
        ((large_asked as f64 - small_asked as f64) / bytes, a && b, large_asked)
    };
    let ((few, a, _), (many, b, asked)) = (growth(FEW), growth(MANY));
    let per_delivery = (many - few) / (MANY - FEW) as f64;
    let deliveries = (case.publishes * PASSES * MANY as u64) as f64;
    Found {
        per_publish: few - per_delivery * FEW as f64,
        per_delivery,
        bookkeeping_bytes: asked as f64 / deliveries,
        shared: a && b,
    }
}

fn main() -> ExitCode {
    let cases = [
        Case { name: "1 small", sizes: [256, 1024], publishes: 1, copies_max: 1.0 },
        Case { name: "50 small in a pass", sizes: [64, 256], publishes: 50, copies_max: 1.0 },
        Case { name: "1 large", sizes: [4096, 65_536], publishes: 1, copies_max: 0.0 },
        Case { name: "8 large in a pass", sizes: [4096, 32_768], publishes: 8, copies_max: 0.0 },
    ];
    println!("{:20} copies/publish  copies/delivery  bytes/delivery  shared", "payloads");
    let mut failed = false;
    for case in &cases {
        let found = find(case);
        let bad = found.per_publish > case.copies_max + 0.05
            || found.per_delivery.abs() > 0.001
            || !found.shared;
        failed |= bad;
        println!(
            "{:20} {:14.3} {:16.4} {:15.1}  {:6} {}",
            case.name,
            found.per_publish,
            found.per_delivery,
            found.bookkeeping_bytes,
            found.shared,
            if bad { "FAILED" } else { "ok" },
        );
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
