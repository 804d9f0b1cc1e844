//! What is played: one file per sort of trouble. Each scenario names its seeds, and ends with
//! everything at rest, the history checked, and nothing left behind by those who went.

mod access;
mod clean;
mod crash;
mod crowd;
mod drain;
mod latency;
mod limits;
mod mixed;
mod partition;
mod rebind;
mod replay;
mod same;
mod slow;
mod storage;
mod talk;
mod weather;
