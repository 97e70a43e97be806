//! The table as a drawing: a panel for each attack, a line for each strategy.

use std::fmt::Write as _;

use super::attack::Attack;
use super::strategies::StrategyKind;
use super::table::{Cell, Table};

const PANEL: (f64, f64) = (220.0, 130.0);
const GAP: (f64, f64) = (44.0, 52.0);
const TOP: f64 = 76.0;
const LEFT: f64 = 52.0;
const COLUMNS: usize = 4;
/// Losses above the honest mean between which a panel lies.
const LOWEST: f64 = -0.1;
const HIGHEST: f64 = 0.3;
/// Percentage of attackers at which a panel ends.
const MOST: f64 = 40.0;
/// The goal at 30 %.
const ASKED: f64 = 0.03;

/// The colour of a strategy's line.
fn colour(strategy: StrategyKind) -> &'static str {
    match strategy {
        StrategyKind::Mean => "#888888",
        StrategyKind::ClippedMean => "#c9a227",
        StrategyKind::Median => "#3a6ea5",
        StrategyKind::Trimmed => "#7fb2e5",
        StrategyKind::Krum => "#8e5ea2",
        StrategyKind::Direction => "#d2691e",
        StrategyKind::VettedMean => "#2e7d32",
        StrategyKind::VettedMedian => "#66bb6a",
    }
}

/// An SVG: the loss less that of honest homes under the mean, by the percentage of attackers; lines end where they leave the panel.
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
         mean, by share of attackers; {homes} homes, {seeds} seeds; dotted: {ASKED}</text>"
    );
    for (place, strategy) in table.strategies.iter().enumerate() {
        let x = 12.0 + 126.0 * place as f64;
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"40\" x2=\"{}\" y2=\"40\" stroke=\"{}\" stroke-width=\"3\"/><text x=\"{}\" y=\"44\" \
             fill=\"#202020\">{}</text>",
            x + 18.0,
            colour(*strategy),
            x + 24.0,
            strategy.name()
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
    let y = |value: f64| top + PANEL.1 * (HIGHEST - value) / (HIGHEST - LOWEST);
    let x = |percent: f64| left + PANEL.0 * percent / MOST;
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"{}\" fill=\"#202020\">{}</text>", top - 6.0, attack.name());
    for tick in [LOWEST, 0.0, 0.1, 0.2, HIGHEST] {
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
    for percent in [0.0, 10.0, 20.0, 30.0, MOST] {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#606060\" text-anchor=\"middle\">{percent} %</text>",
            x(percent),
            top + PANEL.1 + 16.0
        );
    }
    for (place, strategy) in table.strategies.iter().enumerate() {
        let points = line(table, attack, place, honest).into_iter();
        let points = points.map(|(attackers, loss)| (100.0 * attackers as f64 / homes as f64, f64::from(loss) - base));
        let inside = points.take_while(|(percent, value)| *percent <= MOST && *value <= HIGHEST);
        let path: String = inside.map(|(percent, value)| format!("{:.1},{:.1} ", x(percent), y(value))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"/>",
            path.trim_end(),
            colour(*strategy)
        );
    }
}

/// Attackers and loss, from none on.
fn line(table: &Table, attack: Attack, place: usize, honest: &[Cell]) -> Vec<(usize, f32)> {
    let own = table.cells.iter().filter(|((name, _), _)| *name == Some(attack.name()));
    let own = own.map(|((_, attackers), cells)| (*attackers, cells[place].mean()));
    std::iter::once((0, honest[place].mean())).chain(own).collect()
}
