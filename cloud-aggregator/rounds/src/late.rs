//! Deltas that come after their round went on without them (FedBuff: Nguyen et al., AISTATS 2022). Pure.

use std::collections::BTreeMap;

use hearthwatch_store::rounds::{RoundHomeRow, RoundHomeState, RoundRow};

/// Versions that were made between the base of the round `before` and that of `round`; none where the two are not of one series.
#[must_use]
pub fn staleness(before: &RoundRow, round: &RoundRow) -> Option<u32> {
    if before.series == round.series { round.place.checked_sub(before.place) } else { None }
}

/// Homes that are behind, with the rounds that they were asked in.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    /// Rows that are straggling or carried.
    pub homes: Vec<RoundHomeRow>,
    /// Their rounds, by number.
    pub rounds: BTreeMap<u64, RoundRow>,
}

/// How many homes that are behind may still count in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usable {
    /// Their deltas are here.
    pub carried: usize,
    /// Their deltas may come.
    pub straggling: usize,
}

impl Behind {
    /// Whether the row's delta may count in `round`, up to `most` versions after its own.
    fn counts(&self, row: &RoundHomeRow, round: &RoundRow, most: u32) -> bool {
        let before = self.rounds.get(&row.round);
        before.and_then(|before| staleness(before, round)).is_some_and(|staleness| staleness <= most)
    }

    /// Whether an answer may still come at `now`.
    fn may_come(&self, row: &RoundHomeRow, now: i64) -> bool {
        let before = self.rounds.get(&row.round);
        row.state == RoundHomeState::Straggling && before.is_some_and(|before| now < before.deadline)
    }

    /// How many may count in `round`, up to `most` versions behind.
    pub fn usable(&self, round: &RoundRow, most: u32, now: i64) -> Usable {
        let of = |row: &&RoundHomeRow| self.counts(row, round, most);
        let carried = self.homes.iter().filter(|row| row.state == RoundHomeState::Carried).filter(of).count();
        let straggling = self.homes.iter().filter(|row| self.may_come(row, now)).filter(of).count();
        Usable { carried, straggling }
    }

    /// Homes that are not to be asked for anything else at `now`.
    pub fn busy(&self, now: i64) -> impl Iterator<Item = &RoundHomeRow> {
        self.homes.iter().filter(move |row| row.state == RoundHomeState::Carried || self.may_come(row, now))
    }

    /// What changes in them where rounds wait for every home again: none of them counts any more, and each may be asked again.
    pub fn when_unbuffered(&self, now: i64) -> Vec<RoundHomeRow> {
        let dropped = |row: &RoundHomeRow| {
            let carried = row.state == RoundHomeState::Carried;
            let state = if carried { RoundHomeState::LeftOut } else { RoundHomeState::Late };
            let reason = "late deltas do not count any more".to_owned();
            RoundHomeRow { state, reason, at: Some(now), ..row.clone() }
        };
        self.homes.iter().map(dropped).collect()
    }

    /// What changes in them when `round` goes on at `now`: those that are carried count in it, and who can count no more is late.
    pub fn when_closed(&self, round: &RoundRow, most: u32, now: i64) -> Vec<RoundHomeRow> {
        let changed = |row: &RoundHomeRow| {
            let counts = self.counts(row, round, most);
            if row.state == RoundHomeState::Carried && counts {
                let (state, counted_in) = (RoundHomeState::Taken, Some(round.number));
                return Some(RoundHomeRow { state, counted_in, at: Some(now), ..row.clone() });
            }
            let before = self.rounds.get(&row.round).and_then(|before| staleness(before, round));
            let (state, reason) = match before {
                // Its home was told that the delta was taken.
                before if row.state == RoundHomeState::Carried => (RoundHomeState::LeftOut, out(before, most)),
                Some(_) if !self.may_come(row, now) => (RoundHomeState::Late, String::new()),
                Some(behind) if behind < most => return None,
                // One more version is made before it could count.
                before => (RoundHomeState::Late, out(before.map(|behind| behind.saturating_add(1)), most)),
            };
            Some(RoundHomeRow { state, reason, at: Some(now), ..row.clone() })
        };
        self.homes.iter().filter_map(changed).collect()
    }
}

fn out(behind: Option<u32>, most: u32) -> String {
    let far = |behind| format!("{behind} versions behind; at most {most} count");
    behind.map_or_else(|| "its series has ended".to_owned(), far)
}

#[cfg(test)]
mod tests {
    use hearthwatch_store::fixtures::{round, round_home};
    use hearthwatch_store::rounds::{RoundDuty, RoundStage};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(number: u64, series: u64, place: u32) -> RoundRow {
        RoundRow { series, place, deadline: NOW + 60, ..round(number, RoundStage::Training) }
    }

    fn behind(rows: &[(u64, &str, RoundHomeState)]) -> Behind {
        let homes =
            rows.iter().map(|(round, name, state)| round_home(*round, name, RoundDuty::Train, *state)).collect();
        let rounds = [at(1, 1, 0), at(2, 2, 0), at(3, 2, 1), at(4, 2, 2)].map(|round| (round.number, round));
        Behind { homes, rounds: rounds.into() }
    }

    /// What became of each home when round 5, at place 3 of series 2, went on.
    fn closed(rows: &[(u64, &str, RoundHomeState)], most: u32, now: i64) -> Vec<(String, RoundHomeState, String)> {
        let changed = behind(rows).when_closed(&at(5, 2, 3), most, now);
        changed.into_iter().map(|row| (row.home.to_string(), row.state, row.reason)).collect()
    }

    #[test]
    fn a_delta_counts_up_to_so_many_versions_behind_and_never_in_another_series() {
        use RoundHomeState::{Carried, LeftOut, Taken};
        let rows = [(1, "a", Carried), (2, "b", Carried), (3, "c", Carried), (4, "d", Carried)];
        let out = |name: &str, reason: &str| (name.to_owned(), LeftOut, reason.to_owned());
        let taken = |name: &str| (name.to_owned(), Taken, String::new());
        let series = "its series has ended";
        assert_eq!(
            closed(&rows, 2, NOW),
            [out("a", series), out("b", "3 versions behind; at most 2 count"), taken("c"), taken("d")]
        );
        assert_eq!(behind(&rows).usable(&at(5, 2, 3), 2, NOW), Usable { carried: 2, straggling: 0 });
        let counted = behind(&rows).when_closed(&at(5, 2, 3), 2, NOW).pop().unwrap();
        assert_eq!((counted.round, counted.counted_in), (4, Some(5)));
    }

    #[test]
    fn a_straggler_is_waited_for_as_long_as_its_delta_could_count_in_the_next_round() {
        use RoundHomeState::{Late, Straggling};
        let rows = [(3, "c", Straggling), (4, "d", Straggling)];
        let too_far = ("c".to_owned(), Late, "3 versions behind; at most 2 count".to_owned());
        assert_eq!(closed(&rows, 2, NOW), [too_far], "d may still count one version later");
        assert_eq!(closed(&rows, 2, NOW + 60).len(), 2, "after the deadline of their plans nobody is waited for");
        let usable = |now| behind(&rows).usable(&at(5, 2, 3), 2, now);
        assert_eq!((usable(NOW).straggling, usable(NOW + 60).straggling), (2, 0));
        let busy = |now| behind(&rows).busy(now).count();
        assert_eq!((busy(NOW), busy(NOW + 60)), (2, 0));
    }
}
