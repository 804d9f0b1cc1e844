//! How content customers are: one rating for each resolution, by the customer or by link.

mod service;
mod store;

pub use service::{
    ASK, Ask, Asked, EDIT, LIST, Linked, List, ListWanted, RATE, Rate, Ratings, serve,
};
pub use store::Answers;
pub(crate) use store::SCHEMA;
