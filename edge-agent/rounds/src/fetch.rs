//! Gets the models that a plan names, by their hashes, from below the fleet's repository.
//!
//! Which bytes they must be is what the director signed; where they come from need not be trusted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_edge_cloud::off_the_workers;
use hearthwatch_protocol::round::{MaskedTrainWork, RoundFile, RoundWork};
use sha2::{Digest as _, Sha256};
use url::Url;

/// Patience for one model, in seconds: 170 KB on a line of 1 KB/s.
const SECONDS_MAX: u64 = 180;

/// Why a model is not here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke off.
    #[error("the fleet's server does not answer: {0}")]
    Unreachable(String),
    /// It does not have it, or not for us.
    #[error("the fleet's server answers {0}")]
    Status(u16),
    /// More or fewer bytes than the plan names.
    #[error("{found} bytes in the place of {expected}")]
    Length {
        /// How many came before it was given up.
        found: u64,
        /// What the plan names.
        expected: u64,
    },
    /// Other bytes than the plan names.
    #[error("the bytes are not those that the plan names")]
    Digest,
    /// The address cannot be made.
    #[error("{0}")]
    Address(#[from] url::ParseError),
    /// The file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

/// The files that a plan names, in its order.
#[must_use]
pub fn files_of(work: &RoundWork) -> Vec<RoundFile> {
    match work {
        RoundWork::Train(work) | RoundWork::MaskedTrain(MaskedTrainWork { train: work, .. }) => vec![work.base],
        RoundWork::Evaluate(work) => work.models.clone(),
    }
}

/// Where a file is kept in `folder`.
#[must_use]
pub fn place_of(folder: &Path, file: &RoundFile) -> PathBuf {
    folder.join(hex::encode(file.sha256))
}

/// Whether a file is in `folder` whole. The program that trains compares the bytes again.
#[must_use]
pub fn is_here(folder: &Path, file: &RoundFile) -> bool {
    std::fs::metadata(place_of(folder, file)).is_ok_and(|metadata| metadata.len() == file.length)
}

/// Gets one file into `folder`, from `rounds/HASH` below `repository`.
///
/// # Errors
/// [`FetchError`]; then the file is not in `folder`.
pub async fn fetch(
    client: &reqwest::Client,
    repository: &Url,
    file: &RoundFile,
    folder: &Path,
) -> Result<(), FetchError> {
    let place = repository.join("rounds/")?.join(&hex::encode(file.sha256))?;
    let unreachable = |error: reqwest::Error| FetchError::Unreachable(error.without_url().to_string());
    let asked = client.get(place).timeout(Duration::from_secs(SECONDS_MAX)).send();
    let mut response = asked.await.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > file.length {
            break;
        }
    }
    if bytes.len() as u64 != file.length {
        return Err(FetchError::Length { found: bytes.len() as u64, expected: file.length });
    }
    let (folder, file) = (folder.to_owned(), *file);
    off_the_workers(move || keep(&bytes, &file, &folder)).await
}

fn keep(bytes: &[u8], file: &RoundFile, folder: &Path) -> Result<(), FetchError> {
    if <[u8; 32]>::from(Sha256::digest(bytes)) != file.sha256 {
        return Err(FetchError::Digest);
    }
    let path = place_of(folder, file);
    let half = path.with_extension("half");
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut target = std::fs::File::create(&half)?;
        target.write_all(bytes)?;
        target.sync_all()?;
        std::fs::rename(&half, &path)
    };
    write().map_err(|source| FetchError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use hearthwatch_edge_cloud::pinned::https_client;
    use hearthwatch_mirror::{TestRepository, serve_files};

    use super::*;

    #[tokio::test]
    async fn a_model_is_kept_only_if_it_is_what_the_plan_names() {
        let repository = TestRepository::new().await;
        let path = |name: &str| repository.directory.path().join(name);
        let (good, rounds) = (RoundFile::of(b"weights"), path("repository").join("rounds"));
        std::fs::create_dir_all(&rounds).unwrap();
        let serve = |file: &RoundFile, bytes: &[u8]| std::fs::write(place_of(&rounds, file), bytes).unwrap();
        serve(&good, b"weights");
        let url = serve_files(path("repository"), &path("ca.crt"), None).await;
        let client = https_client(Some(&path("ca.crt"))).unwrap();
        let folder = path("state");
        let get = async |file: &RoundFile| fetch(&client, &url, file, &folder).await;
        assert!(!is_here(&folder, &good));
        get(&good).await.unwrap();
        assert!(is_here(&folder, &good));
        let other = RoundFile { sha256: [1; 32], length: 7 };
        assert!(matches!(get(&other).await, Err(FetchError::Status(404))));
        serve(&other, b"weights");
        assert!(matches!(get(&other).await, Err(FetchError::Digest)));
        serve(&other, b"weight");
        assert!(matches!(get(&other).await, Err(FetchError::Length { found: 6, expected: 7 })));
        serve(&other, &[0; 100_000]);
        assert!(matches!(get(&other).await, Err(FetchError::Length { found: 8.., expected: 7 })));
        assert!(!is_here(&folder, &other));
    }
}
