//! `hearthwatch-edge enrol`: how a home becomes known to the fleet.
//!
//! The key is made here and never leaves; a claim token (once, from whoever runs the fleet) and a signing request become a certificate.
//! May be interrupted at any point and run again with the same token: the key is kept, and the fleet answers the same key again.
//! Errors here are for a person at a prompt: each says what to do.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hearthwatch_configuration::{Secret, SecretError};
use hearthwatch_edge_cloud::pinned::{self, AskError, PinnedError};
use hearthwatch_link::{Backoff, LinkError, TlsFiles, tls_client_config};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::seal::trusted_keys;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::DIRECTOR_FILE;
use crate::output::{stderr_line, stdout_line};

/// Between tries while the fleet is away or busy.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };

/// Largest answer that is read: certificate and authority of about 1 KiB each, a root of a few KiB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest token file; a token has a few dozen characters.
const TOKEN_BYTES_MAX: usize = 1024;

/// What a person types.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// Address of the fleet, e.g. `https://fleet.example:8443`
    #[arg(long)]
    pub url: Url,
    /// The fleet's certificate authority (`ca.crt`), by a way you trust
    #[arg(long)]
    pub ca: PathBuf,
    /// This home's pseudonym, as in the claim
    #[arg(long)]
    pub home: HomeId,
    /// File with the claim token
    #[arg(long)]
    pub token_file: PathBuf,
    /// Folder for `agent.crt`, `agent.key`, `ca.crt`, `root.json` and `director.pub`
    #[arg(long)]
    pub out: PathBuf,
    /// How many minutes a fleet is waited for that is away or busy; 0 asks once
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    pub wait: u64,
}

/// Why a home is not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file that cannot be read or written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The folder belongs to a home that is enrolled.
    #[error("{0} exists: this folder is enrolled already; choose another one with --out, or remove it to enrol anew")]
    Enrolled(PathBuf),
    /// The token file holds no token.
    #[error("{0} holds no claim token; `hearthwatch-provision home add` prints one")]
    Token(PathBuf),
    /// The address is not of the right kind.
    #[error("{0} is not an https address")]
    Url(Url),
    /// The file of the fleet's authority.
    #[error(transparent)]
    Authority(#[from] PinnedError),
    /// No key or request could be made, or the kept key is damaged.
    #[error("{path}: {cause}; remove it and try again with a new token")]
    Key {
        /// File of the key.
        path: PathBuf,
        /// One line.
        cause: String,
    },
    /// The fleet does not answer, answers no, or what it answers is not what it must be; nothing of it was kept.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl EnrolError {
    /// Whether asking again may have another answer, without a person's help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Ask(error) if error.is_passing())
    }

    /// When to ask again at the earliest, as the fleet says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Ask(error) => error.retry_after(),
            _ => None,
        }
    }

    /// What a person has to do; half a sentence.
    #[must_use]
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Ask(AskError::Refused { status: 401 | 403, .. }) => {
                "the token is unknown, used up or over: get a new one from whoever runs the fleet (`hearthwatch-provision home add` prints it)"
            }
            Self::Ask(AskError::Refused { status: 409, .. }) => {
                "the token was used for another key: get a new one from whoever runs the fleet (`hearthwatch-provision home add` prints it)"
            }
            Self::Ask(AskError::Refused { .. }) => {
                "compare the home's name with the claim, and this program's version with the fleet's"
            }
            Self::Ask(_) => "look whether the fleet's address and authority are right",
            _ => "mend what is named above",
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    home: &'a HomeId,
    token: &'a str,
    csr: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    certificate: String,
    ca: String,
    root: String,
    /// Absent in the answer of a fleet whose aggregator gives no assignments yet.
    director: Option<String>,
}

/// Runs `hearthwatch-edge enrol`; prints what was written, or why not.
#[must_use]
pub fn main(args: &EnrolArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            stderr_line!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(enrol_patiently(args)) {
        Ok(()) => {
            let out = args.out.display();
            stdout_line!("{} is enrolled. Wrote agent.crt, agent.key, ca.crt and root.json to {out}.", args.home);
            stdout_line!("Name them in edge.toml under [cloud.mqtt] and [cloud.updates], and under [cloud]:");
            stdout_line!("  renew_url = \"{}\"", args.url);
            ExitCode::SUCCESS
        }
        Err(error) => {
            stderr_line!("{} is not enrolled: {error}", args.home);
            stderr_line!("What to do: {}.", error.what_to_do());
            ExitCode::FAILURE
        }
    }
}

/// Enrols the home, and waits out a fleet that is away or busy for as long as `args.wait` says.
async fn enrol_patiently(args: &EnrolArgs) -> Result<(), EnrolError> {
    let client = pinned::https_client(Some(&args.ca))?;
    wait_out(Duration::from_secs(args.wait.saturating_mul(60)), || enrol_by(&client, args), tokio::time::sleep).await
}

/// Tries until it is done, until an answer comes that waiting cannot change, or until it would have waited for longer than `patience`.
async fn wait_out(
    patience: Duration,
    attempt: impl AsyncFn() -> Result<(), EnrolError>,
    sleep: impl AsyncFn(Duration),
) -> Result<(), EnrolError> {
    let (who, mut waited) = (rand::random(), Duration::ZERO);
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Err(error) if error.is_passing() => error,
            ended => return ended,
        };
        failures += 1;
        let pause = pinned::pause(AGAIN, failures, who, error.retry_after());
        waited += pause;
        if waited > patience {
            return Err(error);
        }
        stderr_line!("not enrolled yet: {error}; trying again in {} s, Ctrl-C gives up", pause.as_secs().max(1));
        sleep(pause).await;
    }
}

/// Asks the fleet once.
///
/// # Errors
/// [`EnrolError`]; running it again is safe.
pub async fn enrol(args: &EnrolArgs) -> Result<(), EnrolError> {
    let client = pinned::https_client(Some(&args.ca))?;
    enrol_by(&client, args).await
}

async fn enrol_by(client: &reqwest::Client, args: &EnrolArgs) -> Result<(), EnrolError> {
    let certificate = args.out.join("agent.crt");
    if certificate.exists() {
        return Err(EnrolError::Enrolled(certificate));
    }
    let token = read_token(&args.token_file)?;
    claim(client, &Claim { url: &args.url, home: &args.home, token: &token, out: &args.out }).await
}

/// What an enrolment takes, whoever asks for it.
pub(crate) struct Claim<'a> {
    /// Address of the fleet; `/enroll` is joined to it.
    pub url: &'a Url,
    /// The home's pseudonym.
    pub home: &'a HomeId,
    /// The claim token.
    pub token: &'a Secret,
    /// Folder for the key, the certificates and the TUF root.
    pub out: &'a Path,
}

/// Redeems a token. The key in the folder is kept if there is one, so asking again after a failure is safe.
///
/// # Errors
/// [`EnrolError`].
pub(crate) async fn claim(client: &reqwest::Client, claim: &Claim<'_>) -> Result<(), EnrolError> {
    let place = claim.url.join("/enroll").map_err(|_| EnrolError::Url(claim.url.clone()))?;
    // Files are written on the worker: some KiB, once, and in an agent into memory. On another thread, a stop in between would leave it
    // writing into the folder that is being removed.
    make_folder(claim.out)?;
    let key_path = claim.out.join("agent.key");
    let csr = signing_request(&key_path, claim.home)?;
    let request = Request { home: claim.home, token: claim.token.expose(), csr: &csr };
    let answer: Answer = pinned::ask(client, place, &request, ANSWER_BYTES_MAX).await?;
    keep(claim.out, &key_path, &answer)
}

fn read_token(path: &Path) -> Result<Secret, EnrolError> {
    match Secret::read(path) {
        Ok(secret) => token_in(secret.expose()).ok_or_else(|| EnrolError::Token(path.to_owned())),
        Err(SecretError::Unreadable { file, cause }) => Err(EnrolError::File { path: file, source: cause }),
        Err(SecretError::Empty(file) | SecretError::Long(file)) => Err(EnrolError::Token(file)),
    }
}

/// The token that a text consists of, white space around it aside; none if it cannot be one.
pub(crate) fn token_in(text: &str) -> Option<Secret> {
    let token = text.trim();
    let usable = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.chars().all(|c| c.is_ascii_graphic());
    usable.then(|| Secret::new(token))
}

fn make_folder(path: &Path) -> Result<(), EnrolError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| EnrolError::File { path: path.to_owned(), source })
}

/// The request, for the kept key or for a new one, which is on disk before it is sent.
fn signing_request(key_path: &Path, home: &HomeId) -> Result<String, EnrolError> {
    let broken = |cause: String| EnrolError::Key { path: key_path.to_owned(), cause };
    let key = match fs::read_to_string(key_path) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(|error| broken(error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(|error| broken(error.to_string()))?;
            write(key_path, key.serialize_pem().as_bytes(), 0o600)?;
            key
        }
        Err(source) => return Err(EnrolError::File { path: key_path.to_owned(), source }),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, home.as_str());
    let request = params.serialize_request(&key).map_err(|error| broken(error.to_string()))?;
    request.pem().map_err(|error| broken(error.to_string()))
}

/// Checks that certificate, key and authority fit, and only then puts them in place; the certificate last, for it
/// marks the folder as enrolled.
fn keep(out: &Path, key_path: &Path, answer: &Answer) -> Result<(), EnrolError> {
    let root: serde_json::Value =
        serde_json::from_str(&answer.root).map_err(|error| unusable(format!("its root is not JSON: {error}")))?;
    if root["signed"]["_type"] != "root" {
        return Err(unusable("its root is no TUF root".to_owned()));
    }
    if let Some(director) = &answer.director {
        trusted_keys(director).map_err(|error| unusable(format!("its director: {error}")))?;
        write(&out.join(DIRECTOR_FILE), director.as_bytes(), 0o644)?;
    }
    let (ca, certificate) = (out.join("ca.crt"), out.join("agent.crt"));
    write(&ca, answer.ca.as_bytes(), 0o644)?;
    write(&out.join("root.json"), answer.root.as_bytes(), 0o644)?;
    let staged = out.join("agent.crt.new");
    write(&staged, answer.certificate.as_bytes(), 0o644)?;
    let files = TlsFiles { ca, cert: Some(staged.clone()), key: Some(key_path.to_owned()) };
    if let Err(error) = tls_client_config(&files) {
        // What does not fit is not left lying about; a failure to remove it changes nothing.
        let _ = fs::remove_file(&staged);
        return Err(match error {
            LinkError::File { path, source } => EnrolError::File { path, source },
            other => unusable(other.to_string()),
        });
    }
    fs::rename(&staged, &certificate).map_err(|source| EnrolError::File { path: certificate, source })
}

/// An answer that is not what it must be.
fn unusable(cause: String) -> EnrolError {
    AskError::Answer(cause).into()
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), EnrolError> {
    let failed = |source| EnrolError::File { path: path.to_owned(), source };
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
#[path = "enrol_tests.rs"]
mod tests;
