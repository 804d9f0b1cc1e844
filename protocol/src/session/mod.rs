//! Both ends of a session as state machines.
