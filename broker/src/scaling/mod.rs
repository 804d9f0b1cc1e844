//! Whether there should be more processes of this sort, or fewer: a decision for whoever starts and
//! stops them. Nothing here does so.

mod load;
mod rule;

pub use load::Watch;
pub use rule::{Decision, Load, Standing};
