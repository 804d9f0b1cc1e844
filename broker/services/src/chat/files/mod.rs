//! Files of messages: uploaded and fetched by signed links, kept by a store of bytes.

mod blobs;
mod busy;
mod folder;
mod link;
mod service;
mod store;
mod upload;

pub use blobs::{Blobs, Writing};
pub use folder::Folder;
pub use link::{FETCH_WITHIN, UPLOAD_WITHIN};
pub use sampan_client::chat::{
    FILE_BEGIN as BEGIN, FILE_LINK as LINK, FileBegin as Begin, FileOf as Link,
};
pub use service::{Begun, Fetched, Files, Linked, serve};
pub(crate) use store::SCHEMA;
pub use store::User;
pub use upload::{Upload, Uploaded};
