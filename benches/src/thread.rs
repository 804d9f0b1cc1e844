//! A thread of the generator with a runtime of its own.

use tokio::sync::oneshot;

use crate::Error;

/// Starts a thread that does `work` and tells its result.
pub(crate) fn start<T, F>(
    work: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> F + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, Error>>, Error>
where
    T: Send + 'static,
    F: Future<Output = ()>,
{
    let system = |error: std::io::Error| Error::System(format!("cannot start a thread: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system)?;
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("load".to_owned());
    thread.spawn(move || runtime.block_on(work(tell))).map_err(system)?;
    Ok(told)
}

/// The error of a thread that has told nothing.
pub(crate) fn ended() -> Error {
    Error::System("a thread of the generator ended early".to_owned())
}
