//! What holds for stock, whatever stores it.

pub mod allocation;
pub mod edge;
pub mod hold;
pub mod reference;
