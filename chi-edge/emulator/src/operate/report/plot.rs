//! Drawings over the days of an operation: lines with intervals, and stacked areas.

use std::fmt::Write as _;

const SIZE: (f64, f64) = (960.0, 260.0);
const LEFT: f64 = 56.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 18.0;
const BOTTOM: f64 = 40.0;

/// Colours that can be told apart (Okabe and Ito, 2008).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444", "#999933"];

/// A value with its interval at a day.
pub struct Point {
    /// Day, counted from 0.
    pub day: f64,
    /// Value, lower and upper end.
    pub value: (f64, f64, f64),
}

/// Days in which something was wrong, marked on the drawing with their numbers.
pub struct Mark {
    /// Begin and end, days.
    pub span: (f64, f64),
    /// What stands above it.
    pub label: String,
}

/// Lines over `days`, each with a name.
pub fn lines(days: f64, lines: &[(String, Vec<Point>)], marks: &[Mark]) -> String {
    let highest = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.value.2)).fold(0.0, f64::max);
    let mut canvas = Canvas::new(days, nice(highest), marks);
    for (place, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        for point in points {
            let (x, low, high) = (canvas.x(point.day), canvas.y(point.value.1), canvas.y(point.value.2));
            let _ = writeln!(
                canvas.svg,
                "<line x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\" opacity=\"0.5\"/>"
            );
        }
        let path: String =
            points.iter().map(|point| format!("{:.1},{:.1} ", canvas.x(point.day), canvas.y(point.value.0))).collect();
        let _ = writeln!(
            canvas.svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.trim_end()
        );
        canvas.name(place, name, colour);
    }
    canvas.finish()
}

/// Areas over `days`, stacked: at each day the values in order of `names`.
pub fn stacked(days: f64, names: &[String], steps: &[(f64, Vec<f64>)], marks: &[Mark]) -> String {
    let highest = steps.iter().map(|(_, values)| values.iter().sum::<f64>()).fold(0.0, f64::max);
    let mut canvas = Canvas::new(days, nice(highest), marks);
    let mut below = vec![0.0; steps.len()];
    for (place, name) in names.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let above: Vec<f64> = steps
            .iter()
            .zip(&below)
            .map(|((_, values), below)| below + values.get(place).copied().unwrap_or(0.0))
            .collect();
        let forth =
            steps.iter().zip(&above).map(|((day, _), value)| format!("{:.1},{:.1} ", canvas.x(*day), canvas.y(*value)));
        let back = steps
            .iter()
            .zip(&below)
            .rev()
            .map(|((day, _), value)| format!("{:.1},{:.1} ", canvas.x(*day), canvas.y(*value)));
        let path: String = forth.chain(back).collect();
        let _ = writeln!(canvas.svg, "<polygon points=\"{}\" fill=\"{colour}\" opacity=\"0.75\"/>", path.trim_end());
        canvas.name(place, name, colour);
        below = above;
    }
    canvas.finish()
}

/// A round number at or above.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * unit).into_iter().find(|step| *step >= value).unwrap_or(10.0 * unit)
}

struct Canvas {
    svg: String,
    days: f64,
    highest: f64,
}

impl Canvas {
    fn new(days: f64, highest: f64, marks: &[Mark]) -> Self {
        let mut canvas = Self { svg: String::new(), days: days.max(1.0), highest };
        let (width, height) = SIZE;
        let _ = write!(
            canvas.svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
             role=\"img\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        for mark in marks {
            let (from, until) = (canvas.x(mark.span.0), canvas.x(mark.span.1));
            let _ = writeln!(
                canvas.svg,
                "<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#f3d9d9\"/>\
                 <text x=\"{from:.1}\" y=\"{}\" fill=\"#a03030\" font-size=\"10\">{}</text>",
                (until - from).max(1.5),
                height - TOP - BOTTOM,
                TOP - 5.0,
                mark.label
            );
        }
        for part in 0..=4 {
            let value = highest * f64::from(part) / 4.0;
            let y = canvas.y(value);
            let _ = writeln!(
                canvas.svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#e0e0e0\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#606060\">{value}</text>",
                width - RIGHT,
                LEFT - 6.0,
                y + 4.0
            );
        }
        let step = (canvas.days / 10.0).ceil().max(1.0);
        let mut day = 0.0;
        while day <= canvas.days {
            let _ = writeln!(
                canvas.svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#606060\">day {}</text>",
                canvas.x(day),
                height - BOTTOM + 18.0,
                day + 1.0
            );
            day += step;
        }
        canvas
    }

    fn x(&self, day: f64) -> f64 {
        LEFT + (SIZE.0 - LEFT - RIGHT) * (day / self.days).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        TOP + (SIZE.1 - TOP - BOTTOM) * (1.0 - (value / self.highest).clamp(0.0, 1.0))
    }

    fn name(&mut self, place: usize, name: &str, colour: &str) {
        let (x, y) = (SIZE.0 - RIGHT + 10.0, TOP + 14.0 + 18.0 * place as f64);
        let _ = writeln!(
            self.svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\" fill=\"#202020\">{name}</text>",
            y - 10.0,
            x + 18.0
        );
    }

    fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}
