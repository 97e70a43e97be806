//! Claim tokens: one for one home, hashed at rest, expiring, bound to the first key that uses it.
//!
//! A home without a disk has lost its key at each start. Its token is *reusable*: it certifies a new key each time, so many
//! times a day, and whoever redeems it takes the certificates before it back.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hearthwatch_protocol::HomeId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::{self, FileError};

/// Life of a token: long enough to drive to the house, short enough to be forgotten in a chat.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(72);
/// Life of a reusable token: a year, like the root's.
pub const REUSABLE_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// Keys that a reusable token certifies within a day: a restart an hour. More is a container that crashes, or a thief.
pub const REUSES_PER_DAY: usize = 24;
/// What a day is to that limit.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Random bytes of a token: 192 bits cannot be guessed, and are 32 characters without padding.
const TOKEN_BYTES: usize = 24;
/// What a token begins with, so that one is recognised where it should not be.
const TOKEN_PREFIX: &str = "hwc_";
/// Longest text that is hashed to look a token up, in bytes.
const TOKEN_LENGTH_MAX: usize = 128;
/// Most claims in the file: 10,000 × 250 bytes = 2.5 MB, rewritten on each change.
pub const CLAIMS_MAX: usize = 10_000;
/// How long a claim that is over stays in the file for `inspect`.
const KEPT_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Why a claim was refused, or could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The file is not usable.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what we write.
    #[error("{} is damaged ({cause}); restore it from a backup, or remove it: open tokens are then void",
        .path.display())]
    Damaged {
        /// The file of claims.
        path: PathBuf,
        /// What was wrong.
        cause: String,
    },
    /// No such token was ever given out, or it was replaced or forgotten.
    #[error("unknown claim token; `hearthwatch-provision home add HOME --new-token` makes a new one")]
    Unknown,
    /// Too late.
    #[error(
        "the claim token of {home} expired at {at}; `hearthwatch-provision home add {home} --new-token` makes a new one"
    )]
    Expired {
        /// The home that it was made for.
        home: HomeId,
        /// The first moment at which it was void.
        at: Timestamp,
    },
    /// Used before, by another key.
    #[error("the claim token of {home} was used by another key; if that was not you, revoke the home's certificate")]
    Used {
        /// The home that it was made for.
        home: HomeId,
    },
    /// A reusable token, too often.
    #[error("the reusable claim token of {home} certified {REUSES_PER_DAY} keys within a day; try again later")]
    TooOften {
        /// The home that it was made for.
        home: HomeId,
    },
    /// A token for another home.
    #[error("the claim token is not for {asked}")]
    OtherHome {
        /// The home that came with it.
        asked: HomeId,
    },
    /// The file is full.
    #[error("there are {CLAIMS_MAX} claims already")]
    Full,
}

impl ClaimError {
    /// One word for counters and answers; the sentence is for the operator's log only.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Damaged { .. } | Self::Full => "unavailable",
            Self::Unknown | Self::OtherHome { .. } => "unknown_token",
            Self::Expired { .. } => "expired_token",
            Self::Used { .. } => "used_token",
            Self::TooOften { .. } => "too_often",
        }
    }
}

/// A token in the clear. Shown once, to the person who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimToken(String);

impl ClaimToken {
    /// The text to hand over.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimToken(…)")
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The home it is for.
    pub home: HomeId,
    /// SHA-256 of the token, hex.
    pub token_sha256: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Its use, if any; the last one of a reusable token.
    pub used: Option<Use>,
    /// When a reusable token certified a key within the last day, oldest first; none in a token for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<Vec<Timestamp>>,
}

/// What kind of token was redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// For one use: nobody had a certificate by it before.
    Once,
    /// Reusable: what the home had before is to be taken back.
    Anew,
}

/// When a token was used, and by which key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// When the key was certified.
    pub at: Timestamp,
    /// SHA-256 of the public key, hex.
    pub key_sha256: String,
}

impl Claim {
    /// Whether the token can still be used, for the first time or again.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        (self.used.is_none() || self.reused.is_some()) && now < self.expires_at
    }
}

/// The file of claims. Every call reads it, so that several processes can share it; changes are locked.
#[derive(Debug, Clone)]
pub struct Claims {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    claims: Vec<Claim>,
}

impl Claims {
    /// The claims kept at `path`, which need not exist yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Every claim on file, oldest first.
    ///
    /// # Errors
    /// [`ClaimError`] when the file is unreadable, open to others or damaged.
    pub fn list(&self) -> Result<Vec<Claim>, ClaimError> {
        Ok(self.read()?.claims)
    }

    /// Makes a token for `home`; an unused or reusable one that it had before is void.
    ///
    /// # Errors
    /// [`ClaimError::Full`], or trouble with the file.
    pub fn issue(&self, home: &HomeId, now: Timestamp, life: SignedDuration) -> Result<ClaimToken, ClaimError> {
        self.make(home, now, life, None)
    }

    /// Makes a reusable token for `home`; an unused or reusable one that it had before is void.
    ///
    /// # Errors
    /// As [`Claims::issue`].
    pub fn issue_reusable(&self, home: &HomeId, now: Timestamp) -> Result<ClaimToken, ClaimError> {
        self.make(home, now, REUSABLE_LIFE, Some(Vec::new()))
    }

    /// Makes every token of `home` void that could still be used.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn void(&self, home: &HomeId, now: Timestamp) -> Result<(), ClaimError> {
        let _lock = self.lock()?;
        let mut contents = self.read()?;
        let before = contents.claims.len();
        contents.claims.retain(|claim| claim.home != *home || !claim.is_open(now));
        if contents.claims.len() == before { Ok(()) } else { self.write(&contents) }
    }

    fn make(
        &self,
        home: &HomeId,
        now: Timestamp,
        life: SignedDuration,
        reused: Option<Vec<Timestamp>>,
    ) -> Result<ClaimToken, ClaimError> {
        let _lock = self.lock()?;
        let mut contents = self.read()?;
        contents.claims.retain(|claim| {
            let over = now.duration_since(claim.expires_at) > KEPT_AFTER;
            !over && (claim.home != *home || (claim.used.is_some() && claim.reused.is_none()))
        });
        if contents.claims.len() >= CLAIMS_MAX {
            return Err(ClaimError::Full);
        }
        let secret: [u8; TOKEN_BYTES] = crate::authority::random();
        let token = ClaimToken(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)));
        contents.claims.push(Claim {
            home: home.clone(),
            token_sha256: sha256_hex(token.0.as_bytes()),
            issued_at: now,
            expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX),
            used: None,
            reused,
        });
        self.write(&contents)?;
        Ok(token)
    }

    /// Whether `token` is a claim of `home` that was given out and has not expired, used or not. Changes nothing.
    ///
    /// # Errors
    /// [`ClaimError`] when the file is unreadable, open to others or damaged.
    pub fn knows(&self, token: &str, home: &HomeId, now: Timestamp) -> Result<bool, ClaimError> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Ok(false);
        }
        let token_sha256 = sha256_hex(token.as_bytes());
        let holds = |claim: &Claim| claim.token_sha256 == token_sha256 && claim.home == *home && now < claim.expires_at;
        Ok(self.read()?.claims.iter().any(holds))
    }

    /// Uses a token for the key with this fingerprint. The same key may repeat itself until the token expires: its
    /// first answer may have been lost on the way. A reusable token takes another key too, [`REUSES_PER_DAY`] times a day. The
    /// use is on disk when this returns.
    ///
    /// # Errors
    /// [`ClaimError`] naming why the token is no good.
    pub fn redeem(&self, token: &str, home: &HomeId, key_sha256: &str, now: Timestamp) -> Result<Redeemed, ClaimError> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(ClaimError::Unknown);
        }
        let _lock = self.lock()?;
        let mut contents = self.read()?;
        let token_sha256 = sha256_hex(token.as_bytes());
        let claim =
            contents.claims.iter_mut().find(|claim| claim.token_sha256 == token_sha256).ok_or(ClaimError::Unknown)?;
        if claim.home != *home {
            return Err(ClaimError::OtherHome { asked: home.clone() });
        }
        if now >= claim.expires_at {
            return Err(ClaimError::Expired { home: claim.home.clone(), at: claim.expires_at });
        }
        let kind = if claim.reused.is_some() { Redeemed::Anew } else { Redeemed::Once };
        match (&claim.used, &mut claim.reused) {
            (Some(used), _) if used.key_sha256 == key_sha256 => return Ok(kind),
            (Some(_), None) => return Err(ClaimError::Used { home: claim.home.clone() }),
            (_, Some(reused)) => {
                reused.retain(|at| now.duration_since(*at) < DAY);
                if reused.len() >= REUSES_PER_DAY {
                    return Err(ClaimError::TooOften { home: claim.home.clone() });
                }
                reused.push(now);
            }
            (None, None) => {}
        }
        claim.used = Some(Use { at: now, key_sha256: key_sha256.to_owned() });
        self.write(&contents)?;
        Ok(kind)
    }

    fn read(&self) -> Result<Contents, ClaimError> {
        let Some(bytes) = files::if_there(files::read_private(&self.path))? else { return Ok(Contents::default()) };
        serde_json::from_slice(&bytes)
            .map_err(|error| ClaimError::Damaged { path: self.path.clone(), cause: error.to_string() })
    }

    fn write(&self, contents: &Contents) -> Result<(), ClaimError> {
        let mut bytes = serde_json::to_vec_pretty(contents)
            .map_err(|error| ClaimError::Damaged { path: self.path.clone(), cause: error.to_string() })?;
        bytes.push(b'\n');
        Ok(files::write_private(&self.path, &bytes)?)
    }

    /// Held until dropped; the file beside exists only for this, since the claims' own file is replaced on writing.
    fn lock(&self) -> Result<File, ClaimError> {
        Ok(lock(&self.path.with_extension("lock"))?)
    }
}

pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
    let open = || -> std::io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|cause| FileError::Io { what: "lock", path: path.to_owned(), cause })
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{named as home, now};

    fn claims() -> (tempfile::TempDir, Claims) {
        let dir = tempfile::tempdir().unwrap();
        let claims = Claims::at(dir.path().join("claims.json"));
        (dir, claims)
    }

    #[test]
    fn a_token_serves_one_home_and_one_key() {
        let (_dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        let other = claims.redeem(token.reveal(), &home("home-8"), "k1", now()).unwrap_err();
        assert!(matches!(other, ClaimError::OtherHome { .. }));
        claims.redeem(token.reveal(), &home("home-7"), "k1", now()).unwrap();
        let again = claims.redeem(token.reveal(), &home("home-7"), "k2", now()).unwrap_err();
        assert!(matches!(again, ClaimError::Used { .. }));
    }

    #[test]
    fn a_claim_is_known_for_its_own_home_used_or_not_until_it_expires() {
        let (_dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        let knows = |token: &str, name, at| claims.knows(token, &home(name), at).unwrap();
        assert!(knows(token.reveal(), "home-7", now()));
        assert!(!knows(token.reveal(), "home-8", now()) && !knows("hwc_guess", "home-7", now()));
        claims.redeem(token.reveal(), &home("home-7"), "k1", now()).unwrap();
        assert!(knows(token.reveal(), "home-7", now()) && !knows(token.reveal(), "home-7", now() + TOKEN_LIFE));
    }

    #[test]
    fn the_key_that_used_a_token_may_ask_again_because_its_answer_may_be_lost() {
        let (_dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        claims.redeem(token.reveal(), &home("home-7"), "k1", now()).unwrap();
        claims.redeem(token.reveal(), &home("home-7"), "k1", now()).unwrap();
    }

    #[test]
    fn an_expired_token_is_refused_with_the_remedy() {
        let (_dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), SignedDuration::from_hours(1)).unwrap();
        let later = now() + SignedDuration::from_hours(1);
        let error = claims.redeem(token.reveal(), &home("home-7"), "k1", later).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the claim token of home-7 expired at 2026-03-01T13:00:00Z; `hearthwatch-provision home add home-7 \
             --new-token` makes a new one"
        );
    }

    #[test]
    fn a_new_token_voids_the_unused_one_before() {
        let (_dir, claims) = claims();
        let old = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        let new = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        assert!(matches!(claims.redeem(old.reveal(), &home("home-7"), "k", now()), Err(ClaimError::Unknown)));
        claims.redeem(new.reveal(), &home("home-7"), "k", now()).unwrap();
    }

    #[test]
    fn a_reusable_token_takes_a_new_key_so_many_times_a_day_and_is_void_with_the_next_one() {
        let (_dir, claims) = claims();
        let token = claims.issue_reusable(&home("home-7"), now()).unwrap();
        let redeem = |home_name, key: usize, at| claims.redeem(token.reveal(), &home(home_name), &key.to_string(), at);
        assert!(matches!(redeem("home-8", 0, now()), Err(ClaimError::OtherHome { .. })), "bound to its home");
        for key in 0..REUSES_PER_DAY {
            assert_eq!(redeem("home-7", key, now()).unwrap(), Redeemed::Anew);
            redeem("home-7", key, now()).expect("an answer that was lost is asked for again, and counts once");
        }
        assert!(matches!(redeem("home-7", 99, now()), Err(ClaimError::TooOften { .. })));
        redeem("home-7", 99, now() + DAY).expect("the next day there are as many again");
        let later = now() + REUSABLE_LIFE;
        assert!(matches!(redeem("home-7", 100, later), Err(ClaimError::Expired { .. })));
        claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        assert!(matches!(redeem("home-7", 99, now() + DAY), Err(ClaimError::Unknown)));
    }

    #[test]
    fn a_home_that_is_revoked_keeps_no_token_that_opens() {
        let (_dir, claims) = claims();
        let token = claims.issue_reusable(&home("home-7"), now()).unwrap();
        claims.redeem(token.reveal(), &home("home-7"), "k", now()).unwrap();
        claims.void(&home("home-7"), now()).unwrap();
        assert!(matches!(claims.redeem(token.reveal(), &home("home-7"), "k2", now()), Err(ClaimError::Unknown)));
    }

    #[test]
    fn the_file_holds_no_token() {
        let (dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        let text = std::fs::read_to_string(dir.path().join("claims.json")).unwrap();
        assert!(!text.contains(token.reveal()) && !text.contains(&token.reveal()[TOKEN_PREFIX.len()..]));
        assert_eq!(format!("{token:?}"), "ClaimToken(…)");
    }

    #[test]
    fn of_many_who_use_one_token_at_once_one_key_wins() {
        let (_dir, claims) = claims();
        let token = claims.issue(&home("home-7"), now(), TOKEN_LIFE).unwrap();
        let won: usize = std::thread::scope(|scope| {
            let ask = |key: usize| {
                let (claims, token) = (claims.clone(), token.clone());
                scope.spawn(move || claims.redeem(token.reveal(), &home("home-7"), &key.to_string(), now()).is_ok())
            };
            let asked: Vec<_> = (0..8).map(ask).collect();
            asked.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
    }
}
