//! What is counted in a home that evaluates.

use hearthwatch_evaluation::fixtures::home::made_home;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const DAYS: u32 = 10;

fn home() -> LocalHome {
    let recorded = made_home(3, 14 + i64::from(DAYS));
    let (first, last) = recorded.span().unwrap();
    let steps = (first..=last).step_by(600).collect();
    LocalHome { recorded, verdicts: Vec::new(), steps, from: last - i64::from(DAYS) * DAY_SECONDS, days: DAYS }
}

fn shipped() -> Artifact {
    Artifact::parse(include_bytes!("../../../../model/shipped/network.safetensors")).unwrap()
}

fn totals(counts: &BTreeMap<DeviceClass, ClassCounts>) -> Vec<i64> {
    counts.values().map(|counts| counts.days.total()).collect()
}

#[test]
fn each_sensor_counts_once_for_each_day_and_each_fault_once_for_each_model() {
    let work = EvaluateWork { models: Vec::new(), seed: 1, noise: 0.0 };
    let models = [shipped(), shipped()];
    let (body, figures) = evaluate(&home(), &models, &work, 5, &mut StdRng::seed_from_u64(1)).unwrap();
    let counts = HomeCounts::from_bytes(&body, 2).unwrap();
    assert_eq!(totals(&counts.models[0]), [i64::from(DAYS); 3]);
    assert_eq!((figures.entities, figures.days), (3, DAYS));
    let faults: i64 = counts.models[0].values().map(|counts| counts.faults.total()).sum();
    let found: i64 = counts.models[0].values().map(|counts| counts.faults.at_least(8)).sum();
    assert!(faults >= 3 && found >= 1 && found < faults, "{found} of {faults}");
    assert_eq!(counts.models[0], counts.models[1], "the same model");
}

#[test]
fn steps_in_which_the_agent_did_not_run_and_those_around_confirmed_alarms_are_no_clean_days() {
    let mut home = home();
    let gone = |at: i64| at > home.from && at <= home.from + 2 * DAY_SECONDS;
    home.steps.retain(|at| !gone(*at));
    // One alarm every third hour of a day leaves none of its steps.
    let alarms = (0..10).map(|number| home.from + 4 * DAY_SECONDS - 3600 + number * 3 * 3600);
    home.verdicts = alarms.map(|at| HomeVerdict { entity: 1, at, confirmed: true }).collect();
    let counts = count(&home, &[shipped()], 5);
    let expected = home
        .recorded
        .entities
        .iter()
        .enumerate()
        .map(|(place, info)| (info.class, i64::from(DAYS) - 2 - i64::from(place == 1)));
    let expected: BTreeMap<DeviceClass, i64> = expected.collect();
    assert_eq!(totals(&counts.models[0]), expected.into_values().collect::<Vec<_>>());
}

#[test]
fn a_fault_lasts_from_the_first_step_that_shows_it_to_the_last() {
    let twin = clean(&home());
    let (trace, first) = (&twin.entities[0], twin.entities[0].first);
    let label = Label {
        entity: 0,
        start: first + 6001,
        end: first + 7200,
        family: "spike".to_owned(),
        origin: LabelOrigin::Injected,
    };
    assert_eq!(steps(trace, &label, 0), 11..13);
    assert_eq!(steps(trace, &label, STEPS_BEFORE), 9..13);
    let beyond = Label { end: i64::MAX / 2, start: first + 6001, ..label };
    assert_eq!(steps(trace, &beyond, 0).end, trace.len());
}
