//! Who trains, who sets thresholds and who is judged, by design and fold.

use std::collections::BTreeMap;

use clap::ValueEnum;
use hearthwatch_evaluation::dataset::RecordedHome;
use hearthwatch_evaluation::evaluate::{Fold, HomePair, HomeTrace, Protocol, Role, Span, fan_out, twin};
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};

use super::super::feedback::{self, Question, Subject};

/// Copies of a home's history with faults for its own training.
const COPIES: u64 = 3;
/// Faults of each entity in a week of these copies.
const EVENTS_PER_WEEK: f64 = 2.0;
/// Seeds of their faults begin here, apart from those that are judged.
const COPY_SALT: u64 = 1 << 32;

/// Who trains on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Design {
    /// Homes train on their clean first weeks, in the folds of the detection bench; judged are homes that took no part.
    Homes,
    /// Histories hold faults that the homes do not know of, and residents answer questions; two folds, as in the feedback bench.
    /// Judged are homes that took no part, and the same homes later.
    Verdicts,
}

impl Design {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Homes => "homes",
            Self::Verdicts => "verdicts",
        }
    }
}

/// Homes that are judged, and those that their thresholds come from.
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) twins: Vec<HomePair>,
    /// First weeks of other homes.
    pub(super) early: Vec<HomeTrace>,
    /// Weeks of other homes in which no weights were trained.
    pub(super) late: Vec<HomeTrace>,
}

/// One fold.
pub(super) struct Setup {
    pub(super) fold: Fold,
    /// What homes train on in rounds.
    pub(super) histories: Vec<HomePair>,
    /// What homes that are judged or give thresholds could train on by themselves.
    pub(super) own: Vec<HomePair>,
    /// First weeks of homes that only give thresholds, with known faults: recipes are chosen by the loss on these.
    pub(super) chosen_by: Vec<HomePair>,
    /// By the place of the home among those that train, where residents are asked.
    pub(super) asked: Vec<(usize, Vec<Question>)>,
    pub(super) groups: Vec<Group>,
}

impl Setup {
    /// The questions, as residents are given them.
    pub(super) fn asked(&self) -> Vec<(usize, &[Question])> {
        self.asked.iter().map(|(home, questions)| (*home, questions.as_slice())).collect()
    }
}

/// Makes the folds of a design.
pub(super) struct Setups<'a> {
    design: Design,
    london: &'a [RecordedHome],
}

impl<'a> Setups<'a> {
    pub(super) fn new(design: Design, london: &'a [RecordedHome]) -> Self {
        Self { design, london }
    }

    /// All folds of a seed.
    pub(super) fn of(&self, protocol: &Protocol, seed: u64, threads: usize) -> anyhow::Result<Vec<Setup>> {
        match self.design {
            Design::Homes => Ok(self.homes(protocol, threads)),
            Design::Verdicts => self.verdicts(seed, threads),
        }
    }

    fn homes(&self, protocol: &Protocol, threads: usize) -> Vec<Setup> {
        // Each home is tested in one fold: there is its later time; its first weeks are the same in all others.
        let spans = |role: Role| -> BTreeMap<String, Span> {
            let of_fold = |fold| Protocol::spans(fold, role, self.london);
            protocol.folds.iter().flat_map(of_fold).map(|span| (span.home.full_name(), span)).collect()
        };
        let over = |spans: BTreeMap<String, Span>, work: &(dyn Fn(&Span) -> HomePair + Sync)| {
            let spans: Vec<(String, Span)> = spans.into_iter().collect();
            let pairs = fan_out(&spans, threads, |(_, span)| work(span), |_| {});
            spans.into_iter().map(|(name, _)| name).zip(pairs).collect::<BTreeMap<String, HomePair>>()
        };
        let later = over(spans(Role::Test), &|span| twin(span, protocol));
        let first = over(spans(Role::Train), &history);
        let setup = |fold: &Fold| {
            let named = |role: Role| -> Vec<&str> {
                fold.homes.iter().filter(|one| one.role == role).map(|one| one.home.as_str()).collect()
            };
            let (train, calibrate) = (named(Role::Train), named(Role::Calibrate));
            let (judged, other) = (named(Role::Test), [train.clone(), calibrate.clone()].concat());
            let pairs = |from: &BTreeMap<String, HomePair>, names: &[&str]| -> Vec<HomePair> {
                names.iter().filter_map(|name| from.get(*name)).cloned().collect()
            };
            let clean = |pairs: Vec<HomePair>| pairs.into_iter().map(|pair| pair.clean).collect();
            Setup {
                fold: Fold { left_out: Vec::new(), ..fold.clone() },
                histories: pairs(&first, &train),
                own: pairs(&first, &[judged.clone(), other.clone()].concat()),
                chosen_by: pairs(&first, &calibrate),
                asked: Vec::new(),
                groups: vec![Group {
                    name: "homes that took no part",
                    twins: pairs(&later, &judged),
                    early: clean(pairs(&first, &calibrate)),
                    late: clean(pairs(&later, &other)),
                }],
            }
        };
        protocol.folds.iter().map(setup).collect()
    }

    fn verdicts(&self, seed: u64, threads: usize) -> anyhow::Result<Vec<Setup>> {
        let subjects = fan_out(self.london, threads, |home| feedback::subject(home, seed), |_| {});
        let questions = feedback::questions(&subjects, feedback::ASKED, threads)?;
        let fold = |number: usize| {
            let side = |learns: bool| -> Vec<&Subject> {
                let of_side = subjects.iter().enumerate().filter(|(place, _)| (place % 2 == number) == learns);
                of_side.map(|(_, subject)| subject).collect()
            };
            let (learners, strangers) = (side(true), side(false));
            let clean = |homes: &[&Subject], of: fn(&Subject) -> &HomePair| -> Vec<HomeTrace> {
                homes.iter().map(|subject| of(subject).clean.clone()).collect()
            };
            let group = |name, judged: &[&Subject], of: fn(&Subject) -> &HomePair, others: &[&Subject]| Group {
                name,
                twins: judged.iter().map(|subject| of(subject).clone()).collect(),
                early: clean(&learners, |subject| &subject.whole),
                late: clean(others, |subject| &subject.later),
            };
            let asked = questions.iter().cloned().enumerate().filter(|(place, _)| place % 2 == number);
            Setup {
                fold: Fold { number, left_out: Vec::new(), homes: Vec::new() },
                histories: learners.iter().map(|subject| subject.history.clone()).collect(),
                own: Vec::new(),
                chosen_by: Vec::new(),
                asked: asked.collect(),
                groups: vec![
                    group("homes that took no part", &strangers, |subject| &subject.whole, &learners),
                    group("the same homes later", &learners, |subject| &subject.later, &strangers),
                ],
            }
        };
        Ok((0..2).map(fold).collect())
    }
}

/// A home's first weeks, and copies with faults of every family.
fn history(span: &Span) -> HomePair {
    let copy = |copy: u64| {
        let plan = InjectionPlan {
            seed: COPY_SALT + copy,
            events_per_entity_week: EVENTS_PER_WEEK,
            families: Family::EVERY.to_vec(),
        };
        HomeTrace::extract_copy(&inject(&span.home, &plan, span.from), span.from)
    };
    HomePair { clean: HomeTrace::extract(&span.home, span.from), faulty: (0..COPIES).map(copy).collect() }
}
