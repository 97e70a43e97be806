//! The benchmark as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::bench::{BenchReport, Line};
use super::bootstrap::Interval;
use super::metrics::strict_recall::strict_recall;
use super::outcome::Share;

/// Every figure of a run, for people: one table a budget, then areas, then families.
#[must_use]
pub fn table(report: &BenchReport, reference: &str) -> String {
    let lines = report.lines(reference);
    let mut text = String::new();
    let Some(first) = report.methods.first() else { return "nothing was measured\n".to_owned() };
    let weeks: f64 = first.homes.iter().map(|home| home.weeks).sum();
    let mut names: Vec<&str> = first.homes.iter().map(|home| home.home.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let drawn = if names.len() > 1 { "homes" } else { "entities of the one home" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "set {}: {} test homes in {} folds, {weeks:.1} home-weeks, injection seeds {:?}; {:.0} % intervals over {drawn}",
        report.protocol.rules.set,
        names.len(),
        report.protocol.folds.len(),
        report.protocol.injection_seeds,
        100.0 * report.protocol.coverage,
    );
    for place in 0..report.protocol.budgets.len() {
        at_budget(&mut text, &lines, place, reference);
    }
    areas(&mut text, &lines);
    families(&mut text, report);
    seasons(&mut text, report);
    text
}

fn at_budget(text: &mut String, lines: &[Line], place: usize, reference: &str) {
    let budget = lines.first().map_or(0.0, |line| line.at[place].budget);
    let _ = writeln!(
        text,
        "\nbudget {budget} a home-week\n{:<24} {:>20} {:>10} {:>20} {:>20} {:>16} {:>8} {:>22} {:>8} {:>8} {:>7}  less {reference}",
        "detector",
        "strict recall",
        "found",
        "changing values",
        "left-out families",
        "oracle threshold",
        "false/w",
        "homes min/med/p90/max",
        "Poisson",
        "messages",
        "delay",
    );
    for line in lines {
        let at = &line.at[place];
        let rates = at.false_alarms.map_or(("-".to_owned(), "-".to_owned(), "-".to_owned()), |rates| {
            (
                format!("{:.2}", rates.per_week),
                format!("{:.1}/{:.1}/{:.1}/{:.1}", rates.min, rates.median, rates.p90, rates.max),
                format!("{:.3}", rates.poisson_p),
            )
        });
        let _ = writeln!(
            text,
            "{:<24} {:>20} {:>10} {:>20} {:>20} {:>16} {:>8} {:>22} {:>8} {:>8.2} {:>7}  {}",
            line.name,
            interval(&at.recall),
            format!("{}/{}", at.found.found, at.found.all),
            interval(&at.changing),
            interval(&at.left_out),
            format!("{:.3}", at.oracle.point),
            rates.0,
            rates.1,
            rates.2,
            at.messages_per_week,
            at.delay.map_or("-".to_owned(), |delay| format!("{} min", (delay.median_s + 30) / 60)),
            at.ahead.map_or("-".to_owned(), |ahead| format!(
                "{:+.3} ({:+.3} to {:+.3})",
                ahead.point, ahead.low, ahead.high
            )),
        );
    }
}

fn areas(text: &mut String, lines: &[Line]) {
    let _ = writeln!(
        text,
        "\n{:<24} {:>20} {:>20} {:>12}  recall by training seed",
        "detector", "VUS-PR", "AUC-PR", "within band"
    );
    for line in lines {
        let band = if line.within_band.all == 0 { "-".to_owned() } else { format!("{:.3}", line.within_band.ratio()) };
        let seeds: Vec<String> =
            line.by_training_seed.iter().map(|(seed, recall)| format!("{seed}: {recall:.3}")).collect();
        let seeds = if seeds.len() > 1 { seeds.join(", ") } else { "-".to_owned() };
        let _ = writeln!(
            text,
            "{:<24} {:>20} {:>20} {band:>12}  {seeds}",
            line.name,
            interval(&line.vus_pr),
            interval(&line.auc_pr)
        );
    }
}

/// Deployed recall at the first budget by family, all methods.
fn families(text: &mut String, report: &BenchReport) {
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    let events = |place: usize| report.methods[place].homes.iter().flat_map(|home| &home.events);
    events(0).for_each(|event| {
        names.insert(&event.family, ());
    });
    let _ = writeln!(text, "\nfound by family, budget {}", report.protocol.budgets.first().copied().unwrap_or(0.0));
    let _ = write!(text, "{:<24}", "detector");
    names.keys().for_each(|family| {
        let _ = write!(text, " {family:>13}");
    });
    let _ = writeln!(text);
    for (place, method) in report.methods.iter().enumerate() {
        let _ = write!(text, "{:<24}", method.name);
        for family in names.keys() {
            let of_family = events(place).filter(|event| event.family == **family);
            let share: Share = strict_recall(of_family.map(|event| event.delay_s.first().is_some_and(Option::is_some)));
            let _ = write!(text, " {:>13}", format!("{}/{}", share.found, share.all));
        }
        let _ = writeln!(text);
    }
}

/// False alarms a home-week by four weeks since each home's first judged day, and the worst home in any of them: whether a
/// budget is kept across the seasons.
fn seasons(text: &mut String, report: &BenchReport) {
    const SPAN: i64 = 28 * 86_400;
    let longest = report.methods.iter().flat_map(|one| &one.homes).map(|home| home.weeks).fold(0.0, f64::max);
    let spans = (longest / 4.0).ceil() as i64;
    if spans < 2 {
        return;
    }
    for (place, budget) in report.protocol.budgets.iter().enumerate() {
        let _ =
            writeln!(text, "\nfalse alarms a home-week by four weeks, budget {budget}; worst home in any four weeks");
        for method in &report.methods {
            let _ = write!(text, "{:<24}", method.name);
            let mut worst = 0.0_f64;
            for span in 0..spans {
                let (mut count, mut weeks) = (0, 0.0);
                for home in &method.homes {
                    let begin = home.from + span * SPAN;
                    let here =
                        home.false_alarms[place].iter().filter(|(at, _)| (begin..begin + SPAN).contains(at)).count();
                    let lasted = (home.weeks - 4.0 * span as f64).clamp(0.0, 4.0);
                    // A few days say nothing of a rate.
                    if lasted >= 2.0 {
                        worst = worst.max(here as f64 / lasted);
                    }
                    (count, weeks) = (count + here, weeks + lasted);
                }
                let _ = write!(text, " {:>6.2}", if weeks > 0.0 { count as f64 / weeks } else { 0.0 });
            }
            let _ = writeln!(text, "   {worst:.2}");
        }
    }
}

fn interval(interval: &Interval) -> String {
    format!("{:.3} ({:.2}-{:.2})", interval.point, interval.low, interval.high)
}
