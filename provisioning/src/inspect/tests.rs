//! A sound installation is called sound, and each fault is named with its remedy.

use std::os::unix::fs::PermissionsExt as _;

use jiff::SignedDuration;

use super::*;
use crate::fixtures::{home, installation, named, now};
use crate::homes;

fn installed() -> (tempfile::TempDir, Layout) {
    let (dir, layout) = installation();
    homes::issue(&layout, &home(), now(), 90).unwrap();
    homes::token(&layout, &named("home-8"), now(), false).unwrap();
    (dir, layout)
}

fn problems(layout: &Layout, now: Timestamp) -> Vec<String> {
    let findings = look(layout, now).findings;
    findings.into_iter().filter(|finding| finding.weight == Weight::Problem).map(|finding| finding.text).collect()
}

#[test]
fn a_fresh_installation_is_sound_and_advises_to_take_the_root_keys_away() {
    let (_dir, layout) = installed();
    let report = look(&layout, now());
    assert!(report.sound(), "{:#?}", report.findings);
    assert!(report.findings[0].text.starts_with("3 of 3 root keys lie on this machine"), "{:?}", report.findings);
    let whats: Vec<&str> = report.rows.iter().map(|row| row.what.as_str()).collect();
    for what in ["certificate authority", "home's certificate", "root of trust", "targets", "claim token", "gate's key"]
    {
        assert!(whats.contains(&what), "{what} in {whats:?}");
    }
    let home = report.rows.iter().find(|row| row.what == "home's certificate").unwrap();
    assert_eq!((home.subject.as_str(), home.expires), ("home-7", Some(now() + SignedDuration::from_hours(90 * 24))));
}

#[test]
fn a_key_that_others_can_read_is_a_problem_with_the_command() {
    let (_dir, layout) = installed();
    let key = layout.home(&home()).key();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let key = key.display();
    let remedy = format!("{key} is open to others (mode 0644), so it is not used; if nobody read it: chmod 600 {key}");
    assert_eq!(problems(&layout, now()), [remedy]);
}

#[test]
fn what_expires_soon_is_advice_and_what_has_expired_a_problem() {
    let (_dir, layout) = installed();
    let later = now() + SignedDuration::from_hours(75 * 24);
    let report = look(&layout, later);
    let text: Vec<&str> = report.findings.iter().map(|finding| finding.text.as_str()).collect();
    let said = |start: &str| text.iter().any(|text| text.starts_with(start));
    assert!(said("home's certificate of home-7 expires in 15 days"), "{text:#?}");
    assert!(said("timestamp metadata expired at 2026-03-08T12:00:00Z"), "{text:#?}");
}

#[test]
fn a_certificate_with_anothers_key_is_a_problem() {
    let (_dir, layout) = installed();
    std::fs::copy(layout.http_key(), layout.broker_key()).unwrap();
    let found = problems(&layout, now());
    assert!(found[0].contains("does not belong to its key; rm "), "{found:?}");
}

#[test]
fn access_rules_that_were_edited_are_a_problem() {
    let (_dir, layout) = installed();
    std::fs::write(layout.mosquitto_acl(), "topic readwrite #\n").unwrap();
    let found = problems(&layout, now());
    assert!(found[0].starts_with("mosquitto's access rules differ from the table"), "{found:?}");
}

#[test]
fn an_installation_without_a_secret_group_is_told_the_command_that_makes_one() {
    let (_dir, layout) = installed();
    std::fs::remove_file(layout.group()).unwrap();
    let (path, root) = (layout.group(), layout.root().display().to_string());
    let remedy = format!("{} does not exist; hearthwatch-provision group --out {root}", path.display());
    assert_eq!(problems(&layout, now()), [format!("aggregators' secret group: {remedy}")]);
}

#[test]
fn a_copy_that_the_broker_reads_and_that_is_out_of_date_is_a_problem() {
    let (_dir, layout) = installed();
    std::fs::copy(layout.http_cert(), layout.mosquitto_cert()).unwrap();
    let (copy, original) = (layout.mosquitto_cert(), layout.broker_cert());
    let found = problems(&layout, now());
    assert_eq!(found, [format!("{} is no copy of {} any more; run init again", copy.display(), original.display())]);
}

#[test]
fn an_empty_place_is_told_the_first_command() {
    let found = problems(&Layout::new("/nonexistent/hw"), now());
    assert_eq!(found, ["/nonexistent/hw does not exist; hearthwatch-provision init --out /nonexistent/hw"]);
}
