//! What every handler stands on: who calls and from where, what they may, how often, and what they get when it goes wrong.

pub(crate) mod approved;
pub(crate) mod audit;
pub mod auth;
pub(crate) mod call;
pub(crate) mod conditional;
pub mod config;
pub mod connections;
pub mod dry_run;
pub(crate) mod events;
pub mod extract;
pub(crate) mod idempotent;
pub mod limiter;
pub mod limits;
pub mod origin;
pub mod paging;
pub mod problem;
pub(crate) mod request;
pub mod scope;
pub mod second_person;
pub mod sessions;
pub mod state;
pub mod stream;
pub mod words;

use std::sync::Arc;

use hearthwatch_provision::enrol::Enroller;
use hearthwatch_store::clock::{Clock, SystemClock};
use tokio::sync::{RwLock, Semaphore};

use self::limits::Limits;
use self::origin::Network;
use self::sessions::Lifetime;
use self::state::AppState;
use crate::login::Provider;

/// Pages that may be live at a time; each holds a connection.
const LIVE_PAGES_MAX: usize = 64;

/// What every handler holds on to. Cloning is cheap.
#[derive(Clone)]
pub struct Http {
    /// The rest of the program.
    pub app: AppState,
    pub(crate) lifetime: Lifetime,
    pub(crate) second_person: second_person::Kinds,
    /// Who says who somebody is; none where tokens alone let people in.
    pub(crate) provider: Option<Arc<Provider>>,
    pub(crate) limits: Arc<Limits>,
    /// Proxies whose word on a caller's address is taken.
    trusted: Arc<[Network]>,
    pub(crate) live_pages: Arc<Semaphore>,
    pub(crate) enroller: Option<Arc<Enroller>>,
    /// Held by calls that change something: alone by one that is done only if nothing has changed.
    pub(crate) changes: Arc<RwLock<()>>,
    wall: Arc<dyn Clock>,
    /// Whether callers come over TLS; decides about the cookie's name.
    pub(crate) tls: bool,
}

impl Http {
    /// An API of `app`, by the machine's clock, without enrolment. `tls`: whether callers come over TLS.
    #[must_use]
    pub fn new(app: AppState, tls: bool) -> Self {
        Self {
            trusted: Arc::clone(&app.trusted_proxies),
            app,
            lifetime: Lifetime::default(),
            second_person: Arc::from([]),
            provider: None,
            limits: Arc::default(),
            live_pages: Arc::new(Semaphore::new(LIVE_PAGES_MAX)),
            enroller: None,
            changes: Arc::default(),
            wall: Arc::new(SystemClock),
            tls,
        }
    }

    /// The same with an enrolment desk.
    #[must_use]
    pub fn with_enroller(self, enroller: Enroller) -> Self {
        Self { enroller: Some(Arc::new(enroller)), ..self }
    }

    /// The same with so many calls of one token a minute.
    #[must_use]
    pub fn with_calls_per_minute(self, count: u32) -> Self {
        Self { limits: Arc::new(Limits::of(count)), ..self }
    }

    /// The same where an identity provider lets people in.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        Self { provider: Some(Arc::new(provider)), ..self }
    }

    /// The same where calls of these kinds need two people.
    #[must_use]
    pub fn with_second_person(self, kinds: &[second_person::Guarded]) -> Self {
        Self { second_person: kinds.into(), ..self }
    }

    /// The same with sessions that last so long.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }

    /// The same by another clock for tokens, sessions and limits.
    #[must_use]
    pub fn with_wall(self, wall: Arc<dyn Clock>) -> Self {
        Self { wall, ..self }
    }

    /// The real time, Unix seconds: tokens and sessions end by it, even where recorded years are replayed.
    #[must_use]
    pub fn wall(&self) -> i64 {
        self.wall.now()
    }
}
