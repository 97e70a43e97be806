//! From an arm to the detector of a fold: trained, or taken from an earlier run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{Artifact, DeviceKind, NamedTensor, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{Blended, Detector, EntityScores, HomePair, HomeTrace, fan_out};
use hearthwatch_federation::{Mean, MultiKrum, Strategy};
use hearthwatch_training::{
    DefencePolicy, FederatedRounds, Fit, Prepared, RetrainConfig, RetrainRequest, RoundRecipe, RoundRecipes, defend,
    never_stops, train_head, train_round,
};

use super::super::feedback::{Habits, answers, verdicts};
use super::arms::{Arm, Kind, Rounds};
use super::setup::{Design, Setup};

/// Steps of a personal head, at the home's step size.
const HEAD_STEPS: usize = 60;
/// Rounds of training on all histories in one place, as many as others take.
const POOLED_ROUNDS: usize = 15;
/// Seeds of their rounds lie this many bits apart.
const SEED_SHIFT: u32 = 16;
/// Windows of an epoch of central fine-tuning: with three epochs of 256 windows a step, 96 steps.
const CENTRAL_WINDOWS: usize = 8192;
/// Share of homes that multi-Krum leaves out.
const LIARS: f64 = 0.3;

/// What an arm gives in a fold.
pub(super) enum Made {
    /// The baseline detector.
    Baseline,
    /// A network, the same in all homes or with a head of each home's own.
    Network(Box<Personal>),
}

/// A network and the homes that have one of their own.
#[derive(Debug, Clone)]
pub(super) struct Personal {
    common: Blended,
    /// By the home's full name.
    own: BTreeMap<String, Blended>,
}

impl Personal {
    fn of(&self, home: &HomeTrace) -> &Blended {
        self.own.get(&home.home).unwrap_or(&self.common)
    }
}

impl Detector for Personal {
    fn score(&self, home: &HomeTrace) -> Vec<EntityScores> {
        self.of(home).score(home)
    }

    fn beside_baseline(&self) -> bool {
        true
    }

    fn fault_checks(&self, home: &HomeTrace) -> Option<Vec<Vec<f32>>> {
        self.of(home).fault_checks(home)
    }
}

/// All that weights are made from, but the fold.
pub(super) struct Maker<'a> {
    pub(super) design: Design,
    pub(super) shipped: &'a Artifact,
    pub(super) replay: &'a Prepared,
    pub(super) config: &'a RetrainConfig,
    /// Folder of kept weights.
    pub(super) keep: Option<&'a Path>,
}

impl Maker<'_> {
    /// An arm's detector in a fold.
    pub(super) fn make(&self, arm: &Arm, setup: &Setup, seed: u64) -> anyhow::Result<Made> {
        let Some(common) = self.weights(arm, setup, seed)? else { return Ok(Made::Baseline) };
        let blend = Blend { in_charge: None, ..self.shipped.blend().clone() };
        let blended = |weights: &Weights| -> anyhow::Result<Blended> {
            Ok(Blended { scorer: Scorer::new(weights)?, blend: blend.clone() })
        };
        let heads = match arm.kind {
            Kind::PersonalHead(_) => self.heads(&common, setup, seed)?,
            _ => Vec::new(),
        };
        let own = heads.into_iter().map(|(home, weights)| Ok((home, blended(&weights)?)));
        Ok(Made::Network(Box::new(Personal { common: blended(&common)?, own: own.collect::<anyhow::Result<_>>()? })))
    }

    /// What all homes of a fold run, before any trains a head of its own; none where that is the baseline detector.
    pub(super) fn weights(&self, arm: &Arm, setup: &Setup, seed: u64) -> anyhow::Result<Option<Weights>> {
        let kept = |train: &dyn Fn() -> anyhow::Result<Weights>| self.kept(arm.name, setup, seed, train).map(Some);
        match arm.kind {
            Kind::Baseline => Ok(None),
            Kind::Shipped => Ok(Some(self.shipped.weights().clone())),
            Kind::Rounds(rounds) => kept(&|| self.rounds(&rounds, setup, seed)),
            Kind::Pooled => kept(&|| self.pooled(setup, seed)),
            Kind::Central(said) => kept(&|| self.central(said, setup, seed)),
            Kind::PersonalHead(name) => {
                let of = Arm::named(name).with_context(|| format!("no arm is called {name}"))?;
                self.weights(&of, setup, seed)
            }
        }
    }

    /// Each home's weights after it trained the last layer alone. A home without a fault to learn from keeps the common one.
    fn heads(&self, common: &Weights, setup: &Setup, seed: u64) -> anyhow::Result<Vec<(String, Weights)>> {
        let device = DeviceKind::parse(&self.config.device)?.open()?;
        let recipe = RoundRecipe { steps: HEAD_STEPS, ..RoundRecipe::home(self.config.anomaly_weight) };
        let train = |pair: &HomePair| train_head(common, pair, &recipe, seed, &device).ok();
        let heads = fan_out(&setup.own, self.config.threads, train, |_| {});
        let named = setup.own.iter().zip(heads);
        Ok(named.filter_map(|(pair, weights)| Some((pair.clean.home.clone(), weights?))).collect())
    }

    /// Those of an earlier run where there are any.
    fn kept(
        &self,
        name: &str,
        setup: &Setup,
        seed: u64,
        train: impl FnOnce() -> anyhow::Result<Weights>,
    ) -> anyhow::Result<Weights> {
        let file = self.keep.map(|folder| {
            let name: String = name.chars().map(|one| if one.is_alphanumeric() { one } else { '-' }).collect();
            folder.join(format!("{}-{name}-{}-{seed}.f32", self.design.name(), setup.fold.number))
        });
        if let Some(weights) = file.as_ref().filter(|file| file.is_file()).map(|file| self.read(file)).transpose()? {
            return Ok(weights);
        }
        let weights = train()?;
        if let (Some(file), Some(folder)) = (file, self.keep) {
            std::fs::create_dir_all(folder)?;
            let values = weights.iter().flat_map(|(_, tensor)| &tensor.values);
            let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
        }
        Ok(weights)
    }

    /// As [`Self::kept`] wrote them: all values in the order of the names.
    fn read(&self, file: &PathBuf) -> anyhow::Result<Weights> {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let mut values = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
        let shapes = self.shipped.weights().iter();
        let tensors = shapes.map(|(name, like)| {
            let values = values.by_ref().take(like.values.len()).collect();
            (name.to_owned(), NamedTensor { shape: like.shape.clone(), values })
        });
        Weights::new(tensors.collect()).with_context(|| file.display().to_string())
    }

    /// The rounds with a single home that has all histories, and takes as many windows as all homes would.
    fn pooled(&self, setup: &Setup, seed: u64) -> anyhow::Result<Weights> {
        let device = DeviceKind::parse(&self.config.device)?.open()?;
        let usual = RoundRecipes::usual(self.config.anomaly_weight);
        let steps = usual.home.steps * usual.home.batch * setup.histories.len() / usual.replay.batch;
        let server =
            FederatedRounds { rounds: 1, homes: &[], verdicts: &[], strategy: None, replay: Some(self.replay) };
        let mut weights = self.shipped.weights().clone();
        for round in 0..POOLED_ROUNDS {
            let seed = (seed << SEED_SHIFT) + round as u64;
            let in_round = |recipe: RoundRecipe| recipe.in_round(round, POOLED_ROUNDS);
            let pooled = in_round(RoundRecipe { steps, batch: usual.replay.batch, ..usual.home });
            weights = train_round(&weights, &setup.histories, &[], &pooled, seed, &device)?;
            let recipes = RoundRecipes { replay: in_round(usual.replay), ..usual };
            weights = server.run_by(&recipes, &weights, self.config, seed)?;
        }
        Ok(weights)
    }

    fn central(&self, said: Option<Habits>, setup: &Setup, seed: u64) -> anyhow::Result<Weights> {
        let given = said.map_or_else(Vec::new, |habits| answers(&setup.asked(), &habits, seed));
        let examples = defend(&given, &DefencePolicy::none()).examples;
        let fit = Fit { windows_per_epoch: CENTRAL_WINDOWS, ..Fit::default() };
        let config = RetrainConfig { seed, fit, ..self.config.clone() };
        let request = RetrainRequest::on_prepared(self.replay, &config).feedback(&examples);
        Ok(request.fine_tune(self.shipped.weights(), &mut never_stops(|_| {}))?)
    }

    fn rounds(&self, rounds: &Rounds, setup: &Setup, seed: u64) -> anyhow::Result<Weights> {
        let said = rounds.said.map_or_else(Vec::new, |habits| verdicts(&setup.asked(), &habits, seed));
        let mean = || -> Box<dyn Strategy> { Box::<Mean>::default() };
        let krum = || -> Box<dyn Strategy> { Box::new(MultiKrum::new(LIARS)) };
        let strategy: &(dyn Fn() -> Box<dyn Strategy> + Sync) = if rounds.krum { &krum } else { &mean };
        let federated = FederatedRounds {
            rounds: rounds.count,
            homes: &setup.histories,
            verdicts: &said,
            strategy: rounds.homes.then_some(strategy),
            replay: rounds.replay.then_some(self.replay),
        };
        let mut recipes = RoundRecipes::usual(self.config.anomaly_weight);
        (rounds.change)(&mut recipes);
        Ok(federated.run_by(&recipes, self.shipped.weights(), self.config, seed)?)
    }
}
