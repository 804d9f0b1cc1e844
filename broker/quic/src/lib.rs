//! quinn-proto joined to the sessions of sampan-core.
