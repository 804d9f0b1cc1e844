//! The load generator behind `sampan bench`.
//!
//! [`run()`] carries out one [`Plan`]: it connects real clients, over QUIC or through the bridge,
//! publishes at a rate or as fast as possible, and reports what arrived, how late, and what it cost
//! the broker. The same clients can load another server of Socket.IO, for a figure to compare with. Without a
//! broker to load it starts one as a child process, so that the broker's CPU and memory are read
//! apart from the generator's own.
//!
//! Everything that one thread touches per message is its own: one runtime, its clients, one
//! histogram. The threads meet in atomic counters that change once per batch.

mod access;
mod broker;
mod clock;
mod crowd;
mod durable;
mod error;
mod frame;
mod groups;
mod layout;
mod plan;
mod progress;
mod publish;
mod receive;
mod report;
mod requests;
mod resume;
mod run;
mod stamp;
mod tally;
mod thread;
mod transport;
mod usage;
mod visitor;
mod window;
mod worker;

pub use access::{Access, AccessFn, Target};
pub use durable::{Durable, DurableReport, durable};
pub use error::Error;
pub use groups::{GroupPlan, GroupReport, run_groups};
pub use plan::{Plan, Work};
pub use report::Report;
pub use resume::{ResumePlan, ResumeReport, run_resume};
pub use run::run;
pub use transport::Transport;
