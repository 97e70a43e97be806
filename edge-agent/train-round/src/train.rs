//! Training in a round: from a home's history and the round's weights to the bytes that leave the home.

use hearthwatch_detector::network::{DeviceKind, Weights};
use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_evaluation::evaluate::HomePair;
use hearthwatch_federation::{Delta, FixedPoint, Quantised};
use hearthwatch_protocol::round::{TrainRecipe, TrainWork};
use hearthwatch_training::{HomeVerdict, RetrainConfig, RoundRecipe, TrainError, train_round};
use rand::Rng;

use crate::error::RoundError;
use crate::faults::{COPIES, clean, copy};
use crate::history::LocalHome;

/// Keeps the clip through rounding: sums of 29,000 squares of binary32 differ in the seventh digit.
const CLIP_MARGIN: f64 = 1.0 - 1e-6;

/// How a delta is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Eight bits a value, as it is sent.
    Levels,
    /// Sixteen bits a value, which the agent masks before anything is sent: they can be added.
    Words,
}

/// Trains, and gives the body with its figures. `noise` draws the noise of the delta: it must not be predictable from outside.
///
/// # Errors
/// [`RoundError::NothingToLearn`], [`RoundError::Diverged`], [`RoundError::Machine`].
pub fn train(
    home: LocalHome,
    start: &Weights,
    work: &TrainWork,
    form: Form,
    seed: u64,
    noise: &mut impl Rng,
) -> Result<(Vec<u8>, JobFigures), RoundError> {
    let used = home.figures();
    let end = {
        let (pair, verdicts) = pair(home, seed);
        let device = DeviceKind::open_cpu().map_err(TrainError::from)?;
        train_round(start, &[pair], &[verdicts], &recipe(&work.recipe), seed, &device)?
    };
    let delta = Delta::between(start, &end);
    let (body, norms) = match form {
        Form::Levels => {
            let (quantised, norms) = sent(delta, work, noise)?;
            (quantised.to_bytes().map_err(|_| RoundError::Diverged)?, norms)
        }
        Form::Words => words(delta, work, noise)?,
    };
    Ok((body, JobFigures { norm: norms.before, sent_norm: norms.sent, noise: work.noise, ..used }))
}

/// The home with its faulty copies; its readings are dropped before anything is trained.
fn pair(home: LocalHome, seed: u64) -> (HomePair, Vec<HomeVerdict>) {
    let faults = RetrainConfig::default().faults;
    let (events, families) = (faults.train_events_per_entity_week, faults.train_families);
    let faulty = (0..COPIES).map(|number| copy(&home, events, &families, seed, number)).collect();
    (HomePair { clean: clean(&home), faulty }, home.verdicts)
}

fn recipe(asked: &TrainRecipe) -> RoundRecipe {
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    RoundRecipe {
        steps: count(asked.steps),
        batch: count(asked.batch),
        learning_rate: asked.learning_rate,
        rise_steps: count(asked.rise_steps),
        ..RoundRecipe::home(RetrainConfig::default().anomaly_weight)
    }
}

struct Norms {
    /// Of what training changed.
    before: f64,
    /// Of what eight bits leave of it after the clip, without noise.
    sent: f64,
}

/// Clips, then adds noise; little-endian words.
fn words(delta: Delta, work: &TrainWork, noise: &mut impl Rng) -> Result<(Vec<u8>, Norms), RoundError> {
    let before = delta.norm();
    if !before.is_finite() {
        return Err(RoundError::Diverged);
    }
    let mut clipped = delta.clipped(work.clip);
    let norms = Norms { before, sent: clipped.norm() };
    if work.noise > 0.0 {
        clipped = clipped.noised(work.noise, noise);
    }
    let words = FixedPoint::of_clip(work.clip).with_noise(work.noise).words_of(&clipped);
    Ok((words.into_iter().flat_map(u16::to_le_bytes).collect(), norms))
}

/// Clips so that also what eight bits leave is within the clip, then adds noise.
fn sent(delta: Delta, work: &TrainWork, noise: &mut impl Rng) -> Result<(Quantised, Norms), RoundError> {
    let before = delta.norm();
    if !before.is_finite() {
        return Err(RoundError::Diverged);
    }
    let restored = |quantised: &Quantised| quantised.restore().map_err(|_| RoundError::Diverged);
    let mut clipped = delta.clipped(work.clip);
    let mut quantised = Quantised::of(&clipped);
    let mut norm = restored(&quantised)?.norm();
    if norm > work.clip {
        // Levels stay the same and only scales shrink: once is enough.
        clipped = clipped.scaled(work.clip / norm * CLIP_MARGIN);
        quantised = Quantised::of(&clipped);
        norm = restored(&quantised)?.norm();
    }
    if work.noise > 0.0 {
        quantised = Quantised::of(&clipped.noised(work.noise, noise));
        restored(&quantised)?;
    }
    Ok((quantised, Norms { before, sent: norm }))
}

#[cfg(test)]
mod tests;
