//! A connection with bytes in front of it that were read before.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// The connection.
#[derive(Debug)]
pub(super) struct Replayed {
    before: Bytes,
    stream: UnixStream,
}

impl Replayed {
    /// Reads give `before`, then what `stream` gives.
    pub(super) const fn new(before: Bytes, stream: UnixStream) -> Self {
        Self { before, stream }
    }

    /// What was not read of the bytes in front, and the connection.
    pub(super) fn into_parts(self) -> (Bytes, UnixStream) {
        (self.before, self.stream)
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.before.len().min(buffer.remaining());
        buffer.put_slice(&self.before[..length]);
        self.before.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut replayed = Replayed::new(Bytes::from_static(b"first "), ours);
        theirs.write_all(b"second").await.expect("it is open");
        let mut text = [0; 12];
        replayed.read_exact(&mut text[..3]).await.expect("it is there");
        replayed.read_exact(&mut text[3..]).await.expect("it is there");
        assert_eq!(&text, b"first second");
        assert!(replayed.into_parts().0.is_empty());
    }
}
