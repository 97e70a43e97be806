//! The drawing itself: a head of words, a chart below.

use std::fmt::Write as _;

use hearthwatch_detector::alarm::Severity;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_detector::unit::DisplayUnit;

use super::sentence::sentence;
use super::words::{escape, period, quantity, shorten, state_words, text_width, wrap};
use super::{Language, Picture, Point, Theme, ticks, timeline};

/// In pixels: a telephone's screen.
const WIDTH: f32 = 360.0;
const MARGIN: f32 = 12.0;
/// Left edge of the plot: six digits at [`SMALL`] fit before it.
const PLOT_LEFT: f32 = 50.0;
const PLOT_RIGHT: f32 = WIDTH - MARGIN;
const PLOT_HEIGHT: f32 = 150.0;
/// Font size of the title.
const LARGE: f32 = 17.0;
/// Font size of sentences.
const MEDIUM: f32 = 13.0;
/// Size of labels: the smallest that is read at arm's length.
const SMALL: f32 = 11.0;
/// More is cut.
const REASON_LINES: usize = 4;
/// What is shown before an alarm at least: half a day, to see what is usual.
const LEAD_SECONDS: i64 = 12 * 3_600;
/// What is shown behind an alarm's end.
const AFTER_SECONDS: i64 = 3 * 3_600;
/// How far the expected range may stretch the scale, in spans of the measured values: a wide range must not flatten them.
const BAND_STRETCH: f64 = 0.6;

/// The picture as an SVG document.
pub(super) fn draw(picture: &Picture<'_>, theme: Theme) -> String {
    let words = Words::of(picture.language);
    let sentence = sentence(picture.shown, picture.timezone, picture.language);
    let alarm = &picture.shown.alarm;
    let when = period(alarm.start, alarm.end, picture.timezone);
    let mut body = String::new();
    let mut y = MARGIN + LARGE;
    text(&mut body, (MARGIN, y), LARGE, "ink", "start", &shorten(&sentence.title, LARGE, WIDTH - 2.0 * MARGIN));
    y += MEDIUM + 7.0;
    let severity = urgency(alarm.severity, picture.language);
    let headline = format!("{severity} · {when}");
    // Both on one line where they fit, else one below the other.
    if text_width(&headline, MEDIUM) <= WIDTH - 2.0 * MARGIN {
        text(&mut body, (MARGIN, y), MEDIUM, "call", "start", &headline);
    } else {
        text(&mut body, (MARGIN, y), MEDIUM, "call", "start", severity);
        y += MEDIUM + 4.0;
        text(&mut body, (MARGIN, y), MEDIUM, "call", "start", &shorten(&when, MEDIUM, WIDTH - 2.0 * MARGIN));
    }
    y += 3.0;
    for line in wrap(&message(&sentence.message, picture), MEDIUM, WIDTH - 2.0 * MARGIN, REASON_LINES) {
        y += MEDIUM + 4.0;
        text(&mut body, (MARGIN, y), MEDIUM, "ink", "start", &line);
    }
    y += 2.0 * SMALL + 4.0;
    let unit = DisplayUnit::of(picture.info.class, &picture.info.shown_unit());
    let binary = picture.info.class.is_binary();
    let axis = quantity(picture.info.class, &unit.name);
    text(&mut body, (MARGIN, y), SMALL, "muted", "start", &shorten(&axis, SMALL, WIDTH - 2.0 * MARGIN));
    y += 8.0;
    let shown: Vec<Point> = story(picture).iter().map(|point| point.times(unit.factor)).collect();
    let sure = binary && alarm.kind.is_danger();
    if sure || shown.iter().any(|point| point.observed.is_some() || point.band.is_some()) {
        Plot::new(picture, &shown, y).draw(&mut body, picture);
    } else {
        let middle = y + PLOT_HEIGHT / 2.0;
        text(&mut body, (WIDTH / 2.0, middle), MEDIUM, "muted", "middle", words.nothing);
    }
    y += PLOT_HEIGHT + SMALL + 6.0;
    y += SMALL + 5.0;
    let zone = picture
        .timezone
        .iana_name()
        .map_or_else(|| words.local_time.to_owned(), |zone| format!("{}, {zone}", words.local_time));
    text(&mut body, ((PLOT_LEFT + PLOT_RIGHT) / 2.0, y), SMALL, "muted", "middle", &zone);
    y += SMALL + 10.0;
    legend(&mut body, y, &shown, binary, &words);
    let height = y + MARGIN;
    let description = format!("{headline}. {}", sentence.message);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"t d\"><title id=\"t\">{}</title>\
         <desc id=\"d\">{}</desc><style>{}</style>\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height:.0}\"/>{body}</svg>\n",
        escape(&sentence.title),
        escape(&description),
        theme.style(),
    )
}

/// The alarm's message, with a non-breaking space between each number and its unit.
fn message(sentence: &str, picture: &Picture<'_>) -> String {
    let unit = DisplayUnit::of(picture.info.class, &picture.info.shown_unit()).name;
    if unit.is_empty() { sentence.to_owned() } else { sentence.replace(&format!(" {unit}"), &format!("\u{a0}{unit}")) }
}

/// The points that are drawn: half a day before the alarm or as long as the alarm itself, whichever is longer, and
/// a little behind its end.
fn story<'a>(picture: &Picture<'a>) -> &'a [Point] {
    let (Some(first), Some(last)) = (picture.points.first(), picture.points.last()) else { return picture.points };
    let end = picture.shown.alarm.end.unwrap_or(last.at);
    let from = picture.shown.alarm.start - (end - picture.shown.alarm.start).max(LEAD_SECONDS);
    let to = end + AFTER_SECONDS;
    let begin = picture.points.partition_point(|point| point.at < from.max(first.at));
    let finish = picture.points.partition_point(|point| point.at <= to);
    &picture.points[begin.min(finish)..finish]
}

fn text(body: &mut String, (x, y): (f32, f32), size: f32, class: &str, anchor: &str, words: &str) {
    // Writing into a String cannot fail, here and below.
    let _ = write!(
        body,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{}</text>",
        escape(words)
    );
}

/// Places moments and values on the plot.
struct Plot<'a> {
    points: &'a [Point],
    from: i64,
    to: i64,
    low: f64,
    high: f64,
    top: f32,
}

impl<'a> Plot<'a> {
    fn new(picture: &Picture<'_>, points: &'a [Point], top: f32) -> Self {
        let from = points.first().map_or(picture.shown.alarm.start - LEAD_SECONDS, |point| point.at - STEP_SECONDS);
        let alarm = &picture.shown.alarm;
        // What turned on this second is shown, though its step is not over.
        let event = if alarm.kind.is_danger() { alarm.start + STEP_SECONDS } else { 0 };
        let to = points.last().map_or(STEP_SECONDS, |point| point.at).max(event);
        let (low, high) = if picture.info.class.is_binary() { (0.0, 1.0) } else { range(points) };
        let pad = (high - low) * 0.06;
        Self { points, from, to, low: low - pad, high: high + pad, top }
    }

    fn x(&self, at: i64) -> f32 {
        let share = (at.clamp(self.from, self.to) - self.from) as f32 / (self.to - self.from).max(1) as f32;
        PLOT_LEFT + share * (PLOT_RIGHT - PLOT_LEFT)
    }

    fn y(&self, value: f32) -> f32 {
        let share = (f64::from(value) - self.low) / (self.high - self.low);
        self.top + (1.0 - share.clamp(0.0, 1.0) as f32) * PLOT_HEIGHT
    }

    fn draw(&self, body: &mut String, picture: &Picture<'_>) {
        let binary = picture.info.class.is_binary();
        if !binary {
            self.band(body);
        }
        self.axes(body, picture);
        self.alarm_ground(body, picture);
        if binary {
            let alarm = &picture.shown.alarm;
            let sure = alarm.kind.is_danger().then(|| (alarm.start, alarm.end.unwrap_or(self.to)));
            let stretches = timeline::stretches(self.points, sure);
            timeline::draw(body, &stretches, |at| self.x(at), self.top, PLOT_HEIGHT);
        } else {
            self.expected(body);
            self.values(body);
        }
        self.alarm_edges(body, picture);
    }

    fn alarm_span(&self, picture: &Picture<'_>) -> (f32, f32) {
        let (left, right) =
            (self.x(picture.shown.alarm.start - STEP_SECONDS), self.x(picture.shown.alarm.end.unwrap_or(self.to)));
        // A step is two units wide at a day's width; less than four is not seen.
        if right - left < 4.0 { ((right - 4.0).max(PLOT_LEFT), right) } else { (left, right) }
    }

    fn alarm_ground(&self, body: &mut String, picture: &Picture<'_>) {
        let (left, right) = self.alarm_span(picture);
        let (top, width) = (self.top, right - left);
        let _ = write!(
            body,
            "<rect class=\"alarm\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{PLOT_HEIGHT}\"/>"
        );
    }

    /// Edges and a word above everything else, so that the stretch is seen without its colour too.
    fn alarm_edges(&self, body: &mut String, picture: &Picture<'_>) {
        let (left, right) = self.alarm_span(picture);
        let (top, bottom) = (self.top, self.top + PLOT_HEIGHT);
        let _ = write!(body, "<path class=\"edge\" d=\"M{left:.1} {top:.1}V{bottom:.1}\"/>");
        if picture.shown.alarm.end.is_some_and(|end| end <= self.to) {
            let _ = write!(body, "<path class=\"edge\" d=\"M{right:.1} {top:.1}V{bottom:.1}\"/>");
        }
        let word = "alarm";
        let half = text_width(word, SMALL) / 2.0;
        let middle = f32::midpoint(left, right).clamp(PLOT_LEFT + half, PLOT_RIGHT - half);
        text(body, (middle, top - 3.0), SMALL, "call", "middle", word);
    }

    fn axes(&self, body: &mut String, picture: &Picture<'_>) {
        if picture.info.class.is_binary() {
            let (off, on) = state_words(picture.info.class);
            for (share, name) in [(0.25, on), (0.75, off)] {
                let y = self.top + share * PLOT_HEIGHT + SMALL * 0.36;
                let name = shorten(name, SMALL, PLOT_LEFT - 8.0);
                text(body, (PLOT_LEFT - 5.0, y), SMALL, "muted", "end", &name);
            }
        } else {
            let (marks, decimals) = ticks::numbers(self.low, self.high, 5);
            for mark in marks {
                self.level(body, mark as f32, &short_number(mark, decimals));
            }
        }
        let bottom = self.top + PLOT_HEIGHT;
        let mut free = PLOT_LEFT - MARGIN;
        for mark in ticks::times(self.from, self.to, picture.timezone, 5) {
            let x = self.x(mark.at);
            let _ = write!(body, "<path class=\"grid\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", self.top);
            let half = text_width(&mark.label, SMALL) / 2.0;
            let middle = x.clamp(PLOT_LEFT - MARGIN + half, WIDTH - 2.0 - half);
            if middle - half < free {
                continue;
            }
            free = middle + half + 4.0;
            let class = if mark.midnight { "ink" } else { "muted" };
            text(body, (middle, bottom + SMALL + 5.0), SMALL, class, "middle", &mark.label);
        }
    }

    fn level(&self, body: &mut String, value: f32, label: &str) {
        let y = self.y(value);
        let _ = write!(body, "<path class=\"grid\" d=\"M{PLOT_LEFT} {y:.1}H{PLOT_RIGHT}\"/>");
        let label = shorten(label, SMALL, PLOT_LEFT - 8.0);
        text(body, (PLOT_LEFT - 5.0, y + SMALL * 0.36), SMALL, "muted", "end", &label);
    }

    fn band(&self, body: &mut String) {
        for run in self.points.chunk_by(|one, next| adjacent(one, next) && one.band.is_some() == next.band.is_some()) {
            let bands: Vec<_> = run.iter().filter_map(|point| point.band.map(|band| (point.at, band))).collect();
            let Some((first, _)) = bands.first() else { continue };
            let mut path = format!("M{:.1} {:.1}", self.x(first - STEP_SECONDS), self.y(bands[0].1.high));
            for (at, band) in &bands {
                let _ = write!(path, "L{:.1} {:.1}", self.x(*at), self.y(band.high));
            }
            for (at, band) in bands.iter().rev() {
                let _ = write!(path, "L{:.1} {:.1}", self.x(*at), self.y(band.low));
            }
            let _ = write!(path, "L{:.1} {:.1}Z", self.x(first - STEP_SECONDS), self.y(bands[0].1.low));
            let _ = write!(body, "<path class=\"band\" d=\"{path}\"/>");
        }
    }

    fn expected(&self, body: &mut String) {
        for run in self.points.chunk_by(|one, next| adjacent(one, next) && one.band.is_some() == next.band.is_some()) {
            let line: Vec<_> =
                run.iter().filter_map(|point| point.band.map(|band| (point.at, band.expected))).collect();
            self.line(body, "expected", &line);
        }
    }

    fn values(&self, body: &mut String) {
        let seen = |point: &Point| point.observed.is_some();
        for run in self.points.chunk_by(|one, next| adjacent(one, next) && seen(one) == seen(next)) {
            let line: Vec<_> = run.iter().filter_map(|point| point.observed.map(|value| (point.at, value))).collect();
            self.line(body, "value", &line);
        }
    }

    /// A line through `points`; a single one becomes a dot.
    fn line(&self, body: &mut String, class: &str, points: &[(i64, f32)]) {
        match points {
            [] => {}
            [(at, value)] => {
                let (x, y) = (self.x(*at), self.y(*value));
                let _ = write!(body, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.5\"/>");
            }
            [(at, value), rest @ ..] => {
                let mut path = format!("M{:.1} {:.1}", self.x(*at), self.y(*value));
                for (at, value) in rest {
                    let (x, y) = (self.x(*at), self.y(*value));
                    let _ = write!(path, "L{x:.1} {y:.1}");
                }
                let _ = write!(body, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
    }
}

fn adjacent(one: &Point, next: &Point) -> bool {
    next.at - one.at == STEP_SECONDS
}

/// Lowest and highest of what is shown. The expected range counts as far as it does not flatten the values.
pub(super) fn range(points: &[Point]) -> (f64, f64) {
    let span = |values: &mut dyn Iterator<Item = f32>| {
        values.filter(|value| value.is_finite()).map(f64::from).fold(None, |span: Option<(f64, f64)>, value| match span
        {
            None => Some((value, value)),
            Some((low, high)) => Some((low.min(value), high.max(value))),
        })
    };
    let values = span(&mut points.iter().filter_map(|point| point.observed));
    let bands = span(&mut points.iter().filter_map(|point| point.band).flat_map(|band| [band.low, band.high]));
    let expected = span(&mut points.iter().filter_map(|point| point.band.map(|band| band.expected)));
    let joined = |one: Option<(f64, f64)>, other: Option<(f64, f64)>| match (one, other) {
        (Some((low, high)), Some((lower, higher))) => Some((low.min(lower), high.max(higher))),
        (one, other) => one.or(other),
    };
    let core = joined(values, expected).unwrap_or((0.0, 1.0));
    let reach = ((core.1 - core.0) * BAND_STRETCH).max(core.1.abs() * 0.02).max(1e-3);
    let (low, high) =
        bands.map_or(core, |(low, high)| (core.0.min(low.max(core.0 - reach)), core.1.max(high.min(core.1 + reach))));
    // A flat line is drawn in the middle of something.
    if high - low < 1e-6 { (low - reach, high + reach) } else { (low, high) }
}

/// `12500` → `12.5k`: what fits before the plot.
fn short_number(value: f64, decimals: usize) -> String {
    for (unit, letter) in [(1e9, "G"), (1e6, "M"), (1e4, "k")] {
        if value.abs() >= unit {
            let scaled = value / if unit == 1e4 { 1e3 } else { unit };
            let text = format!("{scaled:.2}");
            return format!("{}{letter}", text.trim_end_matches('0').trim_end_matches('.'));
        }
    }
    format!("{value:.decimals$}")
}

/// What each mark means, in one line.
fn legend(body: &mut String, y: f32, points: &[Point], binary: bool, words: &Words) {
    let mut x = PLOT_LEFT;
    let middle = y - SMALL * 0.36;
    if binary {
        return;
    }
    let _ = write!(body, "<path class=\"value\" d=\"M{x:.1} {middle:.1}h16\"/>");
    x += 20.0;
    text(body, (x, y), SMALL, "ink", "start", words.measured);
    x += text_width(words.measured, SMALL) + 14.0;
    if points.iter().any(|point| point.band.is_some()) {
        let _ =
            write!(body, "<rect class=\"band\" x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" height=\"10\"/>", middle - 5.0);
        let _ = write!(body, "<path class=\"expected\" d=\"M{x:.1} {middle:.1}h16\"/>");
        x += 20.0;
        text(body, (x, y), SMALL, "ink", "start", words.usual);
    }
}

/// The words of the drawing in one language.
struct Words {
    nothing: &'static str,
    local_time: &'static str,
    measured: &'static str,
    usual: &'static str,
}

impl Words {
    fn of(language: Language) -> Self {
        Self {
            nothing: language.pick("Nothing was measured in this time.", "In deze tijd is niets gemeten."),
            local_time: language.pick("local time", "plaatselijke tijd"),
            measured: language.pick("measured", "gemeten"),
            usual: language.pick("usual", "gewoon"),
        }
    }
}

fn urgency(severity: Severity, language: Language) -> &'static str {
    match severity {
        Severity::Info => language.pick("Worth a look", "Even bekijken"),
        Severity::Warning => language.pick("Look at this today", "Bekijk dit vandaag"),
        Severity::Critical => language.pick("Look at this now", "Bekijk dit nu"),
    }
}
