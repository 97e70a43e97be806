//! Certificates that were taken back: none of them connects, and a session that one of them holds ends.
//!
//! The ledger is a file that others write (the aggregator's `revoke`, the operator's command), so it is looked at several
//! times a second; it is read only when it has grown.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hearthwatch_provision::ledger::Ledger;
use rmqtt::codec::cert::CertInfo;
use rmqtt::context::ServerContext;

/// Time between two looks at the ledger.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was taken back, as known now.
#[derive(Clone)]
pub(super) struct Revoked {
    ledger: Ledger,
    serials: Arc<RwLock<BTreeSet<String>>>,
}

impl Revoked {
    /// Reads the ledger once, so that nothing taken back connects while the broker starts.
    pub fn read(ledger: Ledger) -> Self {
        let revoked = Self { ledger, serials: Arc::default() };
        revoked.refresh();
        revoked
    }

    /// Whether this certificate was taken back. One without a serial number is none of ours.
    pub fn covers(&self, certificate: &CertInfo) -> bool {
        let serials = self.serials.read().unwrap_or_else(PoisonError::into_inner);
        certificate.serial.as_ref().is_none_or(|serial| serials.contains(serial))
    }

    /// Ends the sessions of certificates that are taken back, as long as the broker runs.
    pub async fn enforce(self, context: ServerContext) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut seen = self.length();
        loop {
            looks.tick().await;
            let length = self.length();
            if length != seen && self.refresh() {
                seen = length;
                self.cut(&context).await;
            }
        }
    }

    fn length(&self) -> u64 {
        std::fs::metadata(self.ledger.revocations_file()).map_or(0, |file| file.len())
    }

    /// Whether the ledger could be read; a damaged one leaves what was known.
    fn refresh(&self) -> bool {
        match self.ledger.revoked_serials() {
            Ok(serials) => {
                *self.serials.write().unwrap_or_else(PoisonError::into_inner) = serials;
                true
            }
            Err(error) => {
                tracing::error!(%error, "what was taken back is not known");
                false
            }
        }
    }

    async fn cut(&self, context: &ServerContext) {
        let shared = context.extends.shared().await;
        let mut gone = Vec::new();
        for entry in shared.iter() {
            let Some(session) = entry.session() else { continue };
            let info = session.connect_info().await;
            if info.is_ok_and(|info| info.cert().is_some_and(|certificate| self.covers(certificate))) {
                gone.push(entry.id());
            }
        }
        for id in gone {
            tracing::info!(client.id = %id.client_id, "session ended: its certificate was taken back");
            // By an administrator: the will is published, so that the fleet sees the home go.
            if let Err(error) = shared.entry(id).kick(true, true, true).await {
                tracing::warn!(%error, "a session did not end");
            }
        }
    }
}
