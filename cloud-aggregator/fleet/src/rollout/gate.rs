//! Whether a release that is going out does harm: five sequential tests with one stated error.
//!
//! Each test keeps an e-value: the likelihood ratio of a harmful alternative against the edge of what is tolerated. While
//! the release is no worse than tolerated, an e-value has expectation at most 1 at every time, so the chance that it
//! *ever* reaches `1 / a` is at most `a` (Ville 1939; Wald's sequential probability ratio, 1945, is the same ratio with a
//! second bound; Ramdas, Grünwald, Vovk and Shafer, *Game-theoretic statistics and safe anytime-valid inference*,
//! Statistical Science 2023). One may therefore look after every report and as long as one likes. The policy's error is
//! shared among the five tests.
//!
//! A resident's budget fixes the rate of alarms, so a model that hears nothing rings as often as a good one. Three of the
//! tests are about that: confirmed answers, synthetic fault checks, disagreement.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use super::policy::Policy;

/// Tests that share the error.
const TESTS: f64 = 5.0;

/// Share of installations that may fail: flash wears out, disks fill.
const FAILURES: Edge = Edge { tolerated: 0.02, harmful: 0.10 };

/// Dismissals of homes with the release against homes without, as a ratio of rates. The margin of a tenth is for what a
/// new model's first days do to any home.
const DISMISSALS: Edge = Edge { tolerated: 1.1, harmful: 2.0 };

/// Confirmations of homes with the release against homes without, as a ratio of rates.
const CONFIRMATIONS: Edge = Edge { tolerated: 1.0, harmful: 0.5 };

/// Synthetic faults found by the release against those that the model before it found in the same stream.
const FAULT_CHECKS: Edge = Edge { tolerated: 1.0, harmful: 0.7 };

/// Share of homes in which release and predecessor disagree about more than [`DISAGREEING_STEPS`] of the steps.
const DISAGREEMENT: Edge = Edge { tolerated: 0.10, harmful: 0.40 };

/// Share of steps from which on a home counts as disagreeing: at one alarm a week an honest change touches far fewer.
pub const DISAGREEING_STEPS: f64 = 0.05;

/// Where tolerated ends, and what the test looks for beyond it.
#[derive(Debug, Clone, Copy)]
struct Edge {
    tolerated: f64,
    harmful: f64,
}

/// What is known about a release on its way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// Homes where it is installed.
    pub installed: u64,
    /// Homes that refused it or went back by themselves.
    pub failed: u64,
    /// Homes whose last word is that it did not come whole or was not trusted: about a mirror, a line or a clock. Weighed by no test.
    pub undelivered: u64,
    /// Day by day, homes with the release beside homes without.
    pub days: Vec<Day>,
    /// Synthetic fault checks in homes with the release.
    pub fault_checks: FaultChecks,
    /// Homes with the release that compared it with its predecessor.
    pub compared: u64,
    /// Of these, those that disagree about more than [`DISAGREEING_STEPS`].
    pub disagreeing: u64,
}

/// One day of the fleet. A home counts at most once a day for each kind of answer, so that one angry resident is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Homes with the release, all day.
    pub with: Side,
    /// Homes without it, all day.
    pub without: Side,
}

/// Homes on one side on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    /// How many.
    pub homes: u64,
    /// Of these, those that dismissed an alarm.
    pub dismissed: u64,
    /// Of these, those that confirmed one.
    pub confirmed: u64,
}

/// Faults put into copies of the homes' own streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultChecks {
    /// Found by the release.
    pub caught: u64,
    /// Found by the model before it.
    pub caught_before: u64,
}

/// The five tests, each with the question that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Test {
    /// Do installations fail?
    Installation,
    /// Do residents dismiss more?
    Dismissals,
    /// Do residents confirm less?
    Confirmations,
    /// Does it miss faults that the model before it finds?
    #[serde(rename = "canaries")]
    #[strum(serialize = "canaries")]
    FaultChecks,
    /// Does it judge quite differently?
    Disagreement,
}

impl Test {
    /// The word for it in the API and in reasons.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How near one test is to stopping the rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// What the test is about.
    pub test: Test,
    /// Its e-value, as a power of ten.
    pub log10_e: f64,
    /// From where on it alarms.
    pub limit: f64,
}

impl Finding {
    /// Whether it says that the release does harm.
    #[must_use]
    pub fn alarms(&self) -> bool {
        self.log10_e >= self.limit
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: e-value 10^{:.1}, limit 10^{:.1}", self.test.as_str(), self.log10_e, self.limit)
    }
}

/// Where each test stands.
#[must_use]
pub fn weigh(policy: &Policy, evidence: &Evidence) -> [Finding; 5] {
    let limit = (TESTS / policy.error).log10();
    let compare = |edge, of: fn(&Side) -> u64| {
        evidence
            .days
            .iter()
            .map(move |day| rates(edge, (of(&day.with), day.with.homes), (of(&day.without), day.without.homes)))
    };
    let FaultChecks { caught, caught_before } = evidence.fault_checks;
    let logs = [
        (Test::Installation, share(FAILURES, evidence.failed, evidence.installed)),
        (Test::Dismissals, compare(DISMISSALS, |side| side.dismissed).sum()),
        (Test::Confirmations, compare(CONFIRMATIONS, |side| side.confirmed).sum()),
        // The same checks for both, so both have the same exposure. Faults that both find only lower the value.
        (Test::FaultChecks, rates(FAULT_CHECKS, (caught, 1), (caught_before, 1))),
        (Test::Disagreement, share(DISAGREEMENT, evidence.disagreeing, evidence.compared - evidence.disagreeing)),
    ];
    logs.map(|(test, log)| Finding { test, log10_e: log / std::f64::consts::LN_10, limit })
}

/// The findings that alarm.
#[must_use]
pub fn alarms(policy: &Policy, evidence: &Evidence) -> Vec<Finding> {
    weigh(policy, evidence).into_iter().filter(Finding::alarms).collect()
}

/// ln of the likelihood ratio of two shares, after `hits` and `misses`.
fn share(edge: Edge, hits: u64, misses: u64) -> f64 {
    hits as f64 * (edge.harmful / edge.tolerated).ln()
        + misses as f64 * ((1.0 - edge.harmful) / (1.0 - edge.tolerated)).ln()
}

/// ln of the likelihood ratio of two ratios of rates. Given how many events there were in all, each is one of the first
/// side with a probability that follows from the ratio and the exposures: whatever moves both sides alike (a storm, a
/// holiday) cancels.
fn rates(edge: Edge, (with, exposure): (u64, u64), (without, exposure_without): (u64, u64)) -> f64 {
    if exposure == 0 || exposure_without == 0 {
        return 0.0;
    }
    let part = |ratio: f64| {
        let weighted = ratio * exposure as f64;
        weighted / (weighted + exposure_without as f64)
    };
    let (tolerated, harmful) = (part(edge.tolerated), part(edge.harmful));
    with as f64 * (harmful / tolerated).ln() + without as f64 * ((1.0 - harmful) / (1.0 - tolerated)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::named("staged").unwrap()
    }

    fn alarmed(evidence: &Evidence) -> Vec<Test> {
        alarms(&policy(), evidence).iter().map(|finding| finding.test).collect()
    }

    fn day(with: (u64, u64, u64), without: (u64, u64, u64)) -> Day {
        let side = |(homes, dismissed, confirmed)| Side { homes, dismissed, confirmed };
        Day { with: side(with), without: side(without) }
    }

    #[test]
    fn no_evidence_is_no_alarm() {
        assert_eq!(alarmed(&Evidence::default()), []);
    }

    #[test]
    fn one_failed_installation_is_not_an_alarm_and_five_of_ten_are() {
        assert_eq!(alarmed(&Evidence { installed: 9, failed: 1, ..Evidence::default() }), []);
        assert_eq!(alarmed(&Evidence { installed: 5, failed: 5, ..Evidence::default() }), [Test::Installation]);
    }

    #[test]
    fn residents_who_dismiss_twice_as_often_stop_it() {
        let evidence = Evidence { days: vec![day((2000, 400, 40), (98_000, 9_800, 1_960)); 1], ..Evidence::default() };
        assert_eq!(alarmed(&evidence), [Test::Dismissals]);
    }

    #[test]
    fn a_storm_that_moves_everybody_is_no_alarm() {
        let evidence =
            Evidence { days: vec![day((2000, 1000, 200), (98_000, 49_000, 9_800)); 5], ..Evidence::default() };
        assert_eq!(alarmed(&evidence), []);
    }

    #[test]
    fn a_deaf_model_shows_in_confirmations_although_nobody_complains() {
        let evidence = Evidence { days: vec![day((2000, 180, 12), (98_000, 9_800, 1_960)); 1], ..Evidence::default() };
        assert_eq!(alarmed(&evidence), [Test::Confirmations]);
    }

    #[test]
    fn a_model_of_low_recall_shows_in_its_fault_checks_before_anything_happened() {
        let fault_checks = FaultChecks { caught: 160, caught_before: 400 };
        assert_eq!(alarmed(&Evidence { fault_checks, ..Evidence::default() }), [Test::FaultChecks]);
        let fault_checks = FaultChecks { caught: 390, caught_before: 400 };
        assert_eq!(alarmed(&Evidence { fault_checks, ..Evidence::default() }), []);
    }

    #[test]
    fn a_model_that_judges_quite_differently_in_many_homes_stops_it() {
        assert_eq!(alarmed(&Evidence { compared: 40, disagreeing: 20, ..Evidence::default() }), [Test::Disagreement]);
    }

    #[test]
    fn without_a_side_to_compare_with_there_is_nothing_to_find() {
        let evidence = Evidence { days: vec![day((100, 100, 0), (0, 0, 0)); 9], ..Evidence::default() };
        assert_eq!(alarmed(&evidence), []);
    }

    #[test]
    fn a_smaller_error_asks_for_more_evidence() {
        let strict = Policy { error: 0.0001, ..policy() };
        let evidence = Evidence { installed: 2, failed: 4, ..Evidence::default() };
        assert_eq!(alarms(&policy(), &evidence).len(), 1);
        assert_eq!(alarms(&strict, &evidence).len(), 0);
    }
}
