//! What is made of answers and done about it: data sets, runs, models, ends of updates, tokens, and the audit log.

use super::*;
use crate::rollouts::ExclusionRow;
use crate::run_requests::RunRequestRow;

fn a_status_and_an_outcome_are_kept_with_their_home(store: &dyn Store) {
    let status = AgentStatus { model_version: ModelVersion(2), ..status(4) };
    let outcome = UpdateOutcome::rolled_back(ModelVersion(2), "deaf".to_owned(), ModelVersion(1), NOW - 5);
    let (statuses, outcomes) = (vec![(home("a"), status)], vec![(home("a"), outcome.clone()); 2]);
    let batch = IngestBatch { statuses, outcomes, at: NOW, ..IngestBatch::default() };
    store.apply(&batch).unwrap();
    let heard = home_a(store).status.unwrap();
    assert_eq!((heard.online, heard.model_version, heard.outbox, heard.heard_at), (true, ModelVersion(2), 4, NOW));
    let outcomes = store.outcomes(Some(ModelVersion(2)), 0).unwrap();
    assert_eq!(outcomes.len(), 1, "said twice, kept once");
    assert_eq!((outcomes[0].result.clone(), outcomes[0].at), (outcome.result, NOW - 5));
    assert_eq!(store.outcomes(Some(ModelVersion(3)), 0).unwrap(), []);
}

fn each_home_is_counted_in_one_state(store: &dyn Store) {
    for name in ["b", "c", "d", "e"] {
        store.enrol_home(&home(name), 1).unwrap();
    }
    let says = |online, version| AgentStatus { online, model_version: ModelVersion(version), ..status(0) };
    for (name, word, at) in [("a", says(true, 2), NOW), ("b", says(false, 2), NOW), ("c", says(false, 1), NOW - 10)] {
        let statuses = vec![(home(name), word)];
        store.apply(&IngestBatch { statuses, at, ..IngestBatch::default() }).unwrap();
    }
    for (name, at) in [("b", 5), ("e", 6)] {
        let (reason, by) = ("odd".to_owned(), ann());
        store.exclude_home(&ExclusionRow { home: home(name), reason, by, at, lifted: None }).unwrap();
    }
    store.revoke_home(&home("e"), NOW).unwrap();
    let running = vec![(ModelVersion(1), 1), (ModelVersion(2), 2)];
    let (online, offline, late, never_seen, revoked, excluded) = (1, 1, 1, 1, 1, 1);
    let expected = FleetStates { online, offline, late, never_seen, revoked, excluded, running };
    assert_eq!(store.fleet_states(NOW - 5).unwrap(), expected);
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

fn a_snapshot_keeps_its_first_date_and_its_furthest_watermark(store: &dyn Store) {
    let row = |watermark, created_at| {
        let lineage = format!("{{\"watermark\":{watermark}}}");
        SnapshotRow { created_at, watermark, lineage, ..snapshot("s") }
    };
    store.put_snapshot(&row(5, 1)).unwrap();
    store.put_snapshot(&row(9, 2)).unwrap();
    store.put_snapshot(&row(7, 3)).unwrap();
    assert_eq!(store.snapshot("s").unwrap(), Some(row(9, 1)));
    assert_eq!(store.snapshots(10).unwrap().len(), 1);
}

fn a_run_is_one_row_however_often_it_is_written(store: &dyn Store) {
    let running = RunRow { champion: Some(ModelVersion(3)), ..run("r", RunState::Running) };
    store.put_run(&running).unwrap();
    let (challenger, report) = (Some("ab".to_owned()), Some("{\"verdict\":\"hold\"}".to_owned()));
    let held = RunRow { state: RunState::Held, ended_at: Some(2), challenger, report, ..running };
    store.put_run(&held).unwrap();
    assert_eq!(store.run("r").unwrap(), Some(held.clone()));
    store.put_run(&RunRow { id: "r2".to_owned(), started_at: 5, ..held.clone() }).unwrap();
    assert_eq!(store.runs(1).unwrap()[0].id, "r2", "newest first");
    let ids = |after: &str| store.runs_after(Some(after), 2).unwrap().into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!((ids("r2"), ids("r"), ids("no such run")), (vec!["r".to_owned()], vec![], vec![]));
}

fn versions_count_up_and_a_run_gets_only_one(store: &dyn Store) {
    assert_eq!(store.add_model(&model("r1", "aa")).unwrap().version, ModelVersion(1));
    assert_eq!(store.add_model(&model("r2", "aa")).unwrap().version, ModelVersion(2));
    assert_eq!(store.add_model(&model("r1", "aa")).unwrap().version, ModelVersion(1));
    assert_eq!(store.models().unwrap().len(), 2);
}

fn a_release_makes_its_model_the_only_champion(store: &dyn Store) {
    assert_eq!(store.champion().unwrap(), None);
    for run in ["r1", "r2", "r3"] {
        store.add_model(&model(run, "aa")).unwrap();
    }
    store.put_release(&release(ModelVersion(1), "aa")).unwrap();
    store.put_release(&release(ModelVersion(3), "aa")).unwrap();
    store.put_release(&release(ModelVersion(2), "aa")).unwrap();
    let states: Vec<_> = store.models().unwrap().iter().map(|model| (model.version.0, model.state)).collect();
    assert_eq!(states, [(3, ModelState::Champion), (2, ModelState::Approved), (1, ModelState::Retired)]);
    assert_eq!(store.champion().unwrap().unwrap().version, ModelVersion(3));
    assert_eq!(store.releases().unwrap().iter().map(|row| row.model_version.0).collect::<Vec<_>>(), [3, 2, 1]);
    let seen = store.model(ModelVersion(1)).unwrap().unwrap();
    store.set_model_state(&seen, ModelState::Withdrawn).unwrap();
    assert_eq!(store.model(ModelVersion(1)).unwrap().unwrap().state, ModelState::Withdrawn);
}

fn the_last_admin_token_in_force_is_not_withdrawn(store: &dyn Store) {
    let admin = |name, hash, expires_at| token(name, hash, Role::Admin, expires_at);
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
    let token = token("ops", 3, Role::Operator, Some(9));
    store.put_token(&token).unwrap();
    assert_eq!(store.token_by_hash(&[3; 32]).unwrap(), Some(token.clone()));
    assert_eq!(store.token_by_hash(&[4; 32]).unwrap(), None);
    store.revoke_token("ops", 5).unwrap();
    store.revoke_token("ops", 6).unwrap();
    assert_eq!(store.tokens().unwrap(), [TokenRow { revoked_at: Some(5), ..token }]);
    assert!(matches!(store.revoke_token("none", 5), Err(StoreError::NotFound { noun: "token", .. })));
}

fn each_audit_line_hashes_the_one_before(store: &dyn Store) {
    let entry = |subject| entry("home.revoke", subject);
    let first = store.append_audit(&entry("a")).unwrap();
    let second = store.append_audit(&entry("b")).unwrap();
    assert_eq!((first.index, first.previous), (1, [0; 32]));
    assert_eq!((second.index, second.previous), (2, first.hash));
    assert_eq!(second.hash, entry("b").hash(2, &first.hash));
    assert_eq!(store.audit(None, 0).unwrap(), [second, first.clone()]);
    assert_eq!(store.audit(Some(2), 10).unwrap(), [first]);
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
        store.add_model(&model(run, "aa")).unwrap();
    }
    let versions = |rows: Vec<ModelRow>| rows.into_iter().map(|row| row.version.0).collect::<Vec<_>>();
    assert_eq!(versions(store.models_before(None, 2).unwrap()), [3, 2]);
    assert_eq!(versions(store.models_before(Some(ModelVersion(2)), 2).unwrap()), [1]);
    assert_eq!(store.snapshots_after(Some("no such snapshot"), 0).unwrap(), []);
}

fn a_change_of_what_somebody_else_changed_is_a_conflict_and_changes_nothing(store: &dyn Store) {
    store.add_model(&model("r1", "aa")).unwrap();
    let seen = store.model(ModelVersion(1)).unwrap().unwrap();
    store.set_model_state(&seen, ModelState::Withdrawn).unwrap();
    let lost = store.set_model_state(&seen, ModelState::AwaitingSignature).unwrap_err();
    assert_eq!(lost.to_string(), "model 1 was changed meanwhile: it is withdrawn");
    let lost = store.put_release(&release(ModelVersion(1), "aa")).unwrap_err();
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
    let row = home_a(store);
    assert_eq!((row.revoked_at, row.row_version), (Some(7), 3), "the first time stays");
    let missing = store.change(&Change::RestoreHome { home: home("b") }, &note).unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { noun: "home", .. }));
}

on_every_engine!(
    empty,
    nobody,
    [
        one_word_of_a_home_on_a_release_counts_and_it_is_the_last_by_its_own_clock,
        a_word_about_the_mirror_stands_beside_the_one_about_the_release,
        a_snapshot_keeps_its_first_date_and_its_furthest_watermark,
        a_run_is_one_row_however_often_it_is_written,
        versions_count_up_and_a_run_gets_only_one,
        a_release_makes_its_model_the_only_champion,
        the_last_admin_token_in_force_is_not_withdrawn,
        requests_are_listed_newest_first_and_open_ones_oldest_first,
        of_requests_that_ended_the_newest_are_kept_and_open_ones_always,
        a_token_is_found_by_its_hash_until_long_after_it_was_withdrawn,
        each_audit_line_hashes_the_one_before,
        every_list_comes_in_pages_that_begin_where_the_one_before_ended,
    ]
);
on_every_engine!(
    with_a_home,
    enrol,
    [
        each_home_is_counted_in_one_state,
        a_status_and_an_outcome_are_kept_with_their_home,
        a_change_of_what_somebody_else_changed_is_a_conflict_and_changes_nothing,
    ]
);
