//! What every engine must do alike.

use hearthwatch_protocol::limits::RECEIPT_DIGESTS_MAX;
use hearthwatch_protocol::messages::{
    AgentStatus, Refusal, RefusalReason, UpdateOutcome, UpdateResult, UpdateStage, Verdict, Withdrawal, WithdrawalScope,
};
use hearthwatch_protocol::{ModelVersion, RecordKey, Sequence};

use crate::fixtures::{NOW, announced, entry, home, model, record, refusal, release, row, run, snapshot, status};
use crate::*;

/// One `#[test]` for each case on each engine, in a store of its own that `$prepare` was given before.
macro_rules! on_every_engine {
    ($name:ident, $prepare:ident, [$($case:ident),+ $(,)?]) => {
        mod $name {
            mod sqlite {
                $(#[test]
                fn $case() {
                    let (_guard, store) = crate::fixtures::store();
                    crate::tests::$prepare(&store);
                    super::super::$case(&store);
                })+
            }
        }
    };
}

mod administration;
mod ingest;
mod quarantine;
mod rounds;
mod standings;

fn nobody(_: &dyn Store) {}

fn enrol(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
}

fn home_a(store: &dyn Store) -> HomeRow {
    store.home(&home("a")).unwrap().unwrap()
}

fn key(sequence: u64) -> RecordKey {
    RecordKey { home: home("a"), sequence: Sequence(sequence) }
}

fn feedback(home_name: &str, sequences: &[u64]) -> IngestBatch {
    let rows = sequences.iter().map(|sequence| row(record(home_name, *sequence))).collect();
    IngestBatch { feedback: rows, at: NOW, ..IngestBatch::default() }
}

fn refused(home_name: &str, sequence: u64) -> Handled {
    let key = RecordKey { home: home(home_name), ..key(sequence) };
    Handled { key, digest: [7; 32], refused: Some(RefusalReason::NotFinite) }
}

fn through(progress: &[HomeProgress]) -> Vec<(String, u64)> {
    progress.iter().map(|home| (home.home.to_string(), home.through.0)).collect()
}

fn ann() -> Actor {
    Actor::Token("ann".to_owned())
}

fn answers(store: &dyn Store) -> Vec<FeedbackRow> {
    store.feedback(&FeedbackFilter::default()).unwrap()
}

fn asking(at: i64) -> IngestBatch {
    IngestBatch { asking: vec![home("a")], at, ..IngestBatch::default() }
}

fn through_number(last: u64) -> WithdrawalScope {
    WithdrawalScope::Through(Sequence(last))
}

fn withdrawal(id: u64, scope: WithdrawalScope) -> Withdrawal {
    Withdrawal { home: home("a"), id, scope, at: NOW - 1 }
}

fn take_back(store: &dyn Store, id: u64, scope: WithdrawalScope) -> WithdrawalRow {
    store.withdraw(&withdrawal(id, scope), NOW).unwrap()
}

fn token(name: &str, hash: u8, role: Role, expires_at: Option<i64>) -> TokenRow {
    TokenRow {
        name: name.to_owned(),
        hash: [hash; 32],
        role,
        scopes: None,
        created_at: 1,
        expires_at,
        revoked_at: None,
    }
}
