//! A connection's bytes under supervision: it ends when its place is taken, and when its reader is too slow.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::connections::Place;

/// How long a reader may take for [`WRITE_BYTES_MIN`] of an answer that waits for it.
pub const WRITE: Duration = Duration::from_secs(30);

/// What has to go out in that time while an answer waits: 1 KiB a second, at which the largest artifact (4 MiB) takes 70
/// minutes. A telephone line was faster.
pub const WRITE_BYTES_MIN: usize = 30 * 1024;

/// A stream that holds a [`Place`].
pub struct Watched<S> {
    inner: S,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    stall: Option<Stall>,
    patience: Duration,
    _place: Place,
}

/// An answer that waits for its reader.
struct Stall {
    /// When the reader is given up, unless it took enough.
    until: Pin<Box<Sleep>>,
    /// What it took since.
    taken: usize,
}

impl<S> Watched<S> {
    /// Watches `inner` for as long as it has `place`.
    pub fn new(inner: S, place: Place) -> Self {
        let closed = Box::pin(place.member().closed().cancelled_owned());
        Self { inner, closed, stall: None, patience: WRITE, _place: place }
    }

    #[cfg(test)]
    fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// An error once the place was given to another; wakes the task when that happens.
    fn place(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Judges what came of an attempt to write.
    fn wrote(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(taken)) => {
                if let Some(stall) = &mut self.stall {
                    stall.taken = stall.taken.saturating_add(taken);
                }
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = self.patience;
                let stall = self.stall.get_or_insert_with(|| Stall { until: Box::pin(sleep(patience)), taken: 0 });
                while stall.until.as_mut().poll(cx).is_ready() {
                    if stall.taken < WRITE_BYTES_MIN {
                        return Poll::Ready(Err(ErrorKind::TimedOut.into()));
                    }
                    *stall = Stall { until: Box::pin(sleep(patience)), taken: 0 };
                }
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.place(cx)?;
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.place(cx)?;
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.place(cx)?;
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever writes to us flushes when everything is written: nothing waits any more.
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.stall = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::http::connections::Connections;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    /// Long after anything here has happened.
    const LONG: Duration = Duration::from_secs(3600);

    fn place(connections: &Arc<Connections>) -> Place {
        connections.admit(HERE, false).unwrap()
    }

    #[tokio::test]
    async fn a_connection_whose_place_is_taken_ends_while_it_waits_for_bytes() {
        let connections = Arc::new(Connections::new(1, 1));
        let (_far, near) = duplex(64);
        let mut watched = Watched::new(near, place(&connections));
        let waiting = tokio::spawn(async move { watched.read_u8().await });
        tokio::task::yield_now().await;
        let _next = place(&connections);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_of_its_answer_is_given_up() {
        let connections = Arc::new(Connections::default());
        let (_far, near) = duplex(64);
        let mut watched = Watched::new(near, place(&connections)).with_patience(Duration::from_millis(20));
        let written = timeout(LONG, watched.write_all(&[0; 1024])).await.unwrap();
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_reader_that_takes_what_it_must_gets_the_whole_answer() {
        let connections = Arc::new(Connections::default());
        let (mut far, near) = duplex(WRITE_BYTES_MIN);
        let mut watched = Watched::new(near, place(&connections)).with_patience(LONG);
        let answer = vec![7; 10 * WRITE_BYTES_MIN];
        let length = answer.len();
        let writing = tokio::spawn(async move {
            watched.write_all(&answer).await?;
            watched.flush().await
        });
        let mut read = 0;
        let mut piece = vec![0; WRITE_BYTES_MIN];
        while read < length {
            read += far.read(&mut piece).await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }
}
