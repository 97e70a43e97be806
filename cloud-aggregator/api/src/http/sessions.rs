//! Sessions: who is logged in to the pages or to the command line, and for how long.
//!
//! They are stored, so that a restart throws nobody out, an admin sees who is logged in, and one that is ended is ended everywhere.

use hearthwatch_store::people::{SessionPurpose, SessionRow};
use hearthwatch_store::token::{hash, new_session_secret};
use hearthwatch_store::{Actor, Digest, Role, blocking};
use sha2::{Digest as _, Sha256};

use super::Http;
use super::problem::Problem;

/// How long a session lasts unless configured otherwise, seconds: a working day.
pub const SESSION_SECONDS: i64 = 12 * 3600;

/// After how long without use it ends, seconds: an hour, a long lunch.
pub const IDLE_SECONDS: i64 = 3600;

/// How exactly the last use is known, seconds: each note of it is a write.
const SEEN_SECONDS: i64 = 60;

/// How long sessions last, seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// At the longest.
    pub all: i64,
    /// Without use.
    pub idle: i64,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { all: SESSION_SECONDS, idle: IDLE_SECONDS }
    }
}

/// Whether a session is in force at `now`. Pure.
#[must_use]
pub(crate) fn lasts(session: &SessionRow, lifetime: Lifetime, now: i64) -> bool {
    now < session.ends_at && now.saturating_sub(session.seen_at) < lifetime.idle
}

/// Who begins a session.
pub(crate) struct Beginner {
    pub holder: Actor,
    pub subject: Option<String>,
    pub token: Option<Digest>,
    pub role: Role,
    pub purpose: SessionPurpose,
}

/// Begins a session; its secret is shown once and never stored.
///
/// # Errors
/// The store's.
pub(crate) async fn begin(http: &Http, who: Beginner) -> Result<(String, SessionRow), Problem> {
    let (secret, now) = (new_session_secret(), http.wall());
    let digest = hash(&secret);
    let Beginner { holder, subject, token, role, purpose } = who;
    // Of a hash of the hash: what is shown says nothing of what is looked up.
    let id = hex::encode(&Sha256::digest(digest)[..8]);
    let ends_at = now.saturating_add(http.lifetime.all);
    let row =
        SessionRow { id, hash: digest, holder, subject, token, role, purpose, created_at: now, seen_at: now, ends_at };
    let kept = row.clone();
    blocking(&http.app.store, move |store| store.put_session(&kept)).await?;
    Ok((secret, row))
}

/// The session with this hash, if it is in force; notes that it is used.
///
/// # Errors
/// The store's.
pub(crate) async fn in_force(http: &Http, digest: Digest) -> Result<Option<SessionRow>, Problem> {
    let (now, lifetime) = (http.wall(), http.lifetime);
    let found = blocking(&http.app.store, move |store| {
        let Some(session) = store.session_by_hash(&digest)?.filter(|session| lasts(session, lifetime, now)) else {
            return Ok(None);
        };
        if now.saturating_sub(session.seen_at) >= SEEN_SECONDS {
            store.touch_session(&digest, now)?;
        }
        Ok(Some(session))
    });
    Ok(found.await?)
}

/// What a form of a page of this session carries: nobody can make it who has not the cookie's value, which scripts and other sites do not.
#[must_use]
pub(crate) fn form_check(secret: &str) -> String {
    let digest = Sha256::new().chain_update("hearthwatch form\0").chain_update(secret).finalize();
    hex::encode(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_with_time_and_without_use() {
        let session = SessionRow {
            id: String::new(),
            hash: [0; 32],
            holder: Actor::Person("ada".to_owned()),
            subject: None,
            token: None,
            role: Role::Viewer,
            purpose: SessionPurpose::Page,
            created_at: 0,
            seen_at: 1000,
            ends_at: 5000,
        };
        let lifetime = Lifetime { all: 5000, idle: 600 };
        assert!(lasts(&session, lifetime, 1599));
        assert!(!lasts(&session, lifetime, 1600), "nobody was there");
        assert!(!lasts(&SessionRow { seen_at: 4990, ..session }, lifetime, 5000), "its time is up");
    }

    #[test]
    fn the_word_of_a_form_belongs_to_one_session() {
        assert_ne!(form_check("hws_1"), form_check("hws_2"));
        assert_eq!(form_check("hws_1").len(), 32);
    }
}
