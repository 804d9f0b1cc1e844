//! The specification against the code: every table of `spec/` and every vector of `spec/vectors/`.
//!
//! `UPDATE_VECTORS=1 cargo test -p sampan-protocol --test conformance` writes the vector files anew
//! from the cases here; without it the files must be what the cases give.

mod cases;
mod fields;
mod frames;
mod layout;
mod malformed;
mod markdown;
mod positions;
mod refusals;
mod tables;
mod topics;
mod vectors;
