//! The arms of the comparison: same start, same steps, other answers.

use hearthwatch_detector::alarm::{Blend, Calibration};
use hearthwatch_detector::detector::Model;
use hearthwatch_detector::network::{Artifact, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{HomePair, HomeTrace, Record, baseline_scores, blended, calibrate};
use hearthwatch_federation::Mean;
use hearthwatch_training::{
    DefencePolicy, FederatedRounds, FeedbackExample, HomeAnswer, HomeVerdict, Prepared, RetrainConfig, RetrainRequest,
    defend, never_stops,
};

use super::super::SHIPPED;
use super::residents::{Habits, Question, answers, verdicts};

/// What an arm does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Nothing: the baseline detector.
    Baseline,
    /// Nothing: the champion as it is.
    Champion,
    /// Champion and baseline detector side by side, each at half of the budget: fusion without labels.
    Fusion,
    /// As many steps on the replay alone: the control that an arm must beat.
    Replay,
    /// Federated rounds with replay: homes train on their own history, with what their residents said where there is something.
    Federated(Option<Habits>),
    /// Steps of which a quarter of the windows are answered ones.
    Answers(Habits, fn() -> DefencePolicy),
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arm {
    pub(super) name: &'static str,
    kind: Kind,
}

/// The control of arms that learn in the cloud.
const REPLAY: &str = "replay without feedback";
/// The control of arms that learn from verdicts in the home.
const FEDERATED: &str = "federated, no answers";
/// Federated rounds.
const ROUNDS: usize = 15;

const HONEST: Habits = Habits { answered: 1.0, wrong: 0.0, bored: 0.0, flipping: 0.0, shuffled: false };
const MIDDLING: Habits = Habits { answered: 0.6, wrong: 0.1, bored: 0.0, flipping: 0.0, shuffled: false };

/// Every arm that is run, in the order of the table.
pub(super) const ARMS: &[Arm] = &[
    Arm { name: "routine detector", kind: Kind::Baseline },
    Arm { name: "champion", kind: Kind::Champion },
    Arm { name: "fusion without labels", kind: Kind::Fusion },
    Arm { name: REPLAY, kind: Kind::Replay },
    Arm { name: FEDERATED, kind: Kind::Federated(None) },
    Arm { name: "federated, all answered, none wrong", kind: Kind::Federated(Some(HONEST)) },
    Arm { name: "federated, 60 % answered, 10 % wrong", kind: Kind::Federated(Some(MIDDLING)) },
    Arm { name: "federated, the same, shuffled", kind: Kind::Federated(Some(Habits { shuffled: true, ..MIDDLING })) },
    Arm { name: "all answered, none wrong", kind: Kind::Answers(HONEST, DefencePolicy::none) },
    Arm { name: "60 % answered, 10 % wrong", kind: Kind::Answers(MIDDLING, DefencePolicy::none) },
    Arm {
        name: "  the same, boring dismissed",
        kind: Kind::Answers(Habits { bored: 0.5, ..MIDDLING }, DefencePolicy::none),
    },
    Arm {
        name: "  the same, labels shuffled",
        kind: Kind::Answers(Habits { shuffled: true, ..MIDDLING }, DefencePolicy::none),
    },
    Arm { name: "10 % of homes flip", kind: Kind::Answers(Habits { flipping: 0.1, ..MIDDLING }, DefencePolicy::none) },
    Arm { name: "20 % of homes flip", kind: Kind::Answers(Habits { flipping: 0.2, ..MIDDLING }, DefencePolicy::none) },
    Arm { name: "30 % of homes flip", kind: Kind::Answers(Habits { flipping: 0.3, ..MIDDLING }, DefencePolicy::none) },
    Arm {
        name: "10 % flip, all defences",
        kind: Kind::Answers(Habits { flipping: 0.1, ..MIDDLING }, DefencePolicy::default),
    },
    Arm {
        name: "20 % flip, all defences",
        kind: Kind::Answers(Habits { flipping: 0.2, ..MIDDLING }, DefencePolicy::default),
    },
    Arm { name: "none flips, all defences", kind: Kind::Answers(MIDDLING, DefencePolicy::default) },
    Arm { name: "30 % flip, quota 5", kind: Kind::Answers(Habits { flipping: 0.3, ..MIDDLING }, quota) },
    Arm { name: "30 % flip, influence 12 %", kind: Kind::Answers(Habits { flipping: 0.3, ..MIDDLING }, influence) },
    Arm { name: "30 % flip, reliability", kind: Kind::Answers(Habits { flipping: 0.3, ..MIDDLING }, reliability) },
    Arm {
        name: "30 % flip, all defences",
        kind: Kind::Answers(Habits { flipping: 0.3, ..MIDDLING }, DefencePolicy::default),
    },
];

fn quota() -> DefencePolicy {
    DefencePolicy { quota: 5, ..DefencePolicy::none() }
}

fn influence() -> DefencePolicy {
    DefencePolicy { influence_max: 0.12, ..DefencePolicy::none() }
}

fn reliability() -> DefencePolicy {
    DefencePolicy { reliability: true, ..DefencePolicy::none() }
}

/// What an arm judges with.
pub(super) struct Detector {
    /// With its share of the baseline score, as homes run it; none: the baseline detector alone.
    pub(super) network: Option<(Scorer, Calibration, Blend)>,
    pub(super) baseline: Calibration,
    /// Both side by side, each at half of the budget.
    pub(super) fused: bool,
}

impl Arm {
    /// The arm that it must beat; none for the controls' own start.
    pub(super) fn control(&self) -> &'static str {
        if matches!(self.kind, Kind::Federated(Some(_))) { FEDERATED } else { REPLAY }
    }

    /// The examples that this arm learns from.
    pub(super) fn answers(&self, asked: &[(usize, &[Question])], seed: u64) -> Vec<FeedbackExample> {
        match self.kind {
            Kind::Answers(habits, policy) => {
                let given: Vec<HomeAnswer> = answers(asked, &habits, seed);
                defend(&given, &policy()).examples
            }
            _ => Vec::new(),
        }
    }

    /// What residents said, by the place of their home among those asked: of arms that learn from it in the home.
    pub(super) fn verdicts(&self, asked: &[(usize, &[Question])], seed: u64) -> Vec<Vec<HomeVerdict>> {
        match self.kind {
            Kind::Federated(Some(habits)) => verdicts(asked, &habits, seed),
            _ => Vec::new(),
        }
    }

    /// Trains what is to be trained, and sets thresholds on the clean homes.
    pub(super) fn detector(
        &self,
        answers: &[FeedbackExample],
        (verdicts, histories): (&[Vec<HomeVerdict>], &[HomePair]),
        every_class: bool,
        prepared: &Prepared,
        config: &RetrainConfig,
        clean: &[&HomeTrace],
    ) -> anyhow::Result<Detector> {
        let on_off = Model::baseline().baseline_calibration().clone();
        let scores: Vec<Vec<Vec<f32>>> = clean.iter().map(|home| baseline_scores(home)).collect();
        let baseline = calibrate(&records(clean, &scores), None).with_binary(&on_off);
        let champion = Artifact::parse(SHIPPED)?;
        let weights: Option<Weights> = match self.kind {
            Kind::Baseline => None,
            Kind::Champion | Kind::Fusion => Some(champion.weights().clone()),
            Kind::Federated(_) => {
                let rounds = FederatedRounds {
                    rounds: ROUNDS,
                    homes: histories,
                    verdicts,
                    strategy: Some(&|| Box::<Mean>::default()),
                    replay: Some(prepared),
                };
                Some(rounds.run(champion.weights(), config, config.seed)?)
            }
            Kind::Replay | Kind::Answers(..) => {
                let request = RetrainRequest::on_prepared(prepared, config).feedback(answers);
                Some(request.fine_tune(champion.weights(), &mut never_stops(|_| {}))?)
            }
        };
        let network = match weights {
            None => None,
            Some(weights) => {
                let (scorer, mut blend) = (Scorer::new(&weights)?, champion.blend().clone());
                if every_class {
                    blend.in_charge = None;
                }
                let scores: Vec<Vec<Vec<f32>>> =
                    clean.iter().map(|home| blended(&scorer, &blend, home, None)).collect();
                let calibration = calibrate(&records(clean, &scores), Some(&baseline));
                Some((scorer, calibration, blend))
            }
        };
        Ok(Detector { network, baseline, fused: matches!(self.kind, Kind::Fusion) })
    }
}

fn records<'a>(homes: &[&'a HomeTrace], scores: &'a [Vec<Vec<f32>>]) -> Vec<Record<'a>> {
    homes.iter().zip(scores).map(|(home, scores)| Record { home, scores }).collect()
}
