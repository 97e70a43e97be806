//! What the page says for given rows.

use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};
use hearthwatch_store::{QuarantineEnd, Settlement, StatusRow};

use super::*;

fn empty() -> Fleet {
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
        cases: Cases::default(),
        run: RunPanel {
            run: None,
            training: TrainingStatus { phase: "idle", ..TrainingStatus::default() },
            now: 10_000,
        },
    }
}

#[test]
fn an_empty_fleet_says_what_to_do_next() {
    let text = page(&empty(), "kim").into_string();
    assert!(text.contains("every home runs the routine detector"));
    assert!(text.contains("hearthwatch-provision home add"));
    assert!(text.contains("There has been none yet."));
}

#[test]
fn whatever_came_from_outside_is_escaped() {
    let row = QuarantineRow {
        id: 1,
        reason: RefusalReason::Malformed,
        detail: "<script>alert(1)</script>".to_owned(),
        topic: String::new(),
        home: None,
        sequence: None,
        prefix: Vec::new(),
        length: 0,
        payload: None,
        settled: None,
        at: 9_000,
    };
    let text = page(&Fleet { refusals: vec![row], ..empty() }, "<b>").into_string();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!text.contains("<script>alert") && !text.contains("<b>"));
}

#[test]
fn a_refusal_that_may_be_lifted_asks_an_operator_and_a_settled_one_names_who_settled_it() {
    let row = QuarantineRow {
        id: 41,
        reason: RefusalReason::NotAnnounced,
        detail: "alarm a was never announced".to_owned(),
        topic: String::new(),
        home: None,
        sequence: None,
        prefix: Vec::new(),
        length: 0,
        payload: Some(bytes::Bytes::from_static(b"whole")),
        settled: None,
        at: 9_000,
    };
    let settlement = Settlement { end: QuarantineEnd::Lifted, by: "ann".to_owned(), at: 9_500 };
    let settled = QuarantineRow { payload: None, settled: Some(settlement), ..row.clone() };
    let text = page(&Fleet { refusals: vec![row, settled], ..empty() }, "ann").into_string();
    for part in ["not announced", "action=\"/quarantine/41\"", "value=\"discarded\"", "lifted by ann"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_home_shows_whether_it_is_there_and_what_it_runs() {
    let status = StatusRow {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(0),
        entities: 31,
        outbox: 4,
        heard_at: 9_940,
    };
    let home = HomeRow {
        home: HomeId::new("home-7").unwrap(),
        enrolled_at: 0,
        revoked_at: None,
        through: Sequence(9),
        gap_since: None,
        announces_since: None,
        records: 9,
        status: Some(status),
        row_version: 1,
    };
    assert!(is_online(&home));
    let row = home_row(&home, 10_000).into_string();
    for part in ["home-7", "online", "routine", "31", ">4<", "60 s ago"] {
        assert!(row.contains(part), "{part} in {row}");
    }
    assert!(!is_online(&HomeRow { revoked_at: Some(1), ..home }));
}

#[test]
fn a_run_that_moves_has_a_bar() {
    let training = TrainingStatus {
        run: Some("ab".to_owned()),
        phase: "training",
        done: 3,
        total: 12,
        loss: Some(0.25),
        remaining_s: Some(40),
    };
    let text = run_panel(&RunPanel { run: None, training, now: 0 }).into_string();
    assert!(text.contains("<progress max=\"12\" value=\"3\""), "{text}");
    assert!(text.contains("loss 0.2500"));
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_has_no_inline_script_or_style() {
    let text = page(&empty(), "kim").into_string();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="));
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("<script src=\"/page.js\" defer></script>"));
}

#[test]
fn times_are_told_in_their_largest_unit() {
    assert_eq!([span(90), span(600), span(7_200), span(3 * 86_400)], ["90 s", "10 min", "2 h", "3 days"]);
    assert_eq!([ago(0, 60), ago(3, 0), ago(90, 0)], ["in the future", "just now", "90 s ago"]);
}

/// Homes in every state.
fn homes_of_all_kinds() -> Vec<HomeRow> {
    let home = |name: &str, online: bool, version: u64, outbox: u32, heard_at: i64, revoked_at: Option<i64>| HomeRow {
        home: HomeId::new(name).unwrap(),
        enrolled_at: 0,
        revoked_at,
        through: Sequence(41),
        gap_since: None,
        announces_since: None,
        records: 41,
        status: (heard_at > 0).then(|| StatusRow {
            online,
            agent_version: "0.1.0".to_owned(),
            model_version: ModelVersion(version),
            entities: 31,
            outbox,
            heard_at,
        }),
        row_version: 1,
    };
    vec![
        home("home-1", true, 2, 0, 9_990, None),
        home("home-2", true, 2, 3, 9_700, None),
        home("home-with-a-rather-long-pseudonym-17", false, 0, 12, 2_000, None),
        home("home-3", false, 0, 0, 0, None),
        home("home-4", false, 1, 0, 5_000, Some(6_000)),
    ]
}

/// A run whose candidate was held back.
fn held_run() -> RunRow {
    RunRow {
        id: "5f0c21d97be4a1c05f0c21d97be4a1c0".to_owned(),
        snapshot: "9a".repeat(32),
        trigger: hearthwatch_store::RunTrigger::Count,
        config: "{}".to_owned(),
        champion: Some(ModelVersion(2)),
        state: RunState::Held,
        started_at: 8_000,
        ended_at: Some(8_041),
        challenger: None,
        report: Some(crate::bench::REPORT.replace(
            "\"promote\"",
            "{\"hold\":{\"reasons\":[\"no better than the champion: recall +0.02 (-0.05 to +0.08)\"]}}",
        )),
        failure: None,
    }
}

/// A fleet in which everything has happened.
fn full() -> Fleet {
    let refusal = |reason, detail: &str, at| QuarantineRow {
        id: 1,
        reason,
        detail: detail.to_owned(),
        topic: String::new(),
        home: Some(HomeId::new("home-2").unwrap()),
        sequence: None,
        prefix: Vec::new(),
        length: 0,
        payload: None,
        settled: None,
        at,
    };
    Fleet {
        totals: FleetTotals { homes: 5, online: 2, waiting: 15 },
        homes: homes_of_all_kinds(),
        champion: Some(ModelRow {
            version: ModelVersion(2),
            sha256: "ab".repeat(32),
            length: 117_000,
            weights_id: "c4".repeat(32),
            run: "r".to_owned(),
            state: hearthwatch_store::ModelState::Champion,
            created_at: 0,
            row_version: 1,
        }),
        report: Some(crate::bench::REPORT.to_owned()),
        released: Some(ReleaseRow {
            model_version: ModelVersion(2),
            target: "model-2.safetensors".to_owned(),
            sha256: String::new(),
            length: 117_000,
            report_sha256: String::new(),
            released_at: 7_000,
            by: "auto".to_owned(),
        }),
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
    let text = page(&full(), "kim").into_string();
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
