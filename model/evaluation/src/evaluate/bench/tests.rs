//! A whole run on made homes.

use super::*;
use crate::evaluate::{
    Baseline, Detector, EntityScores, Fixed, HomeTrace, Roles, SetRules, TrainingSplit, figure, table,
};
use crate::fixtures::home::made_home;

const DAY: i64 = 86_400;

fn homes() -> Vec<RecordedHome> {
    (0..3).map(|variant| made_home(variant, 35)).collect()
}

fn protocol(homes: &[RecordedHome]) -> Protocol {
    let rules = SetRules {
        set: "made".into(),
        roles: Roles::Rotation { parts: 3, cut: 0.7 },
        warm_up_days: 14,
        calibrate_days: 28,
        test_days: 28,
        homes_max: 10,
        events_per_entity_week: 1.0,
    };
    let part = |home: &RecordedHome| home.name.trim_start_matches("made-").parse().unwrap();
    Protocol { resamples: 50, ..Protocol::new(rules, homes, &part, vec![1, 2]) }
}

/// Knows the faults and nothing else.
struct Oracle;

impl Detector for Oracle {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        let score = |entity: u32, at: i64| {
            let inside = home.labels.iter().any(|label| label.entity == entity && label.start <= at && at <= label.end);
            if inside { 40.0 } else { calm(at as u64 + u64::from(entity)) }
        };
        (0..home.entities.len() as u32)
            .map(|entity| EntityScores {
                scores: (0..home.steps()).map(|index| score(entity, home.at(index))).collect(),
                bands: Vec::new(),
            })
            .collect()
    }
}

/// An exponential deviate by a hash (splitmix64): calm, with a tail to set thresholds by.
fn calm(seed: u64) -> f32 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let uniform = ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u64 << 24) as f32;
    -(1.0 - uniform).ln()
}

/// Trains nothing and notes what it was allowed to see.
struct Nosy(std::sync::Mutex<Vec<(Vec<String>, i64, usize)>>);

impl Method for Nosy {
    fn name(&self) -> &str {
        "nosy"
    }

    fn seeds(&self) -> Vec<u64> {
        vec![5, 6]
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let seen = split.train.iter().chain(split.calibrate);
        let names = seen.clone().map(|span| span.home.full_name()).collect();
        let latest = seen.filter_map(|span| span.home.span()).map(|span| span.1).max().unwrap_or(0);
        self.0.lock().unwrap().push((names, latest, split.families.len()));
        Ok(Box::new(Baseline))
    }
}

#[test]
fn a_detector_that_knows_finds_what_is_there_and_a_trained_one_sees_no_test_home() {
    let homes = homes();
    let protocol = protocol(&homes);
    let nosy = Nosy(std::sync::Mutex::new(Vec::new()));
    let (baseline, oracle) = (Fixed::new("routine detector", Baseline), Fixed::new("oracle", Oracle));
    let methods: [&dyn Method; 3] = [&baseline, &oracle, &nosy];
    let report = bench(&protocol, &homes, &methods, 2, &mut |_| {}).unwrap();
    let lines = report.lines("routine detector");

    let knowing = &lines[1];
    assert!(knowing.at[0].found.all > 20, "{:?}", knowing.at[0].found);
    let missed: Vec<_> = report.methods[1]
        .homes
        .iter()
        .flat_map(|home| &home.events)
        .filter(|event| event.delay_s[0].is_none())
        .collect();
    // During a fault of days the clean twin may have a false alarm too, and then it does not count as found.
    assert!(missed.len() <= 3, "{missed:?}");
    assert!(knowing.at[0].oracle.point > 0.85);
    assert!(knowing.vus_pr.point > 0.9 && knowing.auc_pr.point > 0.99);
    let ahead = knowing.at[0].ahead.unwrap();
    // In homes as plain as these the baseline detector may find as much; it is never ahead.
    assert!(ahead.low >= 0.0, "{ahead:?}");
    // The same detector under two training seeds is the baseline detector twice over.
    assert_eq!(lines[2].at[0].recall.point, lines[0].at[0].recall.point);
    assert_eq!(lines[2].at[0].false_alarms, lines[0].at[0].false_alarms);

    let seen = nosy.0.into_inner().unwrap();
    assert_eq!(seen.len(), 6);
    for (fold, (names, latest, families)) in protocol.folds.iter().flat_map(|fold| [fold, fold]).zip(&seen) {
        for home in fold.homes.iter().filter(|home| home.role == crate::evaluate::Role::Test) {
            assert!(!names.contains(&home.home));
            assert!(*latest <= home.from);
            assert!(home.until - home.from >= 3 * DAY);
        }
        assert_eq!(families + fold.left_out.len(), crate::inject::Family::EVERY.len());
    }

    let text = table(&report, "routine detector");
    assert!(text.contains("set made: 3 test homes in 3 folds"), "{text}");
    let drawing = figure(&report, "routine detector");
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n") && drawing.matches("<circle").count() == 9);
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains("\"entrants\":["), "stored reports keep their names");
    let read: BenchReport = serde_json::from_str(&json).unwrap();
    assert_eq!(read.protocol, report.protocol);
    assert_eq!(read.methods[2].homes[0].events, report.methods[2].homes[0].events);
}
