//! What every engine must do alike. Each test here runs on each engine listed at the end.

use hearthwatch_protocol::limits::RECEIPT_DIGESTS_MAX;
use hearthwatch_protocol::messages::{
    AgentStatus, Refusal, RefusalReason, UpdateOutcome, UpdateResult, UpdateStage, Verdict, Withdrawal, WithdrawalScope,
};
use hearthwatch_protocol::{ModelVersion, RecordKey, Sequence};

use crate::fixtures::{NOW, announced, home, record, row};
use crate::rollouts::ExclusionRow;
use crate::run_requests::RunRequestRow;
use crate::*;

fn feedback(home_name: &str, sequences: &[u64]) -> IngestBatch {
    let rows = sequences.iter().map(|sequence| row(record(home_name, *sequence))).collect();
    IngestBatch { feedback: rows, at: NOW, ..IngestBatch::default() }
}

fn refused(home_name: &str, sequence: u64) -> Handled {
    let key = RecordKey { home: home(home_name), sequence: Sequence(sequence) };
    Handled { key, digest: [7; 32], refused: Some(RefusalReason::NotFinite) }
}

fn through(progress: &[HomeProgress]) -> Vec<(String, u64)> {
    progress.iter().map(|home| (home.home.to_string(), home.through.0)).collect()
}

fn a_home_is_enrolled_once_and_a_revoked_one_stays_revoked(store: &dyn Store) {
    assert!(store.enrol_home(&home("a"), 1).unwrap());
    assert!(!store.enrol_home(&home("a"), 2).unwrap());
    store.revoke_home(&home("a"), 3).unwrap();
    assert!(!store.enrol_home(&home("a"), 4).unwrap());
    let found = store.home(&home("a")).unwrap().unwrap();
    assert_eq!((found.enrolled_at, found.revoked_at), (1, Some(3)));
    store.restore_home(&home("a")).unwrap();
    assert_eq!(store.home(&home("a")).unwrap().unwrap().revoked_at, None);
    assert!(matches!(store.revoke_home(&home("b"), 5), Err(StoreError::NotFound { noun: "home", .. })));
    assert_eq!(store.home(&home("b")).unwrap(), None);
}

fn through_goes_as_far_as_there_is_no_gap(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    assert_eq!(through(&store.apply(&feedback("a", &[1, 2, 4])).unwrap()), [("a".to_owned(), 2)]);
    assert_eq!(through(&store.apply(&feedback("a", &[5])).unwrap()), [("a".to_owned(), 2)]);
    assert_eq!(through(&store.apply(&feedback("a", &[3])).unwrap()), [("a".to_owned(), 5)]);
    assert_eq!(store.home(&home("a")).unwrap().unwrap().through, Sequence(5));
}

fn a_refused_record_fills_its_place_and_is_named_once_it_is_passed(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let batch = IngestBatch { refused: vec![refused("a", 2)], at: NOW, ..IngestBatch::default() };
    assert_eq!(store.apply(&batch).unwrap()[0].refused, [], "not before the receipt covers it");
    let progress = store.apply(&feedback("a", &[1, 3])).unwrap();
    let expected = Refusal { sequence: Sequence(2), reason: RefusalReason::NotFinite };
    assert_eq!((progress[0].through, &progress[0].refused[..]), (Sequence(3), &[expected][..]));
    assert_eq!(store.apply(&feedback("a", &[4])).unwrap()[0].refused, []);
}

fn a_missing_record_is_given_up_after_a_day_and_not_before(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    store.apply(&feedback("a", &[1, 4])).unwrap();
    let asking = |at| IngestBatch { asking: vec![home("a")], at, ..IngestBatch::default() };
    let early = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS - 1)).unwrap();
    assert_eq!((early[0].through, early[0].lost), (Sequence(1), 0));
    let late = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS)).unwrap();
    assert_eq!((late[0].through, late[0].lost), (Sequence(4), 2));
    let stored = store.apply(&feedback("a", &[2])).unwrap();
    assert_eq!(stored[0].through, Sequence(4), "one that comes after all is still stored");
    assert_eq!(store.feedback_totals().unwrap().records, 3);
}

fn what_stands_under_the_last_numbers_is_told(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let once_more = Handled { refused: None, ..refused("a", 4) };
    let batch = IngestBatch {
        refused: vec![refused("a", 2)],
        announced: vec![AnnouncedRow { digest: [3; 32], ..announced(&record("a", 1), 3) }],
        repeated: vec![(once_more, Sequence(1))],
        ..feedback("a", &[1])
    };
    let told = store.apply(&batch).unwrap().remove(0).digests;
    assert_eq!(told, [Some(batch.feedback[0].digest), Some([7; 32]), Some([3; 32]), Some([7; 32])]);

    // 5 is taken back before it came, 6 never comes, and what is taken back later keeps its bytes.
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope: WithdrawalScope::Through(Sequence(5)), at: NOW };
    store.withdraw(&withdrawal, NOW).unwrap();
    let late = feedback("a", &[7]);
    store.apply(&late).unwrap();
    let asking = IngestBatch { asking: vec![home("a")], at: NOW + GAP_PATIENCE_SECONDS, ..IngestBatch::default() };
    let again = store.apply(&asking).unwrap().remove(0).digests;
    assert_eq!(again[..4], told);
    assert_eq!(again[4..], [Some([0; 32]), None, Some(late.feedback[0].digest)]);

    let many: Vec<u64> = (8..=50).collect();
    let last = store.apply(&feedback("a", &many)).unwrap().remove(0);
    assert_eq!((last.through.0, last.digests.len()), (50, RECEIPT_DIGESTS_MAX));
    assert_eq!(last.digests[0], Some(row(record("a", 19)).digest), "32 numbers before 51");
}

fn a_record_is_stored_once(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    store.apply(&feedback("a", &[1])).unwrap();
    let mut again = feedback("a", &[1]);
    again.feedback[0].digest = [9; 32];
    store.apply(&again).unwrap();
    assert_eq!(store.feedback(&FeedbackFilter::default()).unwrap(), feedback("a", &[1]).feedback);
    assert_eq!(store.home(&home("a")).unwrap().unwrap().records, 1);
}

fn what_was_handled_is_known_by_its_key(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let batch = IngestBatch { refused: vec![refused("a", 2)], ..feedback("a", &[1]) };
    store.apply(&batch).unwrap();
    let key = |sequence| RecordKey { home: home("a"), sequence: Sequence(sequence) };
    let stored = Handled { key: key(1), digest: batch.feedback[0].digest, refused: None };
    assert_eq!(store.handled(&[key(1), key(2), key(3)]).unwrap(), [stored, refused("a", 2)]);
    assert_eq!(store.received_since(&home("a"), NOW).unwrap(), Received { answers: 1, ..Received::default() });
    assert_eq!(store.received_since(&home("a"), NOW + 1).unwrap(), Received::default());
}

fn a_stranger_makes_no_progress(store: &dyn Store) {
    let batch = IngestBatch { asking: vec![home("nobody")], at: NOW, ..IngestBatch::default() };
    assert_eq!(store.apply(&batch).unwrap(), []);
}

fn feedback_comes_in_order_of_home_and_sequence_and_in_pages(store: &dyn Store) {
    for name in ["b", "a"] {
        store.enrol_home(&home(name), 1).unwrap();
    }
    store.apply(&feedback("b", &[2, 1])).unwrap();
    store.apply(&feedback("a", &[10, 9])).unwrap();
    let keys = |filter: &FeedbackFilter| -> Vec<String> {
        store.feedback(filter).unwrap().iter().map(|row| row.record.key().to_string()).collect()
    };
    assert_eq!(keys(&FeedbackFilter::default()), ["a/9", "a/10", "b/1", "b/2"]);
    let after = Some(RecordKey { home: home("a"), sequence: Sequence(9) });
    assert_eq!(keys(&FeedbackFilter { after, limit: 2, ..FeedbackFilter::default() }), ["a/10", "b/1"]);
    assert_eq!(keys(&FeedbackFilter { home: Some(home("b")), ..FeedbackFilter::default() }), ["b/1", "b/2"]);
}

fn totals_count_each_answer(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let mut batch = feedback("a", &[1, 2, 3]);
    batch.feedback[1].record.verdict = Verdict::Dismissed;
    batch.feedback[2].record.verdict = Verdict::Expected;
    store.apply(&batch).unwrap();
    let expected = FeedbackTotals { records: 3, confirmed: 1, dismissed: 1, expected: 1, homes: 1 };
    assert_eq!(store.feedback_totals().unwrap(), expected);
}

/// A row of a home that is too large to be let in, with a number to tell it by.
fn refused_row(home_name: &str, number: u64, whole: bool) -> QuarantineRow {
    QuarantineRow {
        id: 0,
        reason: RefusalReason::Malformed,
        detail: format!("number {number}"),
        topic: "t".to_owned(),
        home: Some(home(home_name)),
        sequence: None,
        prefix: vec![1],
        length: 1,
        payload: whole.then(|| bytes::Bytes::from_static(b"x")),
        settled: None,
        at: NOW,
    }
}

fn quarantine(store: &dyn Store, rows: Vec<QuarantineRow>) {
    store.apply(&IngestBatch { quarantine: rows, at: NOW, ..IngestBatch::default() }).unwrap();
}

fn the_quarantine_keeps_the_newest_of_each_home_and_shows_them_first(store: &dyn Store) {
    quarantine(store, (0..QUARANTINE_HOME_ROWS_MAX + 5).map(|number| refused_row("a", number, false)).collect());
    let kept = store.quarantine(0).unwrap();
    assert_eq!(kept.len() as u64, QUARANTINE_HOME_ROWS_MAX);
    assert_eq!(kept[0].detail, format!("number {}", QUARANTINE_HOME_ROWS_MAX + 4));
    assert_eq!(kept.last().unwrap().detail, "number 5");
    assert_eq!(store.quarantine(3).unwrap().len(), 3);
}

fn a_home_cannot_push_another_ones_entry_out_of_quarantine(store: &dyn Store) {
    quarantine(store, vec![refused_row("victim", 1, true)]);
    for _ in 0..3 {
        quarantine(store, (0..QUARANTINE_ROWS_MAX).map(|number| refused_row("hostile", number, true)).collect());
    }
    // Many hostile homes fill it to the brim, and one more gives up what it holds most of.
    let homes = QUARANTINE_ROWS_MAX / QUARANTINE_HOME_ROWS_MAX + 7;
    for index in 0..homes {
        let name = format!("hostile-{index}");
        quarantine(store, (0..QUARANTINE_HOME_ROWS_MAX).map(|number| refused_row(&name, number, true)).collect());
    }
    let kept = store.quarantine(0).unwrap();
    assert_eq!(kept.len() as u64, QUARANTINE_ROWS_MAX);
    let of = |name: &str| kept.iter().filter(|row| row.home == Some(home(name))).collect::<Vec<_>>();
    assert_eq!(of("victim").len(), 1);
    assert!(of("victim")[0].payload.is_some(), "and it can still be let in");
    assert!(of("hostile-0").len() >= 40, "they share alike");
    assert_eq!(kept.iter().filter(|row| row.payload.is_some()).count() as u64, QUARANTINE_PAYLOADS_MAX);
}

fn a_status_and_an_outcome_are_kept_with_their_home(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let status = AgentStatus {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(2),
        entities: 31,
        outbox: 4,
    };
    let outcome = UpdateOutcome::rolled_back(ModelVersion(2), "deaf".to_owned(), ModelVersion(1), NOW - 5);
    let batch = IngestBatch {
        statuses: vec![(home("a"), status)],
        outcomes: vec![(home("a"), outcome.clone()), (home("a"), outcome.clone())],
        at: NOW,
        ..IngestBatch::default()
    };
    store.apply(&batch).unwrap();
    let heard = store.home(&home("a")).unwrap().unwrap().status.unwrap();
    assert_eq!((heard.online, heard.model_version, heard.outbox, heard.heard_at), (true, ModelVersion(2), 4, NOW));
    let outcomes = store.outcomes(Some(ModelVersion(2)), 0).unwrap();
    assert_eq!(outcomes.len(), 1, "said twice, kept once");
    assert_eq!((outcomes[0].result.clone(), outcomes[0].at), (outcome.result, NOW - 5));
    assert_eq!(store.outcomes(Some(ModelVersion(3)), 0).unwrap(), []);
}

fn say(store: &dyn Store, home_name: &str, outcome: UpdateOutcome, at: i64) {
    let outcomes = vec![(home(home_name), outcome)];
    store.apply(&IngestBatch { outcomes, at, ..IngestBatch::default() }).unwrap();
}

fn one_word_of_a_home_on_a_release_counts_and_it_is_the_last_by_its_own_clock(store: &dyn Store) {
    let version = ModelVersion(2);
    let back = UpdateOutcome::rolled_back(version, "deaf".to_owned(), ModelVersion(1), NOW + 5);
    say(store, "a", UpdateOutcome::installed(version, NOW), NOW);
    say(store, "a", back.clone(), NOW + 6);
    say(store, "a", UpdateOutcome::installed(version, NOW), NOW + 7);
    say(store, "a", UpdateOutcome::installed(version, i64::MIN), NOW + 8);
    for number in 0..500 {
        say(store, "b", UpdateOutcome::installed(version, NOW + number), NOW);
    }
    let kept = store.outcomes(Some(version), 0).unwrap();
    let of = |name: &str| kept.iter().filter(|row| row.home == home(name)).collect::<Vec<_>>();
    assert_eq!((of("a").len(), of("b").len()), (1, 1));
    assert_eq!((&of("a")[0].result, of("a")[0].received_at), (&back.result, NOW + 6));
    assert_eq!(of("b")[0].at, NOW + 499);
}

fn a_word_about_the_mirror_stands_beside_the_one_about_the_release(store: &dyn Store) {
    let version = ModelVersion(2);
    let stale = |at| UpdateOutcome::refused(version, UpdateStage::Verify, "expired: of last week".to_owned(), at);
    say(store, "a", UpdateOutcome::installed(version, NOW), NOW);
    say(store, "a", stale(NOW + 1), NOW + 1);
    say(store, "a", stale(NOW + 2), NOW + 2);
    let kept = store.outcomes(Some(version), 0).unwrap();
    let found: Vec<_> = kept.iter().map(|row| (row.stage, row.weighs_on_release(), row.at)).collect();
    assert_eq!(found, [(Some(UpdateStage::Verify), false, NOW + 2), (Some(UpdateStage::Run), true, NOW)]);
}

fn a_number_at_the_end_of_all_numbers_overflows_nothing(store: &dyn Store) {
    // As a store may hold it that was written before such numbers were refused.
    store.enrol_home(&home("a"), 1).unwrap();
    let last = i64::MAX as u64;
    store.apply(&feedback("a", &[1, last])).unwrap();
    let asking = |at| IngestBatch { asking: vec![home("a")], at, ..IngestBatch::default() };
    let given_up = store.apply(&asking(NOW + GAP_PATIENCE_SECONDS)).unwrap().remove(0);
    assert_eq!((given_up.through, given_up.lost), (Sequence(last), last - 2));
    assert_eq!(given_up.digests.len(), RECEIPT_DIGESTS_MAX);
    for (id, scope) in
        [(1, WithdrawalScope::Through(Sequence(u64::MAX))), (2, WithdrawalScope::Records(vec![Sequence(last)]))]
    {
        store.withdraw(&Withdrawal { home: home("a"), id, scope, at: i64::MIN }, NOW).unwrap();
    }
    assert_eq!(through(&store.apply(&asking(i64::MAX)).unwrap()), [("a".to_owned(), last)]);
}

fn what_is_taken_back_far_ahead_settles_nothing(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let near = WITHDRAWN_AHEAD_MAX as u64;
    let scope = WithdrawalScope::Records([near, near + 1, i64::MAX as u64, u64::MAX].map(Sequence).to_vec());
    store.withdraw(&Withdrawal { home: home("a"), id: 1, scope, at: NOW }, NOW).unwrap();
    let keys =
        [near, near + 1, i64::MAX as u64].map(|sequence| RecordKey { home: home("a"), sequence: Sequence(sequence) });
    let settled: Vec<u64> = store.handled(&keys).unwrap().iter().map(|handled| handled.key.sequence.0).collect();
    assert_eq!(settled, [near]);
}

fn trying_whether_anything_can_be_stored_leaves_nothing_behind(store: &dyn Store) {
    store.probe().unwrap();
    store.probe().unwrap();
    assert_eq!((store.homes().unwrap(), store.feedback_totals().unwrap()), (vec![], FeedbackTotals::default()));
    assert_eq!(store.outcomes(None, 0).unwrap(), []);
}

fn a_snapshot_keeps_its_first_date_and_its_furthest_watermark(store: &dyn Store) {
    let row = |watermark, created_at| SnapshotRow {
        id: "s".to_owned(),
        created_at,
        rows: 1,
        homes: 1,
        watermark,
        corpus: "c".to_owned(),
        lineage: format!("{{\"watermark\":{watermark}}}"),
    };
    store.put_snapshot(&row(5, 1)).unwrap();
    store.put_snapshot(&row(9, 2)).unwrap();
    store.put_snapshot(&row(7, 3)).unwrap();
    assert_eq!(store.snapshot("s").unwrap(), Some(row(9, 1)));
    assert_eq!(store.snapshots(10).unwrap().len(), 1);
}

fn a_run_is_one_row_however_often_it_is_written(store: &dyn Store) {
    let running = RunRow {
        id: "r".to_owned(),
        snapshot: "s".to_owned(),
        trigger: RunTrigger::Hand,
        config: "{}".to_owned(),
        champion: Some(ModelVersion(3)),
        state: RunState::Running,
        started_at: 1,
        ended_at: None,
        challenger: None,
        report: None,
        failure: None,
    };
    store.put_run(&running).unwrap();
    let held = RunRow {
        state: RunState::Held,
        ended_at: Some(2),
        challenger: Some("ab".to_owned()),
        report: Some("{\"verdict\":\"hold\"}".to_owned()),
        ..running
    };
    store.put_run(&held).unwrap();
    assert_eq!(store.run("r").unwrap(), Some(held.clone()));
    store.put_run(&RunRow { id: "r2".to_owned(), started_at: 5, ..held.clone() }).unwrap();
    assert_eq!(store.runs(1).unwrap()[0].id, "r2", "newest first");
    let ids = |after: &str| store.runs_after(Some(after), 2).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!((ids("r2"), ids("r"), ids("no such run")), (vec!["r".to_owned()], vec![], vec![]));
}

fn new_model(run: &str) -> NewModel {
    NewModel { sha256: "aa".to_owned(), length: 7, weights_id: "w".to_owned(), run: run.to_owned(), at: NOW }
}

fn release(version: u64) -> ReleaseRow {
    ReleaseRow {
        model_version: ModelVersion(version),
        target: format!("model-{version}.safetensors"),
        sha256: "aa".to_owned(),
        length: 7,
        report_sha256: "bb".to_owned(),
        released_at: NOW,
        by: "auto".to_owned(),
    }
}

fn versions_count_up_and_a_run_gets_only_one(store: &dyn Store) {
    assert_eq!(store.add_model(&new_model("r1")).unwrap().version, ModelVersion(1));
    assert_eq!(store.add_model(&new_model("r2")).unwrap().version, ModelVersion(2));
    assert_eq!(store.add_model(&new_model("r1")).unwrap().version, ModelVersion(1));
    assert_eq!(store.models().unwrap().len(), 2);
}

fn a_release_makes_its_model_the_only_champion(store: &dyn Store) {
    assert_eq!(store.champion().unwrap(), None);
    for run in ["r1", "r2", "r3"] {
        store.add_model(&new_model(run)).unwrap();
    }
    store.put_release(&release(1)).unwrap();
    store.put_release(&release(3)).unwrap();
    store.put_release(&release(2)).unwrap();
    let states: Vec<_> = store.models().unwrap().iter().map(|model| (model.version.0, model.state)).collect();
    assert_eq!(states, [(3, ModelState::Champion), (2, ModelState::Approved), (1, ModelState::Retired)]);
    assert_eq!(store.champion().unwrap().unwrap().version, ModelVersion(3));
    assert_eq!(store.releases().unwrap().iter().map(|row| row.model_version.0).collect::<Vec<_>>(), [3, 2, 1]);
    let seen = store.model(ModelVersion(1)).unwrap().unwrap();
    store.set_model_state(&seen, ModelState::Withdrawn).unwrap();
    assert_eq!(store.model(ModelVersion(1)).unwrap().unwrap().state, ModelState::Withdrawn);
}

fn the_last_admin_token_in_force_is_not_withdrawn(store: &dyn Store) {
    let admin = |name: &str, hash: u8, expires_at| {
        let (name, role) = (name.to_owned(), Role::Admin);
        TokenRow { name, hash: [hash; 32], role, created_at: 1, expires_at, revoked_at: None }
    };
    store.put_token(&admin("first", 1, None)).unwrap();
    store.put_token(&admin("expired", 2, Some(10))).unwrap();
    let refused = store.revoke_token("first", 10).unwrap_err();
    assert_eq!(refused.to_string(), "\"first\" is the last admin token in force; make another admin token first");
    store.revoke_token("expired", 10).expect("it opened nothing any more");
    store.put_token(&admin("second", 3, Some(11))).unwrap();
    store.revoke_token("first", 10).unwrap();
    assert!(matches!(store.revoke_token("second", 10), Err(StoreError::LastAdmin(name)) if name == "second"));
}

fn asked(id: &str, ended_at: Option<i64>) -> RunRequestRow {
    let row = RunRequestRow::queued(id.to_owned(), RunTrigger::Hand, "token:kim".to_owned(), 1);
    let state = if ended_at.is_some() { RequestState::Done } else { RequestState::Queued };
    RunRequestRow { state, ended_at, ..row }
}

fn ids(rows: &[RunRequestRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

fn requests_are_listed_newest_first_and_open_ones_oldest_first(store: &dyn Store) {
    for id in ["a", "b", "c"] {
        store.put_run_request(&asked(id, None)).unwrap();
    }
    let ended = RunRequestRow { run: Some("r".to_owned()), reason: Some("why".to_owned()), ..asked("b", Some(5)) };
    store.put_run_request(&ended).unwrap();
    assert_eq!(ids(&store.run_requests(0).unwrap()), ["c", "b", "a"]);
    assert_eq!(ids(&store.run_requests(2).unwrap()), ["c", "b"]);
    assert_eq!(ids(&store.open_run_requests().unwrap()), ["a", "c"]);
    assert_eq!(store.run_request("b").unwrap(), Some(ended));
    assert_eq!(store.run_request("d").unwrap(), None);
}

fn of_requests_that_ended_the_newest_are_kept_and_open_ones_always(store: &dyn Store) {
    use crate::run_requests::RUN_REQUESTS_KEPT;
    store.put_run_request(&asked("open", None)).unwrap();
    store.put_run_request(&asked("old", Some(1))).unwrap();
    for number in 0..RUN_REQUESTS_KEPT {
        store.put_run_request(&asked(&number.to_string(), Some(2))).unwrap();
    }
    assert!(store.run_request("open").unwrap().is_some());
    assert_eq!(store.run_request("old").unwrap(), None);
    assert_eq!(store.run_requests(0).unwrap().len() as u64, RUN_REQUESTS_KEPT + 1);
}

fn a_token_is_found_by_its_hash_until_long_after_it_was_withdrawn(store: &dyn Store) {
    let token = TokenRow {
        name: "ops".to_owned(),
        hash: [3; 32],
        role: Role::Operator,
        created_at: 1,
        expires_at: Some(9),
        revoked_at: None,
    };
    store.put_token(&token).unwrap();
    assert_eq!(store.token_by_hash(&[3; 32]).unwrap(), Some(token.clone()));
    assert_eq!(store.token_by_hash(&[4; 32]).unwrap(), None);
    store.revoke_token("ops", 5).unwrap();
    store.revoke_token("ops", 6).unwrap();
    assert_eq!(store.tokens().unwrap(), [TokenRow { revoked_at: Some(5), ..token }]);
    assert!(matches!(store.revoke_token("none", 5), Err(StoreError::NotFound { noun: "token", .. })));
}

fn each_audit_line_hashes_the_one_before(store: &dyn Store) {
    let entry = |subject: &str| AuditEntry {
        at: NOW,
        actor: Actor::Token("ops".to_owned()),
        action: "home.revoke".to_owned(),
        subject: subject.to_owned(),
        detail: "{}".to_owned(),
    };
    let first = store.append_audit(&entry("a")).unwrap();
    let second = store.append_audit(&entry("b")).unwrap();
    assert_eq!((first.index, first.previous), (1, [0; 32]));
    assert_eq!((second.index, second.previous), (2, first.hash));
    assert_eq!(second.hash, entry("b").hash(2, &first.hash));
    assert_eq!(store.audit(None, 0).unwrap(), [second, first.clone()]);
    assert_eq!(store.audit(Some(2), 10).unwrap(), [first]);
}

fn a_withdrawal_deletes_settles_and_is_the_same_when_it_comes_again(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    store.apply(&feedback("a", &[1, 2, 3])).unwrap();
    let withdrawal = |id, scope| Withdrawal { home: home("a"), id, scope, at: NOW - 1 };
    let first = store.withdraw(&withdrawal(1, WithdrawalScope::Through(Sequence(2))), NOW).unwrap();
    assert_eq!((first.removed, first.at), (2, NOW));
    // The same number is the same withdrawal, whatever it says now.
    assert_eq!(store.withdraw(&withdrawal(1, WithdrawalScope::Through(Sequence(3))), NOW + 9).unwrap(), first);
    let second = store.withdraw(&withdrawal(2, WithdrawalScope::Records(vec![Sequence(2), Sequence(5)])), NOW).unwrap();
    assert_eq!(second.removed, 0, "gone already, and never heard of");
    let left: Vec<u64> =
        store.feedback(&FeedbackFilter::default()).unwrap().iter().map(|row| row.record.sequence.0).collect();
    assert_eq!(left, [3]);
    assert_eq!(through(&store.apply(&feedback("a", &[4])).unwrap()), [("a".to_owned(), 5)], "5 is settled");
    assert_eq!(store.withdrawals(0).unwrap(), [second, first]);
}

fn announcements_count_as_handled_and_the_first_of_an_alarm_is_found(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let answer = record("a", 3);
    let (first, again) = (announced(&answer, 1), AnnouncedRow { window: [9; 32], ..announced(&answer, 2) });
    let batch = IngestBatch { announced: vec![first.clone(), again], ..feedback("a", &[3]) };
    assert_eq!(through(&store.apply(&batch).unwrap()), [("a".to_owned(), 3)]);
    assert_eq!(store.announced(&home("a"), &answer.alarm).unwrap(), Some(first.clone()));
    assert_eq!(store.announced(&home("b"), &answer.alarm).unwrap(), None);
    let key = RecordKey { home: home("a"), sequence: Sequence(1) };
    let handled = Handled { key: key.clone(), digest: first.digest, refused: None };
    assert_eq!(store.handled(std::slice::from_ref(&key)).unwrap(), [handled]);
    assert_eq!(store.handled_between(&home("a"), Sequence(0), Sequence(3)).unwrap(), 2);
    let received = store.received_since(&home("a"), NOW).unwrap();
    assert_eq!(received, Received { answers: 1, unannounced: 0, announcements: 2 });
    assert_eq!(store.home(&home("a")).unwrap().unwrap().announces_since, Some(NOW));
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope: WithdrawalScope::Through(Sequence(2)), at: NOW };
    assert_eq!(store.withdraw(&withdrawal, NOW).unwrap().removed, 2);
    assert_eq!(store.announced(&home("a"), &answer.alarm).unwrap(), None);
    assert_eq!(store.home(&home("a")).unwrap().unwrap().records, 1, "the answer stays");
}

fn an_answer_that_waits_keeps_its_gap_open_and_the_gap_is_timed(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let awaiting = |at| IngestBatch { awaiting: vec![home("a")], at, ..IngestBatch::default() };
    let gap = || store.home(&home("a")).unwrap().unwrap().gap_since;
    store.apply(&awaiting(NOW)).unwrap();
    store.apply(&awaiting(NOW + 60)).unwrap();
    assert_eq!(gap(), Some(NOW));
    store.apply(&feedback("a", &[1])).unwrap();
    assert_eq!(gap(), None);
}

fn ann() -> Actor {
    Actor::Token("ann".to_owned())
}

/// An answer that was refused and is kept whole.
fn kept_whole(home_name: &str, sequence: u64) -> (Handled, QuarantineRow) {
    let row = row(record(home_name, sequence));
    let reason = RefusalReason::NotAnnounced;
    let handled = Handled { key: row.record.key(), digest: row.digest, refused: Some(reason) };
    let quarantined = QuarantineRow {
        id: 0,
        reason,
        detail: "never announced".to_owned(),
        topic: "t".to_owned(),
        home: Some(home(home_name)),
        sequence: Some(Sequence(sequence)),
        prefix: vec![1],
        length: row.payload.len() as u64,
        payload: Some(row.payload),
        settled: None,
        at: NOW,
    };
    (handled, quarantined)
}

fn what_is_lifted_is_stored_once_and_audited_and_what_is_discarded_is_gone(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let (refused, quarantine) = [1, 2, 3].map(|sequence| kept_whole("a", sequence)).into_iter().unzip();
    store.apply(&IngestBatch { refused, quarantine, at: NOW, ..IngestBatch::default() }).unwrap();
    let ids: Vec<u64> = store.quarantine(0).unwrap().iter().rev().map(|row| row.id).collect();
    let settle = |choice: &QuarantineChoice, end| store.settle_quarantine(choice, end, &ann(), "why", NOW + 5).unwrap();
    let lifted = settle(&QuarantineChoice::Row(ids[0]), QuarantineEnd::Lifted);
    assert_eq!(lifted, Settled { rows: 1, left: 0, audit: Some(1) });
    assert_eq!(settle(&QuarantineChoice::Row(ids[0]), QuarantineEnd::Lifted), Settled::default(), "once");
    settle(&QuarantineChoice::Row(ids[1]), QuarantineEnd::Discarded);
    let all = QuarantineChoice::HomeReason(home("a"), RefusalReason::NotAnnounced);
    assert_eq!(settle(&all, QuarantineEnd::Lifted).rows, 1, "what is settled is settled");
    let stored = store.feedback(&FeedbackFilter::default()).unwrap();
    let found: Vec<_> = stored.iter().map(|row| (row.record.sequence.0, row.received_at, row.lift)).collect();
    assert_eq!(found, [(1, NOW + 5, Some(1)), (3, NOW + 5, Some(3))]);
    let rows = store.quarantine(0).unwrap();
    assert!(rows.iter().all(|row| row.payload.is_none()));
    let settlement = Settlement { end: QuarantineEnd::Discarded, by: "token:ann".to_owned(), at: NOW + 5 };
    assert_eq!(rows[1].settled, Some(settlement));
    let actions: Vec<String> = store.audit(None, 0).unwrap().into_iter().map(|line| line.action).collect();
    assert_eq!(actions, ["quarantine.lift", "quarantine.discard", "quarantine.lift"]);
    assert_eq!(store.home(&home("a")).unwrap().unwrap().records, 2);
}

fn what_a_home_takes_back_cannot_be_lifted_any_more(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    let (refused, quarantined) = kept_whole("a", 1);
    let batch =
        IngestBatch { refused: vec![refused], quarantine: vec![quarantined], at: NOW, ..IngestBatch::default() };
    store.apply(&batch).unwrap();
    let withdrawal = Withdrawal { home: home("a"), id: 1, scope: WithdrawalScope::Through(Sequence(1)), at: NOW };
    store.withdraw(&withdrawal, NOW + 1).unwrap();
    let row = store.quarantine(1).unwrap().remove(0);
    let by_home = Settlement { end: QuarantineEnd::Discarded, by: "home:a".to_owned(), at: NOW + 1 };
    assert_eq!((row.payload, row.prefix, row.settled), (None, vec![], Some(by_home)));
    let choice = QuarantineChoice::Row(row.id);
    let settled = store.settle_quarantine(&choice, QuarantineEnd::Lifted, &ann(), "why", NOW + 2).unwrap();
    assert_eq!(settled, Settled::default());
}

fn every_list_comes_in_pages_that_begin_where_the_one_before_ended(store: &dyn Store) {
    for name in ["a", "b", "c"] {
        store.enrol_home(&home(name), 1).unwrap();
        let (reason, by) = ("odd".to_owned(), Actor::System);
        // Two at the same time: the second part of the key decides.
        let at = if name == "c" { 9 } else { 5 };
        store.exclude_home(&ExclusionRow { home: home(name), reason, by, at, lifted: None }).unwrap();
    }
    let names = |rows: Vec<HomeRow>| rows.into_iter().map(|row| row.home.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.homes_after(None, 2).unwrap()), ["a", "b"]);
    assert_eq!(names(store.homes_after(Some(&home("b")), 2).unwrap()), ["c"]);
    let names = |rows: Vec<ExclusionRow>| rows.into_iter().map(|row| row.home.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.exclusions(None, 2).unwrap()), ["c", "a"]);
    assert_eq!(names(store.exclusions(Some(&(5, home("a"))), 2).unwrap()), ["b"]);
    store.lift_exclusion(&home("c"), &ann(), 10).unwrap();
    assert_eq!(names(store.excluded(0).unwrap()), ["a", "b"]);

    let stage = Some(UpdateStage::Install);
    let ended = |at| UpdateOutcome { model_version: ModelVersion(1), stage, result: UpdateResult::Installed, at };
    let outcomes = [("a", 1), ("a", 2), ("b", 1), ("c", 1)].map(|(name, at)| (home(name), ended(at))).to_vec();
    store.apply(&IngestBatch { outcomes, at: NOW, ..IngestBatch::default() }).unwrap();
    let page = |after: Option<&OutcomeKey>| -> Vec<(String, i64)> {
        let rows = store.outcomes_after(ModelVersion(1), after, 2).unwrap();
        rows.into_iter().map(|row| (row.home.to_string(), row.at)).collect()
    };
    assert_eq!(page(None), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    assert_eq!(page(Some(&OutcomeKey { received_at: NOW, home: home("b"), at: 1 })), [("c".to_owned(), 1)]);
    let result = UpdateResult::RolledBack { reason: "deaf".to_owned(), to: ModelVersion(0) };
    let back = UpdateOutcome { result, ..ended(3) };
    let refused = UpdateOutcome { result: UpdateResult::Refused { reason: "\"".to_owned() }, ..ended(4) };
    let stale = UpdateOutcome { stage: Some(UpdateStage::Fetch), ..refused.clone() };
    let outcomes = vec![(home("b"), back), (home("c"), refused), (home("a"), stale.clone()), (home("d"), stale)];
    store.apply(&IngestBatch { outcomes, at: NOW, ..IngestBatch::default() }).unwrap();
    let totals = OutcomeTotals { installed: 1, refused: 1, rolled_back: 1, undelivered: 1 };
    assert_eq!(store.outcome_totals(ModelVersion(1)).unwrap(), totals);

    for run in ["r1", "r2", "r3"] {
        store.add_model(&new_model(run)).unwrap();
    }
    let versions = |rows: Vec<ModelRow>| rows.into_iter().map(|row| row.version.0).collect::<Vec<_>>();
    assert_eq!(versions(store.models_before(None, 2).unwrap()), [3, 2]);
    assert_eq!(versions(store.models_before(Some(ModelVersion(2)), 2).unwrap()), [1]);
    assert_eq!(store.snapshots_after(Some("no such snapshot"), 0).unwrap(), []);
}

fn a_change_of_what_somebody_else_changed_is_a_conflict_and_changes_nothing(store: &dyn Store) {
    store.enrol_home(&home("a"), 1).unwrap();
    store.add_model(&new_model("r1")).unwrap();
    let seen = store.model(ModelVersion(1)).unwrap().unwrap();
    store.set_model_state(&seen, ModelState::Withdrawn).unwrap();
    let lost = store.set_model_state(&seen, ModelState::AwaitingSignature).unwrap_err();
    assert_eq!(lost.to_string(), "model 1 was changed meanwhile: it is withdrawn");
    let lost = store.put_release(&release(1)).unwrap_err();
    assert_eq!(lost.to_string(), "model 1 was changed meanwhile: it is withdrawn");
    assert_eq!(store.releases().unwrap(), []);

    let row = ExclusionRow { home: home("a"), reason: "odd".to_owned(), by: ann(), at: 5, lifted: None };
    let note = Note::because(5, ann(), "home.exclude", "odd");
    store.change(&Change::ExcludeHome(row.clone()), &note).unwrap();
    let lost = store.change(&Change::ExcludeHome(ExclusionRow { at: 6, ..row }), &note).unwrap_err();
    assert_eq!(lost.to_string(), "home a was changed meanwhile: it is excluded");
    let lines = store.audit(None, 0).unwrap();
    assert_eq!(lines.len(), 1, "what was not done is not written down as done");
    let detail: serde_json::Value = serde_json::from_str(&lines[0].detail).unwrap();
    assert_eq!(detail["before"], serde_json::json!({"state": "included"}));
    assert_eq!(detail["after"], serde_json::json!({"state": "excluded", "reason": "odd", "by": "token:ann"}));

    let note = Note::because(7, ann(), "home.revoke", "sold");
    store.change(&Change::RevokeHome { home: home("a"), at: 7 }, &note).unwrap();
    store.change(&Change::RevokeHome { home: home("a"), at: 8 }, &note).unwrap();
    let row = store.home(&home("a")).unwrap().unwrap();
    assert_eq!((row.revoked_at, row.row_version), (Some(7), 3), "the first time stays");
    let missing = store.change(&Change::RestoreHome { home: home("b") }, &note).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { noun: "home", .. }));
}

/// One `#[test]` for each case on an engine that `$make` opens: `(guard, store)`.
macro_rules! conformance {
    ($engine:ident, $make:expr, [$($case:ident),+ $(,)?]) => {
        mod $engine {
            $(#[test]
            fn $case() {
                let (_guard, store) = $make;
                super::$case(&store);
            })+
        }
    };
}

macro_rules! every_case_on {
    ($engine:ident, $make:expr) => {
        conformance!(
            $engine,
            $make,
            [
                a_home_is_enrolled_once_and_a_revoked_one_stays_revoked,
                through_goes_as_far_as_there_is_no_gap,
                a_refused_record_fills_its_place_and_is_named_once_it_is_passed,
                a_missing_record_is_given_up_after_a_day_and_not_before,
                what_stands_under_the_last_numbers_is_told,
                a_record_is_stored_once,
                what_was_handled_is_known_by_its_key,
                a_stranger_makes_no_progress,
                feedback_comes_in_order_of_home_and_sequence_and_in_pages,
                totals_count_each_answer,
                the_quarantine_keeps_the_newest_of_each_home_and_shows_them_first,
                a_home_cannot_push_another_ones_entry_out_of_quarantine,
                one_word_of_a_home_on_a_release_counts_and_it_is_the_last_by_its_own_clock,
                a_word_about_the_mirror_stands_beside_the_one_about_the_release,
                a_number_at_the_end_of_all_numbers_overflows_nothing,
                what_is_taken_back_far_ahead_settles_nothing,
                trying_whether_anything_can_be_stored_leaves_nothing_behind,
                a_status_and_an_outcome_are_kept_with_their_home,
                a_snapshot_keeps_its_first_date_and_its_furthest_watermark,
                a_run_is_one_row_however_often_it_is_written,
                versions_count_up_and_a_run_gets_only_one,
                a_release_makes_its_model_the_only_champion,
                a_token_is_found_by_its_hash_until_long_after_it_was_withdrawn,
                the_last_admin_token_in_force_is_not_withdrawn,
                requests_are_listed_newest_first_and_open_ones_oldest_first,
                of_requests_that_ended_the_newest_are_kept_and_open_ones_always,
                each_audit_line_hashes_the_one_before,
                a_withdrawal_deletes_settles_and_is_the_same_when_it_comes_again,
                announcements_count_as_handled_and_the_first_of_an_alarm_is_found,
                an_answer_that_waits_keeps_its_gap_open_and_the_gap_is_timed,
                what_is_lifted_is_stored_once_and_audited_and_what_is_discarded_is_gone,
                what_a_home_takes_back_cannot_be_lifted_any_more,
                every_list_comes_in_pages_that_begin_where_the_one_before_ended,
                a_change_of_what_somebody_else_changed_is_a_conflict_and_changes_nothing,
            ]
        );
    };
}

every_case_on!(sqlite, crate::fixtures::store());
