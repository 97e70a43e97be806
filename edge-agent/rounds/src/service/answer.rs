//! Answers: signed, kept, sent in parts until a receipt covers them, and deleted.

use std::sync::Arc;

use hearthwatch_edge_cloud::uplink::RoundDelivery;
use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_protocol::messages::RoundPart;
use hearthwatch_protocol::round::{DeclineReason, RoundAnswer, RoundFile, RoundResult, RoundWork, SignedRoundAnswer};

use super::{RoundsError, Service};
use crate::ledger::Outcome;
use crate::machine::{Retry, Stage, Work};
use hearthwatch_edge_cloud::identity::sign::sign;

impl Service {
    /// Signs that there is nothing, and why. `detail` stays in the home.
    pub(super) async fn decline(&mut self, reason: DeclineReason, detail: &str) -> Result<(), RoundsError> {
        let Some(work) = &self.work else { return Ok(()) };
        let round = work.plan.round;
        let answer = self.signed(work, RoundResult::Declined(reason))?;
        let why = if detail.is_empty() { reason.as_str().to_owned() } else { format!("{}: {detail}", reason.as_str()) };
        tracing::info!(round, round.declined = reason.as_str(), "nothing is sent in this round: {why}");
        let kept = answer.clone();
        self.with_state(move |state| state.decline(round, &kept, &why)).await?;
        // Nothing that was kept for a group is needed any more.
        if let Some(work) = &mut self.work {
            work.masks = None;
        }
        self.answered(answer, Vec::new());
        Ok(())
    }

    /// Signs and keeps what the program that trains has written. Where there is no room for it, that is the answer.
    pub(super) async fn keep(&mut self, body: Vec<u8>, figures: JobFigures) -> Result<(), RoundsError> {
        let Some(work) = &self.work else { return Ok(()) };
        let (round, file) = (work.plan.round, RoundFile::of(&body));
        let result = match work.plan.work {
            RoundWork::Train(_) => RoundResult::Delta(file),
            RoundWork::Evaluate(_) => RoundResult::Counts(file),
            // The server gets none of it as it is.
            RoundWork::MaskedTrain(_) => return self.keep_masked(&body, figures).await,
        };
        let (answer, now) = (self.signed(work, result)?, self.now());
        let (kept, bytes) = (answer.clone(), body.clone());
        match self.with_state(move |state| state.answer(round, &kept, &bytes, &figures, now)).await {
            Err(error) if error.is_full() => return self.decline(DeclineReason::Disk, &error.to_string()).await,
            kept => kept?,
        }
        tracing::info!(
            round,
            round.bytes = body.len(),
            round.norm = figures.norm,
            round.sent_norm = figures.sent_norm,
            round.noise = figures.noise,
            round.entities = figures.entities,
            duration_s = figures.seconds,
            round.peak_kib = figures.peak_kib,
            "a round's work is done"
        );
        self.answered(answer, body);
        Ok(())
    }

    pub(super) fn signed(&self, work: &Work, result: RoundResult) -> Result<SignedRoundAnswer, RoundsError> {
        let (round, nonce) = (work.plan.round, work.plan.nonce);
        let answer = RoundAnswer { home: self.parts.home.clone(), round, nonce, result, at: self.now() };
        Ok(sign(&answer, &self.parts.key_file)?)
    }

    pub(super) fn answered(&mut self, answer: SignedRoundAnswer, body: Vec<u8>) {
        // It is another one than was sent before, and waits for no pause.
        self.sending = Retry::default();
        if let Some(work) = &mut self.work {
            work.stage = Stage::Answered { answer, body, stored: 0 };
        }
    }

    /// Hands what is not stored yet to the uplink.
    pub(super) fn send(&mut self) {
        let Some(Work { stage: Stage::Answered { answer, body, stored }, .. }) = &self.work else { return };
        let attempt = u32::from(self.sending.failures);
        let parts: Arc<[RoundPart]> = RoundPart::cut(answer, body).into();
        let delivery = RoundDelivery { parts, stored: *stored, attempt };
        let left = *self.parts.channels.left.borrow();
        self.left_before.get_or_insert(left);
        self.parts.channels.delivery.send_replace(Some(delivery));
        self.sending = self.sending.after_sending(self.now());
    }

    /// Writes down when a first part has left.
    pub(super) async fn note_leaving(&mut self) -> Result<(), RoundsError> {
        let left = *self.parts.channels.left.borrow_and_update();
        let (Some(work), Some(before)) = (&self.work, self.left_before) else { return Ok(()) };
        if left != before {
            let (round, now) = (work.plan.round, self.now());
            self.with_state(move |state| state.sent(round, now)).await?;
            self.left_before = None;
        }
        Ok(())
    }

    /// The aggregator has the parts before `part`.
    pub(super) async fn note_stored(&mut self, of_round: u64, part: u16) -> Result<(), RoundsError> {
        let Some(Work { plan, stage: Stage::Answered { stored, .. }, .. }) = &mut self.work else { return Ok(()) };
        if plan.round != of_round || *stored == part {
            return Ok(());
        }
        // Also backwards: an aggregator that lost what it had asks for it again.
        *stored = part;
        self.parts.channels.delivery.send_if_modified(|delivery| match delivery {
            Some(delivery) => std::mem::replace(&mut delivery.stored, part) != part,
            None => false,
        });
        self.with_state(move |state| state.stored(of_round, part)).await?;
        Ok(())
    }

    /// Ends the round in hand; what waited to be sent is deleted.
    pub(super) async fn end_in_hand(&mut self, outcome: Outcome, reason: Option<&str>) -> Result<(), RoundsError> {
        self.note_leaving().await?;
        let Some(work) = &self.work else { return Ok(()) };
        let (round, now) = (work.plan.round, self.now());
        let reason = reason.map(str::to_owned).or_else(|| self.why_missed(outcome).map(str::to_owned));
        self.with_state(move |state| state.end(round, outcome, reason.as_deref(), now)).await?;
        tracing::info!(round, round.outcome = outcome.as_str(), "a round is over for this home");
        if outcome == Outcome::Taken {
            self.parts.show.send_modify(|view| view.taken += 1);
        }
        self.work = None;
        self.clear().await;
        Ok(())
    }

    /// What the ledger says of a round that was missed.
    fn why_missed(&self, outcome: Outcome) -> Option<&'static str> {
        let answered = matches!(self.work.as_ref()?.stage, Stage::Answered { .. });
        let grouped = matches!(self.work.as_ref()?.stage, Stage::Grouped);
        (outcome == Outcome::Missed).then_some(if grouped {
            "its group came to no end in time"
        } else if answered {
            "no receipt came before its end"
        } else {
            "this home was off or busy until its end"
        })
    }
}
