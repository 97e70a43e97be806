//! Volume under the range-based precision-recall surface (VUS-PR).
//!
//! Paparrizos and others, *Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection*,
//! VLDB 2022: labels are widened by every window from nought to a largest one, with weights that fall off beside the event,
//! and the areas under the resulting precision-recall curves are averaged. A detector that is a little early or late is not
//! punished for it, and no threshold is chosen. The figures are those of the authors' published program (its `opt` form),
//! held against it on shared vectors.

/// How the surface is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Surface {
    /// Largest window, steps. Six hours is what an event is worth being found around.
    pub window: usize,
    /// Thresholds that are tried, spread evenly over the ranks of the scores.
    pub thresholds: usize,
}

impl Default for Surface {
    fn default() -> Self {
        Self { window: 36, thresholds: 250 }
    }
}

/// One threshold's count of what it predicts.
#[derive(Clone, Copy)]
struct Cut {
    threshold: f32,
    predicted: f64,
}

/// VUS-PR of one series: a label and a score for each step, higher being more unusual. None without an event, without
/// scores, or where the lengths differ. Scores must not be NaN.
#[must_use]
pub fn vus_pr(labels: &[bool], scores: &[f32], surface: Surface) -> Option<f64> {
    let events = events(labels);
    if events.is_empty() || labels.len() != scores.len() || surface.thresholds < 2 {
        return None;
    }
    let cuts = cuts(scores, surface.thresholds);
    let total: f64 = (0..=surface.window).map(|window| area(&events, labels, scores, window, &cuts)).sum();
    Some(total / (surface.window + 1) as f64)
}

/// First and last step of each event.
fn events(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut events: Vec<(usize, usize)> = Vec::new();
    for (step, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
        match events.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            _ => events.push((step, step)),
        }
    }
    events
}

fn cuts(scores: &[f32], thresholds: usize) -> Vec<Cut> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|left, right| right.total_cmp(left));
    let last = sorted.len() - 1;
    let stride = last as f64 / (thresholds - 1) as f64;
    (0..thresholds)
        .map(|place| {
            let rank = if place + 1 == thresholds { last } else { (place as f64 * stride) as usize };
            let threshold = sorted[rank];
            Cut { threshold, predicted: sorted.partition_point(|score| *score >= threshold) as f64 }
        })
        .collect()
}

/// Area under the precision-recall curve with labels widened by one window.
fn area(events: &[(usize, usize)], labels: &[bool], scores: &[f32], window: usize, cuts: &[Cut]) -> f64 {
    let reach = window / 2;
    let peaks: Vec<f32> = merged(events, reach, labels.len())
        .into_iter()
        .map(|(first, last)| scores[first..=last].iter().copied().fold(f32::NEG_INFINITY, f32::max))
        .collect();
    // Weight and score of every step that counts: events whole, their surroundings by distance.
    let mut weighted: Vec<(f32, f64, bool)> = Vec::new();
    for (step, weight) in surroundings(events, labels, window) {
        weighted.push((scores[step], weight, false));
    }
    weighted.extend(labels.iter().zip(scores).filter(|(label, _)| **label).map(|(_, score)| (*score, 1.0, true)));
    weighted.sort_by(|left, right| right.0.total_cmp(&left.0));
    let positives = weighted.iter().filter(|(.., inside)| *inside).count() as f64;

    let (mut inside, mut beside, mut next) = (0.0, 0.0, 0);
    let (mut before, mut area) = (0.0, 0.0);
    for cut in cuts {
        while let Some((score, weight, is_inside)) = weighted.get(next)
            && *score >= cut.threshold
        {
            *(if *is_inside { &mut inside } else { &mut beside }) += weight;
            next += 1;
        }
        let touched = peaks.iter().filter(|peak| **peak >= cut.threshold).count() as f64 / peaks.len() as f64;
        // Half of the widened share counts as to be found: the authors' compromise.
        let to_find = f64::midpoint(positives, positives + beside);
        let recall = ((inside + beside) / to_find).min(1.0) * touched;
        area += (recall - before) * (inside + beside) / cut.predicted;
        before = recall;
    }
    area
}

/// Events widened by `reach` on both sides; those that meet are one.
fn merged(events: &[(usize, usize)], reach: usize, length: usize) -> Vec<(usize, usize)> {
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (first, last) in events {
        let (first, last) = (first.saturating_sub(reach), (last + reach).min(length - 1));
        match merged.last_mut() {
            Some((_, end)) if *end >= first => *end = last,
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// Steps beside events with the weight that the window gives them; of two events beside a step both count, up to one.
fn surroundings(events: &[(usize, usize)], labels: &[bool], window: usize) -> Vec<(usize, f64)> {
    let mut weights = std::collections::BTreeMap::<usize, f64>::new();
    for (first, last) in events {
        for distance in 1..=window / 2 {
            let weight = (1.0 - distance as f64 / window as f64).sqrt();
            let sides = [first.checked_sub(distance), Some(last + distance).filter(|step| *step < labels.len())];
            for step in sides.into_iter().flatten().filter(|step| !labels[*step]) {
                *weights.entry(step).or_default() += weight;
            }
        }
    }
    weights.into_iter().map(|(step, weight)| (step, weight.min(1.0))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_window_it_is_the_area_under_the_curve_worked_by_hand() {
        // Thresholds at ranks 0, 1, 2, 3: recall 1/2, 1/2, 1, 1 and precision 1, 1/2, 2/3, 1/2, all of it touched once the
        // second event is: existence 1/2, 1/2, 1, 1. Steps of recall × existence: 1/4, 0, 3/4, 0.
        let surface = Surface { window: 0, thresholds: 4 };
        let value = vus_pr(&[true, false, true, false], &[0.9, 0.8, 0.7, 0.1], surface).unwrap();
        assert!((value - (0.25 + 0.75 * 2.0 / 3.0)).abs() < 1e-12, "{value}");
    }

    #[test]
    fn a_perfect_score_is_worth_one_and_a_series_without_events_nothing() {
        let labels: Vec<bool> = (0..200).map(|step| (50..60).contains(&step)).collect();
        let scores: Vec<f32> = labels.iter().map(|label| f32::from(u8::from(*label))).collect();
        let value = vus_pr(&labels, &scores, Surface { window: 0, thresholds: 250 }).unwrap();
        assert!((value - 1.0).abs() < 1e-12);
        assert_eq!(vus_pr(&[false; 200], &scores, Surface::default()), None);
    }

    #[test]
    fn a_near_miss_counts_more_than_a_far_one() {
        let labels: Vec<bool> = (0..300).map(|step| (100..110).contains(&step)).collect();
        let scored = |at: usize| -> Vec<f32> { (0..300).map(|step| if step == at { 1.0 } else { 0.0 }).collect() };
        let of = |at| vus_pr(&labels, &scored(at), Surface::default()).unwrap();
        assert!(of(112) > of(200));
    }

    proptest! {
        #[test]
        fn it_lies_between_nought_and_one_and_follows_ranks_alone(
            series in prop::collection::vec((any::<bool>(), 0u16..500), 40..200),
            window in 0usize..40,
        ) {
            let labels: Vec<bool> = series.iter().map(|(label, _)| *label).collect();
            let scores: Vec<f32> = series.iter().map(|(_, score)| f32::from(*score)).collect();
            let stretched: Vec<f32> = scores.iter().map(|score| (score / 100.0).exp()).collect();
            let surface = Surface { window, thresholds: 50 };
            let value = vus_pr(&labels, &scores, surface);
            prop_assert_eq!(value, vus_pr(&labels, &stretched, surface));
            prop_assert!(value.is_none_or(|value| (0.0..=1.0 + 1e-9).contains(&value)));
        }
    }
}
