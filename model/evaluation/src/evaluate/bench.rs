//! The detection benchmark: every method through every fold of a protocol, and what came of it.

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, bootstrap};
use super::measure::{BenchEvent, BenchProgress, HomeRecord, measure};
use super::method::{Method, NotReady};
use super::metrics::delay::{Delay, delay};
use super::metrics::false_alarms::{Disturbed, FalseAlarms, false_alarms};
use super::metrics::strict_recall::strict_recall;
use super::outcome::Share;
use super::protocol::Protocol;
use crate::dataset::RecordedHome;
use crate::inject::Family;

/// Seed of the bootstrap and of the simulated spread: figures of one run are the same however often they are computed.
const SEED: u64 = 1;

/// Everything that was measured of one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodResult {
    /// As in the table ([`Method::name`]).
    pub name: String,
    /// Homes by fold, training seed and name.
    pub homes: Vec<HomeRecord>,
}

/// A run of the benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// What was to be measured.
    pub protocol: Protocol,
    /// In the order of the methods.
    #[serde(rename = "entrants")]
    pub methods: Vec<MethodResult>,
}

/// One budget's figures of a method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtBudget {
    /// Alarms a home-week that were asked for.
    pub budget: f64,
    /// Strict recall with the deployed threshold.
    pub recall: Interval,
    /// Events found, of all, with the deployed threshold.
    pub found: Share,
    /// Strict recall, deployed, of events in which values go on coming and change: all but silence and standstill, for which
    /// there are rules that reference methods lack.
    pub changing: Interval,
    /// Strict recall of families that were left out of training, deployed.
    pub left_out: Interval,
    /// Strict recall with the oracle threshold.
    pub oracle: Interval,
    /// Deployed recall less that of the reference method on the same homes; none for the reference itself.
    pub ahead: Option<Interval>,
    /// False alarms a home-week that the thresholds in fact gave on the test homes.
    pub false_alarms: Option<FalseAlarms>,
    /// Messages a home-week on the clean twins, as a resident counts them.
    pub messages_per_week: f64,
    /// From a fault's begin to its alarm, over the faults that were found.
    pub delay: Option<Delay>,
}

/// A line of the table, with every figure that the drawing needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// [`Method::name`].
    pub name: String,
    /// In the order of [`Protocol::budgets`].
    pub at: Vec<AtBudget>,
    /// Mean over series.
    pub vus_pr: Interval,
    /// Mean over series.
    pub auc_pr: Interval,
    /// Deployed recall at the first budget, by training seed.
    pub by_training_seed: Vec<(u64, f64)>,
    /// Clean steps within the expected band, of those that have one.
    pub within_band: Share,
}

/// Prepares each method in each fold, scores the homes and gathers what came of it.
///
/// # Errors
/// [`NotReady`] when a method could not be prepared.
pub fn bench(
    protocol: &Protocol,
    homes: &[RecordedHome],
    methods: &[&dyn Method],
    threads: usize,
    progress: &mut dyn FnMut(BenchProgress),
) -> Result<BenchReport, NotReady> {
    let mut results: Vec<MethodResult> =
        methods.iter().map(|method| MethodResult { name: method.name().to_owned(), homes: Vec::new() }).collect();
    for fold in &protocol.folds {
        let records = measure(protocol, fold, homes, methods, threads, progress)?;
        for (result, records) in results.iter_mut().zip(records) {
            result.homes.extend(records);
        }
    }
    Ok(BenchReport { protocol: protocol.clone(), methods: results })
}

/// What is drawn with replacement: a home, or an entity where there is one home.
#[derive(Debug, Clone, Default)]
struct Unit<'a> {
    key: Key,
    events: Vec<&'a BenchEvent>,
    vus_pr: Vec<f64>,
    auc_pr: Vec<f64>,
}

/// A home, and an entity where there is one home.
type Key = (String, Option<u32>);
type Units<'a> = std::collections::BTreeMap<Key, Unit<'a>>;

fn unit_of<'u, 'a>(units: &'u mut Units<'a>, key: Key) -> &'u mut Unit<'a> {
    units.entry(key.clone()).or_insert_with(|| Unit { key, ..Unit::default() })
}

impl MethodResult {
    fn units(&self) -> Vec<Unit<'_>> {
        let mut names: Vec<&str> = self.homes.iter().map(|home| home.home.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let by_entity = names.len() < 2;
        let mut units = Units::new();
        for home in &self.homes {
            let key = |entity: u32| (home.home.clone(), by_entity.then_some(entity));
            // Homes without events are drawn too.
            for entity in 0..home.entities as u32 {
                unit_of(&mut units, key(entity));
            }
            home.events.iter().for_each(|event| unit_of(&mut units, key(event.entity)).events.push(event));
            home.vus_pr.iter().for_each(|one| unit_of(&mut units, key(one.entity)).vus_pr.push(one.value));
            home.auc_pr.iter().for_each(|one| unit_of(&mut units, key(one.entity)).auc_pr.push(one.value));
        }
        units.into_values().collect()
    }

    fn line(&self, protocol: &Protocol, reference: Option<&Self>) -> Line {
        let units = self.units();
        let over = |figure: &dyn Fn(&[&Unit<'_>]) -> f64| {
            bootstrap(&units, protocol.coverage, protocol.resamples, SEED, figure)
        };
        let at = (0..protocol.budgets.len()).map(|place| self.at_budget(protocol, place, &units, reference)).collect();
        let mut seeds: Vec<u64> = self.homes.iter().map(|home| home.training_seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let of_seed = |seed: u64| {
            let events = self.homes.iter().filter(|home| home.training_seed == seed).flat_map(|home| &home.events);
            strict_recall(events.map(|event| event.delay_s.first().is_some_and(Option::is_some))).ratio()
        };
        let within = |sum: Share, home: &HomeRecord| Share {
            found: sum.found + home.within_band.found,
            all: sum.all + home.within_band.all,
        };
        Line {
            name: self.name.clone(),
            at,
            vus_pr: over(&|units| mean(units.iter().flat_map(|unit| unit.vus_pr.iter().copied()))),
            auc_pr: over(&|units| mean(units.iter().flat_map(|unit| unit.auc_pr.iter().copied()))),
            by_training_seed: seeds.into_iter().map(|seed| (seed, of_seed(seed))).collect(),
            within_band: self.homes.iter().fold(Share::default(), within),
        }
    }

    fn at_budget(&self, protocol: &Protocol, place: usize, units: &[Unit<'_>], reference: Option<&Self>) -> AtBudget {
        let deployed = |event: &BenchEvent| event.delay_s[place].is_some();
        let over = |figure: &dyn Fn(&[&Unit<'_>]) -> f64| {
            bootstrap(units, protocol.coverage, protocol.resamples, SEED, figure)
        };
        let recall =
            |units: &[&Unit<'_>], wanted: &dyn Fn(&BenchEvent) -> bool, found: &dyn Fn(&BenchEvent) -> bool| {
                let events = units.iter().flat_map(|unit| &unit.events).filter(|event| wanted(event));
                strict_recall(events.map(|event| found(event))).ratio()
            };
        let ahead = reference.map(|reference| {
            let others = reference.units();
            let pairs: Vec<(&Unit<'_>, &Unit<'_>)> = units
                .iter()
                .filter_map(|unit| Some((unit, others.iter().find(|other| other.key == unit.key)?)))
                .collect();
            bootstrap(&pairs, protocol.coverage, protocol.resamples, SEED, &|pairs: &[&(&Unit<'_>, &Unit<'_>)]| {
                let own: Vec<&Unit<'_>> = pairs.iter().map(|pair| pair.0).collect();
                let theirs: Vec<&Unit<'_>> = pairs.iter().map(|pair| pair.1).collect();
                recall(&own, &|_| true, &deployed) - recall(&theirs, &|_| true, &deployed)
            })
        });
        let events = || self.homes.iter().flat_map(|home| &home.events);
        let disturbed: Vec<Disturbed> = self.disturbed(place);
        let weeks: f64 = self.homes.iter().map(|home| home.weeks).sum();
        let said: usize = self.homes.iter().map(|home| home.messages[place]).sum();
        AtBudget {
            budget: protocol.budgets[place],
            recall: over(&|units| recall(units, &|_| true, &deployed)),
            found: strict_recall(events().map(deployed)),
            changing: over(&|units| {
                recall(
                    units,
                    &|event| ![Family::Missing, Family::Stuck].map(Family::as_str).contains(&&*event.family),
                    &deployed,
                )
            }),
            left_out: over(&|units| recall(units, &|event| event.left_out, &deployed)),
            oracle: over(&|units| recall(units, &|_| true, &|event| event.oracle[place])),
            ahead,
            false_alarms: false_alarms(&disturbed, SEED),
            messages_per_week: if weeks > 0.0 { said as f64 / weeks } else { 0.0 },
            delay: delay(events().filter_map(|event| event.delay_s[place])),
        }
    }

    /// False alarms by home; of several training seeds the mean, rounded, so that a home counts once.
    fn disturbed(&self, place: usize) -> Vec<Disturbed> {
        let mut by_home: std::collections::BTreeMap<&str, (usize, f64, usize)> = std::collections::BTreeMap::new();
        for home in &self.homes {
            let sum = by_home.entry(&home.home).or_default();
            *sum = (sum.0 + home.false_alarms[place].len(), sum.1 + home.weeks, sum.2 + 1);
        }
        by_home
            .into_values()
            .map(|(count, weeks, runs)| Disturbed {
                count: (count as f64 / runs as f64).round() as u32,
                weeks: weeks / runs as f64,
            })
            .collect()
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

impl BenchReport {
    /// The table's lines. `reference` names the method that the others are held against.
    #[must_use]
    pub fn lines(&self, reference: &str) -> Vec<Line> {
        let reference = self.methods.iter().find(|method| method.name == reference);
        let other = |method: &MethodResult| reference.filter(|reference| reference.name != method.name);
        self.methods.iter().map(|method| method.line(&self.protocol, other(method))).collect()
    }
}

#[cfg(test)]
mod tests;
