//! How the fleet of the demonstration learns: from labelled answers, or in federated rounds; who does what in rounds, and when. Pure.

use std::collections::BTreeSet;

use clap::ValueEnum;
use hearthwatch_edge_store::outbox::SharingLevel;
use hearthwatch_protocol::HomeId;
use hearthwatch_rounds::RoundsConfig;
use hearthwatch_rounds::cohort::is_evaluator;

use super::cast::{HOMES_MAX, Player};
use super::table::Part;
use super::timeline::Timeline;

/// Share of homes that evaluate. Larger than an aggregator's usual one, for this fleet is small and the gate needs five that do.
const EVALUATOR_SHARE: f64 = 0.6;

/// Homes that must have evaluated: the fewest with which the gate gives an interval.
const LEAST_EVALUATORS: u32 = 5;

/// Most rounds of a run: as many as the phase has pairs of days.
pub const ROUNDS_MAX: u32 = 10;

/// What the fleet learns from. A home shares either labelled windows or what training changed, so it is one or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Learn {
    /// Homes share labelled feature windows; the aggregator retrains twice.
    Labels,
    /// The aggregator's first model comes from recordings alone; then homes train at home every other night and share what training changed.
    Rounds,
}

impl Learn {
    /// What residents agreed to share.
    #[must_use]
    pub fn sharing(self) -> SharingLevel {
        match self {
            Self::Labels => SharingLevel::Windows,
            Self::Rounds => SharingLevel::Learning,
        }
    }
}

/// The phase in which rounds are held: the one before the last, whose weeks the table shows. None where there is only one.
#[must_use]
pub fn phase_of_rounds(timeline: &Timeline) -> Option<usize> {
    timeline.phases.checked_sub(2)
}

/// When rounds are held, Unix seconds: every other night up to the end of their phase.
#[must_use]
pub fn moments(timeline: &Timeline, rounds: u32) -> Vec<i64> {
    let Some(phase) = phase_of_rounds(timeline) else { return Vec::new() };
    let (begin, end) = timeline.phase(phase);
    let interval = i64::from(RoundsConfig::default().interval_hours) * 3_600;
    (0..i64::from(rounds)).rev().map(|after| end - after * interval).filter(|at| *at > begin).collect()
}

/// How the aggregator holds rounds among these homes.
#[must_use]
pub fn config(players: &[Player]) -> RoundsConfig {
    let train = players.iter().filter(|player| trains(player.part)).count();
    RoundsConfig {
        enabled: true,
        least: u32::try_from(train.div_ceil(2)).unwrap_or(u32::MAX).max(1),
        least_evaluators: LEAST_EVALUATORS,
        evaluator_share: EVALUATOR_SHARE,
        ..RoundsConfig::default()
    }
}

/// Homes whose recordings set thresholds or are the gate's train in no round.
#[must_use]
pub fn trains(part: Part) -> bool {
    part == Part::Teaches
}

/// Whether the aggregator asks a home to train, rather than to evaluate.
#[must_use]
pub fn is_asked_to_train(home: &HomeId) -> bool {
    !is_evaluator(home, EVALUATOR_SHARE)
}

/// Gives homes names by which the aggregator's hash has them train or evaluate as their part asks. Who fits already keeps its name.
pub fn name(players: &mut [Player]) {
    let fits = |player: &Player, id: &HomeId| is_asked_to_train(id) == trains(player.part);
    let mut free = (HOMES_MAX + 1..).filter_map(|number| HomeId::new(format!("home-{number:02}")).ok());
    let mut passed: BTreeSet<HomeId> = BTreeSet::new();
    for player in players {
        if fits(player, &player.id) {
            continue;
        }
        // A name that fits no home here may fit a later one.
        let kept = passed.iter().find(|id| fits(player, id)).cloned();
        let id = kept.or_else(|| {
            free.by_ref().find(|id| {
                let fit = fits(player, id);
                if !fit {
                    passed.insert(id.clone());
                }
                fit
            })
        });
        if let Some(id) = id {
            passed.remove(&id);
            player.id = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::EPOCH;
    use super::*;
    use hearthwatch_evaluation::fixtures::home::made_home;

    fn players(count: usize) -> Vec<Player> {
        let parts = [Part::Teaches, Part::Calibrates, Part::HeldOut];
        (0..count)
            .map(|number| Player {
                id: HomeId::new(format!("home-{:02}", number + 1)).unwrap(),
                clean: made_home(number as u64, 1),
                lived: made_home(number as u64, 1),
                part: parts[number % 3],
                moves_in: EPOCH,
            })
            .collect()
    }

    #[test]
    fn only_homes_that_teach_train_and_every_name_is_given_once() {
        let mut players = players(20);
        let before: Vec<HomeId> = players.iter().map(|player| player.id.clone()).collect();
        name(&mut players);
        for player in &players {
            assert_eq!(is_asked_to_train(&player.id), player.part == Part::Teaches, "{}", player.id);
        }
        let names: BTreeSet<&HomeId> = players.iter().map(|player| &player.id).collect();
        assert_eq!(names.len(), 20);
        assert!(players.iter().zip(&before).any(|(player, before)| player.id == *before), "who fits keeps its name");
    }

    #[test]
    fn rounds_are_every_other_night_and_the_last_one_ends_their_phase() {
        let timeline = Timeline::default();
        let (begin, end) = timeline.phase(1);
        let five = moments(&timeline, 5);
        assert_eq!((five.len(), five.last()), (5, Some(&end)));
        assert!(five.windows(2).all(|pair| pair[1] - pair[0] == 48 * 3_600));
        let most = moments(&timeline, ROUNDS_MAX);
        assert!(most.len() == ROUNDS_MAX as usize && most[0] > begin);
        assert_eq!(moments(&Timeline { phases: 1, ..timeline }, 5), [0_i64; 0]);
    }

    #[test]
    fn half_of_the_homes_that_train_must_have_sent_something() {
        assert_eq!(config(&players(20)).least, 4);
        assert_eq!(config(&players(1)).least, 1);
    }
}
