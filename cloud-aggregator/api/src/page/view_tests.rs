//! What the page says for given rows.

use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_protocol::{ModelVersion, Sequence};
use hearthwatch_store::fixtures::{home, refusal, release, run, versioned};
use hearthwatch_store::{QuarantineEnd, Settlement, StatusRow};

use super::*;

fn empty() -> Fleet {
    let training = TrainingStatus { phase: "idle", ..TrainingStatus::default() };
    Fleet {
        now: 10_000,
        homes: Vec::new(),
        totals: FleetTotals::default(),
        champion: None,
        report: None,
        released: None,
        outcomes: OutcomeTotals::default(),
        feedback: FeedbackTotals::default(),
        recall: hearthwatch_store::story::RecallEstimate::default(),
        refusals: Vec::new(),
        rollouts: Rollouts::default(),
        rounds: Rounds::default(),
        cases: Cases::default(),
        run: RunPanel { run: None, training, now: 10_000 },
    }
}

#[test]
fn an_empty_fleet_says_what_to_do_next() {
    let text = page(&empty(), &Caller::of_token("kim", Role::Viewer)).into_string();
    assert!(text.contains("every home runs the routine detector"));
    assert!(text.contains("hearthwatch-provision home add"));
    assert!(text.contains("There has been none yet."));
}

#[test]
fn whatever_came_from_outside_is_escaped() {
    let row = refusal("home-2", RefusalReason::Malformed, "<script>alert(1)</script>");
    let text = page(&Fleet { refusals: vec![row], ..empty() }, &Caller::of_token("<b>", Role::Viewer)).into_string();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!text.contains("<script>alert") && !text.contains("<b>"));
}

#[test]
fn a_refusal_that_may_be_lifted_asks_an_operator_and_a_settled_one_names_who_settled_it() {
    let payload = Some(bytes::Bytes::from_static(b"whole"));
    let refused = refusal("home-2", RefusalReason::NotAnnounced, "alarm a was never announced");
    let row = QuarantineRow { id: 41, payload, ..refused };
    let settlement = Settlement { end: QuarantineEnd::Lifted, by: "ann".to_owned(), at: 9_500 };
    let settled = QuarantineRow { payload: None, settled: Some(settlement), ..row.clone() };
    let text =
        page(&Fleet { refusals: vec![row, settled], ..empty() }, &Caller::of_token("ann", Role::Viewer)).into_string();
    for part in ["not announced", "action=\"/quarantine/41\"", "value=\"discarded\"", "lifted by ann"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_home_shows_whether_it_is_there_and_what_it_runs() {
    let home = home_of("home-7", true, 0, 4, 9_940);
    assert!(is_online(&home));
    let row = home_row(&home, 10_000).into_string();
    for part in ["home-7", "online", "routine", "31", ">4<", "60 s ago"] {
        assert!(row.contains(part), "{part} in {row}");
    }
    assert!(!is_online(&HomeRow { revoked_at: Some(1), ..home }));
}

#[test]
fn a_run_that_moves_has_a_bar() {
    let (run, loss, remaining_s) = (Some("ab".to_owned()), Some(0.25), Some(40));
    let training = TrainingStatus { run, phase: "training", done: 3, total: 12, loss, remaining_s };
    let text = run_panel(&RunPanel { run: None, training, now: 0 }).into_string();
    assert!(text.contains("<progress max=\"12\" value=\"3\""), "{text}");
    assert!(text.contains("loss 0.2500"));
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_has_no_inline_script_or_style() {
    let text = page(&empty(), &Caller::of_token("kim", Role::Viewer)).into_string();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="));
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("<script src=\"/page.js\" defer></script>"));
}

#[test]
fn times_are_told_in_their_largest_unit() {
    assert_eq!([span(90), span(600), span(7_200), span(3 * 86_400)], ["90 s", "10 min", "2 h", "3 days"]);
    assert_eq!([ago(0, 60), ago(3, 0), ago(90, 0)], ["in 60 s", "just now", "90 s ago"]);
}

/// A home of which something was heard, unless that was at 0.
fn home_of(name: &str, online: bool, version: u64, outbox: u32, heard_at: i64) -> HomeRow {
    let (agent_version, model_version) = ("0.1.0".to_owned(), ModelVersion(version));
    let status = StatusRow { online, agent_version, model_version, entities: 31, outbox, heard_at };
    HomeRow {
        home: home(name),
        enrolled_at: 0,
        revoked_at: None,
        through: Sequence(41),
        gap_since: None,
        announces_since: None,
        records: 41,
        status: (heard_at > 0).then_some(status),
        row_version: 1,
    }
}

/// Homes in every state.
fn homes_of_all_kinds() -> Vec<HomeRow> {
    vec![
        home_of("home-1", true, 2, 0, 9_990),
        home_of("home-2", true, 2, 3, 9_700),
        home_of("home-with-a-rather-long-pseudonym-17", false, 0, 12, 2_000),
        home_of("home-3", false, 0, 0, 0),
        HomeRow { revoked_at: Some(6_000), ..home_of("home-4", false, 1, 0, 5_000) },
    ]
}

/// A run whose candidate was held back.
fn held_run() -> RunRow {
    let hold = "{\"hold\":{\"reasons\":[\"no better than the champion: recall +0.02 (-0.05 to +0.08)\"]}}";
    RunRow {
        trigger: hearthwatch_store::RunTrigger::Count,
        champion: Some(ModelVersion(2)),
        started_at: 8_000,
        ended_at: Some(8_041),
        report: Some(crate::bench::REPORT.replace("\"promote\"", hold)),
        ..run("5f0c21d97be4a1c05f0c21d97be4a1c0", RunState::Held)
    }
}

/// A fleet in which everything has happened.
fn full() -> Fleet {
    let refusal = |reason, detail, at| QuarantineRow { at, ..refusal("home-2", reason, detail) };
    Fleet {
        totals: FleetTotals { homes: 5, online: 2, waiting: 15 },
        homes: homes_of_all_kinds(),
        champion: Some(versioned(2, &"ab".repeat(32), hearthwatch_store::ModelState::Champion)),
        report: Some(crate::bench::REPORT.to_owned()),
        released: Some(ReleaseRow { released_at: 7_000, ..release(ModelVersion(2), "") }),
        outcomes: OutcomeTotals { installed: 1, refused: 1, rolled_back: 0, undelivered: 0 },
        feedback: FeedbackTotals { records: 123, confirmed: 31, dismissed: 80, expected: 12, homes: 3 },
        refusals: vec![
            refusal(RefusalReason::NotFinite, "window value 17 is not finite", 9_400),
            refusal(RefusalReason::ImplausibleTime, "answered 3 days after now", 4_000),
        ],
        run: RunPanel { run: Some(held_run()), training: empty().run.training, now: 10_000 },
        ..empty()
    }
}

#[test]
fn a_full_fleet_is_told_with_the_gates_figures_and_reasons() {
    let text = page(&full(), &Caller::of_token("kim", Role::Viewer)).into_string();
    for part in [
        "Version 2",
        "15/20",
        "0.75",
        "0.45",
        "The gate let it through",
        "Installed on 1 of 5 homes, <span class=\"bad\">refused by 1</span>",
        "Held back",
        "no better than the champion",
        "+0.30 (+0.10 to +0.50)",
        "shut out",
        "never seen",
        "not finite",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
