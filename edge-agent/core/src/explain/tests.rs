//! Drawings are documents: they parse, they say what they must, they hold nothing of the home's that could break them.

use hearthwatch_detector::alarm::Alarm;
use hearthwatch_detector::class::DeviceClass;
use resvg::usvg::roxmltree::Document;

use super::*;
use crate::fixtures::{self, info, thermometer};

const START: i64 = 1_690_887_600; // 2023-08-01T11:00:00Z

fn alarm(reason: &str) -> Alarm {
    Alarm {
        start: START,
        end: Some(START + 7_200),
        score: 4.5,
        observed: Some(8.2),
        reason: reason.into(),
        ..fixtures::alarm("3f5c0d9a71b2e684", START + 1_200)
    }
}

/// A day and a half before [`START`] and six hours after, warm in the alarm.
fn points() -> Vec<Point> {
    (-216..36)
        .map(|step| {
            let daily = (step as f32 / 144.0 * std::f32::consts::TAU).sin();
            let observed = if (0..12).contains(&step) { 8.0 } else { 4.0 + daily };
            let band = Band { low: 3.0 + daily, expected: 4.0 + daily, high: 5.0 + daily };
            Point { at: START + i64::from(step) * 600, observed: (step != -40).then_some(observed), band: Some(band) }
        })
        .collect()
}

fn draw(info: &EntityInfo, alarm: &Alarm, points: &[Point], theme: Theme) -> String {
    let timezone = TimeZone::get("Europe/London").unwrap();
    let shown = &fixtures::stored(alarm.clone(), info);
    svg(&Picture { shown, info, language: Language::English, points, timezone: &timezone }, theme)
}

fn words(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

fn assert_says(words: &[String], expected: &[&str]) {
    for expected in expected {
        assert!(words.iter().any(|text| text == expected), "{expected:?} is not in {words:?}");
    }
}

#[test]
fn a_drawing_says_what_where_when_and_why_in_local_time() {
    let info = thermometer("sensor.freezer_temperature");
    let svg = draw(&info, &alarm("8.0 °C where 3.0 to 5.0 °C is usual at this hour"), &points(), Theme::Light);
    let words = words(&svg);
    assert_says(
        &words,
        &[
            "Freezer temperature: unusual value",
            "Look at this today · Tue 1 Aug 12:00 – 14:00",
            "Temperature, °C",
            "local time, Europe/London",
            "alarm",
            "measured",
            "usual",
        ],
    );
}

#[test]
fn the_message_reads_under_the_title_and_a_period_of_days_has_a_line_of_its_own() {
    let info = thermometer("sensor.freezer_temperature");
    let mut long = alarm("");
    long.end = Some(START + 3 * 86_400);
    let words = words(&draw(&info, &long, &points(), Theme::Light));
    assert_says(
        &words,
        &[
            "8.20\u{a0}°C. Since 12:00; clearly unusual here.",
            "Look at this today",
            "Tue 1 Aug 12:00 – Fri 4 Aug 12:00",
        ],
    );
}

#[test]
fn names_and_reasons_cannot_break_out_of_the_document() {
    let nasty = "</text><script>alert('&')</script>\u{0}]]>";
    let svg = draw(&info(nasty, DeviceClass::Temperature, nasty), &alarm(nasty), &points(), Theme::Auto);
    let document = Document::parse(&svg).unwrap();
    assert!(!document.descendants().any(|node| node.has_tag_name("script")));
}

#[test]
fn only_the_automatic_theme_asks_for_the_viewers_preference() {
    let info = thermometer("sensor.a");
    let drawn = |theme| draw(&info, &alarm("why"), &points(), theme);
    assert!(drawn(Theme::Auto).contains("prefers-color-scheme: dark"));
    assert!(!drawn(Theme::Light).contains("@media"));
    assert_ne!(drawn(Theme::Light), drawn(Theme::Dark));
}

#[test]
fn every_kind_of_entity_and_every_lack_of_points_is_drawn_without_nonsense() {
    let odd = [
        Point { at: START, observed: Some(f32::MAX), band: None },
        Point { at: START + 600, observed: Some(f32::MIN), band: Some(Band { low: -1e30, expected: 0.0, high: 1e30 }) },
    ];
    let flat: Vec<Point> = points().iter().map(|point| Point { observed: Some(0.0), band: None, ..*point }).collect();
    for class in DeviceClass::ALL {
        let info = info("sensor.a", *class, "u");
        for points in [&points()[..], &odd, &flat, &odd[..1], &[]] {
            let mut open = alarm("why");
            open.end = None;
            for alarm in [alarm("why"), open] {
                let svg = draw(&info, &alarm, points, Theme::Auto);
                Document::parse(&svg).unwrap();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}

#[test]
fn pixels_hold_text_without_any_font_on_the_machine() {
    let info = thermometer("sensor.freezer_temperature");
    let with = draw(&info, &alarm("8.0 °C where 3.0 to 5.0 °C is usual at this hour"), &points(), Theme::Dark);
    let png = png(&with).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let without_text = super::png(&with.replace("<text", "<g").replace("</text>", "</g>")).unwrap();
    assert_ne!(png, without_text);
}

#[test]
fn a_document_that_is_no_drawing_is_refused() {
    assert!(matches!(png("<html/>"), Err(DrawError::Svg(_))));
    let huge = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9999\" height=\"9\"/>";
    assert_eq!(png(huge).unwrap_err().to_string(), "the drawing is 9999 × 9 units, beyond what is drawn");
}
