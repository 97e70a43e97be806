//! What comes from the fleet: plans, accepted once or refused in a word, and receipts of answers.

use hearthwatch_protocol::messages::{RoundReceipt, RoundState as Receipt};
use hearthwatch_protocol::round::PlanRefusal;
use sha2::{Digest as _, Sha256};

use super::{RoundsError, Service};
use crate::ledger::Outcome;
use crate::machine::{CLOCK_OFF_SECONDS, Work};
use crate::view::RefusedPlan;

impl Service {
    /// Looks at the newest plan, if it is new or was early.
    pub(super) async fn take_plan(&mut self) -> Result<(), RoundsError> {
        let plan = &mut self.parts.channels.plan;
        if plan.has_changed().unwrap_or(false) {
            self.pending.clone_from(&plan.borrow_and_update());
        }
        let Some(signed) = &self.pending else { return Ok(()) };
        // Brokers hand a retained message out again, also long after its round.
        let digest: [u8; 32] = Sha256::digest(signed.as_bytes()).into();
        if self.seen.as_ref().is_some_and(|seen| seen.digest == digest) {
            self.pending = None;
            return Ok(());
        }
        let now = self.now();
        match signed.accept(&self.parts.directors, &self.parts.home, self.seen.as_ref(), now) {
            Ok(accepted) => {
                if !self.agrees() && !self.with_state(|state| state.has_offered()).await? {
                    self.refuse("no_consent", "a round was asked of a home that never offered to take part".to_owned());
                    self.pending = None;
                    return Ok(());
                }
                let (signed, plan, seen) = (signed.clone(), accepted.plan.clone(), accepted.seen.clone());
                self.with_state(move |state| state.take(&signed, &plan, &seen, now)).await?;
                tracing::info!(
                    round = accepted.plan.round,
                    round.deadline = accepted.plan.deadline,
                    "a round is in hand"
                );
                self.clear().await;
                self.seen = Some(accepted.seen);
                self.work = Some(Work::new(accepted.plan));
                self.pending = None;
                self.parts.show.send_if_modified(|view| view.refused.take().is_some());
            }
            Err(PlanRefusal::NotYet(at)) if at.saturating_sub(now) <= CLOCK_OFF_SECONDS => self.opens_at = at,
            Err(refusal) => {
                let word = match &refusal {
                    PlanRefusal::Statement(_) => "signature",
                    PlanRefusal::OlderRound { .. } => "older_round",
                    PlanRefusal::RoundReused(_) => "round_reused",
                    PlanRefusal::Expired(_) => "expired",
                    PlanRefusal::NotYet(_) => "clock",
                };
                self.refuse(word, refusal.to_string());
                match refusal {
                    // The clock may be set right.
                    PlanRefusal::NotYet(at) => self.opens_at = at,
                    _ => self.pending = None,
                }
            }
        }
        Ok(())
    }

    /// Logs and shows why a plan is not followed; once for each reason.
    pub(super) fn refuse(&self, word: &'static str, detail: String) {
        let at = self.now();
        self.parts.show.send_if_modified(|view| {
            if view.refused.as_ref().is_some_and(|before| before.word == word && before.detail == detail) {
                return false;
            }
            tracing::warn!(round.refused = word, "a plan is not followed: {detail}");
            view.refused = Some(RefusedPlan { word, detail, at });
            true
        });
    }

    /// Takes what the aggregator says of an answer.
    pub(super) async fn take_receipt(&mut self) -> Result<(), RoundsError> {
        let receipt = &mut self.parts.channels.receipt;
        if !receipt.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let Some(RoundReceipt { round, state }) = *receipt.borrow_and_update() else { return Ok(()) };
        let in_hand = self.work.as_ref().is_some_and(|work| work.plan.round == round);
        let now = self.now();
        if state != Receipt::Wanted(0) {
            self.with_state(move |state| state.sent(round, now)).await?;
        }
        match state {
            Receipt::Wanted(part) => self.note_stored(round, part).await?,
            Receipt::Received(exchange) => self.note_received(round, exchange).await?,
            Receipt::Taken if in_hand => self.end_in_hand(Outcome::Taken, None).await?,
            Receipt::Refused(reason) if in_hand => {
                tracing::warn!(
                    round,
                    round.refusal = reason.as_str(),
                    "the aggregator does not use this home's answer"
                );
                self.end_in_hand(Outcome::Refused, Some(reason.as_str())).await?;
            }
            // Late: the round is over here.
            Receipt::Taken => self.with_state(move |state| state.end(round, Outcome::Taken, Some(""), now)).await?,
            Receipt::Refused(reason) => {
                self.with_state(move |state| state.end(round, Outcome::Refused, Some(reason.as_str()), now)).await?;
            }
        }
        Ok(())
    }

    /// Whether the newest plan is a sound one of a later round.
    pub(super) fn is_superseded(&self) -> bool {
        let newest = self.parts.channels.plan.borrow().clone();
        let accepted =
            newest.map(|plan| plan.accept(&self.parts.directors, &self.parts.home, self.seen.as_ref(), self.now()));
        accepted.is_some_and(|accepted| accepted.is_ok_and(|accepted| !accepted.again))
    }
}
