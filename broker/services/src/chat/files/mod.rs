//! Files of messages: uploaded and fetched by signed links, kept by a store of bytes.

mod blobs;
mod folder;
mod link;
mod service;
mod store;
mod upload;

pub use blobs::{Blobs, Writing};
pub use folder::Folder;
pub use link::{FETCH_WITHIN, UPLOAD_WITHIN};
pub use service::{BEGIN, Begin, Begun, Fetched, Files, LINK, Link, Linked, serve};
pub(crate) use store::SCHEMA;
pub use store::User;
pub use upload::{Upload, Uploaded};
