//! Lists by filter, order and page.

use hearthwatch_protocol::messages::{AgentStatus, Verdict};
use hearthwatch_protocol::{RecordKey, Sequence};

use super::*;
use crate::fixtures::{NOW, home, record, row, store};
use crate::rollouts::{ExclusionRow, RolloutStore as _};
use crate::{Actor, Change, IngestBatch, Note, Store as _};

fn status(online: bool, model: u64, entities: u32) -> AgentStatus {
    let model_version = ModelVersion(model);
    AgentStatus { online, agent_version: "0.1.0".to_owned(), model_version, entities, outbox: 0 }
}

/// Five homes, each of which stands in its own way.
fn fleet() -> (tempfile::TempDir, SqliteStore) {
    let (directory, store) = store();
    for name in ["attic-1", "attic-2", "barn", "cellar", "den"] {
        store.enrol_home(&home(name), NOW - 1_000).unwrap();
    }
    let heard = |name: &str, said: AgentStatus, at| {
        store.apply(&IngestBatch { statuses: vec![(home(name), said)], at, ..IngestBatch::default() }).unwrap();
    };
    heard("attic-1", status(true, 2, 30), NOW - 10);
    heard("attic-2", status(false, 1, 20), NOW - 100);
    heard("barn", status(false, 1, 10), NOW - 500_000);
    store.revoke_home(&home("den"), NOW).unwrap();
    let (reason, by) = ("odd".to_owned(), Actor::System);
    store.exclude_home(&ExclusionRow { home: home("barn"), reason, by, at: NOW, lifted: None }).unwrap();
    (directory, store)
}

fn names(store: &SqliteStore, query: &HomeQuery) -> Vec<String> {
    let query = HomeQuery { late_before: NOW - 86_400, ..query.clone() };
    store.list_homes(&query).unwrap().into_iter().map(|listed| listed.row.home.to_string()).collect()
}

fn tag(store: &SqliteStore, name: &str, tags: &[&str]) {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let note = Note::because(NOW, Actor::System, "home.tag", "sorted");
    store.change(&Change::TagHome { home: home(name), tags }, &note).unwrap();
}

#[test]
fn homes_are_found_by_state_name_model_tag_and_exclusion() {
    let (_directory, store) = fleet();
    let of = |query: HomeQuery| names(&store, &query);
    for (state, expected) in [
        (HomeState::Online, "attic-1"),
        (HomeState::Offline, "attic-2"),
        (HomeState::Late, "barn"),
        (HomeState::NeverSeen, "cellar"),
        (HomeState::Revoked, "den"),
    ] {
        assert_eq!(of(HomeQuery { state: Some(state), ..HomeQuery::default() }), [expected]);
    }
    assert_eq!(of(HomeQuery { name: Some("attic".to_owned()), ..HomeQuery::default() }), ["attic-1", "attic-2"]);
    assert!(of(HomeQuery { name: Some("%".to_owned()), ..HomeQuery::default() }).is_empty());
    assert_eq!(of(HomeQuery { excluded: Some(true), ..HomeQuery::default() }), ["barn"]);
    assert_eq!(of(HomeQuery { model_version: Some(ModelVersion(1)), ..HomeQuery::default() }), ["attic-2", "barn"]);
    tag(&store, "barn", &["pilot", "nyc"]);
    tag(&store, "den", &["pilot"]);
    let tagged = |tags: &[&str]| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        of(HomeQuery { tags, ..HomeQuery::default() })
    };
    assert_eq!(
        (tagged(&["pilot"]), tagged(&["pilot", "nyc"])),
        (vec!["barn".into(), "den".into()], vec!["barn".into()])
    );
    assert_eq!(store.tags().unwrap(), [("nyc".to_owned(), 1), ("pilot".to_owned(), 2)]);
    let listed = store.listed_home(&home("barn"), NOW - 86_400).unwrap().unwrap();
    assert_eq!((listed.state, listed.excluded, listed.tags.len()), (HomeState::Late, true, 2));
    assert_eq!(store.listed_home(&home("nobody"), 0).unwrap(), None);
}

#[test]
fn pages_in_any_order_hold_each_home_once() {
    let (_directory, store) = fleet();
    for order in [HomeOrder::Home, HomeOrder::HeardAt, HomeOrder::Entities, HomeOrder::EnrolledAt] {
        for direction in [Direction::Up, Direction::Down] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let query = HomeQuery { order, direction, after, limit: 2, ..HomeQuery::default() };
                let page = store.list_homes(&query).unwrap();
                let Some(last) = page.last() else { break };
                after = Some((Some(last.value), last.row.home.clone()));
                seen.extend(page.into_iter().map(|listed| listed.row.home.to_string()));
            }
            let whole = names(&store, &HomeQuery { order, direction, ..HomeQuery::default() });
            assert_eq!(seen, whole, "{order:?} {direction:?}");
            seen.sort();
            assert_eq!(seen, ["attic-1", "attic-2", "barn", "cellar", "den"]);
        }
    }
    let heard = HomeQuery { order: HomeOrder::HeardAt, direction: Direction::Down, limit: 2, ..HomeQuery::default() };
    assert_eq!(names(&store, &heard), ["attic-1", "attic-2"]);
}

#[test]
fn answers_are_found_by_what_their_payload_says_and_come_newest_first() {
    let (_directory, store) = store();
    store.enrol_home(&home("a"), 1).unwrap();
    let answer = |sequence, class: &str, verdict, at| {
        let device_class = class.to_owned();
        let mut row = row(crate::fixtures::record("a", sequence));
        row = crate::fixtures::row(hearthwatch_protocol::messages::FeedbackRecord {
            device_class,
            verdict,
            ..row.record
        });
        row.received_at = at;
        row
    };
    let feedback = vec![
        answer(1, "power", Verdict::Confirmed, NOW),
        answer(2, "door", Verdict::Dismissed, NOW + 5),
        answer(3, "power", Verdict::Dismissed, NOW + 5),
    ];
    store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
    let of = |query: FeedbackQuery| -> Vec<u64> {
        store.list_feedback(&query).unwrap().iter().map(|row| row.record.sequence.0).collect()
    };
    assert_eq!(of(FeedbackQuery { device_class: Some("power".to_owned()), ..FeedbackQuery::default() }), [1, 3]);
    let newest = FeedbackQuery { newest_first: true, limit: 2, ..FeedbackQuery::default() };
    assert_eq!(of(newest.clone()), [3, 2]);
    let key = RecordKey { home: home("a"), sequence: Sequence(2) };
    assert_eq!(of(FeedbackQuery { after: Some((Some(NOW + 5), key)), ..newest }), [1]);
    assert_eq!(
        of(FeedbackQuery { verdict: Some(Verdict::Dismissed), since: Some(NOW + 1), ..FeedbackQuery::default() }),
        [2, 3]
    );
    assert_eq!(
        of(FeedbackQuery { origin: Some("alarm".to_owned()), until: Some(NOW + 1), ..FeedbackQuery::default() }),
        [1]
    );
    assert_eq!(record("a", 1).model_version, ModelVersion(0));
    assert!(of(FeedbackQuery { model_version: Some(ModelVersion(4)), ..FeedbackQuery::default() }).is_empty());
}

#[test]
fn what_a_change_would_do_is_said_and_not_done() {
    let (_directory, store) = fleet();
    let note = Note::because(NOW, Actor::System, "home.revoke", "tried");
    let line = store.try_change(&Change::RevokeHome { home: home("barn"), at: NOW }, &note).unwrap();
    assert!(line.detail.contains("\"before\":{\"row_version\":1,\"state\":\"admitted\"}"), "{}", line.detail);
    assert_eq!(store.home(&home("barn")).unwrap().unwrap().revoked_at, None);
    assert_eq!(store.audit(None, 0).unwrap(), []);
}
