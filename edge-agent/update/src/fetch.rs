//! How bytes of the repository are fetched: HTTPS or files, resuming a half-fetched target, giving up on a server that sends too slowly.
//!
//! Nothing here is trusted. The pieces go through `tough`, which cuts off what is too long and compares hashes and
//! signatures; a kept half is only a saving, and is thrown away when the whole turns out wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hearthwatch_edge_cloud::pinned;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, DATE, RANGE};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tough::{FilesystemTransport, Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

use crate::trust::TrustError;

/// Longest silence in the middle of an answer.
const SILENCE_SECONDS_MAX: u64 = 20;

/// Slowest honest line: 1 KiB/s, a bad GPRS link. At this rate the largest artifact (4 MiB) takes 70 minutes, in several attempts.
const BYTES_PER_SECOND_MIN: u64 = 1024;

/// The rate is judged after so long: before, most of the time goes to TLS.
const PATIENCE_SECONDS: u64 = 30;

/// Pieces between the network and the verifier: at most 16 × 16 KiB.
const PIECES_MAX: usize = 16;

/// A server that sends so slowly that it may be doing so on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slow retrieval: {received} bytes in {seconds} s")]
pub struct TooSlow {
    /// Bytes of this answer so far.
    pub received: u64,
    /// Since the request.
    pub seconds: u64,
}

/// A server that has no time for us now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is busy: it answers {status}")]
pub struct Busy {
    /// HTTP status: 429, 503, or another 5xx with `Retry-After`.
    pub status: u16,
    /// From `Retry-After`: not to be asked sooner; none without that header.
    pub retry_after: Option<Duration>,
}

impl Busy {
    /// Too many questions, a server that is down for now, or one that fails and says for how long.
    fn of(answer: &reqwest::Response) -> Option<Self> {
        let status = answer.status();
        let retry_after = pinned::retry_after(answer.headers(), jiff::Timestamp::now().as_second());
        let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        (busy || (status.is_server_error() && retry_after.is_some()))
            .then(|| Self { status: status.as_u16(), retry_after })
    }
}

/// How patient a transport is; tests are less so.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Longest time without a byte.
    pub silence: Duration,
    /// The rate is judged after so long.
    pub judged_after: Duration,
    /// Lowest average rate.
    pub bytes_per_second: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(SILENCE_SECONDS_MAX),
            judged_after: Duration::from_secs(PATIENCE_SECONDS),
            bytes_per_second: BYTES_PER_SECOND_MIN,
        }
    }
}

/// Gets files for `tough`, by HTTPS or from the disk.
#[derive(Debug, Clone)]
pub struct UpdateTransport {
    client: Option<reqwest::Client>,
    targets: Url,
    partial: PathBuf,
    patience: Patience,
}

impl UpdateTransport {
    /// Fetches by `client`, or from files only when there is none. Halves of files below `targets` are kept in the folder `partial`.
    #[must_use]
    pub fn new(client: Option<reqwest::Client>, targets: Url, partial: PathBuf, patience: Patience) -> Self {
        Self { client, targets, partial, patience }
    }

    /// Where the half of this file is kept; none for metadata, which is small and changes.
    fn half_of(&self, url: &Url) -> Option<PathBuf> {
        let name = url.as_str().strip_prefix(self.targets.as_str())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (!name.is_empty() && name.len() <= 200 && name.chars().all(plain)).then(|| self.partial.join(name))
    }

    /// Throws away every kept half: the whole was wrong, or is in its slot.
    ///
    /// # Errors
    /// When the folder cannot be emptied.
    pub fn forget_halves(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The server's time from its `Date` header, Unix seconds, to check our clock. None where there is no server, or no such header.
    ///
    /// # Errors
    /// [`TrustError::Unreachable`] when the server does not answer at all.
    pub async fn server_time(&self, metadata: &Url) -> Result<Option<i64>, TrustError> {
        let Some(client) = self.client.as_ref().filter(|_| metadata.scheme() != "file") else { return Ok(None) };
        let place = metadata.join("timestamp.json").map_err(|error| TrustError::Unreachable(error.to_string()))?;
        let answer = match timeout(self.patience.silence, client.head(place).send()).await {
            Ok(answer) => answer.map_err(|error| TrustError::Unreachable(error.without_url().to_string()))?,
            Err(_) => return Err(TrustError::Unreachable("the server is silent".to_owned())),
        };
        if let Some(busy) = Busy::of(&answer) {
            return Err(TrustError::Busy(busy));
        }
        Ok(answer.headers().get(DATE).and_then(|date| pinned::http_date(date.to_str().ok()?)))
    }

    async fn fetch_https(&self, client: &reqwest::Client, url: Url) -> Result<TransportStream, TransportError> {
        let half = self.half_of(&url);
        let kept = match &half {
            Some(path) => tokio::fs::read(path).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut request = client.get(url.clone());
        if !kept.is_empty() {
            request = request.header(RANGE, format!("bytes={}-", kept.len()));
        }
        let began = Instant::now();
        let answer = match timeout(self.patience.silence, request.send()).await {
            Ok(answer) => answer.map_err(|error| other(&url, error.without_url()))?,
            Err(_) => return Err(other(&url, TooSlow { received: 0, seconds: self.patience.silence.as_secs() })),
        };
        if let Some(busy) = Busy::of(&answer) {
            return Err(other(&url, busy));
        }
        let continues = answer.status() == StatusCode::PARTIAL_CONTENT && starts_at(&answer, kept.len());
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::PARTIAL_CONTENT if continues => {}
            // The half is as long as the whole, or longer: perhaps it is the whole. The hash will tell.
            StatusCode::RANGE_NOT_SATISFIABLE if !kept.is_empty() => return Ok(whole(kept)),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
                return Err(TransportError::new(TransportErrorKind::FileNotFound, url));
            }
            status => return Err(other(&url, io::Error::other(format!("the server answered {status}")))),
        }
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let kept = if continues { kept } else { Vec::new() };
        let pump = Pump { url, half, kept, began, patience: self.patience, pieces };
        tokio::spawn(pump.run(answer));
        Ok(Box::pin(Pieces(received)))
    }
}

#[async_trait]
impl Transport for UpdateTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match (url.scheme(), &self.client) {
            ("file", _) => FilesystemTransport.fetch(url).await,
            ("https" | "http", Some(client)) => self.fetch_https(client, url).await,
            _ => Err(TransportError::new(TransportErrorKind::UnsupportedUrlScheme, url)),
        }
    }
}

fn other(url: &Url, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TransportError {
    TransportError::new_with_cause(TransportErrorKind::Other, url, cause)
}

fn whole(bytes: Vec<u8>) -> TransportStream {
    Box::pin(futures_util::stream::iter([Ok(Bytes::from(bytes))]))
}

/// Whether a partial answer begins where ours ends; some mirrors answer with another range.
fn starts_at(answer: &reqwest::Response, offset: usize) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    range.strip_prefix("bytes ").and_then(|range| range.split('-').next()).and_then(|first| first.parse().ok())
        == Some(offset)
}

/// Carries one answer from the network to the verifier, and to the kept half.
struct Pump {
    url: Url,
    half: Option<PathBuf>,
    kept: Vec<u8>,
    began: Instant,
    patience: Patience,
    pieces: mpsc::Sender<Result<Bytes, TransportError>>,
}

impl Pump {
    async fn run(mut self, answer: reqwest::Response) {
        let mut file = match &self.half {
            Some(path) => open_half(path, !self.kept.is_empty()).await.ok(),
            None => None,
        };
        let kept = Bytes::from(std::mem::take(&mut self.kept));
        if !kept.is_empty() && self.pieces.send(Ok(kept)).await.is_err() {
            return;
        }
        let mut body = answer.bytes_stream();
        let mut received = 0;
        loop {
            let piece = match timeout(self.patience.silence, body.next()).await {
                Ok(None) => return,
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => return self.fail(other(&self.url, error.without_url())).await,
                Err(_) => return self.fail(self.too_slow(received)).await,
            };
            received += piece.len() as u64;
            // On its way to disk before the verifier sees it, so that a cut leaves all that was received.
            if let Some(open) = &mut file
                && (open.write_all(&piece).await.is_err() || open.flush().await.is_err())
            {
                // A full disk must not stop the update; it only cannot be resumed.
                file = None;
            }
            // A closed channel: the verifier has seen enough.
            if self.pieces.send(Ok(piece)).await.is_err() {
                return;
            }
            let seconds = self.began.elapsed();
            if seconds > self.patience.judged_after && received < self.patience.bytes_per_second * seconds.as_secs() {
                return self.fail(self.too_slow(received)).await;
            }
        }
    }

    fn too_slow(&self, received: u64) -> TransportError {
        other(&self.url, TooSlow { received, seconds: self.began.elapsed().as_secs() })
    }

    async fn fail(&self, error: TransportError) {
        let _ = self.pieces.send(Err(error)).await;
    }
}

async fn open_half(path: &Path, append: bool) -> io::Result<tokio::fs::File> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path).await
}

/// The receiving end of a download, as a stream for the verifier.
struct Pieces(mpsc::Receiver<Result<Bytes, TransportError>>);

impl Stream for Pieces {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
