//! The figures that a shop is run by, of all its services, by day: engagement, response, conversion and
//! content.

mod service;
mod store;

pub use crate::days::Days;
pub use sampan_client::shop::{Counts, Day, FIGURES, Figures, Shown, Wanted};
pub use service::serve;
pub use store::Ledger;
