//! What tests of this crate and of those above it build on: an intake without a broker. No program uses it.

use std::sync::Arc;

use bytes::Bytes;
use hearthwatch_protocol::messages::{Withdrawal, WithdrawalScope};
use hearthwatch_protocol::{Message, Topic, encode};
use hearthwatch_store::fixtures::{NOW, home};
use hearthwatch_store::{FeedbackFilter, FeedbackRow, QuarantineRow, Store, StoreResult};
use hearthwatch_telemetry::metrics::Metrics;

use crate::{BatchReport, BatchTaker};

/// A store with the homes `a` and `b`, and who takes batches for it.
pub struct World {
    _directory: tempfile::TempDir,
    /// Where what is taken goes.
    pub store: Arc<dyn Store>,
    /// Asks of answers what a fleet's does.
    pub taker: BatchTaker,
}

/// One of its own for a test.
pub fn world() -> World {
    let (directory, store) = hearthwatch_store::fixtures::store();
    let store: Arc<dyn Store> = Arc::new(store);
    for name in ["a", "b"] {
        store.enrol_home(&home(name), 1).unwrap();
    }
    let taker = BatchTaker::new(Arc::clone(&store), Arc::new(Metrics::new()));
    World { _directory: directory, store, taker }
}

impl World {
    /// What came of a batch, without the digests.
    pub fn take(&self, messages: &[(String, Bytes)], now: i64) -> StoreResult<BatchReport> {
        self.taker.take(messages, now).map(bare)
    }

    /// The answers that are stored.
    pub fn stored(&self) -> Vec<FeedbackRow> {
        self.store.feedback(&FeedbackFilter::default()).unwrap()
    }

    /// What was put into quarantine last.
    pub fn refused(&self) -> QuarantineRow {
        self.store.quarantine(1).unwrap().remove(0)
    }
}

/// Without the digests, which tests of their own look at.
pub fn bare(mut report: BatchReport) -> BatchReport {
    report.receipts.iter_mut().for_each(|(_, receipt)| receipt.digests.clear());
    report
}

/// What a home takes back, as the broker delivers it.
pub fn withdrawal(home_name: &str, id: u64, scope: WithdrawalScope) -> (String, Bytes) {
    let body = Withdrawal { home: home(home_name), id, scope, at: NOW - 5 };
    let payload = encode(&Message::Withdrawal(body)).unwrap();
    (Topic::Withdrawal(home(home_name)).to_string(), Bytes::from(payload))
}
