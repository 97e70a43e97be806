//! The client's half of a kept MQTT session: always empty.
//!
//! MQTT wants a client that resumes a session to know its own unfinished publications. We publish with QoS 1 only and
//! report every unfinished publication as failed when a connection ends, so there is truly nothing to know, and nothing to
//! write to disk: a fresh client may take up the session that the broker kept for it.

use rumqttc::{PersistedAckMode, PersistedSession, SessionStore, SessionStoreError, SessionStoreKey};
use std::future::{Future, ready};
use std::pin::Pin;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// Answers every question with "nothing unfinished".
#[derive(Debug)]
pub struct NothingUnfinished {
    /// Seconds for which the broker keeps the session.
    pub expiry_seconds: u32,
    /// Most publications in flight; the library holds it against the connection's own.
    pub in_flight_max: u16,
}

impl SessionStore for NothingUnfinished {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Answer<'a, Option<PersistedSession>> {
        Box::pin(ready(Ok(Some(PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(self.expiry_seconds),
            outgoing_inflight_upper_limit: Some(self.in_flight_max),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        }))))
    }

    fn save<'a>(&'a self, _key: &'a SessionStoreKey, _session: &'a PersistedSession) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn clear<'a>(&'a self, _key: &'a SessionStoreKey) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}
