//! What proofs share: chance from a seed, payloads that show a changed byte, the history of what
//! clients did and were told, the checker that holds what a store kept against it, the table of
//! what was proven, the database servers that tests start, and what they cost.

pub mod chance;
pub mod check;
pub mod choices;
pub mod cpu;
pub mod history;
pub mod payload;
pub mod proof;
pub mod servers;
