//! No home crosses, no time crosses.

use std::collections::BTreeSet;

use super::*;
use crate::fixtures::home::made_home;

fn rules(roles: Roles) -> SetRules {
    SetRules {
        set: "tests".into(),
        roles,
        warm_up_days: 7,
        calibrate_days: 28,
        test_days: 28,
        homes_max: 10,
        events_per_entity_week: 1.0,
    }
}

fn part_of(home: &RecordedHome) -> usize {
    home.name.trim_start_matches("made-").parse::<usize>().unwrap() % 3
}

fn homes() -> Vec<RecordedHome> {
    (0..6).map(|variant| made_home(variant, 30)).collect()
}

#[test]
fn a_rotation_tests_every_home_once_and_never_on_a_home_or_a_time_that_was_learnt_from() {
    let homes = homes();
    let protocol = Protocol::new(rules(Roles::Rotation { parts: 3, cut: 0.6 }), &homes, &part_of, vec![1, 2]);
    assert_eq!(protocol.folds.len(), 3);
    let mut tested = Vec::new();
    for fold in &protocol.folds {
        let of = |role| fold.homes.iter().filter(move |one| one.role == role);
        let names = |role| of(role).map(|one| one.home.clone()).collect::<BTreeSet<_>>();
        assert!(names(Role::Test).is_disjoint(&names(Role::Train)));
        assert!(names(Role::Test).is_disjoint(&names(Role::Calibrate)));
        assert!(names(Role::Train).is_disjoint(&names(Role::Calibrate)));
        let learnt = of(Role::Train).chain(of(Role::Calibrate)).map(|one| one.until).max().unwrap();
        assert!(of(Role::Test).all(|one| one.from >= learnt));
        tested.extend(names(Role::Test));
    }
    tested.sort();
    assert_eq!(tested, homes.iter().map(RecordedHome::full_name).collect::<Vec<_>>());
}

#[test]
fn a_home_that_is_its_own_past_is_cut_in_time() {
    let homes = vec![made_home(1, 60)];
    let roles = Roles::OwnPast { train: 0.5, calibrate: 0.7 };
    let protocol = Protocol::new(rules(roles), &homes, &part_of, vec![1]);
    let [train, calibrate, test] = protocol.folds[0].homes.as_slice() else { panic!("three roles") };
    assert!(train.until <= calibrate.from && calibrate.until <= test.from);
}

#[test]
fn a_home_too_short_for_its_role_is_named() {
    let homes = vec![made_home(0, 9)];
    let protocol = Protocol::new(rules(Roles::Parts { cut: 0.9 }), &homes, &part_of, vec![1]);
    assert_eq!(protocol.too_short, [homes[0].full_name()]);
}

#[test]
fn every_family_is_left_out_in_exactly_one_of_five_folds() {
    let mut left_out: Vec<Family> = LEFT_OUT.concat();
    left_out.sort_unstable();
    let mut every = Family::EVERY.to_vec();
    every.sort_unstable();
    assert_eq!(left_out, every);
}

#[test]
fn a_protocol_reads_back_from_its_file() {
    let protocol = Protocol::new(rules(Roles::Rotation { parts: 3, cut: 0.6 }), &homes(), &part_of, vec![1, 2]);
    let text = serde_json::to_string(&protocol).unwrap();
    assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), protocol);
}
