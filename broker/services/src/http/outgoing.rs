//! Bytes of a reader as the body of an answer, piece by piece.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// What a reader has left.
pub(super) struct Outgoing<R>(pub(super) R);

impl<R: AsyncRead + Unpin> Stream for Outgoing<R> {
    type Item = io::Result<Vec<u8>>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Vec<u8>>>> {
        let mut piece = vec![0; PIECE];
        let mut room = ReadBuf::new(&mut piece);
        let read = ready!(Pin::new(&mut self.0).poll_read(context, &mut room));
        let length = room.filled().len();
        piece.truncate(length);
        Poll::Ready(match read {
            Ok(()) if length == 0 => None,
            Ok(()) => Some(Ok(piece)),
            Err(error) => Some(Err(error)),
        })
    }
}
