//! What others do, on the homes of `bench homes`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::fan_out;
use hearthwatch_evaluation::evaluate::lived::{
    EqualAlarms, HomeCopies, LivedHome, LivedPlan, at_equal_alarms, settled_rate,
};
use hearthwatch_evaluation::reference_methods;

use super::Set;

/// Measures every rival and prints a line for each; the figures are written to `out`.
pub(super) fn beside(
    set: Set,
    budget: f64,
    homes: &[RecordedHome],
    shipped: &[LivedHome],
    plan: &LivedPlan,
    out: &Path,
) -> anyhow::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let copies = fan_out(homes, threads, |home| HomeCopies::of(home, plan), |_| {});
    let allowed = settled_rate(shipped);
    println!("  the same faults by others, at most {allowed:.2} false alarms a week after three weeks");
    let mut figures: BTreeMap<&str, EqualAlarms> = BTreeMap::new();
    let detectors = reference_methods::detectors();
    let measured = fan_out(&detectors, threads, |(_, rival)| at_equal_alarms(&copies, &**rival, allowed), |_| {});
    for ((name, _), measured) in detectors.iter().zip(measured) {
        println!(
            "    {name:<20} {:.3} ({:.3} to {:.3}); values that change {:.3}; at {:.2} false alarms a week",
            measured.recall.point,
            measured.recall.low,
            measured.recall.high,
            measured.changing.point,
            measured.false_a_week
        );
        figures.insert(name, measured);
    }
    let path = out.join(format!("{set:?}-rivals-{budget}.json").to_lowercase());
    std::fs::write(&path, serde_json::to_string(&figures)?).with_context(|| path.display().to_string())
}
