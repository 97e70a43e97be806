//! The model card: what a model is for, what it was made from, and where it fails, from the run's own tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hearthwatch_detector::network::Manifest;
use hearthwatch_evaluation::dataset::DATA_SETS;
use hearthwatch_evaluation::evaluate::{GateReport, GateVerdict, Share, Summary};

/// Recall below which a slice is listed among the failures.
const WEAK_RECALL: f64 = 0.5;

/// Faults of a slice below which its recall is no figure.
const SLICE_FAULTS_MIN: u32 = 12;

/// Writes the card, in Markdown. The same report gives the same text.
#[must_use]
pub fn card(manifest: &Manifest, weights_id: &str, report: &GateReport) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        text,
        "# Model card\n\nWeights `{weights_id}` · {} · {} parameters · feature schema {}\n\nEvery figure below was \
         measured by the run that made the model; none is written by hand.\n",
        manifest.architecture.name, manifest.architecture.parameters, manifest.feature_schema
    );
    let _ = writeln!(
        text,
        "## Intended use\n\nSays which ten-minute steps of a home's numeric sensors are unusual, for a resident who asked \
         for at most so many alarms a week. It runs in the home, beside rules and the routine detector, which speak \
         where it does not: classes that it has not earned, binary sensors, sensors younger than three days.\n\nNot for safety of life: it replaces no \
         smoke, gas or water alarm. Not for watching people: it is not trained to tell who is at home, and its windows \
         could.\n"
    );
    made_from(&mut text, manifest);
    measured(&mut text, report);
    slices(&mut text, "device class", &report.candidate.by_class, &report.baseline.by_class);
    slices(&mut text, "fault", &report.candidate.by_family, &report.baseline.by_family);
    in_charge(&mut text, manifest);
    owed(&mut text, report);
    failures(&mut text, report);
    text
}

fn made_from(text: &mut String, manifest: &Manifest) {
    let _ =
        writeln!(text, "## Made from\n\n| set | licence | use | homes: train / calibrate / test |\n|---|---|---|---|");
    let mut sets: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for home in &manifest.lineage.homes {
        let set = home.name.split_once('/').map_or(home.name.as_str(), |(set, _)| set);
        *sets.entry(set).or_default().entry(home.role.as_str()).or_default() += 1;
    }
    for (set, roles) in &sets {
        let known = DATA_SETS.iter().find(|known| known.name == *set);
        let licence = known.map_or("not in the table of sets", |known| known.licence);
        let usage = known.map_or("unknown", |known| if known.usage.may_ship() { "may ship" } else { "evaluate only" });
        let count = |role| roles.get(role).copied().unwrap_or_default();
        let (train, calibrate, test) = (count("train"), count("calibrate"), count("test"));
        let _ = writeln!(text, "| {set} | {licence} | {usage} | {train} / {calibrate} / {test} |");
    }
    let lineage = &manifest.lineage;
    let _ = match &lineage.feedback {
        Some(hash) => writeln!(text, "\n{} residents' answers, hash `{hash}`.", lineage.feedback_examples),
        None => writeln!(text, "\nNo resident's answer."),
    };
    if let Some(champion) = &lineage.champion {
        let _ = writeln!(text, "Fine-tuned from weights `{champion}`.");
    }
    text.push('\n');
}

fn measured(text: &mut String, report: &GateReport) {
    let _ = writeln!(
        text,
        "## Measured\n\nHomes that neither trained nor calibrated. Strict event recall at a budget of {} alarms a \
         home-week; false alarms on the clean twins.\n\n| detector | recall | found | false alarms a home-week | most in \
         one home | median delay |\n|---|---|---|---|---|---|",
        report.policy.budget_per_week
    );
    let rows = [
        ("this model", Some(&report.candidate)),
        ("routine detector", Some(&report.baseline)),
        ("champion before", report.champion.as_ref()),
        ("same training without answers", report.control.as_ref()),
    ];
    for (name, summary) in rows {
        let Some(Summary { recall, false_alarms_per_week, false_alarms_per_week_max, median_delay_s, .. }) = summary
        else {
            continue;
        };
        let delay = median_delay_s.map_or("-".to_owned(), |seconds| format!("{} min", seconds / 60));
        let _ = writeln!(
            text,
            "| {name} | {:.3} | {} of {} | {false_alarms_per_week:.2} | {false_alarms_per_week_max:.2} | {delay} |",
            recall.ratio(),
            recall.found,
            recall.all
        );
    }
    text.push('\n');
    for comparison in &report.comparisons {
        let recall = comparison.recall;
        let _ = writeln!(
            text,
            "Recall against the {}: {:+.3}, {:.0} % interval over homes {:+.3} to {:+.3}.",
            comparison.against,
            recall.point,
            100.0 * report.policy.coverage,
            recall.low,
            recall.high
        );
    }
    text.push('\n');
}

fn slices(text: &mut String, what: &str, ours: &BTreeMap<String, Share>, routine: &BTreeMap<String, Share>) {
    let _ = writeln!(text, "| {what} | this model | routine detector |\n|---|---|---|");
    for name in ours.keys().chain(routine.keys()).collect::<BTreeSet<_>>() {
        let cell = |slices: &BTreeMap<String, Share>| {
            let share = slices.get(name).copied().unwrap_or_default();
            format!("{:.2} ({} of {})", share.ratio(), share.found, share.all)
        };
        let _ = writeln!(text, "| {name} | {} | {} |", cell(ours), cell(routine));
    }
    text.push('\n');
}

/// Which detector judges what: as the artifact says, which is what agents follow.
fn in_charge(text: &mut String, manifest: &Manifest) {
    let _ = writeln!(text, "## Who is in charge\n");
    let _ = match &manifest.blend.in_charge {
        None => writeln!(text, "This model, of every number."),
        Some(classes) if classes.is_empty() => {
            writeln!(
                text,
                "The routine detector, of everything: on calibration homes this model was ahead in no device class."
            )
        }
        Some(classes) => writeln!(
            text,
            "This model, of {}: on calibration homes, which taught it nothing, it found more than the routine detector there, \
             the interval over homes above zero. The routine detector keeps every other class.",
            classes.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ")
        ),
    };
    text.push('\n');
}

/// What the model owes single homes. The card travels with the model, so it names none.
fn owed(text: &mut String, report: &GateReport) {
    if report.influences.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "## Whose answers it rests on\n\nTrained again without each of the homes that weigh most; recall of this model less that \
         training's, on the same held-out homes.\n\n| left out | share of the answers' weight | recall | interval | would be \
         let through without it |\n|---|---|---|---|---|"
    );
    for (place, influence) in report.influences.iter().enumerate() {
        let recall = influence.recall;
        let alone = if influence.held_without.is_empty() { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| home {} | {:.0} % | {:+.3} | {:+.3} to {:+.3} | {alone} |",
            place + 1,
            100.0 * influence.weight_share,
            recall.point,
            recall.low,
            recall.high
        );
    }
    text.push('\n');
}

fn failures(text: &mut String, report: &GateReport) {
    let _ = writeln!(text, "## Where it fails\n");
    let mut any = false;
    let of = [("device class", &report.candidate.by_class), ("fault", &report.candidate.by_family)];
    for (what, slices) in of {
        for (name, share) in slices {
            if share.all >= SLICE_FAULTS_MIN && share.ratio() < WEAK_RECALL {
                any = true;
                let missed = share.all - share.found;
                let _ = writeln!(text, "- {what} {name}: {missed} of {} missed", share.all);
            }
        }
    }
    if let GateVerdict::Hold { reasons } = &report.verdict {
        any = true;
        for reason in reasons {
            let _ = writeln!(text, "- held by the gate: {reason}");
        }
    }
    if !any {
        let _ = writeln!(text, "- No slice of {SLICE_FAULTS_MIN} faults or more is found less than half of the time.");
    }
    let _ = writeln!(
        text,
        "- Faults are injected into real recordings, but for the few that a recording's authors labelled: real ones may be \
         softer.\n- Homes are few and of a few places; a sensor unlike theirs is judged without any such evidence."
    );
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::network::Artifact;
    use hearthwatch_evaluation::evaluate::{
        Evaluation, EventResult, GatePolicy, HomeResult, Influence, Interval, judge,
    };

    use super::*;

    fn evaluation(found: usize) -> Evaluation {
        let event = |index| EventResult {
            family: "drift".to_owned(),
            class: "power".to_owned(),
            origin: hearthwatch_evaluation::dataset::LabelOrigin::Injected,
            found: index < found,
            delay_s: (index < found).then_some(1200),
        };
        let home =
            HomeResult { home: "a".to_owned(), weeks: 2.0, events: (0..20).map(event).collect(), false_alarms: 1 };
        Evaluation { homes: vec![home] }
    }

    #[test]
    fn the_card_that_ships_is_that_of_the_run_that_ships() {
        let artifact = Artifact::parse(include_bytes!("../../../../model/shipped/network.safetensors")).unwrap();
        let run: serde_json::Value = serde_json::from_str(include_str!("../../../../model/shipped/run.json")).unwrap();
        let report: GateReport = serde_json::from_value(run["report"].clone()).unwrap();
        let text = card(artifact.manifest(), &artifact.weights_id(), &report);
        assert_eq!(text, include_str!("../../../../model/shipped/model-card.md"));
    }

    #[test]
    fn the_card_says_what_the_model_owes_single_homes_and_names_none() {
        let artifact = Artifact::parse(include_bytes!("../../../../model/shipped/network.safetensors")).unwrap();
        let recall = Interval { low: -0.01, point: 0.02, high: 0.05 };
        let owed = Influence { home: "home-7".to_owned(), weight_share: 0.1, recall, held_without: Vec::new() };
        let report = judge(&evaluation(5), &evaluation(8), None, None, &GatePolicy::default());
        let text = card(artifact.manifest(), "w", &report.weigh_influences(vec![owed]));
        assert!(text.contains("| home 1 | 10 % | +0.020 | -0.010 to +0.050 | yes |"), "{text}");
        assert!(!text.contains("home-7"));
    }

    #[test]
    fn the_card_names_sets_with_licences_slices_and_failures() {
        let artifact = Artifact::parse(include_bytes!("../../../../model/shipped/network.safetensors")).unwrap();
        let report = judge(&evaluation(5), &evaluation(8), None, None, &GatePolicy::default());
        let text = card(artifact.manifest(), &artifact.weights_id(), &report);
        for line in [
            "| this model | 0.250 | 5 of 20 | 0.50 | 0.50 | 20 min |",
            "| routine detector | 0.400 | 8 of 20 | 0.50 | 0.50 | 20 min |",
            "| power | 0.25 (5 of 20) | 0.40 (8 of 20) |",
            "This model, of ",
            "- fault drift: 15 of 20 missed",
            "- held by the gate: only 20 events on held-out homes; at least 40 are needed to judge",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert!(text.contains("| citylearn_2022_homes | MIT | may ship |"), "{text}");
        assert_eq!(text, card(artifact.manifest(), &artifact.weights_id(), &report));
    }
}
