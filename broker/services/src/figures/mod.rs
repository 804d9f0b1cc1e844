//! The figures that a shop is run by, of all its services, by day: engagement, response, conversion and
//! content.

mod asked;
mod service;
mod store;

pub use crate::days::Days;
pub use asked::{Counts, Day, Figures, Shown, Wanted};
pub use service::{FIGURES, serve};
pub use store::Ledger;
