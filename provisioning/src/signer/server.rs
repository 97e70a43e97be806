//! The signer process: a private socket, one request at a time, state on disk before the signature leaves.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::message::{Description, GatePublic, MESSAGE_BYTES_MAX, Refusal, Request, Response, decode, encode};
use super::policy::{approved, decide};
use crate::ceremony::{self, CeremonyError};
use crate::files::{self, FileError};
use crate::signed_state::State;

/// How long one exchange may take: both ends are on one machine, and everybody else waits meanwhile.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest path of a Unix socket on Linux (`sun_path` has 108 bytes, one of them the final zero); the socket is made
/// in a directory beside its final place, which takes another 16.
const SOCKET_PATH_MAX: usize = 107 - 16;
/// Name of the key in the signer's directory.
const KEY: &str = "targets.key";
/// Name of the state in the signer's directory.
const STATE: &str = "state.json";

/// Why the signer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A key is missing, open to others, or no key.
    #[error(transparent)]
    Key(#[from] CeremonyError),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state is not what we write.
    #[error("{} is damaged ({cause}); restore it from a backup: without it the signer cannot tell what it signed",
        .path.display())]
    State {
        /// The file of what was signed last.
        path: PathBuf,
        /// The parser's words.
        cause: String,
    },
    /// Another signer uses the same keys.
    #[error("another signer is running on {}; stop it first", .0.display())]
    Busy(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {}: {cause}", .path.display())]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The socket's path does not fit.
    #[error("{} is too long for a socket: at most {SOCKET_PATH_MAX} bytes", .0.display())]
    SocketPath(PathBuf),
}

/// A signer that is ready: the key is loaded and the socket listens.
pub struct Server {
    signing: Signing,
    listener: UnixListener,
    socket: PathBuf,
    // Held as long as the server lives.
    _lock: File,
}

/// Everything but the socket.
struct Signing {
    key: Ed25519KeyPair,
    gate: GatePublic,
    state: State,
    state_path: PathBuf,
    /// Where a second person writes what may be released; none where the gate's word is enough.
    approvals: Option<PathBuf>,
}

impl Server {
    /// Loads key and state from the directory `keys` and listens on `socket`, which only this user can open.
    ///
    /// # Errors
    /// [`SignerError`]; nothing listens then.
    pub fn bind(keys: &Path, gate_public: &Path, socket: &Path) -> Result<Self, SignerError> {
        files::check_private(keys)?;
        let lock = files::try_lock(&keys.join(".lock"))?.ok_or_else(|| SignerError::Busy(keys.to_owned()))?;
        let state_path = keys.join(STATE);
        let state = State::from_bytes(&files::read_private(&state_path)?)
            .map_err(|cause| SignerError::State { path: state_path.clone(), cause })?;
        let key = ceremony::load_key(&keys.join(KEY))?;
        let signing = Signing { key, gate: GatePublic::load(gate_public)?, state, state_path, approvals: None };
        Ok(Self { signing, listener: listen(socket)?, socket: socket.to_owned(), _lock: lock })
    }

    /// The same, with a socket that the group of its folder may open too: where the aggregator is another user than the signer.
    ///
    /// # Errors
    /// [`SignerError::Socket`] when its mode cannot be set.
    pub fn open_to_group(self) -> Result<Self, SignerError> {
        let opened = std::fs::set_permissions(&self.socket, Permissions::from_mode(0o660));
        opened.map_err(|cause| SignerError::Socket { path: self.socket.clone(), cause })?;
        Ok(self)
    }

    /// The same, signing only releases whose SHA-256 stands in the file `approvals`, which a second person writes; it is
    /// read anew for each request, and need not exist yet.
    #[must_use]
    pub fn with_approvals(mut self, approvals: PathBuf) -> Self {
        self.signing.approvals = Some(approvals);
        self
    }

    /// Answers requests, one after the other, until `stop` resolves; then removes the socket.
    ///
    /// # Errors
    /// [`SignerError::Socket`] when connections can no longer be accepted.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), SignerError> {
        tokio::pin!(stop);
        let result = loop {
            let accepted = tokio::select! {
                () = &mut stop => break Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::select! {
                        () = &mut stop => break Ok(()),
                        () = self.signing.exchange(stream) => {}
                    }
                }
                Err(cause) => break Err(SignerError::Socket { path: self.socket.clone(), cause }),
            }
        };
        // A socket without a listener would only puzzle the next reader; its absence is no fault.
        let _ = std::fs::remove_file(&self.socket);
        result
    }
}

impl Signing {
    async fn exchange(&mut self, mut stream: UnixStream) {
        let exchange = async {
            let bytes = match read_frame(&mut stream).await? {
                Ok(bytes) => bytes,
                Err(found) => {
                    let refusal = Refusal::TooLarge { found };
                    return write_frame(&mut stream, &encode(&Response::Refused(refusal)).unwrap_or_default()).await;
                }
            };
            let response = match decode::<Request>(&bytes) {
                Ok(request) => self.answer(&request, Timestamp::now()),
                Err(refusal) => Response::Refused(refusal),
            };
            report(&response, &self.state);
            write_frame(&mut stream, &encode(&response).unwrap_or_default()).await
        };
        match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the other end went away"),
            Err(_) => tracing::warn!(timeout_s = EXCHANGE_TIMEOUT.as_secs(), "the other end said nothing for too long"),
        }
    }

    fn answer(&mut self, request: &Request, now: Timestamp) -> Response {
        match request {
            Request::Describe => Response::Description(Description {
                public_key: ceremony::public_hex(&self.key),
                version: self.state.version,
                model_version: self.state.model_version,
            }),
            Request::Sign { targets, verdicts } => {
                let next = match decide(&self.state, targets, verdicts, &self.gate, now) {
                    Ok(next) => next,
                    Err(refusal) => return Response::Refused(refusal),
                };
                if let Err(refusal) = self.second_person(&next) {
                    return Response::Refused(refusal);
                }
                // Kept before it is given: after a crash in between, the same bytes can be signed again.
                if next != self.state {
                    if let Err(error) = files::write_private(&self.state_path, &next.to_bytes()) {
                        return Response::Refused(Refusal::State(error.to_string()));
                    }
                    self.state = next;
                }
                Response::Signature(hex::encode(self.key.sign(targets.as_bytes()).as_ref()))
            }
        }
    }
}

impl Signing {
    fn second_person(&self, next: &State) -> Result<(), Refusal> {
        let Some(path) = &self.approvals else { return Ok(()) };
        let text = files::if_there(files::read_text(path)).map_err(|error| Refusal::State(error.to_string()))?;
        let text = text.unwrap_or_default();
        let hashes = text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        approved(&self.state, next, &hashes)
    }
}

fn report(response: &Response, state: &State) {
    match response {
        Response::Description(_) => {}
        Response::Signature(_) => tracing::info!(
            version = state.version,
            model_version = state.model_version.0,
            releases = state.targets.len(),
            "targets metadata signed"
        ),
        Response::Refused(refusal) => tracing::warn!(reason = refusal.reason(), "not signed: {refusal}"),
    }
}

/// Binds in a directory that nobody else can enter and renames into place, so that the socket is never open to
/// others, not even between its making and its `chmod`. A socket left behind by a crash is replaced: the lock on the
/// keys has shown that its owner is gone.
fn listen(socket: &Path) -> Result<UnixListener, SignerError> {
    use std::os::unix::ffi::OsStrExt as _;
    if socket.as_os_str().as_bytes().len() > SOCKET_PATH_MAX {
        return Err(SignerError::SocketPath(socket.to_owned()));
    }
    let mut staging = socket.as_os_str().to_owned();
    staging.push(format!(".{}", std::process::id()));
    let staging = PathBuf::from(staging);
    files::make_dir(&staging)?;
    let bind = || -> io::Result<UnixListener> {
        let inside = staging.join("s");
        let listener = UnixListener::bind(&inside)?;
        std::fs::set_permissions(&inside, Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, socket)?;
        Ok(listener)
    };
    let bound = bind();
    // Only our own staging directory; if it stays, the next start makes another.
    let _ = std::fs::remove_dir_all(&staging);
    bound.map_err(|cause| SignerError::Socket { path: socket.to_owned(), cause })
}

/// Four bytes of length, big-endian, and as many bytes; the inner error is a length above the limit.
pub(super) async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Result<Vec<u8>, u64>> {
    let length = stream.read_u32().await?;
    let within = usize::try_from(length).is_ok_and(|length| length <= MESSAGE_BYTES_MAX);
    if !within {
        return Ok(Err(u64::from(length)));
    }
    let mut bytes = Vec::new();
    let read = stream.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if read < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Ok(bytes))
}

pub(super) async fn write_frame<W: AsyncWrite + Unpin>(stream: &mut W, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    stream.write_u32(length).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
