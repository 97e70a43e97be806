//! The benchmark as one drawing: recall and VUS-PR of every method with their intervals.

use std::fmt::Write as _;

use super::bench::{BenchReport, Line};
use super::bootstrap::Interval;

const ROW: f64 = 26.0;
const TOP: f64 = 64.0;
const LEFT: f64 = 190.0;
const PANEL: f64 = 260.0;
const GAP: f64 = 40.0;

/// What a panel shows of a line.
type Figure = fn(&Line) -> Interval;

/// An SVG of the run at its first budget: deployed strict recall, the same for families left out of training, and VUS-PR.
/// Dots with intervals over homes; the reference method's recall is drawn through all rows.
#[must_use]
pub fn figure(report: &BenchReport, reference: &str) -> String {
    let lines = report.lines(reference);
    let panels: [(&str, Figure); 3] = [
        ("strict recall, deployed", |line| line.at[0].recall),
        ("families never trained on", |line| line.at[0].left_out),
        ("VUS-PR", |line| line.vus_pr),
    ];
    let height = TOP + ROW * lines.len() as f64 + 40.0;
    let width = LEFT + (PANEL + GAP) * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let budget = report.protocol.budgets.first().copied().unwrap_or(0.0);
    let title = format!(
        "{}: {budget} alarm a home-week asked for, {:.0} % intervals over homes",
        report.protocol.rules.set,
        100.0 * report.protocol.coverage
    );
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text x=\"12\" y=\"22\" font-size=\"14\" fill=\"#202020\">{}</text>", escaped(&title));
    for (row, line) in lines.iter().enumerate() {
        let y = TOP + ROW * row as f64 + 16.0;
        let _ = writeln!(svg, "<text x=\"12\" y=\"{y}\" fill=\"#202020\">{}</text>", escaped(&line.name));
    }
    for (place, (name, of)) in panels.iter().enumerate() {
        let left = LEFT + (PANEL + GAP) * place as f64;
        panel(&mut svg, left, name, &lines, reference, *of);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, left: f64, name: &str, lines: &[Line], reference: &str, of: Figure) {
    let bottom = TOP + ROW * lines.len() as f64;
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"46\" fill=\"#202020\">{name}</text>");
    for tick in 0..=4 {
        let x = left + PANEL * f64::from(tick) / 4.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{TOP}\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"#e0e0e0\"/>\
             <text x=\"{x}\" y=\"{}\" fill=\"#606060\" text-anchor=\"middle\">{:.2}</text>",
            bottom + 16.0,
            f64::from(tick) / 4.0
        );
    }
    if let Some(line) = lines.iter().find(|line| line.name == reference) {
        let x = left + PANEL * of(line).point.clamp(0.0, 1.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#b06000\" stroke-dasharray=\"3 3\"/>"
        );
    }
    for (row, line) in lines.iter().enumerate() {
        let y = TOP + ROW * row as f64 + 12.0;
        let interval = of(line);
        let x = |value: f64| left + PANEL * value.clamp(0.0, 1.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{y}\" x2=\"{:.1}\" y2=\"{y}\" stroke=\"#3a6ea5\" stroke-width=\"2\"/>\
             <circle cx=\"{:.1}\" cy=\"{y}\" r=\"4\" fill=\"#1f4e79\"/>",
            x(interval.low),
            x(interval.high),
            x(interval.point)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
