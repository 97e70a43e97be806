//! Preferences change within their limits, and decide together what is shown.

use hearthwatch_detector::alarm::Severity;
use hearthwatch_detector::class::DeviceClass;
use hearthwatch_detector::finding::AnomalyKind;
use jiff::tz::TimeZone;

use super::*;

const NOON: i64 = 1_700_049_600; // 2023-11-15T12:00:00Z
const HOUR: i64 = 3_600;

fn freezer() -> Subject<'static> {
    Subject {
        entity_id: "sensor.freezer",
        area: Some("Cellar"),
        class: DeviceClass::Temperature,
        kind: AnomalyKind::Level,
        too_much: true,
        severity: Severity::Warning,
        excess: 1.0,
        known_for: 0,
    }
}

fn decide(preferences: &Preferences, subject: &Subject<'_>, now: i64) -> Announcement {
    preferences.announce(subject, 0, 1.0, now, &TimeZone::UTC)
}

fn with(change: Change) -> Preferences {
    let mut preferences = Preferences::default();
    preferences.apply(change, NOON).unwrap();
    preferences
}

fn time(text: &str) -> DailyTime {
    DailyTime::parse(text).unwrap()
}

#[test]
fn a_house_without_wishes_says_everything() {
    assert_eq!(decide(&Preferences::default(), &freezer(), NOON), Announcement::Now);
}

#[test]
fn a_paused_house_says_nothing_but_danger() {
    let preferences = with(Change::Paused(true));
    assert_eq!(decide(&preferences, &freezer(), NOON), Announcement::Suppression(Suppression::Paused));
    assert_eq!(decide(&preferences, &smoke(), NOON), Announcement::Now);
}

#[test]
fn danger_is_said_at_once_in_every_mode_at_every_hour_and_under_every_mute_and_snooze() {
    let day = Some(NOON + 24 * HOUR);
    let own = Scope::Entity { entity_id: "binary_sensor.smoke".into(), kind: None };
    let quiet = QuietHours { from: time("00:00"), until: time("23:59"), let_through: Severity::Critical };
    let mut changes = vec![
        Change::QuietHours(Some(quiet)),
        Change::Mute { scope: Scope::Home, until: day },
        Change::Mute { scope: Scope::Area { area: "Cellar".into() }, until: day },
        Change::Mute { scope: own.clone(), until: None },
        Change::Mute { scope: own.clone(), until: Some(NOON + 48 * HOUR) },
        Change::Mute { scope: own, until: day },
    ];
    changes.extend(HomeMode::ALL.map(Change::Mode));
    for change in changes {
        let preferences = with(change.clone());
        assert_eq!(decide(&preferences, &smoke(), NOON), Announcement::Now, "{change:?}");
    }
}

fn smoke() -> Subject<'static> {
    Subject {
        entity_id: "binary_sensor.smoke",
        class: DeviceClass::Smoke,
        kind: AnomalyKind::Alert,
        severity: Severity::Critical,
        ..freezer()
    }
}

#[test]
fn a_snooze_covers_its_scope_until_it_is_over() {
    let mut preferences = with(Change::Mute { scope: Scope::Area { area: "Cellar".into() }, until: Some(NOON + HOUR) });
    assert_eq!(decide(&preferences, &freezer(), NOON), Announcement::Suppression(Suppression::Muted));
    assert_eq!(decide(&preferences, &Subject { area: Some("Attic"), ..freezer() }, NOON), Announcement::Now);
    assert_eq!(decide(&preferences, &freezer(), NOON + HOUR), Announcement::Now);
    assert!(preferences.forget_past(NOON + HOUR) && preferences.mutes.is_empty());
}

#[test]
fn a_mute_for_good_covers_one_entity_and_never_danger() {
    let scope = Scope::Entity { entity_id: "sensor.freezer".into(), kind: None };
    let preferences = with(Change::Mute { scope, until: None });
    assert_eq!(decide(&preferences, &freezer(), NOON + 1_000 * HOUR), Announcement::Suppression(Suppression::Muted));
    let leak = Subject { class: DeviceClass::Moisture, ..freezer() };
    assert_eq!(decide(&preferences, &leak, NOON), Announcement::Now);
}

#[test]
fn a_mute_that_nobody_should_wish_for_is_refused() {
    let mut preferences = Preferences::default();
    let mut refused = |scope, until| match preferences.apply(Change::Mute { scope, until }, NOON) {
        Err(ChangeError::Mute(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Scope::Home, None), MuteError::TooWide);
    assert_eq!(refused(Scope::Area { area: "Cellar".into() }, None), MuteError::TooWide);
    assert_eq!(refused(Scope::Home, Some(NOON)), MuteError::Past);
    assert_eq!(refused(Scope::Home, Some(NOON + SNOOZE_SECONDS_MAX + 1)), MuteError::TooLong);
    assert_eq!(refused(Scope::Entity { entity_id: " ".into(), kind: None }, None), MuteError::Name);
    for number in 0..MUTES_MAX {
        let scope = Scope::Entity { entity_id: format!("sensor.{number}"), kind: None };
        preferences.apply(Change::Mute { scope, until: None }, NOON).unwrap();
    }
    let one_more = Change::Mute { scope: Scope::Entity { entity_id: "sensor.x".into(), kind: None }, until: None };
    assert_eq!(preferences.apply(one_more, NOON), Err(ChangeError::Mute(MuteError::TooMany)));
}

#[test]
fn a_mute_can_be_narrowed_to_a_manner_and_lifted() {
    let scope = Scope::Entity { entity_id: "sensor.freezer".into(), kind: Some(AnomalyKind::Silent) };
    let mut preferences = with(Change::Mute { scope, until: None });
    assert_eq!(decide(&preferences, &freezer(), NOON), Announcement::Now);
    let silent = Subject { kind: AnomalyKind::Silent, ..freezer() };
    assert_eq!(decide(&preferences, &silent, NOON), Announcement::Suppression(Suppression::Muted));
    preferences.apply(Change::Unmute(preferences.mutes[0].id), NOON).unwrap();
    assert_eq!(decide(&preferences, &silent, NOON), Announcement::Now);
}

#[test]
fn a_week_that_had_its_alarms_is_left_in_peace_but_for_danger() {
    let preferences = Preferences::default();
    let third = |subject: &Subject<'_>| preferences.announce(subject, 2, 2.0, NOON, &TimeZone::UTC);
    assert_eq!(third(&freezer()), Announcement::Suppression(Suppression::Budget));
    assert_eq!(third(&Subject { severity: Severity::Critical, ..freezer() }), Announcement::Now);
    assert_eq!(allowed_in_a_week(0.25), 1);
}

#[test]
fn quiet_hours_hold_back_what_can_wait_until_the_morning() {
    let brussels = TimeZone::get("Europe/Brussels").unwrap();
    let quiet = QuietHours { from: time("22:00"), until: time("07:00"), let_through: Severity::Critical };
    let preferences = with(Change::QuietHours(Some(quiet)));
    let at = |now: i64, subject: &Subject<'_>| preferences.announce(subject, 0, 1.0, now, &brussels);
    let (eleven, morning) = (NOON + 10 * HOUR, NOON + 18 * HOUR);
    assert_eq!(at(eleven, &freezer()), Announcement::Later(morning));
    assert_eq!(at(eleven + 4 * HOUR, &freezer()), Announcement::Later(morning));
    assert_eq!(at(morning, &freezer()), Announcement::Now);
    assert_eq!(at(eleven, &Subject { severity: Severity::Critical, ..freezer() }), Announcement::Now);
    assert_eq!(
        Preferences::default().apply(Change::QuietHours(Some(QuietHours { until: time("22:00"), ..quiet })), NOON),
        Err(ChangeError::QuietHours)
    );
}

#[test]
fn what_hardly_matters_must_last_before_it_is_said() {
    let info = Subject { severity: Severity::Info, ..freezer() };
    let preferences = Preferences::default();
    assert_eq!(decide(&preferences, &info, NOON), Announcement::Later(NOON + DEBOUNCE_SECONDS));
    let lasting = Subject { known_for: DEBOUNCE_SECONDS, ..info };
    assert_eq!(decide(&preferences, &lasting, NOON), Announcement::Now);
}

#[test]
fn a_time_of_day_comes_once_a_day_also_when_the_clocks_change() {
    let brussels = TimeZone::get("Europe/Brussels").unwrap();
    // 2024-03-31: clocks go from 02:00 to 03:00 there, at 01:00 UTC.
    let midnight = 1_711_839_600;
    assert_eq!(next_daily(time("08:00"), midnight, &brussels), Some(midnight + 7 * HOUR));
    assert!(next_daily(time("02:30"), midnight, &brussels).is_some());
    assert_eq!(DailyTime::parse("24:00").unwrap_err().to_string(), "\"24:00\" is not a time of day such as \"22:30\"");
    assert_eq!(time("7:05").to_string(), "07:05");
}

#[test]
fn guests_explain_movement_and_a_holiday_explains_stillness() {
    let motion = |kind, too_much| Subject { class: DeviceClass::Motion, kind, too_much, ..freezer() };
    let guests = with(Change::Mode(HomeMode::Guests));
    assert_eq!(decide(&guests, &motion(AnomalyKind::Rate, true), NOON), Announcement::Suppression(Suppression::Mode));
    assert_eq!(decide(&guests, &freezer(), NOON), Announcement::Now);
    let holiday = with(Change::Mode(HomeMode::Holiday));
    assert_eq!(
        decide(&holiday, &motion(AnomalyKind::TimeInState, false), NOON),
        Announcement::Suppression(Suppression::Mode)
    );
    assert_eq!(decide(&holiday, &motion(AnomalyKind::Rate, true), NOON), Announcement::Now);
    let works = with(Change::Mode(HomeMode::Maintenance));
    assert_eq!(decide(&works, &freezer(), NOON), Announcement::Suppression(Suppression::Mode));
    assert_eq!(decide(&works, &Subject { severity: Severity::Critical, ..freezer() }, NOON), Announcement::Now);
}

#[test]
fn days_with_guests_are_not_learnt_from_also_after_they_left() {
    let mut preferences = Preferences::default();
    preferences.apply(Change::Mode(HomeMode::Guests), 1_000).unwrap();
    preferences.apply(Change::Mode(HomeMode::Holiday), 2_000).unwrap();
    preferences.apply(Change::Mode(HomeMode::Home), 3_000).unwrap();
    assert_eq!([1_000, 1_001, 3_000, 3_001].map(|at| preferences.learns_at(at)), [true, false, false, true]);
    preferences.apply(Change::Mode(HomeMode::Maintenance), 4_000).unwrap();
    assert!(!preferences.learns_at(9_000));
}

#[test]
fn wishes_survive_a_restart_and_older_files_are_read() {
    let mut preferences = with(Change::Budget(2.0));
    preferences.apply(Change::Mute { scope: Scope::Home, until: Some(NOON + HOUR) }, NOON).unwrap();
    preferences.apply(Change::Brief(Some(time("08:00"))), NOON).unwrap();
    let text = serde_json::to_string(&preferences).unwrap();
    assert_eq!(serde_json::from_str::<Preferences>(&text).unwrap(), preferences);
    assert_eq!(serde_json::from_str::<Preferences>(r#"{"mode": "away"}"#).unwrap().mode, HomeMode::Away);
}

#[test]
fn a_number_beyond_its_bounds_is_refused() {
    let mut preferences = Preferences::default();
    assert_eq!(preferences.apply(Change::Budget(0.0), NOON), Err(ChangeError::Budget(0.0)));
    assert!(preferences.apply(Change::Budget(f64::NAN), NOON).is_err());
    assert_eq!(preferences.apply(Change::Questions(22), NOON), Err(ChangeError::Questions(22)));
    assert_eq!(preferences, Preferences::default());
}

#[test]
fn what_is_far_above_its_threshold_and_what_a_rule_found_is_said_though_the_week_has_had_its_alarms() {
    let third = |subject: &Subject<'_>| Preferences::default().announce(subject, 2, 1.0, NOON, &TimeZone::UTC);
    assert_eq!(third(&freezer()), Announcement::Suppression(Suppression::Budget));
    assert_eq!(third(&Subject { excess: 4.0, ..freezer() }), Announcement::Now);
    assert_eq!(third(&Subject { kind: AnomalyKind::Leak, ..freezer() }), Announcement::Now);
    let impossible = Subject { kind: AnomalyKind::Physics, excess: 9.0, ..freezer() };
    assert_eq!(third(&impossible), Announcement::Suppression(Suppression::Budget));
}

#[test]
fn stored_preferences_keep_their_names() {
    let stored = serde_json::to_value(Preferences::default()).unwrap();
    for name in ["hushes", "next_hush", "unlearnt"] {
        assert!(stored.get(name).is_some(), "{name} is missing in {stored}");
    }
}
