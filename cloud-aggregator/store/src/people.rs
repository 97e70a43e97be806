//! Who is logged in, and what waits for a second person.

use strum::IntoStaticStr;

use crate::actor::Actor;
use crate::rows::{Digest, Role};
use crate::store::StoreResult;

/// Most sessions at a time; the one that ends first makes room. 1,000 × some 300 bytes are 300 KB.
pub const SESSIONS_MAX: u64 = 1000;

/// Most calls that wait for a second person at a time: more than one operator could read.
pub const APPROVALS_WAITING_MAX: u64 = 100;

/// How long a call waits for a second person, seconds: a day, so that a night is no reason.
pub const APPROVAL_SECONDS: i64 = 86_400;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum SessionPurpose {
    /// The pages, in a browser: its secret is a cookie, which changes nothing by itself.
    Page,
    /// `hearthwatch-cloud ctl`: its secret is sent like a token.
    CommandLine,
}

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// How it is named to others; says nothing of the secret.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// Who it is: a token's name or a person's.
    pub holder: Actor,
    /// The person's identity at the provider, issuer and subject; none where a token opened the session.
    pub subject: Option<String>,
    /// Hash of the token that opened it; the session is worth what the token is worth.
    pub token: Option<Digest>,
    /// What the person may do.
    pub role: Role,
    /// Page or command line.
    pub purpose: SessionPurpose,
    /// When it began, Unix seconds.
    pub created_at: i64,
    /// When it was last used, Unix seconds; written once a minute at most.
    pub seen_at: i64,
    /// When it ends at the latest, Unix seconds.
    pub ends_at: i64,
}

/// What became of a call that a second person has to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum ApprovalState {
    /// Nobody has decided.
    Waiting,
    /// Approved, and being done.
    Approved,
    /// Approved and done; the answer says how it ended.
    Done,
    /// A second person said no, or the one who asked took it back.
    Denied,
}

/// A call that a second person has to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Counted from 1.
    pub id: u64,
    /// When it was asked for, Unix seconds.
    pub asked_at: i64,
    /// Until when it can be approved, Unix seconds.
    pub ends_at: i64,
    /// Who asked.
    pub asked_by: Actor,
    /// The asker's identity at the provider, if a person asked.
    pub subject: Option<String>,
    /// The asker's role then.
    pub role: Role,
    /// The call's method.
    pub method: String,
    /// The call's path with its query.
    pub place: String,
    /// The call's body.
    pub body: Vec<u8>,
    /// What it would do: the answer of its dry run, JSON.
    pub would: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was decided, Unix seconds.
    pub decided_at: Option<i64>,
    /// Who decided.
    pub decided_by: Option<Actor>,
    /// HTTP status of the call once done.
    pub answer_status: Option<u16>,
    /// The call's answer, JSON.
    pub answer: Option<String>,
}

/// The part of the aggregator's memory about people. Like [`super::Store`], every method is one transaction.
pub trait PeopleStore {
    /// Begins a session; forgets those that have ended, and above [`SESSIONS_MAX`] those that end first.
    fn put_session(&self, session: &SessionRow) -> StoreResult<()>;
    /// A session by its secret's hash, ended or not.
    fn session_by_hash(&self, hash: &Digest) -> StoreResult<Option<SessionRow>>;
    /// A session by its id, ended or not.
    fn session(&self, id: &str) -> StoreResult<Option<SessionRow>>;
    /// Notes that a session was used.
    fn touch_session(&self, hash: &Digest, at: i64) -> StoreResult<()>;
    /// Ends a session; the row that was, if there was one.
    fn end_session(&self, id: &str) -> StoreResult<Option<SessionRow>>;
    /// Sessions in order of their ids, after one of them.
    fn sessions_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<SessionRow>>;
    /// Keeps a call until a second person decides; its `id` is given anew and returned. None when [`APPROVALS_WAITING_MAX`] wait already.
    fn ask_approval(&self, asked: &ApprovalRow) -> StoreResult<Option<ApprovalRow>>;
    /// Decides on a call that waits at `at`; the row as it is then. None where it does not wait any more.
    fn decide_approval(&self, id: u64, state: ApprovalState, by: &Actor, at: i64) -> StoreResult<Option<ApprovalRow>>;
    /// Writes down how an approved call ended.
    fn end_approval(&self, id: u64, status: u16, answer: Option<&str>) -> StoreResult<()>;
    /// One call.
    fn approval(&self, id: u64) -> StoreResult<Option<ApprovalRow>>;
    /// Calls, newest first, before one of them.
    fn approvals_before(
        &self,
        state: Option<ApprovalState>,
        before: Option<u64>,
        limit: usize,
    ) -> StoreResult<Vec<ApprovalRow>>;
}
