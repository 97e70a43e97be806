//! Opens a round: who is asked, from which weights, with which recipe.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_detector::detector::Model;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::ModelVersion;
use hearthwatch_protocol::round::{MaskedTrainWork, RoundWork, TrainWork};
use hearthwatch_store::rounds::{OfferRow, RoundRow, RoundStage};
use hearthwatch_store::{Store, StoreError, StoreResult};
use hearthwatch_telemetry::event::Event as _;

use super::{Done, RoundDirector, RoundError, behind};
use crate::cohort;
use crate::event::RoundOpened;
use crate::groups;
use crate::machine;
use crate::plans::{self, Asked};
use crate::settings::{self, RoundSettings};

/// Rounds whose artifacts are kept: two series of fifteen, as many as the operator's page shows.
const ROUNDS_KEPT: usize = 30;

/// Older rounds whose artifacts are looked for at each opening: one more is old at each, and a removal may have failed.
const ROUNDS_LOOKED_AT: usize = 8;

/// What the fleet runs.
pub(super) struct Champion {
    /// Its version; none where homes run the shipped one.
    pub version: Option<ModelVersion>,
    /// Hex SHA-256 of its artifact.
    pub sha256: String,
    /// The run that made it.
    pub run: Option<String>,
}

impl RoundDirector {
    /// Opens the round after the `newest`, if it is due and enough homes can be asked.
    pub(super) fn open(
        &self,
        store: &dyn Store,
        newest: Option<&RoundRow>,
        now: i64,
    ) -> Result<Option<Done>, RoundError> {
        let config = &self.config;
        if !machine::is_due(newest, i64::from(config.interval_hours) * 3_600, now) {
            return Ok(None);
        }
        let offers = store.offers_after(None, 0)?;
        let (mut train, evaluate) = self.ask(store, &offers, now)?;
        let behind = behind(store)?;
        let busy: BTreeSet<&HomeId> = behind.busy(now).map(|row| &row.home).collect();
        // They have a plan already, or their delta waits: each version has at most one of each home.
        train.retain(|offer| config.buffer.is_none() || !busy.contains(&offer.home));
        let number = newest.map_or(1, |round| round.number.saturating_add(1));
        let homes = cohort::sample(&train, config.cohort as usize, number);
        let group = config.masks.map_or(0, |masks| u32::from(masks.group));
        let least = config.least.max(group);
        if homes.len() < least as usize {
            tracing::debug!(homes = homes.len(), least, "too few homes take part for a round");
            return Ok(None);
        }
        let champion = self.champion(store)?;
        let goes_on = newest.is_some_and(|round| {
            round.champion == champion.version || (round.run.is_some() && round.run == champion.run)
        });
        let start = machine::start(newest, &champion.sha256, goes_on, config.rounds_per_series);
        let files = &self.parts.files;
        let bases = behind.rounds.values().map(|round| round.base.as_str());
        files.show_only(&bases.chain([start.base.as_str(), champion.sha256.as_str()]).collect::<Vec<_>>());
        let base = files.show(&start.base)?;
        let asked = u32::try_from(homes.len()).unwrap_or(u32::MAX);
        let settings = RoundSettings::of(config, start.number, start.place, asked, &champion.sha256);
        let deadline = now + i64::from(config.deadline_minutes) * 60;
        let train = TrainWork {
            base,
            recipe: settings.recipe,
            clip: settings.clip,
            noise: settings.noise,
            server_noise: settings.server_noise,
        };
        let work = match groups::terms(&settings, deadline) {
            None => RoundWork::Train(train),
            Some(masks) => RoundWork::MaskedTrain(MaskedTrainWork { train, masks }),
        };
        let asked = Asked { round: start.number, work: &work, least: settings.least, now, deadline };
        let mut rows = plans::sign(&self.parts.key, &homes, &asked).map_err(RoundError::Plan)?;
        let cohort = rows.len();
        if settings.buffer.is_none() {
            rows.extend(behind.when_unbuffered(now));
        }
        let row = RoundRow {
            number: start.number,
            stage: RoundStage::Training,
            series: start.series,
            place: start.place,
            champion: champion.version,
            base: start.base,
            control_base: start.control_base,
            settings: serde_json::to_string(&settings).map_err(|error| RoundError::Plan(error.to_string()))?,
            opened_at: now,
            deadline,
            evaluate_deadline: None,
            aggregate: None,
            candidate: None,
            control: None,
            report: None,
            outcome: None,
            kept: false,
            reason: String::new(),
            run: None,
            ended_at: None,
            row_version: 0,
        };
        let row = store.advance_round(&row, &rows)?;
        self.remove_old(store, &row)?;
        RoundOpened { round: &row, cohort, evaluators: evaluate.len() }.emit(&self.parts.metrics);
        Ok(Some(Done { model: None }))
    }

    /// Removes the artifacts of rounds long before the one that was `opened`, as far as nothing names them any more: their rows stay, with the
    /// hashes.
    fn remove_old(&self, store: &dyn Store, opened: &RoundRow) -> StoreResult<()> {
        let names = |round: &RoundRow| {
            let made = [round.candidate.clone(), round.control.clone()].into_iter().flatten();
            made.chain([round.base.clone(), round.control_base.clone()]).collect::<Vec<_>>()
        };
        let newest = store.rounds(None, ROUNDS_KEPT)?;
        let Some(first) = newest.last().filter(|_| newest.len() == ROUNDS_KEPT) else { return Ok(()) };
        let old = store.rounds(Some(first.number), ROUNDS_LOOKED_AT)?;
        let mut used: BTreeSet<String> = newest.iter().flat_map(names).collect();
        used.extend(store.models()?.into_iter().map(|model| model.sha256));
        used.insert(settings::read(opened)?.champion);
        old.iter().flat_map(names).filter(|name| !used.contains(name)).for_each(|name| self.parts.files.remove(&name));
        Ok(())
    }

    /// Homes that may train, and homes that may evaluate.
    pub(super) fn ask<'a>(
        &self,
        store: &dyn Store,
        offers: &'a [OfferRow],
        now: i64,
    ) -> StoreResult<(Vec<&'a OfferRow>, Vec<&'a OfferRow>)> {
        let heard = i64::from(self.config.heard_hours) * 3_600;
        let eligible = cohort::eligible(&store.homes()?, offers, &excluded(store)?, now, heard);
        let evaluates = |offer: &&OfferRow| cohort::is_evaluator(&offer.home, self.config.evaluator_share);
        let (evaluate, mut train): (Vec<&OfferRow>, Vec<&OfferRow>) = eligible.into_iter().partition(evaluates);
        // Programs from before cannot mask what they send.
        train.retain(|offer| self.config.masks.is_none() || offer.masks);
        Ok((train, evaluate))
    }

    /// The fleet's model, its artifact kept where rounds find it.
    fn champion(&self, store: &dyn Store) -> Result<Champion, RoundError> {
        Ok(match store.champion()? {
            Some(model) => Champion { version: Some(model.version), sha256: model.sha256, run: Some(model.run) },
            None => {
                let sha256 = self.parts.files.put(Model::shipped_artifact())?;
                Champion { version: None, sha256, run: None }
            }
        })
    }
}

/// Homes that are not learnt from, with why: excluded, or revoked since they were asked.
pub(super) fn excluded(store: &dyn Store) -> Result<BTreeMap<HomeId, String>, StoreError> {
    let revoked = store.homes()?.into_iter().filter(|row| row.revoked_at.is_some());
    let revoked = revoked.map(|row| (row.home, "revoked".to_owned()));
    let excluded = store.excluded(0)?.into_iter().map(|row| (row.home, format!("excluded: {}", row.reason)));
    Ok(revoked.chain(excluded).collect())
}
