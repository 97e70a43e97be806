//! The long steps of a round: deltas become a candidate, and the candidate is judged.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_detector::network::{Artifact, Weights};
use hearthwatch_federation::{Delta, FixedPoint, HomeCounts, staleness_weight};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{EvaluateWork, RoundFile, RoundWork, TrainRecipe};
use hearthwatch_store::release::origin;
use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow, RoundStage};
use hearthwatch_store::standings::Remembered;
use hearthwatch_store::{ModelRow, NewModel, RunRow, RunState, RunTrigger, StoreResult};
use hearthwatch_telemetry::event::Event as _;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

use super::opening::excluded;
use super::{Case, Done, Fault, RoundDirector, RoundError, ended, trainer_fault, unpredictable};
use crate::aggregate::{Aggregated, How, aggregate};
use crate::body::EVALUATED_MODELS;
use crate::cohort;
use crate::event::RoundAggregated;
use crate::judge::{Evaluator, JudgePolicy, RoundVerdict, judge};
use crate::late;
use crate::plans::{self, Asked};
use crate::reputation::Kept;
use crate::strategies::Own;
use crate::sums;
use crate::trainer::ReplayStep;

/// Keeps the draw of evaluators apart from that of homes that train.
const EVALUATORS_SALT: u64 = 0x006a_7564_6765;

/// What came of the deltas, as it is kept.
struct Made {
    candidate: String,
    control: String,
    /// As plans name them: the candidate, replay alone, the fleet's model.
    models: Vec<RoundFile>,
}

impl RoundDirector {
    /// One delta of all, replay after it, replay alone, both as artifacts; then homes are asked to evaluate.
    pub(super) fn aggregate(&self, case: &Case<'_>) -> Result<Done, Fault> {
        let taken = |row: &&RoundHomeRow| row.duty == RoundDuty::Train && row.state == RoundHomeState::Taken;
        let rows: Vec<RoundHomeRow> = case.homes.iter().filter(taken).cloned().collect();
        let least = case.settings.least;
        let masked = case.settings.masks.is_some();
        if !masked && rows.len() < least as usize {
            return Ok(self.too_few(case, rows.len(), least)?);
        }
        let base = self.parts.files.artifact(&case.round.base)?;
        let settings = case.settings;
        let mut rng = unpredictable()?;
        // Of a masked round nothing is known of a home by which it could be known again.
        let remembers = settings.strategy.vets() && !masked;
        let mut kept = if remembers { Some(Kept::read(case.store, rng.random())?) } else { None };
        let known = kept.as_ref().map(Kept::names).unwrap_or_default();
        let weights = kept.as_ref().map(Kept::weights).unwrap_or_default();
        let own = || self.own(case, &base, weights, rng.random());
        let strategy = settings.strategy.make(settings.clip, settings.attacker_share, own)?;
        let out = excluded(case.store)?;
        let (noise, now) = (settings.server_noise, case.now);
        let reputation = kept.as_mut().map(|kept| &mut kept.reputation);
        let aggregated = if masked {
            let groups = case.store.round_groups(case.round.number)?;
            let grid = FixedPoint::of_clip(settings.clip).with_noise(settings.noise);
            sums::aggregate(&groups, strategy, case.homes, &out, grid, now)?.map_err(Fault::Final)?
        } else {
            let weights = stale_weights(case)?;
            let how = How { strategy, weights, excluded: &out, reputation, noise, rng: &mut rng, now };
            match aggregate(case.store, rows, how)? {
                Some(aggregated) => aggregated,
                None => return Ok(self.too_few(case, 0, least)?),
            }
        };
        let came = aggregated.homes.iter().filter(|row| !out.contains_key(&row.home)).count();
        if came < least as usize {
            return Ok(self.too_few(case, came, least)?);
        }
        if aggregated.used == 0 {
            let what = if masked { "the means of groups" } else { "them" };
            let reason = format!("none of {came} deltas is usable: the strategy left all of {what} out");
            let row = RoundRow { reason, ..ended(case.round, RoundOutcome::Failed, case.now) };
            // Each home's own reason is what an operator looks for then.
            return Ok(self.end_with(case, &row, aggregated.homes)?);
        }
        self.report_aggregate(case, &aggregated);
        let made = self.make(case, &base, &aggregated.delta)?;
        let remembered = kept.map(|kept| kept.remembered(&known));
        self.ask_to_evaluate(case, aggregated, made, remembered.as_ref())
    }

    fn report_aggregate(&self, case: &Case<'_>, aggregated: &Aggregated) {
        RoundAggregated {
            round: case.round.number,
            strategy: case.settings.strategy.as_str(),
            used: aggregated.used,
            left_out: aggregated.homes.len() - aggregated.used,
            median_norm: aggregated.median_norm,
            norm: aggregated.delta.norm(),
        }
        .emit(&self.parts.metrics);
    }

    /// What the server's own recordings give to hold deltas against.
    fn own(
        &self,
        case: &Case<'_>,
        base: &Artifact,
        weights: BTreeMap<String, f64>,
        seed_of_sketches: u64,
    ) -> Result<Own, Fault> {
        let TrainRecipe { steps, batch, learning_rate, seed, .. } = case.settings.recipe;
        let as_homes_do = ReplayStep { steps, batch, learning_rate, seed };
        let trainer = &self.parts.trainer;
        let trained = trainer.replay(base.weights(), &as_homes_do).map_err(trainer_fault)?;
        let rise = trainer.rise(base.weights(), seed).map_err(trainer_fault)?;
        Ok(Own {
            reference: Delta::between(base.weights(), &trained),
            rise,
            before: self.before(case, base)?,
            weights,
            seed: seed_of_sketches,
        })
    }

    /// What the round before changed, replay included, as every home can see it; none where this round does not start from its candidate.
    fn before(&self, case: &Case<'_>, base: &Artifact) -> Result<Option<Delta>, Fault> {
        let before = match case.round.number.checked_sub(1) {
            Some(number) => case.store.round(number)?,
            None => None,
        };
        let goes_on = |before: &RoundRow| before.candidate.as_deref() == Some(case.round.base.as_str());
        let Some(before) = before.filter(goes_on) else { return Ok(None) };
        let start = self.parts.files.artifact(&before.base)?;
        Ok(Some(Delta::between(start.weights(), base.weights())))
    }

    fn replay(&self, case: &Case<'_>, start: &Weights) -> Result<Weights, Fault> {
        self.parts.trainer.replay(start, &case.settings.replay).map_err(trainer_fault)
    }

    fn make(&self, case: &Case<'_>, base: &Artifact, delta: &Delta) -> Result<Made, Fault> {
        let files = &self.parts.files;
        let champion = files.artifact(&case.settings.champion)?;
        let delta = delta.clone().scaled(case.settings.server_step);
        let moved = delta.applied_to(base.weights()).map_err(|error| Fault::Final(error.to_string()))?;
        let trained = self.replay(case, &moved)?;
        let control_base = files.artifact(&case.round.control_base)?;
        let alone = self.replay(case, control_base.weights())?;
        let keep = |weights: Weights, part: &str| -> Result<String, Fault> {
            let (round, settings) = (case.round.number, case.settings);
            let training = serde_json::json!({ "round": round, "part": part, "settings": settings });
            let artifact = self.parts.trainer.artifact(weights, &champion, training).map_err(trainer_fault)?;
            Ok(files.put(&artifact.to_bytes())?)
        };
        let (candidate, control) = (keep(trained, "candidate")?, keep(alone, "replay alone")?);
        let models = [&candidate, &control, &case.settings.champion];
        let models = models.into_iter().map(|sha256| files.show(sha256)).collect::<Result<_, _>>()?;
        Ok(Made { candidate, control, models })
    }

    fn ask_to_evaluate(
        &self,
        case: &Case<'_>,
        aggregated: Aggregated,
        made: Made,
        remembered: Option<&Remembered>,
    ) -> Result<Done, Fault> {
        // Aggregation and replay took minutes, which are not the evaluators'.
        let now = self.parts.clock.now().max(case.now);
        let offers = case.store.offers_after(None, 0)?;
        let (_, evaluators) = self.ask(case.store, &offers, now)?;
        // Nobody evaluates whose training may be in the candidate, whatever the share is now.
        let trained: BTreeSet<HomeId> = case.store.trained_since(case.round.series)?.into_iter().collect();
        let asked = |home: &HomeId| case.homes.iter().any(|row| row.home == *home);
        let free = evaluators.into_iter().filter(|offer| !asked(&offer.home) && !trained.contains(&offer.home));
        let seed = case.round.number ^ EVALUATORS_SALT;
        let evaluators = cohort::sample(&free.collect::<Vec<_>>(), self.config.cohort as usize, seed);
        let deadline = now + i64::from(case.settings.evaluate_minutes) * 60;
        let noise = case.settings.count_noise;
        let work = RoundWork::Evaluate(EvaluateWork { models: made.models, seed: case.round.number, noise });
        let (round, least) = (case.round.number, case.settings.least_evaluators);
        let asked = Asked { round, work: &work, least, now, deadline };
        let plans =
            plans::sign(&self.parts.key, &evaluators, &asked).map_err(|cause| Fault::Again(RoundError::Plan(cause)))?;
        let row = RoundRow {
            stage: if plans.is_empty() { RoundStage::Judging } else { RoundStage::Evaluating },
            aggregate: Some(aggregated.digest),
            candidate: Some(made.candidate),
            control: Some(made.control),
            evaluate_deadline: Some(deadline),
            ..case.round.clone()
        };
        let homes = [aggregated.homes, plans].concat();
        match remembered {
            Some(remembered) => case.store.advance_round_and_remember(&row, &homes, remembered)?,
            None => case.store.advance_round(&row, &homes)?,
        };
        Ok(Done { model: None })
    }

    /// Judges the candidate; a promoted one becomes a model, with a run that says why.
    pub(super) fn judge(&self, case: &Case<'_>) -> Result<Done, Fault> {
        let missing = || Fault::Final("the round has no candidate to judge".to_owned());
        let (Some(candidate_sha256), Some(control)) = (&case.round.candidate, &case.round.control) else {
            return Err(missing());
        };
        let files = &self.parts.files;
        let (candidate, control) = (files.artifact(candidate_sha256)?, files.artifact(control)?);
        let champion = files.artifact(&case.settings.champion)?;
        let evaluators = evaluators(case)?;
        let recordings = self.parts.trainer.judge(&candidate, &control, &champion).map_err(trainer_fault)?;
        let policy = JudgePolicy {
            count_noise: case.settings.count_noise,
            ..JudgePolicy::with_least(case.settings.least_evaluators as usize)
        };
        let verdict = judge(&evaluators, recordings, &policy);
        let report = serde_json::to_string(&verdict.report).map_err(|error| Fault::Final(error.to_string()))?;
        let outcome = if verdict.promotes() { RoundOutcome::Promoted } else { RoundOutcome::Held };
        let model =
            if verdict.promotes() { Some(self.promote(case, candidate_sha256, &candidate, &verdict)?) } else { None };
        let row = RoundRow {
            report: Some(report),
            reason: verdict.reasons.join("; "),
            kept: verdict.kept,
            run: model.as_ref().map(|model| model.run.clone()),
            ..ended(case.round, outcome, case.now)
        };
        self.end(case, &row)?;
        Ok(Done { model: model.map(|model| model.version) })
    }

    /// The model first: after a crash between the writes the round is judged again, with the same end, and finds its model there. A
    /// model whose run has no verdict is never let out.
    fn promote(
        &self,
        case: &Case<'_>,
        sha256: &str,
        candidate: &Artifact,
        verdict: &RoundVerdict,
    ) -> Result<ModelRow, Fault> {
        let id = run_id(case.round.number, sha256);
        let failed = |error: serde_json::Error| Fault::Final(error.to_string());
        let report = serde_json::to_string(&verdict.report.recordings).map_err(failed)?;
        let config = serde_json::json!({
            "round": case.round.number, "series": case.round.series, "place": case.round.place, "settings": case.settings,
        });
        let length = self.parts.files.bytes(sha256)?.len() as u64;
        let (sha256, weights_id) = (sha256.to_owned(), candidate.weights_id());
        let new = NewModel { sha256: sha256.clone(), length, weights_id, run: id.clone(), at: case.now };
        let model = case.store.add_model(&new)?;
        case.store.put_run(&RunRow {
            id,
            snapshot: snapshot(case)?,
            trigger: RunTrigger::Schedule,
            config: config.to_string(),
            champion: case.round.champion,
            state: RunState::Promoted,
            started_at: case.round.opened_at,
            ended_at: Some(case.now),
            challenger: Some(sha256),
            report: Some(report),
            failure: None,
        })?;
        Ok(model)
    }
}

/// What deltas of earlier rounds weigh, by the number of the round.
fn stale_weights(case: &Case<'_>) -> StoreResult<BTreeMap<u64, f64>> {
    let earlier = case.homes.iter().map(|row| row.round).filter(|number| *number != case.round.number);
    let weight = |number| {
        let before = case.store.round(number)?;
        let staleness = before.and_then(|before| late::staleness(&before, case.round)).unwrap_or(0);
        Ok((number, staleness_weight(staleness)))
    };
    earlier.collect::<BTreeSet<u64>>().into_iter().map(weight).collect()
}

/// The data set of the model that the series began with: its answers are in these weights, too. Where there is none, the round.
fn snapshot(case: &Case<'_>) -> StoreResult<String> {
    let none = format!("round:{}", case.round.number);
    let Some(version) = case.round.champion else { return Ok(none) };
    let Some(model) = case.store.model(version)? else { return Ok(none) };
    let run = case.store.run(origin(&model.run))?;
    Ok(run.map_or(none, |run| run.snapshot))
}

/// What evaluators counted; of homes that were excluded meanwhile, nothing.
fn evaluators(case: &Case<'_>) -> StoreResult<Vec<Evaluator>> {
    let out = excluded(case.store)?;
    let taken = |row: &&RoundHomeRow| row.duty == RoundDuty::Evaluate && row.state == RoundHomeState::Taken;
    let mut evaluators = Vec::new();
    for row in case.homes.iter().filter(taken).filter(|row| !out.contains_key(&row.home)) {
        let body = case.store.round_body(row.round, &row.home)?;
        let Ok(counts) = HomeCounts::from_bytes(&body, EVALUATED_MODELS) else { continue };
        let offer = case.store.offer(&row.home)?;
        let sensors =
            offer.map_or(0, |offer| offer.classes.iter().fold(0u32, |sum, count| sum.saturating_add(count.entities)));
        evaluators.push(Evaluator { home: row.home.clone(), counts, sensors });
    }
    Ok(evaluators)
}

/// Hex, the first 16 bytes of a SHA-256, as other runs have.
fn run_id(round: u64, candidate: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update("hearthwatch-round-run-1");
    hasher.update(round.to_be_bytes());
    hasher.update(candidate);
    hex::encode(&hasher.finalize()[..16])
}
