//! The loops that follow a published key set: when to look again, and what to do with the answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::document::Document;
use super::fetch::Fetcher;
use super::file;
use crate::auth::keyring::Source;
use crate::auth::verifier::Verifier;

/// Least time between two fetches, however many tokens name unknown keys.
const FETCH_GAP: Duration = Duration::from_secs(10);

/// Time between looks at the key set file, so that a change counts within seconds.
const FILE_POLL: Duration = Duration::from_secs(2);

/// Keeps the published keys of `verifier` up to date until `shutdown`.
///
/// Returns at once when no key set is configured. On shutdown it does not wait for a fetch under
/// way, which ends by its own limit of 5 s on a blocking thread.
pub async fn run(verifier: Arc<Verifier>, shutdown: impl Future<Output = ()>) {
    let file = verifier.sources.file.clone();
    let fetcher = verifier.sources.url.as_ref().map(Fetcher::new);
    let follow =
        async { tokio::join!(follow_file(&verifier, file), follow_url(&verifier, fetcher)) };
    tokio::select! {
        biased;
        () = shutdown => {}
        _ = follow => {}
    }
}

async fn follow_file(verifier: &Verifier, path: Option<PathBuf>) {
    let Some(path) = path.map(Arc::new) else { return };
    let mut seen = None;
    let mut is_readable = true;
    loop {
        let look = {
            let path = path.clone();
            spawn_blocking(move || file::read_if_changed(&path, seen))
        };
        match look.await.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(Some((stamp, body))) => {
                is_readable = true;
                seen = Some(stamp);
                take_over(verifier, Source::File, &body);
            }
            Ok(None) => is_readable = true,
            Err(error) => {
                // Once per outage: a file that is gone stays gone for many looks.
                if is_readable {
                    verifier.keyring.count_failure();
                    warn!(source = "file", %error, "key set not read; the keys stay as they are");
                }
                is_readable = false;
            }
        }
        sleep(FILE_POLL).await;
    }
}

async fn follow_url(verifier: &Verifier, fetcher: Option<Fetcher>) {
    let Some(fetcher) = fetcher.map(Arc::new) else { return };
    let refresh = verifier.sources.refresh;
    let mut retry = FETCH_GAP;
    loop {
        let started = Instant::now();
        let wait = if fetch(verifier, &fetcher).await {
            retry = FETCH_GAP;
            refresh
        } else {
            // Sooner than the next refresh, but ever more slowly.
            let wait = retry.min(refresh);
            retry = wait * 2;
            wait
        };
        sleep_until(started + FETCH_GAP).await;
        tokio::select! {
            () = sleep_until(started + wait) => {}
            () = verifier.keyring.stale.notified() => {}
        }
    }
}

/// Fetches the key set and puts it in force; whether that worked.
async fn fetch(verifier: &Verifier, fetcher: &Arc<Fetcher>) -> bool {
    let fetching = {
        let fetcher = fetcher.clone();
        spawn_blocking(move || fetcher.fetch())
    };
    match fetching.await {
        Ok(Ok(body)) => take_over(verifier, Source::Url, &body),
        Ok(Err(error)) => {
            verifier.keyring.count_failure();
            warn!(source = "url", %error, "key set not fetched; the keys stay as they are");
            false
        }
        Err(panic) => {
            verifier.keyring.count_failure();
            warn!(source = "url", error = %panic, "key set not fetched; the keys stay as they are");
            false
        }
    }
}

/// Puts a key set in force, if it is one.
fn take_over(verifier: &Verifier, source: Source, body: &[u8]) -> bool {
    match verifier.parse_key_set(body) {
        Ok(Document { keys, skipped }) => {
            info!(source = source.label(), keys = keys.len(), skipped, "key set in force");
            verifier.keyring.publish(source, keys);
            true
        }
        Err(error) => {
            verifier.keyring.count_failure();
            warn!(source = source.label(), %error, "not a key set; the keys stay as they are");
            false
        }
    }
}
