//! What comes in and is taken back again, up to the next data set.

use std::collections::BTreeMap;

use hearthwatch_ingest::fixtures::{World, withdrawal, world};
use hearthwatch_protocol::Sequence;
use hearthwatch_protocol::messages::{
    FeatureWindow, FeedbackRecord, Receipt, Refusal, RefusalReason, WithdrawalReceipt, WithdrawalScope,
};
use hearthwatch_store::fixtures::{NOW, announcement, home, message, record};
use hearthwatch_store::{Actor, QuarantineChoice, QuarantineEnd};

use super::whole::Whole;
use super::{Consumed, take};

fn everything(world: &World) -> Whole {
    take(world.store.as_ref(), "corpus", &Consumed::default()).unwrap()
}

#[test]
fn what_a_home_takes_back_is_gone_from_the_next_snapshot_and_the_home_hears_it() {
    let world = world();
    let messages = [record("a", 1), record("a", 2), record("b", 1)].map(|record| message(&record));
    world.take(&messages, NOW).unwrap();
    let before = everything(&world);
    let taken_back = [withdrawal("a", 1, WithdrawalScope::Records(vec![Sequence(2), Sequence(9)]))];
    let report = world.take(&taken_back, NOW + 1).unwrap();
    let receipt = WithdrawalReceipt { id: 1, removed: 1, models: vec![], at: NOW + 1 };
    assert_eq!(report.withdrawn, [(home("a"), receipt.clone())]);
    let after = everything(&world);
    let left: Vec<_> = after.examples.iter().map(|example| example.key.to_string()).collect();
    assert_ne!(before.id, after.id);
    assert!(left.iter().all(|key| !key.starts_with("a/2")) && after.lineage.homes[&home("a")].answers == 1, "{left:?}");
    // Said again, because the receipt was lost: the same receipt, nothing more deleted.
    assert_eq!(world.take(&taken_back, NOW + 9).unwrap().withdrawn, [(home("a"), receipt)]);
    let audit = world.store.audit(None, 10).unwrap();
    assert_eq!(audit.iter().filter(|line| line.action == "home.withdraw").count(), 1);
}

#[test]
fn a_verdict_without_a_window_is_stored_and_teaches_nothing() {
    let world = world();
    let alone = FeedbackRecord { window: FeatureWindow::none(), ..record("a", 1) };
    assert_eq!(world.take(&[message(&alone)], NOW).unwrap().stored, 1);
    let snapshot = everything(&world);
    assert_eq!((snapshot.examples.len(), snapshot.lineage.homes[&home("a")].windowless), (0, 1));
}

#[test]
fn an_answer_to_what_was_announced_otherwise_is_quarantined_whole_and_lifting_it_teaches_the_next_snapshot() {
    let world = world();
    let mut answer = record("a", 2);
    let announced = announcement(&answer, 1);
    answer.window.values[0] = 7.0;
    let report = world.take(&[announced, message(&answer)], NOW).unwrap();
    let refused = vec![Refusal { sequence: Sequence(2), reason: RefusalReason::NotAnnounced }];
    assert_eq!(report.receipts, [(home("a"), Receipt { through: Sequence(2), refused, digests: vec![] })]);
    let refused = world.refused();
    assert_eq!(refused.reason, RefusalReason::NotAnnounced);
    assert_eq!(refused.detail, "announced with another window");
    // The champion has learnt from everything of this home so far; what is lifted later is new to it.
    let through = BTreeMap::from([(home("a"), Sequence(2))]);
    let consumed = Consumed { through, ..Consumed::default() };
    let examples = |consumed| take(world.store.as_ref(), "corpus", consumed).unwrap();
    assert_eq!(examples(&consumed).examples.len(), 0);
    let choice = QuarantineChoice::HomeReason(home("a"), RefusalReason::NotAnnounced);
    let ann = Actor::Token("ann".to_owned());
    let settled = world.store.settle_quarantine(&choice, QuarantineEnd::Lifted, &ann, "looked at", NOW + 9).unwrap();
    assert_eq!(settled.rows, 1);
    let snapshot = examples(&consumed);
    assert_eq!((snapshot.examples.len(), snapshot.lineage.lifts), (1, settled.audit.unwrap()));
    let consumed = Consumed { lifts: snapshot.lineage.lifts, ..consumed.clone() };
    assert_eq!(examples(&consumed).examples.len(), 0, "and is learnt from once");
}
