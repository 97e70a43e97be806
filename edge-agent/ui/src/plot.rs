//! Drawings that stand in the page itself: classes, not colours, so that the page's light and dark hold for them too.

use std::fmt::Write as _;

use hearthwatch_detector::finding::Band;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::unit::DisplayUnit;
use hearthwatch_edge_core::explain::{self, Point};
use hearthwatch_edge_store::history::JudgedSpan;
use jiff::tz::TimeZone;
use maud::{Markup, PreEscaped, html};

use super::home::{OwnHistory, Preview};
use super::text;

/// Units of the drawing; it is scaled to the width that there is.
const WIDTH: f32 = 720.0;
/// Pixels, without the times below.
const HEIGHT: f32 = 200.0;
/// Space for the numbers at the left.
const LEFT: f32 = 52.0;
/// Pixels below the plot, for the times.
const BELOW: f32 = 24.0;
/// Points that are drawn; more than one in each unit of width cannot be seen.
const POINTS_MAX: usize = 720;

/// One entity's past: its values, the usual band, the alarms as shaded stretches.
pub(super) fn history(history: &OwnHistory, timezone: &TimeZone) -> Markup {
    let unit = DisplayUnit::of(history.info.class, &history.info.shown_unit());
    let points: Vec<Point> = thinned(&history.points).into_iter().map(|point| point.times(unit.factor)).collect();
    let binary = history.info.class.is_binary();
    let Some((low, high)) = range(&points, binary) else {
        return html! { p.empty { "Nothing is remembered of this time yet." } };
    };
    let x = |at: i64| {
        let share = (at - history.from) as f32 / (history.until - history.from).max(1) as f32;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT)
    };
    let y = |value: f32| 8.0 + (1.0 - ((value - low) / (high - low)).clamp(0.0, 1.0)) * (HEIGHT - 16.0);
    let mut body = String::new();
    let (off, on) = explain::state_words(history.info.class);
    let (marks, decimals) = explain::round_numbers(f64::from(low), f64::from(high), 5);
    let marks: Vec<(f32, String)> = if binary {
        vec![(0.0, off.to_owned()), (1.0, on.to_owned())]
    } else {
        marks.into_iter().map(|mark| (mark as f32, format!("{mark:.decimals$}"))).collect()
    };
    for (at, label) in marks {
        // Writing into a String cannot fail, here and below.
        let _ = write!(
            body,
            "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{WIDTH}\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
            y(at),
            LEFT - 8.0,
            y(at) + 4.0,
            escaped(&label)
        );
    }
    for (start, end) in &history.alarms {
        let (left, right) = (x(start - STEP_SECONDS), x(*end));
        let width = (right - left).max(3.0);
        let _ =
            write!(body, "<rect class=\"alarm\" x=\"{left:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{HEIGHT}\"/>");
    }
    let gap = (history.until - history.from) / POINTS_MAX as i64 * 2 + STEP_SECONDS;
    let near = |one: &Point, next: &Point| next.at - one.at <= gap;
    for run in points.chunk_by(|one, next| near(one, next) && one.band.is_some() == next.band.is_some()) {
        let bands: Vec<(i64, Band)> = run.iter().filter_map(|point| Some((point.at, point.band?))).collect();
        let Some(((first, band), rest)) = bands.split_first() else { continue };
        let mut path = format!("M{:.1} {:.1}", x(*first), y(band.high));
        for (at, band) in rest {
            let _ = write!(path, "L{:.1} {:.1}", x(*at), y(band.high));
        }
        for (at, band) in bands.iter().rev() {
            let _ = write!(path, "L{:.1} {:.1}", x(*at), y(band.low));
        }
        let _ = write!(body, "<path class=\"band\" d=\"{path}Z\"/>");
    }
    for run in points.chunk_by(|one, next| near(one, next) && one.observed.is_some() == next.observed.is_some()) {
        let values: Vec<(i64, f32)> = run.iter().filter_map(|point| Some((point.at, point.observed?))).collect();
        let Some(((first, value), rest)) = values.split_first() else { continue };
        let mut path = format!("M{:.1} {:.1}h.1", x(*first), y(*value));
        for (at, value) in rest {
            let _ = write!(path, "L{:.1} {:.1}", x(*at), y(*value));
        }
        let _ = write!(body, "<path class=\"value\" d=\"{path}\"/>");
    }
    times(&mut body, history.from, history.until, timezone, HEIGHT, x);
    let from_to =
        if binary { String::new() } else { format!(": from {} to {}", text::number(low), text::number(high)) };
    let words =
        format!("{} over {}{from_to} {}", history.name, text::count(history.days.unsigned_abs(), "day"), unit.name);
    let _ = write!(body, "<text x=\"{LEFT}\" y=\"12\">{}</text>", escaped(&unit.name));
    drawing(&words, HEIGHT + BELOW, &body)
}

/// A month of would-be alarms: a dot for each, on its day.
pub(super) fn month(preview: &Preview, judged: JudgedSpan) -> Markup {
    const ROW: f32 = 44.0;
    let span = (judged.last - judged.first).max(1) as f32;
    let x = |at: i64| 8.0 + ((at - judged.first) as f32 / span).clamp(0.0, 1.0) * (WIDTH - 16.0);
    let mut body = format!("<path class=\"grid\" d=\"M8 22H{}\"/>", WIDTH - 8.0);
    for (_, at) in &preview.alarms {
        let _ = write!(body, "<circle class=\"dot\" cx=\"{:.1}\" cy=\"22\" r=\"6\"/>", x(*at));
    }
    times(&mut body, judged.first, judged.last, &preview.timezone, ROW, x);
    drawing(&format!("{} in the last 30 days", text::count(preview.alarms.len() as u64, "alarm")), ROW + BELOW, &body)
}

/// Marks at local midnights, at most eight of them, and at hours where there is but a day.
fn times(body: &mut String, from: i64, until: i64, timezone: &TimeZone, top: f32, x: impl Fn(i64) -> f32) {
    let days = (until - from) / 86_400;
    let (every, format) = if days <= 2 { (6 * 3_600, "%H:%M") } else { (((days / 8) + 1) * 86_400, "%-d %b") };
    let offset = jiff::Timestamp::from_second(from).map_or(0, |at| i64::from(timezone.to_offset(at).seconds()));
    let mut at = (from + offset).div_euclid(every) * every + every - offset;
    while at <= until {
        let here = x(at);
        let label = text::local(at, timezone, format);
        let anchor = if here > WIDTH - 30.0 { "end" } else { "middle" };
        let _ = write!(
            body,
            "<path class=\"grid\" d=\"M{here:.1} 0V{top}\"/><text x=\"{here:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
            top + 18.0
        );
        at += every;
    }
}

/// `words` and `body` hold numbers, dates and an escaped name only.
fn drawing(words: &str, height: f32, body: &str) -> Markup {
    html! {
        svg.plot viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(words) { (PreEscaped(body)) }
    }
}

/// Every n-th point, and with them the widest excursions: a peak of ten minutes must not vanish from a month.
fn thinned(points: &[Point]) -> Vec<Point> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let widest = |chunk: &[Point]| {
        let off = |point: &Point| match (point.observed, point.band) {
            (Some(value), Some(band)) => (value - band.expected).abs(),
            _ => 0.0,
        };
        chunk.iter().copied().max_by(|one, other| off(one).total_cmp(&off(other)))
    };
    points.chunks(every).filter_map(widest).collect()
}

/// Lowest and highest of what is drawn; none when there is nothing.
fn range(points: &[Point], binary: bool) -> Option<(f32, f32)> {
    if points.iter().all(|point| point.observed.is_none() && point.band.is_none()) {
        return None;
    }
    if binary {
        return Some((-0.1, 1.1));
    }
    let (low, high) = explain::scale(points);
    let pad = ((high - low) * 0.05).max(high.abs() * 0.005).max(0.01);
    #[expect(clippy::cast_possible_truncation, reason = "made of numbers of 32 bits")]
    Some(((low - pad) as f32, (high + pad) as f32))
}

/// Text that may stand in a drawing.
fn escaped(text: &str) -> String {
    html! { (text) }.into_string()
}
