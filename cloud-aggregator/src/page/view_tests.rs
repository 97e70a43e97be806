//! What the page says for given rows.

use hearthwatch_protocol::messages::RefusalReason;
use hearthwatch_protocol::{HomeId, ModelVersion, Sequence};

use super::*;
use crate::store::StatusRow;

fn empty() -> Fleet {
    Fleet {
        now: 10_000,
        homes: Vec::new(),
        homes_total: 0,
        online: 0,
        champion: None,
        report: None,
        released: None,
        outcomes: Vec::new(),
        feedback: FeedbackTotals::default(),
        refusals: Vec::new(),
        run: RunPanel { run: None, training: TrainingStatus { phase: "idle", ..TrainingStatus::default() }, now: 10_000 },
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
        at: 9_000,
    };
    let text = page(&Fleet { refusals: vec![row], ..empty() }, "<b>").into_string();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!text.contains("<script>alert") && !text.contains("<b>"));
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
        records: 9,
        status: Some(status),
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
    let training =
        TrainingStatus { run: Some("ab".to_owned()), phase: "training", done: 3, total: 12, loss: Some(0.25) };
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
