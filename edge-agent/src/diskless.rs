//! A home without a disk: a private folder in memory, and an enrolment at each start.
//!
//! What a start needs comes from the configuration, the claim token and the fleet; see [`Config::load`] with `state = "none"`.
//! The home is watched from the first moment; it joins the fleet when that answers.
//! The folder goes when the agent ends in peace. An agent that was killed may find its folder again, if the memory lived on:
//! it takes what is there, unsent answers above all, and enrols all the same, for somebody else may have enrolled meanwhile.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearthwatch_configuration::Secret;
use hearthwatch_edge_cloud::pinned::{self, PinnedError};
use hearthwatch_link::Backoff;
use hearthwatch_protocol::HomeId;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::config::{Config, Enrolment, TOKEN_VARIABLE};
use crate::enrol::{Claim, EnrolError, claim, token_in};
use crate::state_directory::spread;
use crate::state_directory::{StateDirectory, StateError};

/// What the secret of alarm ids is hashed with, so that it is no other hash of the token: the fleet knows one.
const SALT_DOMAIN: &[u8] = b"hearthwatch alarm ids of a home without a disk, 1\0";
/// Between tries while the fleet does not answer. Asking again with the same key does not count against the token's daily limit.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(300) };

/// Why a home without a disk does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisklessError {
    /// No file is configured, and the variable [`TOKEN_VARIABLE`] is not set.
    #[error("no claim token: name a file in cloud.enrol.token_file, or set {TOKEN_VARIABLE}")]
    Token,
    /// The folder cannot be made or emptied.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The folder is there and is not ours alone.
    #[error("{0} exists and is not private to this user; remove it")]
    NotPrivate(PathBuf),
    /// The state directory in the folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file of the fleet's authority.
    #[error("cloud.enrol.ca_file: {0}")]
    Authority(#[from] PinnedError),
}

/// A folder in memory, removed with this value.
#[derive(Debug)]
pub struct InMemory(PathBuf);

impl Drop for InMemory {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(error = %error, "what was kept in memory is still there: {}", self.0.display());
            }
            _ => {}
        }
    }
}

/// Whether a home is in its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Membership {
    /// It is; or it has a certificate of before, as a home with a disk has.
    #[default]
    Inside,
    /// Not yet, or not any more; why, in one line, empty before the first answer.
    Outside(String),
}

/// A home without a disk that can start to watch, and is not enrolled yet.
#[derive(Debug)]
pub struct Tenant {
    /// Removed when the value is dropped.
    pub folder: InMemory,
    /// Enrols the home.
    pub joining: Joining,
}

/// An enrolment that is to be done.
#[derive(Debug, Clone)]
pub struct Joining {
    client: reqwest::Client,
    enrolment: Enrolment,
    home: HomeId,
    token: Secret,
    who: u64,
}

/// Makes the folder of a home without a disk; none for other homes. Needs no network; what it left behind
/// when it is given up is found by the next start.
///
/// # Errors
/// [`DisklessError`]: nothing that waiting mends.
pub fn move_in(config: &Config) -> Result<Option<Tenant>, DisklessError> {
    let Some((home, enrolment)) =
        config.cloud.as_ref().and_then(|cloud| Some((&cloud.home, cloud.enrolment.as_ref()?)))
    else {
        return Ok(None);
    };
    let token = token_of(enrolment, |name| std::env::var(name).ok()).ok_or(DisklessError::Token)?;
    make_private(&enrolment.folder)?;
    // A second agent of the home finds it taken, and does not shut the first one out.
    let state = StateDirectory::take(&enrolment.state())?;
    let salt = state.salt(|| salt_of(&token))?;
    let keys = enrolment.keys();
    match fs::remove_dir_all(&keys) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(DisklessError::Folder { path: keys, source });
        }
        _ => {}
    }
    let client = pinned::https_client(Some(&enrolment.ca_file))?;
    let joining = Joining { client, enrolment: enrolment.clone(), home: home.clone(), token, who: spread(&salt) };
    Ok(Some(Tenant { folder: InMemory(enrolment.folder.clone()), joining }))
}

impl Joining {
    /// Enrols, however long it takes the fleet to answer; true when the home is in. A token that the fleet does not take is not shown
    /// again: that helps only when a person does something, and what stands in the log.
    pub async fn join(self, membership: &watch::Sender<Membership>) -> bool {
        let Self { client, enrolment, home, token, who } = self;
        let keys = enrolment.keys();
        let wanted = Claim { url: &enrolment.url, home: &home, token: &token, out: &keys };
        let joined = ask_until_answered(|| claim(&client, &wanted), tokio::time::sleep, who, membership).await;
        if joined {
            tracing::info!("{home} is enrolled, for as long as this agent runs");
        }
        joined
    }
}

/// True as soon as an attempt succeeds, false as soon as one fails in a way that waiting cannot mend.
async fn ask_until_answered<F: Future<Output = Result<(), EnrolError>>, S: Future<Output = ()>>(
    mut attempt: impl FnMut() -> F,
    mut sleep: impl FnMut(Duration) -> S,
    who: u64,
    membership: &watch::Sender<Membership>,
) -> bool {
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(()) => {
                membership.send_replace(Membership::Inside);
                return true;
            }
            Err(error) => error,
        };
        membership.send_replace(Membership::Outside(error.to_string()));
        if !error.is_passing() {
            tracing::error!(
                error = %error,
                "not enrolled: watching goes on without the fleet; {}, and start the agent again", error.what_to_do()
            );
            return false;
        }
        failures += 1;
        let pause = pinned::pause(AGAIN, failures, who, error.retry_after());
        tracing::warn!(error = %error, "not enrolled, watching without the fleet; trying again in {} s", pause.as_secs());
        sleep(pause).await;
    }
}

/// The token, from its file or else from a variable of the environment.
fn token_of(enrolment: &Enrolment, variable: impl FnOnce(&str) -> Option<String>) -> Option<Secret> {
    match &enrolment.token {
        Some(token) => token_in(token.expose()),
        None => token_in(&variable(TOKEN_VARIABLE)?),
    }
}

/// The secret of alarm ids: the same after each start, and nobody else's, for nobody else has the token.
fn salt_of(token: &Secret) -> [u8; 32] {
    Sha256::new().chain_update(SALT_DOMAIN).chain_update(token.expose()).finalize().into()
}

/// Makes a folder that is ours alone, or finds it so. Memory is everybody's: somebody else may have made it first.
fn make_private(folder: &Path) -> Result<(), DisklessError> {
    let failed = |source| DisklessError::Folder { path: folder.to_owned(), source };
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(folder).map_err(failed)?;
            let parent = folder.parent().unwrap_or(Path::new("/"));
            // A file that we make has our user; there is no other safe way to ask who we are.
            let own = tempfile::tempfile_in(parent).and_then(|file| file.metadata()).map_err(failed)?;
            let private = found.is_dir() && found.uid() == own.uid() && found.mode() & 0o077 == 0;
            if private { Ok(()) } else { Err(DisklessError::NotPrivate(folder.to_owned())) }
        }
        made => made.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use hearthwatch_edge_cloud::pinned::AskError;

    fn enrolment(token: Option<&str>) -> Enrolment {
        Enrolment {
            url: "https://cloud.example:8443/".parse().unwrap(),
            ca_file: "ca.crt".into(),
            token: token.map(Secret::new),
            folder: "/dev/shm/hearthwatch-home-7".into(),
        }
    }

    #[test]
    fn the_token_is_the_files_or_else_the_environments_and_nothing_that_cannot_be_one() {
        let text = |token: Option<Secret>| token.map(|token| token.expose().to_owned());
        let set = |name: &str| (name == "HEARTHWATCH_CLAIM_TOKEN").then(|| " hwc_b\n".to_owned());
        assert_eq!(text(token_of(&enrolment(Some("hwc_a")), set)).as_deref(), Some("hwc_a"));
        assert_eq!(text(token_of(&enrolment(None), set)).as_deref(), Some("hwc_b"));
        assert_eq!(text(token_of(&enrolment(None), |_| None)), None);
        assert_eq!(text(token_of(&enrolment(None), |_| Some("two words".to_owned()))), None);
    }

    #[test]
    fn alarm_ids_are_the_same_after_each_start_and_differ_from_token_to_token() {
        let salt = |token| salt_of(&Secret::new(token));
        assert_eq!(salt("hwc_a"), salt("hwc_a"));
        assert_ne!(salt("hwc_a"), salt("hwc_b"));
        // Not the hash that the fleet keeps of the token.
        assert_ne!(salt("hwc_a"), <[u8; 32]>::from(Sha256::digest("hwc_a")));
    }

    #[test]
    fn a_folder_in_memory_is_private_and_somebody_elses_is_not_taken() {
        let memory = tempfile::tempdir().unwrap();
        let folder = memory.path().join("hearthwatch-home-7");
        make_private(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        // What a killed agent left is its own.
        make_private(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(make_private(&folder), Err(DisklessError::NotPrivate(path)) if path == folder));
        let link = memory.path().join("link");
        std::os::unix::fs::symlink(memory.path(), &link).unwrap();
        assert!(matches!(make_private(&link), Err(DisklessError::NotPrivate(path)) if path == link));
    }

    /// A fleet that answers as told, and how much time passes until the last answer is there.
    async fn asked(answers: Vec<Result<(), EnrolError>>) -> (bool, Membership, Duration, usize) {
        let (membership, seen) = watch::channel(Membership::Outside(String::new()));
        let (mut answers, mut waited) = (answers.into_iter(), Duration::ZERO);
        let attempt = || std::future::ready(answers.next().expect("not asked again"));
        let sleep = |pause| {
            waited += pause;
            std::future::ready(())
        };
        let joined = ask_until_answered(attempt, sleep, 7, &membership).await;
        let last = seen.borrow().clone();
        (joined, last, waited, answers.len())
    }

    fn refused(status: u16, seconds: Option<u64>) -> Result<(), EnrolError> {
        let retry_after = seconds.map(Duration::from_secs);
        Err(AskError::Refused { status, detail: String::new(), retry_after }.into())
    }

    #[tokio::test]
    async fn a_fleet_that_is_busy_or_away_is_waited_out_as_long_as_it_says() {
        let away = Err(AskError::Unreachable("nobody there".to_owned()).into());
        let answers = vec![refused(429, Some(900)), refused(503, None), away, refused(429, Some(60)), Ok(())];
        let (joined, last, waited, left) = asked(answers).await;
        assert_eq!((joined, last, left), (true, Membership::Inside, 0));
        assert!(waited >= Duration::from_secs(900 + 60) && waited < Duration::from_secs(1_200), "{waited:?}");
    }

    #[tokio::test]
    async fn a_token_that_is_not_taken_is_not_shown_again() {
        for status in [400, 401, 403, 409] {
            let (joined, last, waited, left) = asked(vec![refused(status, None), Ok(())]).await;
            assert_eq!((joined, waited, left), (false, Duration::ZERO, 1), "{status}");
            assert_eq!(last, Membership::Outside(format!("the fleet refuses: {status}: ")));
        }
    }

    #[test]
    fn the_folder_goes_with_the_agent() {
        let memory = tempfile::tempdir().unwrap();
        let folder = memory.path().join("hearthwatch-home-7");
        make_private(&folder).unwrap();
        fs::write(folder.join("secret"), "kept in memory").unwrap();
        drop(InMemory(folder.clone()));
        assert!(!folder.exists());
    }
}
