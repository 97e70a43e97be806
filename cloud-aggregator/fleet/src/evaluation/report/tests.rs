//! A report from stores and readings that each test makes.

use hearthwatch_protocol::messages::UpdateResult;
use hearthwatch_store::fixtures::home;
use hearthwatch_store::{HomeRow, StatusRow};

use super::*;

const WEEKS_4: i64 = 4 * 7 * 86_400;

fn listed(name: &str, entities: u32, tags: &[&str]) -> ListedHome {
    let status = StatusRow {
        online: true,
        agent_version: "0.1.0".to_owned(),
        model_version: ModelVersion(2),
        entities,
        outbox: 0,
        heard_at: WEEKS_4,
    };
    let row = HomeRow {
        home: home(name),
        enrolled_at: 0,
        revoked_at: None,
        through: hearthwatch_protocol::Sequence(0),
        gap_since: None,
        announces_since: None,
        records: 0,
        status: Some(status),
        row_version: 1,
    };
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    ListedHome { row, state: HomeState::Online, excluded: false, tags, value: 0 }
}

fn group(name: &str, version: u64, class: &str, verdict: Verdict, count: u64) -> AnswerGroup {
    let (device_class, origin) = (class.to_owned(), "alarm".to_owned());
    AnswerGroup { home: home(name), model_version: ModelVersion(version), device_class, origin, verdict, count }
}

/// Two homes over four weeks: version 1 for the first half, version 2 for the second.
fn known() -> Known {
    let installed = |name: &str, version: u64, at: i64| OutcomeRow {
        home: home(name),
        model_version: ModelVersion(version),
        stage: None,
        result: UpdateResult::Installed,
        at,
        received_at: at,
    };
    let half = WEEKS_4 / 2;
    Known {
        homes: vec![listed("a", 5, &["country:us"]), listed("b", 80, &[])],
        outcomes: ["a", "b"].iter().flat_map(|name| [installed(name, 1, 0), installed(name, 2, half)]).collect(),
        groups: vec![
            group("a", 1, "power", Verdict::Dismissed, 30),
            group("b", 1, "power", Verdict::Confirmed, 4),
            group("a", 2, "door", Verdict::Dismissed, 2),
            group("b", 2, "door", Verdict::Confirmed, 6),
            group("b", 2, "door", Verdict::Expected, 1),
        ],
        numbers: vec![AnswerNumbers { model_version: ModelVersion(2), delay: 90, margin: 0.5 }],
        numbers_before: Vec::new(),
        announced: vec![(home("a"), ModelVersion(2), 5), (home("b"), ModelVersion(2), 7)],
        champion: Some(ModelVersion(2)),
    }
}

#[test]
fn each_model_answers_for_the_weeks_in_which_it_ran() {
    let evaluation = evaluate(&known(), Period { since: 0, until: WEEKS_4 });
    let [two, one] = &evaluation.models[..] else { panic!("{:?}", evaluation.models) };
    assert_eq!((two.model_version, two.homes, two.home_weeks, two.announced), (2, 2, 4.0, 12));
    assert_eq!((two.confirmed, two.dismissed, two.expected, two.delay_median), (6, 2, 1, Some(90)));
    assert_eq!((two.false_a_home_week.unwrap().value, two.confirmed_share.unwrap().value), (0.5, 0.75));
    assert_eq!(two.unsure_share.unwrap().value, 4.0 / 12.0);
    assert_eq!((one.false_a_home_week.unwrap().value, one.announced, one.unsure_share), (7.5, 0, None));
    assert_eq!((evaluation.champion, evaluation.challenger), (Some(2), Some(1)));
    assert_eq!(evaluation.versus.unwrap().summary, "Version 2 raises fewer false alarms than version 1.");
}

#[test]
fn a_slice_that_is_worse_than_the_fleet_beyond_chance_is_marked() {
    let evaluation = evaluate(&known(), Period { since: 0, until: WEEKS_4 });
    let worse: Vec<String> = evaluation.models[1]
        .slices
        .iter()
        .filter(|figures| figures.worse)
        .map(|figures| format!("{} {}", figures.slice.by, figures.slice.of))
        .collect();
    assert_eq!(worse, ["country us", "size few sensors"]);
    assert!(evaluation.models[0].slices.iter().all(|figures| !figures.worse), "two dismissals are chance");
}

#[test]
fn scores_that_moved_are_seen_and_few_answers_say_nothing() {
    let numbers = |from: f64, count: i32| -> Vec<AnswerNumbers> {
        (0..count)
            .map(|number| AnswerNumbers {
                model_version: ModelVersion(1),
                delay: 1,
                margin: from + f64::from(number) / f64::from(count),
            })
            .collect()
    };
    assert!(stability(&numbers(0.0, 100), &numbers(0.0, 90)).unwrap() < 0.05);
    assert!(stability(&numbers(0.5, 100), &numbers(0.0, 90)).unwrap() > 0.25);
    assert_eq!(stability(&numbers(0.0, 49), &numbers(0.0, 90)), None);
}
