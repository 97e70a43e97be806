//! What is to be done about a round now. Pure: the store's rows and the time go in, one step comes out.

use hearthwatch_store::rounds::{RoundDuty, RoundHomeRow, RoundHomeState, RoundRow, RoundStage};

use super::late::Usable;

/// The next step of a round; each can be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Nothing, until something comes or the time has passed.
    Wait,
    /// Take no more deltas, and make one of those that came; where they are masked, make groups of the homes that have one.
    CloseTraining,
    /// Close the exchange of a masked round that is open, and open the next.
    CloseExchange,
    /// End: there are not as many deltas as needed.
    TooFew {
        /// Deltas that came.
        came: usize,
        /// Deltas that are needed.
        least: u32,
    },
    /// Make one delta of all, train after it, ask homes to evaluate.
    Aggregate,
    /// Take no more counts.
    CloseEvaluation,
    /// Judge, and end.
    Judge,
}

/// How many deltas a round needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Without these nothing is made of the others.
    pub least: u32,
    /// With these it goes on before the deadline; none where it waits for every home.
    pub enough: Option<u32>,
}

/// The next step of `round`, whose `homes` stand as they do, at `now`; of homes of earlier rounds `behind` may count in it.
pub fn next(round: &RoundRow, homes: &[RoundHomeRow], behind: Usable, needed: Needed, now: i64) -> Step {
    let of = |duty: RoundDuty| homes.iter().filter(move |row| row.duty == duty);
    match round.stage {
        RoundStage::Training => {
            let taken = of(RoundDuty::Train).filter(|row| row.state == RoundHomeState::Taken).count();
            let came = taken + behind.carried;
            let open = of(RoundDuty::Train).filter(|row| row.state.open()).count();
            let least = needed.least as usize;
            let enough = needed.enough.is_some_and(|enough| came >= least.max(enough as usize));
            if came + open + behind.straggling < least || (came < least && now >= round.deadline) {
                Step::TooFew { came, least: needed.least }
            } else if enough || now >= round.deadline || (open == 0 && came >= least) {
                Step::CloseTraining
            } else {
                Step::Wait
            }
        }
        RoundStage::Sharing | RoundStage::Masking | RoundStage::Unmasking => {
            let open = of(RoundDuty::Train).any(|row| row.state.open());
            if now >= round.deadline || !open { Step::CloseExchange } else { Step::Wait }
        }
        RoundStage::Aggregating => Step::Aggregate,
        RoundStage::Evaluating => {
            let open = of(RoundDuty::Evaluate).any(|row| row.state.open());
            let over = round.evaluate_deadline.is_none_or(|deadline| now >= deadline);
            if over || !open { Step::CloseEvaluation } else { Step::Wait }
        }
        RoundStage::Judging => Step::Judge,
        RoundStage::Ended => Step::Wait,
    }
}

/// Whether the next round may open at `now`, `interval` seconds after the opening of the `newest`.
#[must_use]
pub fn is_due(newest: Option<&RoundRow>, interval: i64, now: i64) -> bool {
    newest.is_none_or(|round| round.stage == RoundStage::Ended && now.saturating_sub(round.opened_at) >= interval)
}

/// Where the next round begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Number of the round.
    pub number: u64,
    /// Number of the first round of its series.
    pub series: u64,
    /// Its place in the series, from 0.
    pub place: u32,
    /// The artifact that homes start from.
    pub base: String,
    /// The artifact that replay alone starts from.
    pub control_base: String,
}

/// Where the round after the `newest` begins. `champion` is the hash of the fleet's artifact; `goes_on`: no model came out since the
/// newest round opened but its own. A series goes on from its last candidate that was kept, for `rounds` rounds.
#[must_use]
pub fn start(newest: Option<&RoundRow>, champion: &str, goes_on: bool, rounds: u32) -> Start {
    let number = newest.map_or(1, |round| round.number.saturating_add(1));
    let anew =
        || Start { number, series: number, place: 0, base: champion.to_owned(), control_base: champion.to_owned() };
    let Some(before) = newest.filter(|_| goes_on) else { return anew() };
    let place = before.place.saturating_add(u32::from(before.kept));
    if place >= rounds {
        return anew();
    }
    let (base, control_base) = match (&before.candidate, &before.control) {
        (Some(candidate), Some(control)) if before.kept => (candidate.clone(), control.clone()),
        _ => (before.base.clone(), before.control_base.clone()),
    };
    Start { number, series: before.series, place, base, control_base }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_store::fixtures::{round, round_home};

    const NOW: i64 = 1_700_000_000;

    fn homes(states: &[RoundHomeState]) -> Vec<RoundHomeRow> {
        let row =
            |(number, state): (usize, &RoundHomeState)| round_home(1, &format!("h{number}"), RoundDuty::Train, *state);
        states.iter().enumerate().map(row).collect()
    }

    fn training(states: &[RoundHomeState], now: i64) -> Step {
        let round = RoundRow { deadline: NOW, ..round(1, RoundStage::Training) };
        next(&round, &homes(states), Usable::default(), TWO, now)
    }

    const TWO: Needed = Needed { least: 2, enough: None };

    #[test]
    fn training_closes_when_all_have_answered_or_at_the_deadline_with_enough() {
        use RoundHomeState as State;
        assert_eq!(training(&[State::Taken, State::Taken, State::Planned], NOW - 1), Step::Wait);
        assert_eq!(training(&[State::Taken, State::Taken, State::Planned], NOW), Step::CloseTraining);
        assert_eq!(training(&[State::Taken, State::Taken, State::Declined], NOW - 1), Step::CloseTraining);
        assert_eq!(
            training(&[State::Taken, State::Receiving, State::Planned], NOW),
            Step::TooFew { came: 1, least: 2 }
        );
    }

    #[test]
    fn a_round_that_cannot_have_enough_any_more_ends_at_once() {
        use RoundHomeState as State;
        let states = [State::Taken, State::Declined, State::Refused];
        assert_eq!(training(&states, NOW - 1), Step::TooFew { came: 1, least: 2 });
    }

    #[test]
    fn with_a_buffer_a_round_goes_on_as_soon_as_enough_deltas_are_here_also_of_earlier_rounds() {
        use RoundHomeState as State;
        let round = RoundRow { deadline: NOW, ..round(1, RoundStage::Training) };
        let needed = Needed { least: 2, enough: Some(3) };
        let with = |states: &[State], carried, straggling, now| {
            next(&round, &homes(states), Usable { carried, straggling }, needed, now)
        };
        assert_eq!(with(&[State::Taken, State::Taken, State::Planned], 0, 0, NOW - 1), Step::Wait);
        assert_eq!(with(&[State::Taken, State::Taken, State::Planned], 1, 0, NOW - 1), Step::CloseTraining);
        assert_eq!(with(&[State::Taken, State::Taken, State::Planned], 0, 0, NOW), Step::CloseTraining);
        assert_eq!(with(&[State::Taken, State::Declined], 0, 1, NOW - 1), Step::Wait, "one may still come");
        assert_eq!(with(&[State::Taken, State::Declined], 0, 0, NOW - 1), Step::TooFew { came: 1, least: 2 });
    }

    #[test]
    fn an_exchange_closes_when_all_of_its_homes_have_answered_or_at_its_deadline() {
        use RoundHomeState as State;
        for stage in [RoundStage::Sharing, RoundStage::Masking, RoundStage::Unmasking] {
            let round = RoundRow { deadline: NOW, ..round(1, stage) };
            let with = |states: &[State], now| next(&round, &homes(states), Usable::default(), TWO, now);
            assert_eq!(with(&[State::Taken, State::Planned], NOW - 1), Step::Wait);
            assert_eq!(with(&[State::Taken, State::Late, State::Declined], NOW - 1), Step::CloseExchange);
            assert_eq!(with(&[State::Receiving, State::Planned], NOW), Step::CloseExchange);
        }
    }

    #[test]
    fn evaluation_closes_when_all_have_judged_or_at_its_deadline() {
        use RoundHomeState as State;
        let round = RoundRow { evaluate_deadline: Some(NOW), ..round(1, RoundStage::Evaluating) };
        let with = |state, now| {
            let evaluator = round_home(1, "j", RoundDuty::Evaluate, state);
            next(&round, &[evaluator], Usable::default(), TWO, now)
        };
        assert_eq!(with(State::Planned, NOW - 1), Step::Wait);
        assert_eq!(with(State::Taken, NOW - 1), Step::CloseEvaluation);
        assert_eq!(with(State::Receiving, NOW), Step::CloseEvaluation);
    }

    #[test]
    fn a_round_opens_once_the_one_before_has_ended_and_the_interval_has_passed() {
        let ended = RoundRow { opened_at: NOW, ..round(1, RoundStage::Ended) };
        assert!(is_due(None, 100, NOW));
        assert!(!is_due(Some(&ended), 100, NOW + 99) && is_due(Some(&ended), 100, NOW + 100));
        let open = RoundRow { opened_at: NOW, ..round(1, RoundStage::Judging) };
        assert!(!is_due(Some(&open), 100, NOW + 1_000));
    }

    #[test]
    fn a_series_goes_on_from_what_was_kept_and_begins_anew_at_another_model() {
        let (candidate, control) = (Some("cand".to_owned()), Some("ctrl".to_owned()));
        let base =
            RoundRow { number: 4, series: 2, place: 2, kept: true, candidate, control, ..round(1, RoundStage::Ended) };
        let went_on = start(Some(&base), "reign", true, 15);
        assert_eq!((went_on.number, went_on.series, went_on.place), (5, 2, 3));
        assert_eq!((went_on.base.as_str(), went_on.control_base.as_str()), ("cand", "ctrl"));
        let again = start(Some(&RoundRow { kept: false, ..base.clone() }), "reign", true, 15);
        assert_eq!((again.place, again.base.as_str(), again.control_base.as_str()), (2, "base", "base"));
        for anew in [start(Some(&base), "reign", false, 15), start(Some(&base), "reign", true, 3)] {
            assert_eq!((anew.series, anew.place, anew.base.as_str()), (5, 0, "reign"));
        }
    }
}
