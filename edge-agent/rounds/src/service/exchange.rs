//! A masked round: keys in answer to the plan, then one answer for each request, each written down before it is sent.

use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_protocol::messages::RoundRequest;
use hearthwatch_protocol::round::{
    DeclineReason, MaskAnswer, MaskExchange, RequestRefusal, RoundFile, RoundResult, SignedRoundAnswer,
};
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};

use super::{RoundsError, Service};
use crate::machine::{Stage, Work};
use crate::masks::{Asked, Masks, MasksRefusal};

impl Service {
    /// Keeps what training left, and answers the plan with new keys.
    pub(super) async fn keep_masked(&mut self, delta: &[u8], figures: JobFigures) -> Result<(), RoundsError> {
        let begun = random().and_then(|mut random| Masks::begin(delta, &mut random).map_err(|error| error.to_string()));
        let (masks, body) = match begun {
            Ok(begun) => begun,
            Err(why) => return self.decline(DeclineReason::Other, &why).await,
        };
        let Some(work) = &self.work else { return Ok(()) };
        tracing::info!(
            round = work.plan.round,
            round.norm = figures.norm,
            round.sent_norm = figures.sent_norm,
            round.noise = figures.noise,
            round.entities = figures.entities,
            duration_s = figures.seconds,
            "a round's work is done; it is kept here until it can be sent under masks"
        );
        self.keep_exchange(masks, body, Some(figures)).await
    }

    /// Answers the newest request, if it is one of the round in hand and its turn.
    pub(super) async fn take_request(&mut self) -> Result<(), RoundsError> {
        let requests = &mut self.parts.channels.request;
        if requests.has_changed().unwrap_or(false) {
            self.asked.clone_from(&requests.borrow_and_update());
        }
        let Some(RoundRequest { signed, body }) = self.asked.take() else { return Ok(()) };
        // Of another round, or before this home has anything to send: brokers hand a retained message out again.
        let Some(Work { plan, masks: Some(masks), .. }) = &self.work else { return Ok(()) };
        let Some(terms) = plan.work.masks().copied() else { return Ok(()) };
        let request = match signed.accept(&self.parts.directors, plan, &body, self.now()) {
            Ok(request) => request,
            Err(RequestRefusal::OtherRound(_)) => return Ok(()),
            Err(refusal) => {
                self.refuse("request", refusal.to_string());
                return Ok(());
            }
        };
        let mut masks = masks.as_ref().clone();
        let mut random = match random() {
            Ok(random) => random,
            Err(why) => return self.decline(DeclineReason::Other, &why).await,
        };
        let asked = Asked { own: &self.parts.home, terms: &terms, request: &request, body: &body };
        match masks.answer(&asked, &mut random) {
            Ok(answer) => self.keep_exchange(masks, answer, None).await,
            Err(MasksRefusal::Again) => Ok(()),
            Err(refusal) if refusal.leaves() => self.decline(DeclineReason::Group, &refusal.to_string()).await,
            Err(refusal) => {
                self.refuse("request", refusal.to_string());
                Ok(())
            }
        }
    }

    /// The aggregator has an answer of this exchange: nothing more is sent until the next request.
    pub(super) async fn note_received(&mut self, of_round: u64, exchange: MaskExchange) -> Result<(), RoundsError> {
        let Some(Work { plan, stage, masks: Some(masks) }) = &mut self.work else { return Ok(()) };
        let newest = masks.sent() == exchange && matches!(stage, Stage::Answered { .. });
        if plan.round != of_round || !newest {
            return Ok(());
        }
        *stage = Stage::Grouped;
        self.parts.channels.delivery.send_if_modified(|delivery| delivery.take().is_some());
        self.with_state(move |state| state.received(of_round)).await?;
        Ok(())
    }

    /// Signs and keeps an answer of an exchange; it is sent next.
    async fn keep_exchange(
        &mut self,
        masks: Masks,
        body: Vec<u8>,
        figures: Option<JobFigures>,
    ) -> Result<(), RoundsError> {
        let Some(work) = &self.work else { return Ok(()) };
        let (round, now) = (work.plan.round, self.now());
        let answer = MaskAnswer { exchange: masks.sent(), file: RoundFile::of(&body) };
        let signed: SignedRoundAnswer = self.signed(work, RoundResult::Masks(answer))?;
        let (kept, kept_body, kept_masks) = (signed.clone(), body.clone(), masks.clone());
        let keep = self.with_state(move |state| {
            state.exchange(round, (&kept, &kept_body[..]), &kept_masks, figures.as_ref(), now)
        });
        match keep.await {
            Err(error) if error.is_full() => return self.decline(DeclineReason::Disk, &error.to_string()).await,
            kept => kept?,
        }
        tracing::info!(round, round.exchange = ?answer.exchange, round.bytes = body.len(), "an exchange of a masked round is answered");
        if let Some(work) = &mut self.work {
            work.masks = Some(Box::new(masks));
        }
        self.answered(signed, body);
        Ok(())
    }
}

/// Seeded by the system: masks and keys must not be predictable.
fn random() -> Result<StdRng, String> {
    StdRng::try_from_rng(&mut SysRng).map_err(|_| "the system has no random numbers".to_owned())
}
