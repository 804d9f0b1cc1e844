//! What ways do.
