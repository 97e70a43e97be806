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

use clap::Args;
use hearthwatch_link::{LinkError, TlsFiles, tls_client_config};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::seal::trusted_keys;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::Secret;
use crate::pinned::{self, AskError, PinnedError};

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
}

/// Why a home is not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
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
    /// The authority's file.
    #[error(transparent)]
    Authority(#[from] PinnedError),
    /// No key or request could be made, or the kept key is damaged.
    #[error("{path}: {cause}; remove it and try again with a new token")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The fleet does not answer, answers no, or what it answers is not what it must be; nothing of it was kept.
    #[error(transparent)]
    Ask(#[from] AskError),
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

/// The subcommand: enrols and says what was written, or why not.
#[must_use]
pub fn main(args: &EnrolArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(enrol(args)) {
        Ok(()) => {
            let out = args.out.display();
            println!("{} is enrolled. Wrote agent.crt, agent.key, ca.crt and root.json to {out}.", args.home);
            println!("Name them in edge.toml under [cloud.mqtt] and [cloud.updates], and under [cloud]:");
            println!("  renew_url = \"{}\"", args.url);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{} is not enrolled: {error}", args.home);
            ExitCode::FAILURE
        }
    }
}

/// Enrols the home.
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
    /// The fleet's address.
    pub url: &'a Url,
    /// Who enrols.
    pub home: &'a HomeId,
    /// With which token.
    pub token: &'a Secret,
    /// Where what comes of it is kept.
    pub out: &'a Path,
}

/// Redeems a token. The key in the folder is kept if there is one, so asking again after a failure is safe.
///
/// # Errors
/// [`EnrolError`].
pub(crate) async fn claim(client: &reqwest::Client, claim: &Claim<'_>) -> Result<(), EnrolError> {
    let place = claim.url.join("/enroll").map_err(|_| EnrolError::Url(claim.url.clone()))?;
    make_folder(claim.out)?;
    let key_path = claim.out.join("agent.key");
    let csr = signing_request(&key_path, claim.home)?;
    let request = Request { home: claim.home, token: claim.token.expose(), csr: &csr };
    let answer: Answer = pinned::ask(client, place, &request, ANSWER_BYTES_MAX).await?;
    keep(claim.out, &key_path, &answer)
}

fn read_token(path: &Path) -> Result<Secret, EnrolError> {
    let text = fs::read_to_string(path).map_err(|source| EnrolError::File { path: path.to_owned(), source })?;
    token_in(&text).ok_or_else(|| EnrolError::Token(path.to_owned()))
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

/// The request, for the kept key or for a new one, which is on disk before anybody hears of it.
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
        write(&out.join("director.pub"), director.as_bytes(), 0o644)?;
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
