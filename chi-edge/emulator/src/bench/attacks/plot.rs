//! The table as a drawing: a panel for each attack, a line for each strategy.

use std::fmt::Write as _;

use super::attack::Attack;
use super::strategies::Way;
use super::table::{Cell, Table};

const PANEL: (f64, f64) = (220.0, 130.0);
const GAP: (f64, f64) = (44.0, 52.0);
const TOP: f64 = 76.0;
const LEFT: f64 = 52.0;
const COLUMNS: usize = 4;
/// Loss above the honest mean at which a panel ends.
const HIGHEST: f64 = 0.3;
/// What is asked at 30 %.
const ASKED: f64 = 0.03;

/// The colour of a strategy's line.
fn colour(way: Way) -> &'static str {
    match way {
        Way::Mean => "#888888",
        Way::ClippedMean => "#c9a227",
        Way::Median => "#3a6ea5",
        Way::Trimmed => "#7fb2e5",
        Way::Krum => "#8e5ea2",
        Way::Direction => "#d2691e",
        Way::VettedMean => "#2e7d32",
        Way::VettedMedian => "#66bb6a",
    }
}

/// An SVG: the loss less that of honest homes under the mean, by the percentage of liars; lines end where they leave the panel.
pub(super) fn drawing(table: &Table, homes: usize, seeds: u64) -> String {
    let rows = Attack::ALL.len().div_ceil(COLUMNS);
    let (width, height) = (LEFT + COLUMNS as f64 * (PANEL.0 + GAP.0), TOP + rows as f64 * (PANEL.1 + GAP.1) + 8.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         role=\"img\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"12\" y=\"22\" font-size=\"14\" fill=\"#202020\">loss on homes that took no part, less that of an honest fleet under the \
         mean, by share of liars; {homes} homes, {seeds} seeds; dotted: {ASKED}</text>"
    );
    for (place, way) in table.ways.iter().enumerate() {
        let x = 12.0 + 126.0 * place as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"40\" x2=\"{}\" y2=\"40\" stroke=\"{}\" stroke-width=\"3\"/><text x=\"{}\" y=\"44\" \
             fill=\"#202020\">{}</text>",
            x + 18.0,
            colour(*way),
            x + 24.0,
            way.name()
        );
    }
    for (place, attack) in Attack::ALL.iter().enumerate() {
        let corner =
            (LEFT + (place % COLUMNS) as f64 * (PANEL.0 + GAP.0), TOP + (place / COLUMNS) as f64 * (PANEL.1 + GAP.1));
        panel(&mut svg, corner, *attack, table, homes);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, (left, top): (f64, f64), attack: Attack, table: &Table, homes: usize) {
    let Some(honest) = table.cells.get(&(None, 0)) else { return };
    let base = honest.first().map_or(0.0, |cell| f64::from(cell.mean()));
    let lowest = -0.1;
    let y = |value: f64| top + PANEL.1 * (HIGHEST - value) / (HIGHEST - lowest);
    let x = |liars: usize| left + PANEL.0 * liars as f64 / homes as f64 / 0.4;
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\" fill=\"#202020\">{}</text>", top - 6.0, attack.name());
    for tick in [-0.1, 0.0, 0.1, 0.2, 0.3] {
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\" stroke=\"#e0e0e0\"/><text x=\"{2}\" y=\"{3:.1}\" fill=\"#606060\" \
             text-anchor=\"end\">{tick:+.1}</text>",
            y(tick),
            left + PANEL.0,
            left - 4.0,
            y(tick) + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<line x1=\"{left}\" y1=\"{0:.1}\" x2=\"{1}\" y2=\"{0:.1}\" stroke=\"#b00000\" stroke-dasharray=\"2 3\"/>",
        y(ASKED),
        left + PANEL.0
    );
    for percent in [0, 10, 20, 30, 40] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#606060\" text-anchor=\"middle\">{percent} %</text>",
            left + PANEL.0 * f64::from(percent) / 40.0,
            top + PANEL.1 + 16.0
        );
    }
    for (place, way) in table.ways.iter().enumerate() {
        let points = line(table, attack, place, honest).into_iter();
        let points = points.map(|(liars, loss)| (x(liars), f64::from(loss) - base));
        let inside = points.take_while(|(_, value)| *value <= HIGHEST);
        let path: String = inside.map(|(x, value)| format!("{x:.1},{:.1} ", y(value))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>",
            path.trim_end(),
            colour(*way)
        );
    }
}

/// Liars and loss, from none on.
fn line(table: &Table, attack: Attack, place: usize, honest: &[Cell]) -> Vec<(usize, f32)> {
    let own = table.cells.iter().filter(|((name, _), _)| *name == Some(attack.name()));
    let own = own.map(|((_, liars), cells)| (*liars, cells[place].mean()));
    std::iter::once((0, honest[place].mean())).chain(own).collect()
}
