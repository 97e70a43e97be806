//! `bench feedback`: does training on residents' answers beat as much training without them?
//!
//! The shipped network is fine-tuned with answers to its own alarms in London homes whose truth is known because the
//! faults were put there. Each arm starts from the same weights and takes the same steps on the same replay. Judged are
//! other homes (transfer), and the same homes later (personalisation). Weights made here are never shipped.

mod arms;
mod residents;
mod score;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hearthwatch_detector::detector::Model;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, fan_out};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use hearthwatch_training::{Corpus, Fit, Prepared, RetrainConfig, never_stops, prepare};

use crate::data;
use arms::{ARMS, Arm};
pub(super) use residents::{Habits, Question, answers, verdicts};
use score::{Scored, Sheet};

const DAY: i64 = 86_400;
/// Days that a home's detector learns at first.
pub(super) const WARM_UP_DAYS: i64 = 14;
/// The day of the recording that ends the time of answers and begins the time that is judged in the same homes.
const CUT_DAY: i64 = 31;
/// Faults of each entity in a week.
const EVENTS_PER_WEEK: f64 = 1.0;

/// Copies of a home's history with faults for its own training.
const TRAINING_COPIES: u64 = 3;
/// Seeds of those copies' faults begin here, apart from those that are asked about or judged.
const COPY_SALT: u64 = 1 << 32;

/// Alarms a week that homes ask for while their answers are gathered.
pub(super) const ASKED: f64 = 5.0;

/// What is measured.
#[derive(Debug, Args)]
pub struct FeedbackArguments {
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seeds of faults, residents and training; each is a whole run.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Most London homes.
    #[arg(long, default_value_t = 20)]
    homes: usize,
    /// Windows of an epoch of fine-tuning.
    #[arg(long, default_value_t = 8192)]
    windows: usize,
    /// Measures these arms alone (a part of the name; may be repeated), and their controls.
    #[arg(long = "arm", value_name = "TEXT")]
    arms: Vec<String>,
    /// Has networks judge every class, not those alone that the one that ships earned.
    #[arg(long)]
    every_class: bool,
    /// Alarms a week that homes ask for while their answers are gathered.
    #[arg(long, default_value_t = ASKED)]
    asked: f64,
}

/// One home in all its forms.
pub(super) struct Subject {
    /// With faults in the time of answers.
    pub(super) asked: RecordedHome,
    /// What the home trains on in federated rounds: the same, and copies with known faults. Those of the time of answers are unknown
    /// to it, as a home's own are.
    pub(super) history: HomePair,
    /// Judged over all of its time, for homes whose answers were not learnt from.
    pub(super) whole: HomePair,
    /// Judged after the cut, for those whose answers were.
    pub(super) later: HomePair,
}

/// Measures and prints.
///
/// # Errors
/// When recordings cannot be read or a training run fails.
pub fn run(arguments: &FeedbackArguments) -> anyhow::Result<()> {
    let source = data::find(arguments.data.as_deref(), &DATA_SETS.iter().map(|set| set.name).collect::<Vec<_>>())?;
    let mut london = data::homes(&source, &["southwark_homes"])?;
    london.truncate(arguments.homes);
    anyhow::ensure!(london.len() >= 4, "the London homes are not in {source:?}; name a folder with --data");
    let shippable: Vec<&str> = DATA_SETS.iter().filter(|set| set.usage.may_ship()).map(|set| set.name).collect();
    let corpus = Corpus::split(data::homes(&source, &shippable)?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let arms = chosen(&arguments.arms);
    let mut transfer = Sheet::default();
    let mut later = Sheet::default();
    for seed in 1..=arguments.seeds {
        let config = RetrainConfig {
            seed,
            threads,
            fit: Fit { windows_per_epoch: arguments.windows, ..Fit::default() },
            ..RetrainConfig::default()
        };
        let prepared = prepare(&corpus, None, &config, &mut never_stops(|_| {}))?;
        let subjects = fan_out(&london, threads, |home| subject(home, seed), |_| {});
        let questions = questions(&subjects, arguments.asked, threads)?;
        for fold in 0..2 {
            let learns = |place: usize| place % 2 == fold;
            let asked: Vec<(usize, &[Question])> = questions
                .iter()
                .enumerate()
                .filter(|(place, _)| learns(*place))
                .map(|(p, q)| (p, q.as_slice()))
                .collect();
            let side = |wanted: bool| subjects.iter().enumerate().filter(move |(place, _)| learns(*place) == wanted);
            let strangers: Vec<&HomePair> = side(false).map(|(_, subject)| &subject.whole).collect();
            let histories: Vec<HomePair> = side(true).map(|(_, subject)| subject.history.clone()).collect();
            let learners: Vec<&HomePair> = side(true).map(|(_, subject)| &subject.later).collect();
            for arm in &arms {
                let judged = measure(
                    arm,
                    (&asked, &histories),
                    (&strangers, &learners),
                    (&prepared, &config, arguments.every_class),
                    &subjects,
                    &learns,
                )?;
                eprintln!("seed {seed}, fold {fold}, {}: {} answers", arm.name, judged.answers);
                transfer.add(arm, judged.transfer, judged.answers);
                later.add(arm, judged.later, judged.answers);
            }
        }
    }
    println!(
        "{} London homes, 2 folds, seeds 1 to {}; budget 1; 90 % intervals over homes",
        london.len(),
        arguments.seeds
    );
    println!("\nother homes (transfer)\n{transfer}");
    println!("\nthe same homes, later (personalisation)\n{later}");
    Ok(())
}

/// The questions that the network that ships asks in each home while answers are gathered.
pub(super) fn questions(subjects: &[Subject], asked: f64, threads: usize) -> anyhow::Result<Vec<Vec<Question>>> {
    let champion = Arc::new(Model::shipped()?);
    let of = |subject: &Subject| residents::questions(&subject.asked, &champion, WARM_UP_DAYS, asked);
    Ok(fan_out(subjects, threads, of, |_| {}))
}

/// The arms whose name holds one of the texts, and their controls; all of them without a text.
fn chosen(texts: &[String]) -> Vec<Arm> {
    let asked = |arm: &&Arm| texts.is_empty() || texts.iter().any(|text| arm.name.contains(text.as_str()));
    let controls: Vec<&str> = ARMS.iter().filter(asked).map(Arm::control).collect();
    ARMS.iter().filter(|arm| asked(arm) || controls.contains(&arm.name)).copied().collect()
}

/// One arm's figures of one fold.
struct Judged {
    answers: usize,
    transfer: Scored,
    later: Scored,
}

fn measure(
    arm: &Arm,
    (asked, histories): (&[(usize, &[Question])], &[HomePair]),
    (strangers, learners): (&[&HomePair], &[&HomePair]),
    (prepared, config, every_class): (&Prepared, &RetrainConfig, bool),
    subjects: &[Subject],
    learns: &dyn Fn(usize) -> bool,
) -> anyhow::Result<Judged> {
    let answers = arm.answers(asked, config.seed);
    let verdicts = arm.verdicts(asked, config.seed);
    // Every arm gets its thresholds from the same clean weeks of the homes that answer.
    let clean: Vec<&HomeTrace> = subjects
        .iter()
        .enumerate()
        .filter(|(place, _)| learns(*place))
        .map(|(_, subject)| &subject.whole.clean)
        .collect();
    let detector = arm.detector(&answers, (&verdicts, histories), every_class, prepared, config, &clean)?;
    Ok(Judged {
        answers: answers.len() + verdicts.iter().map(Vec::len).sum::<usize>(),
        transfer: score::score(&detector, strangers, config.threads),
        later: score::score(&detector, learners, config.threads),
    })
}

/// A home in all its forms, with a seed's faults.
pub(super) fn subject(home: &RecordedHome, seed: u64) -> Subject {
    let (first, last) = home.span().unwrap_or_default();
    let (from, cut) = (first + WARM_UP_DAYS * DAY, first + CUT_DAY * DAY);
    // What answers are given to and what is judged are never the same faults.
    let plan = |salt: u64| InjectionPlan {
        seed: seed * 10 + salt,
        events_per_entity_week: EVENTS_PER_WEEK,
        families: Family::ALL.to_vec(),
    };
    let pair = |from: i64, salt: u64| HomePair {
        clean: HomeTrace::extract(home, from),
        faulty: vec![HomeTrace::extract_copy(&inject(home, &plan(salt), from), from)],
    };
    let asked = inject(&home.between(first - 1, cut.min(last)), &plan(1), from);
    let unlabelled = RecordedHome { labels: Vec::new(), ..asked.clone() };
    let copy = |copy: u64| HomeTrace::extract_copy(&inject(&unlabelled, &plan(COPY_SALT + copy), from), from);
    let history =
        HomePair { clean: HomeTrace::extract(&unlabelled, from), faulty: (0..TRAINING_COPIES).map(copy).collect() };
    Subject { asked, history, whole: pair(from, 2), later: pair(cut.min(last), 3) }
}
