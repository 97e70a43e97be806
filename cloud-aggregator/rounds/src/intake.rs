//! Takes offers and answers of rounds: verified, judged, stored, receipted.

use std::sync::Arc;

use hearthwatch_ingest::RoundIntake;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::limits::ROUND_PART_BYTES_MAX;
use hearthwatch_protocol::messages::{RoundPart, RoundReceipt, RoundRefusal, RoundState};
use hearthwatch_protocol::round::{
    DeclineReason, MaskAnswer, MaskExchange, RoundAnswer, RoundResult, SignedRoundOffer,
};
use hearthwatch_protocol::statement::StatementRefusal;
use hearthwatch_store::clock::Clock;
use hearthwatch_store::rounds::{OfferRow, PartPut, RoundDuty, RoundHomeRow, RoundHomeState, RoundRow};
use hearthwatch_store::{CLOCK_AHEAD_SECONDS_MAX, Store, StoreResult};
use hearthwatch_telemetry::event::Event;
use hearthwatch_telemetry::metrics::Metrics;
use tokio::sync::Notify;

use super::body::{self, Body};
use super::event::{AnswerDeclined, AnswerRefused, AnswerTaken, ConsentChanged};
use super::groups;
use super::keys::CertifiedKeys;
use super::settings::{self, RoundSettings};

/// Takes what homes send in rounds. Everything can be sent again, and changes nothing then.
pub struct AnswerIntake {
    keys: Arc<CertifiedKeys>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
}

/// A plan's answer while it is being looked at.
struct Case<'a> {
    round: &'a RoundRow,
    row: &'a RoundHomeRow,
    settings: &'a RoundSettings,
    answer: &'a RoundAnswer,
    now: i64,
}

impl AnswerIntake {
    /// One that verifies with `keys`, and wakes the director when something came.
    #[must_use]
    pub fn new(keys: Arc<CertifiedKeys>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self { keys, clock, metrics, wake: Arc::default() }
    }

    /// Notified whenever an offer or an answer came.
    #[must_use]
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    fn judge(&self, store: &dyn Store, home: &HomeId, part: &RoundPart, now: i64) -> StoreResult<RoundReceipt> {
        let answer = match part.answer.read_of(home, &self.keys.of_home(home)) {
            Ok(answer) => answer,
            Err(refusal) => {
                let reason = match refusal {
                    StatementRefusal::Field { .. } => RoundRefusal::TooLarge,
                    StatementRefusal::Seal(_) | StatementRefusal::OtherHome { .. } => RoundRefusal::Signature,
                };
                // Nothing in it is believed, the round neither: the receipt is about the home's newest plan.
                let round = store.newest_round_home(home)?.map_or(0, |row| row.round);
                return Ok(self.refuse(home, round, reason));
            }
        };
        let found = store.round(answer.round)?.zip(store.round_home(answer.round, home)?);
        let Some((round, row)) = found else {
            return Ok(self.refuse(home, answer.round, RoundRefusal::NotInCohort));
        };
        let settings = settings::read(&round)?;
        let case = Case { round: &round, row: &row, settings: &settings, answer: &answer, now };
        let state = self.state(store, part, &case)?;
        Ok(RoundReceipt { round: answer.round, state })
    }

    fn state(&self, store: &dyn Store, part: &RoundPart, case: &Case<'_>) -> StoreResult<RoundState> {
        let home = &case.row.home;
        if let Some(known) = known(case) {
            if let RoundState::Refused(reason) = known {
                self.refuse(home, case.row.round, reason);
            }
            return Ok(known);
        }
        let excluded = store.excluded(0)?.iter().any(|row| row.home == *home);
        if excluded {
            return self.close(store, case, RoundRefusal::Excluded);
        }
        match &case.answer.result {
            RoundResult::Declined(reason) => self.decline(store, part, case, *reason),
            RoundResult::Delta(file) | RoundResult::Counts(file) | RoundResult::Masks(MaskAnswer { file, .. }) => {
                // Before any of it is stored: in a masked round no delta may be here that is not under masks.
                if !fits(case) {
                    return self.close(store, case, RoundRefusal::Malformed);
                }
                let parts = file.length.div_ceil(ROUND_PART_BYTES_MAX as u64);
                if parts != u64::from(part.parts) {
                    return self.close(store, case, RoundRefusal::Malformed);
                }
                let row = RoundHomeRow {
                    answer: Some(part.answer.clone()),
                    digest: Some(file.sha256),
                    bytes: file.length,
                    at: Some(case.now),
                    ..case.row.clone()
                };
                // Signed again after a restart, it is the same answer.
                let same = case.row.digest == row.digest && case.row.bytes == row.bytes;
                let row = if same { RoundHomeRow { answer: case.row.answer.clone(), ..row } } else { row };
                match store.put_round_part(&row, part.part, part.parts, &part.bytes)? {
                    PartPut::Next(next) if next < part.parts => Ok(RoundState::Wanted(next)),
                    PartPut::Next(_) => self.take(store, case, row),
                    PartPut::Closed => Ok(self.refuse(home, case.row.round, RoundRefusal::Late).state),
                }
            }
        }
    }

    /// All parts are here.
    fn take(&self, store: &dyn Store, case: &Case<'_>, row: RoundHomeRow) -> StoreResult<RoundState> {
        let bytes = store.round_body(row.round, &row.home)?;
        let read = match &case.answer.result {
            RoundResult::Masks(answer) => groups::check(store, &row, answer, &bytes)?.map(|()| None),
            result => body::read(case.settings, row.duty, result, &bytes).map(|body| match body {
                Body::Delta(delta) => Some(delta.norm()),
                Body::Counts(_) => None,
            }),
        };
        let norm = match read {
            Ok(norm) => norm,
            Err(reason) => return self.close(store, &Case { row: &row, ..*case }, reason),
        };
        let straggling = case.row.state == RoundHomeState::Straggling;
        let state = if straggling { RoundHomeState::Carried } else { RoundHomeState::Taken };
        let row = RoundHomeRow { state, norm, ..row };
        if !store.settle_round_home(&row)? {
            return Ok(self.refuse(&row.home, row.round, RoundRefusal::Late).state);
        }
        AnswerTaken { row: &row, result: &case.answer.result }.emit(&self.metrics);
        Ok(taken(&case.answer.result))
    }

    fn decline(
        &self,
        store: &dyn Store,
        part: &RoundPart,
        case: &Case<'_>,
        reason: DeclineReason,
    ) -> StoreResult<RoundState> {
        let row = RoundHomeRow {
            state: RoundHomeState::Declined,
            reason: reason.as_str().to_owned(),
            answer: Some(part.answer.clone()),
            digest: None,
            bytes: 0,
            at: Some(case.now),
            ..case.row.clone()
        };
        if store.settle_round_home(&row)? {
            AnswerDeclined { home: &row.home, round: row.round, reason: reason.as_str() }.emit(&self.metrics);
        }
        Ok(RoundState::Taken)
    }

    /// What the home sent is of no use, and it is not to send anything else in this round.
    fn close(&self, store: &dyn Store, case: &Case<'_>, reason: RoundRefusal) -> StoreResult<RoundState> {
        let (state, at) = (RoundHomeState::Refused, Some(case.now));
        let row = RoundHomeRow { state, reason: reason.as_str().to_owned(), at, ..case.row.clone() };
        store.settle_round_home(&row)?;
        Ok(self.refuse(&row.home, row.round, reason).state)
    }

    fn refuse(&self, home: &HomeId, round: u64, reason: RoundRefusal) -> RoundReceipt {
        AnswerRefused { home, round, reason: reason.as_str() }.emit(&self.metrics);
        RoundReceipt { round, state: RoundState::Refused(reason) }
    }
}

/// Whether an answer is of the kind that the home's plan asks for, and in a masked round of the exchange that is open.
fn fits(case: &Case<'_>) -> bool {
    match (case.row.duty, &case.answer.result) {
        (RoundDuty::Train, RoundResult::Masks(answer)) => {
            case.settings.masks.is_some() && case.round.stage.exchange() == Some(answer.exchange)
        }
        (RoundDuty::Train, RoundResult::Delta(_)) => case.settings.masks.is_none(),
        // The form is looked at when all of it is here.
        _ => true,
    }
}

/// How an answer that is stored whole stands.
fn taken(result: &RoundResult) -> RoundState {
    match result {
        // The home has more to send.
        RoundResult::Masks(answer) if answer.exchange != MaskExchange::Opened => RoundState::Received(answer.exchange),
        _ => RoundState::Taken,
    }
}

/// Whether an answer is one of an exchange that is over, of a home that still takes part: it did not hear of the receipt.
fn is_of_an_exchange_before(round: &RoundRow, row: &RoundHomeRow, result: &RoundResult) -> bool {
    let goes_on = row.state.open() || row.state == RoundHomeState::Taken;
    let before = |answer: &MaskAnswer| round.stage.exchange().is_some_and(|open| answer.exchange < open);
    goes_on && matches!(result, RoundResult::Masks(answer) if before(answer))
}

/// What is known of an answer before its bytes are looked at; none where they are wanted. Pure.
fn known(case: &Case<'_>) -> Option<RoundState> {
    let Case { round, row, answer, now, .. } = case;
    if answer.nonce != row.nonce {
        return Some(RoundState::Refused(RoundRefusal::Base));
    }
    let file = answer.result.file();
    let same = file.map(|file| file.sha256) == row.digest;
    let late = RoundState::Refused(RoundRefusal::Late);
    if is_of_an_exchange_before(round, row, &answer.result) {
        return Some(taken(&answer.result));
    }
    match row.state {
        RoundHomeState::Taken | RoundHomeState::LeftOut | RoundHomeState::Carried if same => {
            Some(taken(&answer.result))
        }
        RoundHomeState::Taken | RoundHomeState::LeftOut | RoundHomeState::Carried => {
            Some(RoundState::Refused(RoundRefusal::Duplicate))
        }
        RoundHomeState::Declined if file.is_none() => Some(RoundState::Taken),
        RoundHomeState::Declined | RoundHomeState::Late => Some(late),
        RoundHomeState::Refused => Some(RoundState::Refused(row.reason.parse().unwrap_or(RoundRefusal::Other))),
        RoundHomeState::Planned | RoundHomeState::Receiving => {
            let deadline = match row.duty {
                RoundDuty::Train => Some(round.deadline),
                RoundDuty::Evaluate => round.evaluate_deadline,
            };
            let open = round.stage.takes(row.duty) && deadline.is_some_and(|deadline| *now < deadline);
            (!open).then_some(late)
        }
        RoundHomeState::Straggling => (*now >= round.deadline).then_some(late),
    }
}

impl RoundIntake for AnswerIntake {
    fn offer(&self, store: &dyn Store, home: &HomeId, signed: &SignedRoundOffer) -> StoreResult<()> {
        let now = self.clock.now();
        let offer = match signed.read_of(home, &self.keys.of_home(home)) {
            Ok(offer) => offer,
            Err(error) => {
                tracing::warn!(home = home.as_str(), %error, "an offer to take part in rounds is not believed");
                return Ok(());
            }
        };
        let before = store.offer(home)?.map(|row| row.willing);
        let row = OfferRow {
            home: home.clone(),
            willing: offer.willing,
            classes: offer.classes,
            masks: offer.masks,
            signed: signed.clone(),
            // One from the future would be the newest for ever.
            at: offer.at.min(now.saturating_add(CLOCK_AHEAD_SECONDS_MAX)),
            heard_at: now,
        };
        if !store.put_offer(&row)? {
            return Ok(());
        }
        let left = if row.willing { None } else { store.leave_round(home, DeclineReason::NoConsent.as_str(), now)? };
        if before != Some(row.willing) {
            ConsentChanged { home, willing: row.willing, left }.emit(&self.metrics);
        }
        self.wake.notify_one();
        Ok(())
    }

    fn part(&self, store: &dyn Store, home: &HomeId, part: &RoundPart) -> StoreResult<RoundReceipt> {
        let receipt = self.judge(store, home, part, self.clock.now())?;
        if !matches!(receipt.state, RoundState::Wanted(_)) {
            self.wake.notify_one();
        }
        Ok(receipt)
    }
}

#[cfg(test)]
mod tests;
