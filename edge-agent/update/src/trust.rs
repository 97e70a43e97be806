//! What is signed and fresh: the TUF client, and the exact reason when something is not.
//!
//! The order of checks is the framework's: size, signature over distinct keys, version floor, expiry, hash of what is listed. `tough`
//! makes them; this module pins its settings and gives each failure a name.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::assignment::AssignmentRefusal;
use hearthwatch_protocol::limits::ARTIFACT_BYTES_MAX;
use tough::error::Error as TufError;
use tough::{ExpirationEnforcement, IntoVec, Limits, Repository, RepositoryLoader, TargetName, TransportErrorKind};
use url::Url;

use crate::director;
use crate::fetch::{Busy, TooSlow, UpdateTransport};

/// Bounds on metadata. Our root has 5 keys (about 3 KiB), timestamp and snapshot under 1 KiB, targets about 1 KiB for each
/// release: 1 MiB holds a thousand. 64 roots are as many yearly rotations.
const LIMITS: Limits = Limits {
    max_root_size: 64 * 1024,
    max_targets_size: 1024 * 1024,
    max_timestamp_size: 16 * 1024,
    max_snapshot_size: 64 * 1024,
    max_root_updates: 64,
};

/// No honest clock shows less: 2026-01-01T00:00:00Z, before this program existed.
pub const PLAUSIBLE_FROM: i64 = 1_767_225_600;

/// How far our clock may be from the server's. Honest clocks differ by seconds; a day leaves room for a time zone taken for UTC, and
/// is short against the life of a timestamp's metadata.
const CLOCKS_APART_SECONDS_MAX: i64 = 86_400;

/// Why metadata or a target is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The metadata's time is over: the repository is no longer renewed, or somebody holds back newer metadata.
    #[error("{role} metadata is expired")]
    Expired {
        /// TUF role: `root`, `timestamp`, `snapshot` or `targets`.
        role: String,
    },
    /// An older version than one that was trusted before.
    #[error("{role} metadata was rolled back from version {had} to {offered}")]
    RolledBack {
        /// TUF role.
        role: String,
        /// Version trusted before.
        had: u64,
        /// Version of the repository.
        offered: u64,
    },
    /// Not signed by enough of the right keys.
    #[error("{role} metadata is not signed as it must be: {cause}")]
    Signature {
        /// TUF role.
        role: String,
        /// From `tough`.
        cause: String,
    },
    /// The bytes differ from the signed hash.
    #[error("the bytes of {what} differ from the signed hash")]
    Tampered {
        /// Name of the file.
        what: String,
    },
    /// More bytes than were signed for or are allowed.
    #[error("{what} is larger than {max} bytes")]
    TooLarge {
        /// What sets the bound, or the file's name.
        what: String,
        /// Bytes.
        max: u64,
    },
    /// The metadata files do not belong to one release.
    #[error("metadata of different releases is mixed: {0}")]
    Mixed(String),
    /// Not what the role's file must look like.
    #[error("{role} metadata cannot be read: {cause}")]
    Malformed {
        /// TUF role.
        role: String,
        /// From the parser.
        cause: String,
    },
    /// More roots than a client follows in one go.
    #[error("more than {0} new roots")]
    TooManyRoots(u64),
    /// The pinned root itself is no good.
    #[error("the pinned root is not usable: {0}")]
    PinnedRoot(String),
    /// The assignment is not valid for this home.
    #[error("the assignment is not followed: {0}")]
    Assignment(#[from] AssignmentRefusal),
    /// Director and image repository both name the target and mean different bytes.
    #[error("director and image repository disagree about the {field} of {target}")]
    Disagree {
        /// Name of the target.
        target: String,
        /// `hash` or `length`.
        field: &'static str,
    },
    /// The repository does not list the target.
    #[error("the repository does not list {0}")]
    NotListed(String),
    /// The clock shows a time before one it has shown.
    #[error("the system clock stepped back: {0}")]
    ClockSteppedBack(String),
    /// The server's clock shows another time: ours is wrong, or its is; nothing is judged or remembered meanwhile.
    #[error("the system clock and the server's are {seconds} s apart")]
    ClocksApart {
        /// This machine's time minus the server's.
        seconds: i64,
    },
    /// The clock was never set; nothing is judged or remembered by such a clock.
    #[error("the system clock is not set yet")]
    ClockNotSet,
    /// The server answers 404 for this file.
    #[error("{0} is missing on the server")]
    Missing(String),
    /// The server asks to be left alone for a while.
    #[error("{0}")]
    Busy(Busy),
    /// The server sends too slowly.
    #[error("{0}")]
    TooSlow(TooSlow),
    /// No connection or no answer; with the cause in one line.
    #[error("the repository cannot be reached: {0}")]
    Unreachable(String),
    /// A file of the trust store cannot be read or written.
    #[error("the trust store failed: {0}")]
    Store(String),
    /// Any other error of `tough`.
    #[error("{0}")]
    Other(String),
}

impl TrustError {
    /// One word, for counters, log fields and outcomes.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::RolledBack { .. } => "rolled_back",
            Self::Signature { .. } => "bad_signature",
            Self::Tampered { .. } => "tampered",
            Self::TooLarge { .. } => "too_large",
            Self::Mixed(_) => "mixed",
            Self::Malformed { .. } => "malformed",
            Self::TooManyRoots(_) => "too_many_roots",
            Self::PinnedRoot(_) => "pinned_root",
            Self::Assignment(refusal) => director::reason(refusal),
            Self::Disagree { .. } => "disagree",
            Self::NotListed(_) => "not_listed",
            Self::ClockSteppedBack(_) => "clock_stepped_back",
            Self::ClocksApart { .. } => "clocks_apart",
            Self::ClockNotSet => "clock_not_set",
            Self::Missing(_) => "missing",
            Self::Busy(_) => "busy",
            Self::TooSlow(_) => "too_slow",
            Self::Unreachable(_) => "unreachable",
            Self::Store(_) => "store",
            Self::Other(_) => "other",
        }
    }

    /// True for a fault of the release, which is reported; false for one of the network, the clock or our disk.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::ClockSteppedBack(_)
                | Self::ClocksApart { .. }
                | Self::ClockNotSet
                | Self::Missing(_)
                | Self::Busy(_)
                | Self::TooSlow(_)
                | Self::Unreachable(_)
                | Self::Store(_)
        )
    }
}

/// A model that the repository offers, as signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// From the custom data of the target.
    pub version: ModelVersion,
    /// File name in `targets/`.
    pub target: String,
    /// Bytes, at most [`ARTIFACT_BYTES_MAX`].
    pub length: u64,
    /// 32 bytes.
    pub sha256: Vec<u8>,
    /// Named by a signed order to go back: the floor does not hold it up.
    pub ordered: bool,
}

/// Where the repository is, and what was trusted before.
#[derive(Debug, Clone)]
pub struct TrustStore {
    /// The root that came with enrolment (`root.json`).
    pub root: Vec<u8>,
    /// Base of the metadata, with a slash at the end.
    pub metadata: Url,
    /// Base of the targets, with a slash at the end.
    pub targets: Url,
    /// Folder of the metadata seen last; only `tough` writes there.
    pub directory: PathBuf,
}

impl TrustStore {
    /// Brings the metadata up to date and verifies it. `now` only guards against a clock that is wrong: one that was never set, or
    /// that is far from the server's. A device that once started in the future would otherwise remember that time, and refuse
    /// everything until it comes.
    ///
    /// # Errors
    /// [`TrustError`]; what was trusted before stays trusted.
    pub async fn refresh(&self, transport: UpdateTransport, now: i64) -> Result<Verified, TrustError> {
        if now < PLAUSIBLE_FROM {
            return Err(TrustError::ClockNotSet);
        }
        if let Some(server) = transport.server_time(&self.metadata).await? {
            let seconds = now.saturating_sub(server);
            if seconds.abs() > CLOCKS_APART_SECONDS_MAX {
                return Err(TrustError::ClocksApart { seconds });
            }
        }
        let store = |error: std::io::Error| TrustError::Store(error.to_string());
        tokio::fs::create_dir_all(&self.directory).await.map_err(store)?;
        let loader = RepositoryLoader::new(&self.root, self.metadata.clone(), self.targets.clone())
            .transport(transport)
            .limits(LIMITS)
            .datastore(&self.directory)
            .expiration_enforcement(ExpirationEnforcement::Safe);
        let repository = loader.load().await.map_err(classify)?;
        Ok(Verified { repository })
    }
}

/// Called when a person confirms that the clock is right now, after it had run ahead: forgets the latest time seen in a trust store's
/// folder. Versions stay remembered, so nothing older gets in by this.
///
/// # Errors
/// [`TrustError::Store`].
pub fn forget_time(directory: &Path) -> Result<(), TrustError> {
    match std::fs::remove_file(directory.join("latest_known_time.json")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(TrustError::Store(error.to_string())),
        _ => Ok(()),
    }
}

/// TUF metadata that was verified; gives access to the targets.
#[derive(Debug, Clone)]
pub struct Verified {
    repository: Repository,
}

impl Verified {
    /// The newest model on offer. A target counts only when its name and its signed version agree.
    ///
    /// # Errors
    /// [`TrustError::TooLarge`] when the newest one is larger than any artifact may be.
    pub fn newest(&self) -> Result<Option<Offer>, TrustError> {
        self.offers().max_by_key(|offer| offer.version).map(small_enough).transpose()
    }

    /// The offer of one version, if it is listed.
    ///
    /// # Errors
    /// As [`Verified::newest`].
    pub fn offer(&self, version: ModelVersion) -> Result<Option<Offer>, TrustError> {
        self.offers().find(|offer| offer.version == version).map(small_enough).transpose()
    }

    fn offers(&self) -> impl Iterator<Item = Offer> {
        self.repository.all_targets().filter_map(|(name, target)| {
            let version = ModelVersion(target.custom.get("model_version")?.as_u64()?);
            let expected = format!("model-{version}.safetensors");
            let sha256 = target.hashes.sha256.as_ref().to_vec();
            let offer = Offer { version, target: expected, length: target.length, sha256, ordered: false };
            (name.raw() == offer.target).then_some(offer)
        })
    }

    /// Fetches the bytes of an offer and compares them with the signed length and hash.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn fetch(&self, offer: &Offer) -> Result<Vec<u8>, TrustError> {
        let not_listed = || TrustError::NotListed(offer.target.clone());
        let name = TargetName::new(offer.target.clone()).map_err(classify)?;
        let stream = self.repository.read_target(&name).await.map_err(classify)?.ok_or_else(not_listed)?;
        let bytes = stream.into_vec().await.map_err(classify)?;
        // tough stops at the signed length; a shorter file fails its hash, so this can only be an inconsistency of ours.
        if bytes.len() as u64 != offer.length {
            return Err(TrustError::Tampered { what: offer.target.clone() });
        }
        Ok(bytes)
    }
}

fn small_enough(offer: Offer) -> Result<Offer, TrustError> {
    if offer.length > ARTIFACT_BYTES_MAX {
        return Err(TrustError::TooLarge { what: offer.target, max: ARTIFACT_BYTES_MAX });
    }
    Ok(offer)
}

/// The failure's name. Failures inside a stream arrive wrapped in transport errors, so the whole chain is looked at.
#[expect(clippy::needless_pass_by_value, reason = "used as the last step of map_err")]
fn classify(error: TufError) -> TrustError {
    let mut link: Option<&(dyn StdError + 'static)> = Some(&error);
    let mut url = String::new();
    while let Some(cause) = link {
        if let Some(busy) = cause.downcast_ref::<Busy>() {
            return TrustError::Busy(*busy);
        }
        if let Some(slow) = cause.downcast_ref::<TooSlow>() {
            return TrustError::TooSlow(*slow);
        }
        if let Some(transport) = cause.downcast_ref::<tough::TransportError>() {
            transport.url().clone_into(&mut url);
            if transport.kind() == TransportErrorKind::FileNotFound {
                return TrustError::Missing(file_name(&url));
            }
        }
        if let Some(named) = cause.downcast_ref::<TufError>().and_then(classify_one) {
            return named;
        }
        link = cause.source();
    }
    if url.is_empty() { TrustError::Other(error.to_string()) } else { TrustError::Unreachable(error.to_string()) }
}

fn classify_one(error: &TufError) -> Option<TrustError> {
    Some(match error {
        TufError::ExpiredMetadata { role, .. } => TrustError::Expired { role: role.to_string() },
        TufError::OlderMetadata { role, current_version, new_version, .. } => {
            TrustError::RolledBack { role: role.to_string(), had: *current_version, offered: *new_version }
        }
        TufError::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => {
            TrustError::RolledBack { role: "snapshot".to_owned(), had: *snapshot_old, offered: *snapshot_new }
        }
        TufError::SnapshotRoleRollback { role, old_role_version, new_role_version, .. } => TrustError::RolledBack {
            role: role.trim_end_matches(".json").to_owned(),
            had: *old_role_version,
            offered: *new_role_version,
        },
        TufError::VerifyMetadata { role, source, .. } => {
            TrustError::Signature { role: role.to_string(), cause: source.to_string() }
        }
        TufError::VerifyTrustedMetadata { source, .. } => TrustError::PinnedRoot(source.to_string()),
        TufError::ParseTrustedMetadata { source, .. } => TrustError::PinnedRoot(source.to_string()),
        TufError::ParseMetadata { role, source, .. } => {
            TrustError::Malformed { role: role.to_string(), cause: source.to_string() }
        }
        TufError::HashMismatch { context, .. } => TrustError::Tampered { what: file_name(context) },
        TufError::MaxSizeExceeded { max_size, specifier, .. } => {
            TrustError::TooLarge { what: (*specifier).to_owned(), max: *max_size }
        }
        TufError::MaxUpdatesExceeded { max_root_updates, .. } => TrustError::TooManyRoots(*max_root_updates),
        TufError::SystemTimeSteppedBackward { .. } => TrustError::ClockSteppedBack(error.to_string()),
        TufError::VersionMismatch { .. }
        | TufError::SnapshotRoleMissing { .. }
        | TufError::SnapshotTargetsMetaMissing { .. }
        | TufError::MissingSnapshotMeta { .. }
        | TufError::MetaMissing { .. }
        | TufError::TimestampMetaLength { .. } => TrustError::Mixed(error.to_string()),
        TufError::DatastoreInit { .. }
        | TufError::DatastoreCreate { .. }
        | TufError::DatastoreOpen { .. }
        | TufError::DatastoreRemove { .. }
        | TufError::DatastoreSerialize { .. } => TrustError::Store(error.to_string()),
        _ => return None,
    })
}

/// The last piece of a URL, so that messages name the file and not the server's address.
fn file_name(url: &str) -> String {
    url.rsplit('/').next().unwrap_or(url).to_owned()
}
