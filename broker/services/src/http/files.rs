//! Files over HTTP: bytes in by PUT, bytes out by GET.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_core::Stream;
use sampan_client::Code;
use tokio::time::timeout;

use super::failure::{failure, json_of, open, preflight};
use super::outgoing::Outgoing;
use crate::chat::files::{Blobs, Files, UPLOAD_WITHIN, Upload};
use crate::chat::store::Store;
use crate::service::Problem;

/// How long an upload may bring nothing.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) fn routes<S: Store, B: Blobs>(files: &Files<S, B>) -> Router {
    Router::new()
        .route("/v1/chat/files/{id}/{token}", get(fetch).put(upload).options(preflight))
        .with_state(files.clone())
}

async fn upload<S: Store, B: Blobs>(
    State(files): State<Files<S, B>>,
    Path((id, token)): Path<(String, String)>,
    body: Body,
) -> Response {
    let mut upload = match files.upload(&id, &token).await {
        Ok(upload) => upload,
        Err(problem) => return failure(&problem),
    };
    let whole = timeout(UPLOAD_WITHIN, take(&mut upload, body.into_data_stream())).await;
    let taken = match whole.unwrap_or_else(|_| Err(cut_off())) {
        Ok(()) => upload.end().await,
        Err(problem) => Err(problem),
    };
    match taken {
        Ok(uploaded) => json_of(StatusCode::CREATED, &uploaded),
        Err(problem) => {
            upload.give_up().await;
            failure(&problem)
        }
    }
}

async fn take<B: Blobs>(upload: &mut Upload<B>, mut body: BodyDataStream) -> Result<(), Problem> {
    loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_next(context));
        match timeout(SILENCE, next).await.map_err(|_| cut_off())? {
            Some(piece) => upload.write(&piece.map_err(|_| cut_off())?).await?,
            None => return Ok(()),
        }
    }
}

fn cut_off() -> Problem {
    Problem::new(Code::BUSY, "the upload was cut off; begin it again")
}

async fn fetch<S: Store, B: Blobs>(
    State(files): State<Files<S, B>>,
    Path((id, token)): Path<(String, String)>,
) -> Response {
    let file = match files.fetch(&id, &token).await {
        Ok(file) => file,
        Err(problem) => return failure(&problem),
    };
    let shown = if file.is_inline { "inline" } else { "attachment" };
    let disposition = format!("{shown}; filename*=UTF-8''{}", escaped(&file.name));
    let texts = [
        (header::CONTENT_TYPE, file.mime_type),
        (header::CONTENT_LENGTH, file.size_bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // Whatever it is, nothing in it runs or is loaded.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::CACHE_CONTROL, "private, max-age=3600, immutable".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    let mut headers = HeaderMap::new();
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    open((headers, Body::from_stream(Outgoing(file.bytes))).into_response())
}

/// A name as RFC 8187 has it in a header.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_breaks_no_header() {
        assert_eq!(escaped("ใบ\"\r\n;.pdf"), "%E0%B9%83%E0%B8%9A%22%0D%0A%3B.pdf");
    }
}
