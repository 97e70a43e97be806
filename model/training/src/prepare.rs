//! From recordings to traces: the part of a run that does not depend on what is trained, done once for many runs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use hearthwatch_detector::alarm::{Blend, Calibration};
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::drift::FeatureProfile;
use hearthwatch_detector::network::{Artifact, LineageHome, Scorer};
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::lived::recorder_form;
use hearthwatch_evaluation::evaluate::{
    Contender, Evaluation, HomePair, HomeTrace, Record, baseline_scores, blended, calibrate, fan_out, replay,
};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};

use super::config::{BaselineThresholds, RetrainConfig};
use super::corpus::Corpus;
use super::error::TrainError;
use super::progress::Progress;

const DAY_SECONDS: i64 = 86_400;

/// A recording must go on for at least this long after its warm-up to be of use.
const USEFUL_DAYS_MIN: i64 = 5;

/// A corpus as traces, with the baseline detector's thresholds and figures.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub(super) train: Vec<HomePair>,
    pub(super) calibrate: Vec<HomePair>,
    pub(super) test: Vec<HomePair>,
    pub(super) baseline: Calibration,
    pub(super) baseline_evaluation: Evaluation,
    /// The baseline detector on the calibration homes: what a network is held against there.
    pub(super) baseline_on_calibrate: Evaluation,
    pub(super) homes: Vec<LineageHome>,
}

impl Prepared {
    /// The baseline detector's thresholds from the calibration homes.
    #[must_use]
    pub fn baseline_calibration(&self) -> &Calibration {
        &self.baseline
    }

    /// The baseline detector on the test homes.
    #[must_use]
    pub fn baseline_evaluation(&self) -> &Evaluation {
        &self.baseline_evaluation
    }

    /// How the features of the clean training homes are distributed: what later data are held against. One row
    /// in 37 is looked at.
    #[must_use]
    pub fn profile(&self) -> Option<FeatureProfile> {
        let traces = self.train.iter().flat_map(|pair| &pair.clean.entities);
        let rows: Vec<f32> = traces
            .flat_map(|trace| {
                (0..trace.len()).filter(|index| trace.network_ready(*index)).map(move |index| (trace, index))
            })
            .step_by(PROFILE_EVERY)
            .filter_map(|(trace, index)| trace.row(index))
            .flatten()
            .copied()
            .collect();
        FeatureProfile::of(&rows)
    }

    /// The homes that were used, by role.
    #[must_use]
    pub fn homes(&self) -> &[LineageHome] {
        &self.homes
    }
}

/// Neighbouring rows are nearly the same; one in so many keeps a profile of some ten thousand rows.
const PROFILE_EVERY: usize = 37;

/// A recording that is useful for less than this is not divided into days to train on and days to test on.
const DIVIDED_DAYS_MIN: i64 = 28;

/// One recording to be run: cut to its span, with the end of its warm-up and its faults.
struct Job {
    home: RecordedHome,
    from: i64,
    plans: Vec<InjectionPlan>,
}

/// Cuts, injects and extracts; calibrates and measures the baseline detector. `champion` is what homes run, if they run a network.
///
/// # Errors
/// [`TrainError::NoHomes`] when a part of the corpus has no recording longer than the warm-up; [`TrainError::Stopped`].
pub fn prepare(
    corpus: &Corpus,
    champion: Option<&Artifact>,
    config: &RetrainConfig,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Prepared, TrainError> {
    let parts = [
        ("train", &corpus.train, config.homes.train_homes_max),
        ("calibrate", &corpus.calibrate, config.homes.calibrate_homes_max),
        ("test", &corpus.test, config.homes.test_homes_max),
    ];
    let mut jobs = Vec::new();
    let mut counts = Vec::new();
    let mut lineage = Vec::new();
    for (part, homes, most) in parts {
        let before = jobs.len();
        jobs.extend(homes.iter().filter_map(|home| job(home, part, config)).take(most));
        if jobs.len() == before {
            return Err(TrainError::NoHomes { part, warm_up_days: config.days.warm_up_days });
        }
        counts.push(jobs.len() - before);
        lineage.extend(jobs[before..].iter().map(|job| LineageHome {
            name: job.home.full_name(),
            role: part.to_owned(),
            sha256: job.home.content_hash(),
        }));
    }
    let total = jobs.len();
    // The threads are asked to stop by a flag: what they have begun is finished, and the rest is passed over.
    let stopped = AtomicBool::new(false);
    let unless_stopped = |job: &Job| (!stopped.load(Ordering::Relaxed)).then(|| extract(job));
    let pairs = fan_out(&jobs, config.threads, unless_stopped, |done| {
        if progress(Progress::Preparing { done, total }).is_break() {
            stopped.store(true, Ordering::Relaxed);
        }
    });
    let pairs: Option<Vec<HomePair>> = pairs.into_iter().collect();
    let mut pairs = pairs.filter(|_| !stopped.into_inner()).ok_or(TrainError::Stopped)?;
    let test = pairs.split_off(counts[0] + counts[1]);
    let calibrate = pairs.split_off(counts[0]);
    let baseline = match config.baseline_thresholds {
        BaselineThresholds::Fitted => baseline_thresholds(&calibrate),
        BaselineThresholds::Deployed => champion.map_or_else(
            || Model::baseline().baseline_calibration().clone(),
            |champion| champion.baseline_calibration().clone(),
        ),
    };
    let budget = config.gate.budget_per_week;
    let by_baseline =
        |homes: &[HomePair]| replay(homes, Contender::Baseline(&baseline), budget, config.threads, |_| {});
    let (baseline_evaluation, baseline_on_calibrate) = (by_baseline(&test), by_baseline(&calibrate));
    Ok(Prepared { train: pairs, calibrate, test, baseline, baseline_evaluation, baseline_on_calibrate, homes: lineage })
}

/// Homes as a run would test on them, for models that are trained already. Recordings too short for that are left out.
#[must_use]
pub fn prepare_test(homes: &[RecordedHome], config: &RetrainConfig) -> Vec<HomePair> {
    let jobs: Vec<Job> = homes.iter().filter_map(|home| job(home, "test", config)).collect();
    fan_out(&jobs, config.threads, extract, |_| {})
}

/// Thresholds of the baseline score from the clean twins of the calibration homes.
fn baseline_thresholds(homes: &[HomePair]) -> Calibration {
    let scores: Vec<Vec<Vec<f32>>> = homes.iter().map(|pair| baseline_scores(&pair.clean)).collect();
    calibrate(&records(homes, &scores), None)
}

/// Thresholds of a network's logit from the clean twins of the calibration homes; the baseline detector's rules speak
/// beside it.
pub(super) fn network_thresholds(prepared: &Prepared, scorer: &Scorer, blend: &Blend, threads: usize) -> Calibration {
    let homes = &prepared.calibrate;
    let scores = fan_out(homes, threads, |pair| blended(scorer, blend, &pair.clean, None), |_| {});
    calibrate(&records(homes, &scores), Some(&prepared.baseline))
}

fn records<'a>(homes: &'a [HomePair], scores: &'a [Vec<Vec<f32>>]) -> Vec<Record<'a>> {
    homes.iter().zip(scores).map(|(pair, scores)| Record { home: &pair.clean, scores }).collect()
}

/// In the form that a recorder keeps, faults put in before: what homes have, and what a network must not take for a fault.
fn extract(job: &Job) -> HomePair {
    let faulty = |plan| HomeTrace::extract_copy(&recorder_form(&inject(&job.home, plan, job.from)), job.from);
    HomePair {
        clean: HomeTrace::extract(&recorder_form(&job.home), job.from),
        faulty: job.plans.iter().map(faulty).collect(),
    }
}

/// The span of a home that its role uses. Training takes the first days after the warm-up; a test home is measured in the
/// days after those, so that no test week was a training week of another home under the same weather. Calibration takes
/// both spans: thresholds of one season do not keep a budget in the next. Of a recording that is shorter than asked for,
/// three fifths are trained on; one that is too short to be divided is used whole in every role.
fn job(home: &RecordedHome, part: &'static str, config: &RetrainConfig) -> Option<Job> {
    let (first, last) = home.span()?;
    let warm_up = config.days.warm_up_days * DAY_SECONDS;
    let useful = last - first - warm_up;
    if useful < USEFUL_DAYS_MIN * DAY_SECONDS {
        return None;
    }
    let divided = useful >= DIVIDED_DAYS_MIN * DAY_SECONDS;
    let (trained, tested) = if divided {
        let trained = (config.days.train_days * DAY_SECONDS).min(useful * 3 / 5 / DAY_SECONDS * DAY_SECONDS);
        (trained, (config.days.test_days * DAY_SECONDS).min(useful - trained))
    } else {
        (useful, useful)
    };
    let (begin, length) = match part {
        "train" => (first, warm_up + trained),
        "calibrate" if divided => (first, warm_up + trained + tested),
        "test" if divided => (first + trained, warm_up + tested),
        _ => (first, warm_up + useful),
    };
    let mut home = home.between(begin - 1, begin + length);
    keep_entities(&mut home, config.homes.entities_max);
    let (events, families, salt, copies): (f64, &[Family], u64, usize) = if part == "test" {
        (config.faults.test_events_per_entity_week, &config.faults.test_families, TEST_SALT, config.faults.test_copies)
    } else {
        (config.faults.train_events_per_entity_week, &config.faults.train_families, 0, config.faults.train_copies)
    };
    let plan = |copy: usize| InjectionPlan {
        seed: (config.seed ^ salt).wrapping_add((copy as u64) << COPY_SHIFT),
        events_per_entity_week: events,
        families: families.to_vec(),
    };
    Some(Job { from: begin + warm_up, home, plans: (0..copies.max(1)).map(plan).collect() })
}

/// Keeps test faults from being training faults when a home changes its role between runs with one seed.
const TEST_SALT: u64 = 0x7e57_7e57_7e57_7e57;

/// Seeds of a home's copies lie this many bits apart, so that runs with neighbouring seeds share no copy.
const COPY_SHIFT: u32 = 32;

fn keep_entities(home: &mut RecordedHome, most: usize) {
    if home.entities.len() > most {
        home.entities.truncate(most);
        home.readings.retain(|reading| (reading.entity as usize) < most);
        home.labels.retain(|label| (label.entity as usize) < most);
    }
}
