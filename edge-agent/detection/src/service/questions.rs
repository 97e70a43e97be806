//! Questions drawn by chance from below the threshold: put on the local page, answered like alarms, weighed by the fleet.
//!
//! They are asked nowhere else: nothing was unusual enough to disturb anybody. They share the week's questions with those
//! about unsure alarms, which leave one place to them where there are two or more, and are not put while notices are paused or in a
//! mode that is not learnt from. The estimate that they lead to is thus one of the days on which questions may be put.

use hearthwatch_detector::alarm::{Verdict, alarm_id};
use hearthwatch_detector::detector::{EntityScore, StepReport};
use hearthwatch_edge_core::preferences::WEEK_SECONDS;
use hearthwatch_edge_store::history::StoredQuestion;
use hearthwatch_protocol::messages::Origin;

use super::DetectorService;
use super::feedback::{self, Declared};

impl DetectorService {
    /// Questions drawn by chance in the week before `now`.
    pub(super) fn drawn_in_week(&self, now: i64) -> usize {
        let drawn = self.memory.history.questions(now - WEEK_SECONDS).unwrap_or_else(|error| {
            tracing::warn!(error = %error, "the week's questions are not read");
            Vec::new()
        });
        drawn.len()
    }

    /// Puts the question that is drawn in this step, if one is and the week has room for it.
    pub(super) fn draw_question(&mut self, report: &StepReport) {
        let Some((drawn, window)) = self.judging.detector.audit_sample(report) else { return };
        let of_it = |score: &&EntityScore| score.entity == drawn.entity;
        let (Some(score), Some(info)) =
            (report.scores.iter().find(of_it), self.judging.detector.entities().get(drawn.entity as usize).cloned())
        else {
            return;
        };
        let asked = self.alarms.asked_in_week(score.at) + self.drawn_in_week(score.at);
        let full = asked >= usize::from(self.residents.preferences.questions_per_week);
        if full || self.residents.preferences.paused || !self.residents.preferences.mode.learns() {
            return;
        }
        let question = StoredQuestion {
            id: alarm_id(&self.judging.config.salt, &format!("question|{}", info.entity_id), score.at),
            info,
            at: score.at,
            observed: score.observed,
            score: score.score.unwrap_or(score.threshold),
            threshold: score.threshold,
            model_version: self.judging.model_version,
            propensity: drawn.propensity,
            answer: None,
        };
        match self.memory.history.save_question(&question, Some(&window)) {
            Ok(()) => {
                tracing::info!(question.id = question.id, "a question is drawn by chance");
                self.delivery.announce(&question.id, question.model_version, Some(&window), question.at);
            }
            Err(error) => tracing::warn!(error = %error, "a question drawn by chance is not put"),
        }
    }

    /// Takes an answer to a question drawn by chance; false when `id` is none of them. It teaches the fleet, not the home:
    /// there was no alarm that could be quietened.
    pub(super) fn answer_question(&mut self, id: &str, verdict: Verdict, now: i64) -> bool {
        let (mut question, window) = match self.memory.history.question(id) {
            Ok(Some(found)) => found,
            Ok(None) => return false,
            Err(error) => {
                tracing::error!(error = %error, question.id = id, "an answer is lost: its question does not read");
                return true;
            }
        };
        question.answer = Some((verdict, now));
        if let Err(error) = self.memory.history.save_question(&question, None) {
            tracing::error!(error = %error, question.id = id, "an answer would not survive a restart");
        }
        let declared = Declared {
            id,
            class: question.info.class,
            model_version: question.model_version,
            score: question.score,
            threshold: question.threshold,
            raised_at: question.at,
            origin: Origin::AuditSample { propensity: question.propensity },
        };
        self.delivery.share(id, |home| feedback::record(home, &declared, window, verdict, now));
        true
    }
}
