//! The figures of each model, of its slices, and of champion against challenger.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::messages::Verdict;
use hearthwatch_protocol::{HomeId, ModelVersion};
use hearthwatch_store::evaluation::{AnswerGroup, AnswerNumbers};
use hearthwatch_store::lists::{HomeQuery, HomeState, ListedHome};
use hearthwatch_store::{OutcomeRow, Store, StoreResult};
use serde::{Deserialize, Serialize};

use super::exposure::{Life, exposures};
use super::interval::{Interval, poisson_rate, wilson};
use super::slice::{Slice, SliceFigures, slices_of};

/// Seconds of a week.
const WEEK: f64 = 7.0 * 86_400.0;

/// The chance that an interval does not hold the true value.
const ERROR: f64 = 0.05;

/// Answers whose numbers are read: the newest hundred thousand; medians of more say nothing else.
const NUMBERS_MAX: usize = 100_000;

/// Answers below which no score is compared with that of the period before.
const DRIFT_MIN: usize = 50;

/// A period, Unix seconds: it holds its beginning and not its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Period {
    /// First second.
    pub since: i64,
    /// First second after it.
    pub until: i64,
}

/// How the fleet's models do in homes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evaluation {
    /// The period that is looked at.
    pub period: Period,
    /// The fleet's current model.
    pub champion: Option<u64>,
    /// The newest model that is not the champion and that homes ran in the period; the champion is held against it.
    pub challenger: Option<u64>,
    /// Of each model that homes ran or that asked something, the newest first. 0 is the baseline detector.
    pub models: Vec<ModelFigures>,
    /// Champion against challenger; none without both.
    pub versus: Option<Versus>,
}

/// How one model does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelFigures {
    /// Its version; 0 is the baseline detector.
    pub model_version: u64,
    /// Homes that ran it.
    pub homes: u64,
    /// Weeks in which homes ran it, added up.
    pub home_weeks: f64,
    /// Alarms and questions that it announced.
    pub announced: u64,
    /// Alarms and questions of it that were answered.
    pub answered: u64,
    /// Alarms that residents confirmed.
    pub confirmed: u64,
    /// Alarms that residents dismissed.
    pub dismissed: u64,
    /// Alarms that residents called expected.
    pub expected: u64,
    /// Things that residents reported and it had not noticed.
    pub missed: u64,
    /// Dismissed alarms a home and week; none without home-weeks.
    pub false_a_home_week: Option<Interval>,
    /// Confirmed alarms a home and week; none without home-weeks.
    pub confirmed_a_home_week: Option<Interval>,
    /// Share of confirmed among confirmed and dismissed alarms; none without one.
    pub confirmed_share: Option<Interval>,
    /// Share of announced that nobody answered or that was called expected: residents were not sure. None without an announcement.
    pub unsure_share: Option<Interval>,
    /// Half of the answers came within so many seconds of their alarm; none without an answer.
    pub delay_median: Option<i64>,
    /// Nine tenths of the answers came within so many seconds.
    pub delay_p90: Option<i64>,
    /// How much further beyond the threshold its alarms are than in the period before, as a population stability index over ten bins;
    /// none with fewer than 50 answers in either. Above 0.25 something has changed.
    pub score_drift: Option<f64>,
    /// By home size, age and country, and by device class.
    pub slices: Vec<SliceFigures>,
}

/// Champion against challenger over the same period, each in the homes that ran it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Versus {
    /// False alarms a home and week: the champion's rate divided by the challenger's; below 1 the champion is quieter. With the exact
    /// interval of the ratio of two Poisson counts (by the binomial, Clopper and Pearson 1934).
    pub false_ratio: Option<Interval>,
    /// What follows, in one sentence.
    pub summary: String,
}

/// What everything follows from.
pub struct Known {
    /// Every home.
    pub homes: Vec<ListedHome>,
    /// All words of homes on installations.
    pub outcomes: Vec<OutcomeRow>,
    /// Answers of the period.
    pub groups: Vec<AnswerGroup>,
    /// Numbers of answers of the period.
    pub numbers: Vec<AnswerNumbers>,
    /// Numbers of answers of the period before, of the same length.
    pub numbers_before: Vec<AnswerNumbers>,
    /// Announcements of the period.
    pub announced: Vec<(HomeId, ModelVersion, u64)>,
    /// The current model.
    pub champion: Option<ModelVersion>,
}

/// Reads what is needed and evaluates. Blocks.
///
/// # Errors
/// The store's.
pub fn read(store: &dyn Store, period: Period) -> StoreResult<Evaluation> {
    let Period { since, until } = period;
    let before = since.saturating_sub(until.saturating_sub(since));
    let known = Known {
        homes: store.list_homes(&HomeQuery { late_before: until.saturating_sub(86_400), ..HomeQuery::default() })?,
        outcomes: store.outcomes(None, 0)?,
        groups: store.answer_groups(since, until)?,
        numbers: store.answer_numbers(since, until, NUMBERS_MAX)?,
        numbers_before: store.answer_numbers(before, since, NUMBERS_MAX)?,
        announced: store.announced_groups(since, until)?,
        champion: store.champion()?.map(|model| model.version),
    };
    Ok(evaluate(&known, period))
}

/// Sums of one model, or of one model in one slice.
#[derive(Default, Clone)]
struct Sums {
    homes: BTreeSet<HomeId>,
    seconds: i64,
    announced: u64,
    confirmed: u64,
    dismissed: u64,
    expected: u64,
    missed: u64,
}

impl Sums {
    fn answer(&mut self, group: &AnswerGroup) {
        match (group.origin.as_str(), group.verdict) {
            ("alarm", Verdict::Confirmed) => self.confirmed += group.count,
            ("alarm", Verdict::Dismissed) => self.dismissed += group.count,
            ("alarm", Verdict::Expected) => self.expected += group.count,
            ("miss", _) => self.missed += group.count,
            // Random questions are drawn from below the threshold: they say what is missed, and nothing of alarms.
            _ => {}
        }
    }

    fn weeks(&self) -> f64 {
        self.seconds as f64 / WEEK
    }
}

/// Evaluates. Pure.
#[must_use]
pub fn evaluate(known: &Known, period: Period) -> Evaluation {
    let lives: Vec<Life> = known.homes.iter().map(life).collect();
    let slices: BTreeMap<&HomeId, Vec<Slice>> =
        known.homes.iter().map(|home| (&home.row.home, slices_of(&home.row, &home.tags, period.until))).collect();
    let mut models: BTreeMap<ModelVersion, (Sums, BTreeMap<Slice, Sums>)> = BTreeMap::new();
    let of = |home: &HomeId| slices.get(home).cloned().unwrap_or_default();
    for exposure in exposures(&lives, &known.outcomes, period.since, period.until) {
        let (all, parts) = models.entry(exposure.model_version).or_default();
        let add = |sums: &mut Sums| {
            sums.homes.insert(exposure.home.clone());
            sums.seconds = sums.seconds.saturating_add(exposure.seconds);
        };
        add(all);
        of(&exposure.home).into_iter().for_each(|slice| add(parts.entry(slice).or_default()));
    }
    for group in &known.groups {
        let (all, parts) = models.entry(group.model_version).or_default();
        all.answer(group);
        of(&group.home).into_iter().for_each(|slice| parts.entry(slice).or_default().answer(group));
        // Every home may have entities of a class: how long they were watched is not known, so a class has shares and no rate.
        parts.entry(Slice::new("class", group.device_class.clone())).or_default().answer(group);
    }
    for (home, version, count) in &known.announced {
        let (all, parts) = models.entry(*version).or_default();
        all.announced += count;
        of(home).into_iter().for_each(|slice| parts.entry(slice).or_default().announced += count);
    }
    let figures = models.iter().rev().map(|(version, (all, parts))| model(*version, all, parts, known)).collect();
    let ran = |version: &ModelVersion| models.get(version).is_some_and(|(sums, _)| sums.seconds > 0);
    let champion = known.champion.filter(ran);
    let challenger = models.keys().rev().copied().find(|version| Some(*version) != champion && ran(version));
    let versus = champion.zip(challenger).map(|(one, other)| versus(&models[&one].0, &models[&other].0, one, other));
    let number = |version: Option<ModelVersion>| version.map(|version| version.0);
    Evaluation { period, champion: number(known.champion), challenger: number(challenger), models: figures, versus }
}

fn life(listed: &ListedHome) -> Life {
    let row = &listed.row;
    let away = matches!(listed.state, HomeState::Offline | HomeState::Late);
    let heard = row.status.as_ref().filter(|_| away).map(|status| status.heard_at);
    let never = (listed.state == HomeState::NeverSeen).then_some(row.enrolled_at);
    let until = [row.revoked_at, heard, never].into_iter().flatten().min();
    let runs = row.status.as_ref().map(|status| status.model_version);
    Life { home: row.home.clone(), from: row.enrolled_at, until, runs }
}

fn model(version: ModelVersion, all: &Sums, parts: &BTreeMap<Slice, Sums>, known: &Known) -> ModelFigures {
    let of = |numbers: &[AnswerNumbers]| -> Vec<AnswerNumbers> {
        numbers.iter().filter(|one| one.model_version == version).copied().collect()
    };
    let (now, before) = (of(&known.numbers), of(&known.numbers_before));
    let mut delays: Vec<i64> = now.iter().map(|one| one.delay).filter(|delay| *delay >= 0).collect();
    delays.sort_unstable();
    let at = |share: usize| delays.get(delays.len().saturating_mul(share) / 100).copied();
    let answered = all.confirmed + all.dismissed + all.expected;
    let sure = all.confirmed + all.dismissed;
    ModelFigures {
        model_version: version.0,
        homes: all.homes.len() as u64,
        home_weeks: all.weeks(),
        announced: all.announced,
        answered,
        confirmed: all.confirmed,
        dismissed: all.dismissed,
        expected: all.expected,
        missed: all.missed,
        false_a_home_week: poisson_rate(all.dismissed, all.weeks(), ERROR),
        confirmed_a_home_week: poisson_rate(all.confirmed, all.weeks(), ERROR),
        confirmed_share: wilson(all.confirmed, sure),
        unsure_share: wilson(all.announced.saturating_sub(sure), all.announced),
        delay_median: at(50),
        delay_p90: at(90),
        score_drift: stability(&now, &before),
        slices: slice_figures(all, parts),
    }
}

/// Slices with their warnings. One is worse than the fleet if its rate of false alarms (or, where there is no rate, its share of confirmed
/// alarms) is so beyond chance, with the error shared out over all slices.
fn slice_figures(all: &Sums, parts: &BTreeMap<Slice, Sums>) -> Vec<SliceFigures> {
    let error = ERROR / parts.len().max(1) as f64;
    let fleet_rate = poisson_rate(all.dismissed, all.weeks(), ERROR).map(|rate| rate.value);
    let fleet_share = wilson(all.confirmed, all.confirmed + all.dismissed).map(|share| share.value);
    let figures = parts.iter().map(|(slice, sums)| {
        let sure = sums.confirmed + sums.dismissed;
        let share = wilson(sums.confirmed, sure);
        let strict = poisson_rate(sums.dismissed, sums.weeks(), error);
        let worse = match (strict, fleet_rate) {
            (Some(strict), Some(fleet)) => strict.low > fleet,
            _ => share.zip(fleet_share).is_some_and(|(share, fleet)| sure >= 20 && share.high < fleet),
        };
        SliceFigures {
            slice: slice.clone(),
            homes: sums.homes.len() as u64,
            home_weeks: sums.weeks(),
            answered: sure + sums.expected,
            confirmed: sums.confirmed,
            dismissed: sums.dismissed,
            false_a_home_week: poisson_rate(sums.dismissed, sums.weeks(), ERROR),
            confirmed_share: share,
            worse,
        }
    });
    figures.collect()
}

/// The ratio of two rates, by the share of one count in both (Przyborowski and Wilenski, 1940, with Wilson's interval of the share).
fn versus(champion: &Sums, challenger: &Sums, one: ModelVersion, other: ModelVersion) -> Versus {
    let (weeks, other_weeks) = (champion.weeks(), challenger.weeks());
    let share = wilson(champion.dismissed, champion.dismissed + challenger.dismissed);
    let ratio = |share: f64| share / (1.0 - share) * other_weeks / weeks;
    let false_ratio = share
        .filter(|share| share.high < 1.0 && share.value < 1.0 && weeks > 0.0)
        .map(|share| Interval { value: ratio(share.value), low: ratio(share.low), high: ratio(share.high) });
    let summary = match false_ratio {
        None => format!("Not enough dismissed alarms to hold version {one} against version {other}."),
        Some(ratio) if ratio.high < 1.0 => format!("Version {one} raises fewer false alarms than version {other}."),
        Some(ratio) if ratio.low > 1.0 => format!("Version {one} raises more false alarms than version {other}."),
        Some(_) => format!("No difference in false alarms between version {one} and version {other} is beyond chance."),
    };
    Versus { false_ratio, summary }
}

/// The population stability index of margins over ten bins of equal size in the period before.
fn stability(now: &[AnswerNumbers], before: &[AnswerNumbers]) -> Option<f64> {
    if now.len() < DRIFT_MIN || before.len() < DRIFT_MIN {
        return None;
    }
    let mut sorted: Vec<f64> = before.iter().map(|one| one.margin).collect();
    sorted.sort_by(f64::total_cmp);
    let edges: Vec<f64> = (1..10).map(|tenth| sorted[sorted.len() * tenth / 10]).collect();
    let shares = |numbers: &[AnswerNumbers]| -> Vec<f64> {
        let mut counts = [0.5_f64; 10];
        for one in numbers {
            counts[edges.iter().filter(|edge| one.margin >= **edge).count()] += 1.0;
        }
        let all: f64 = counts.iter().sum();
        counts.iter().map(|count| count / all).collect()
    };
    let (now, before) = (shares(now), shares(before));
    Some(now.iter().zip(before).map(|(now, before)| (now - before) * (now / before).ln()).sum())
}

#[cfg(test)]
mod tests;
