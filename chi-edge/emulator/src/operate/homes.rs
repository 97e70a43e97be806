//! Which recordings are played, and on which calendar. Pure.

use std::collections::{BTreeMap, VecDeque};

use hearthwatch_evaluation::dataset::{Label, RecordedHome, Use, registry};
use hearthwatch_evaluation::evaluate::lived::recorder_form;
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};

/// Weeks that have happened when the operation begins: what agents learn from, as they do from a recorder.
pub const PAST_WEEKS: i64 = 5;

const WEEK: i64 = 7 * 86_400;

/// Shortest silence that is worth a word, seconds.
const SILENCE_MIN: i64 = 3_600;

/// When two homes are the same recording, the second is played from so much earlier, weeks.
const APART_WEEKS: i64 = 9;

/// A recording that is played as one home.
#[derive(Debug, Clone)]
pub struct Player {
    /// `home-01`.
    pub name: String,
    /// The recording on the operation's calendar, with faults from its begin on, as Home Assistant would have it.
    pub lived: RecordedHome,
    /// What is really something: faults that were put in, and those that the recording's authors labelled.
    pub labels: Vec<Label>,
}

/// What is left to chance.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// Decides everything.
    pub seed: u64,
    /// Faults put into each entity, a week.
    pub faults: f64,
}

/// Why homes cannot be chosen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomesError {
    /// No recording is long enough.
    #[error("no recording is as long as {weeks} weeks: choose fewer days")]
    Short {
        /// Weeks that are needed.
        weeks: i64,
    },
}

/// Chooses `count` homes of the recordings, one of each set in turn; a recording that comes again is played from another of its weeks, as long as it has some.
///
/// # Errors
/// [`HomesError`].
pub fn choose(
    mut recordings: Vec<RecordedHome>,
    count: usize,
    days: u32,
    begin: i64,
    chance: Chance,
) -> Result<Vec<Player>, HomesError> {
    let lasts = i64::from(days) * 86_400;
    let weeks = PAST_WEEKS + lasts.div_euclid(WEEK) + 1;
    recordings.retain(|home| home.span().is_some_and(|(first, last)| last - first >= weeks * WEEK));
    if recordings.is_empty() {
        return Err(HomesError::Short { weeks });
    }
    let recordings = by_turns(recordings);
    let player = |number: usize| {
        let home = &recordings[number % recordings.len()];
        let again = i64::try_from(number / recordings.len()).unwrap_or(0);
        let (first, last) = home.span().unwrap_or_default();
        let spare = (last - first) / WEEK - weeks;
        let earlier = if spare > 0 { again * APART_WEEKS % (spare + 1) } else { 0 };
        // The end of the recording is the end of the operation, or so many weeks after it; whole weeks keep hours and weekdays.
        let shift = (begin + lasts - last).div_euclid(WEEK) * WEEK + WEEK + earlier * WEEK;
        let moved = moved(home, shift).between(begin - PAST_WEEKS * WEEK, begin + lasts);
        // Another course of faults for a recording that comes again.
        let seed = chance.seed.wrapping_add(again.unsigned_abs().wrapping_mul(1_000_003));
        let plan = InjectionPlan { seed, events_per_entity_week: chance.faults, families: Family::ALL.to_vec() };
        let lived = recorder_form(&inject(&moved, &plan, begin));
        Player { name: format!("home-{:02}", number + 1), labels: lived.labels.clone(), lived }
    };
    Ok((0..count).map(player).collect())
}

/// One home of each set in turn, as long as there are any: every kind of home is there early. Those first that the aggregator does not
/// train on.
fn by_turns(mut recordings: Vec<RecordedHome>) -> Vec<RecordedHome> {
    let is_bundled = |home: &RecordedHome| registry::find(&home.set).is_ok_and(|set| set.usage == Use::Bundled);
    recordings.sort_by_cached_key(RecordedHome::full_name);
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    let mut placed: Vec<(usize, bool, RecordedHome)> = recordings
        .into_iter()
        .map(|home| {
            let turn = turns.entry(home.set.clone()).or_default();
            *turn += 1;
            (*turn, is_bundled(&home), home)
        })
        .collect();
    placed.sort_by_key(|(turn, bundled, _)| (*turn, *bundled));
    placed.into_iter().map(|(_, _, home)| home).collect()
}

fn moved(home: &RecordedHome, shift: i64) -> RecordedHome {
    let mut home = home.clone();
    home.readings.iter_mut().for_each(|reading| reading.at += shift);
    for label in &mut home.labels {
        label.start += shift;
        label.end += shift;
    }
    home
}

impl Player {
    /// Whether an alarm about this entity at this time is about something real: it was raised while it lasted.
    #[must_use]
    pub fn is_true(&self, entity_id: &str, raised_at: i64) -> bool {
        let place = self.lived.entities.iter().position(|info| info.entity_id == entity_id);
        let Some(place) = place.and_then(|place| u32::try_from(place).ok()) else { return false };
        self.labels.iter().any(|label| label.entity == place && raised_at > label.start && raised_at <= label.end)
    }
}

/// Spans without any reading from `begin` on that last an hour or more, and longer than each in the week before: somebody who watches the home
/// has reason to ask. Times of `readings` are sorted.
#[must_use]
pub fn silences(readings: impl IntoIterator<Item = i64>, begin: i64) -> Vec<(i64, i64)> {
    let (mut found, mut before) = (Vec::new(), VecDeque::<(i64, i64)>::new());
    let mut last = None;
    for at in readings {
        let Some(from) = last.replace(at) else { continue };
        let lasts = at - from;
        if lasts < SILENCE_MIN {
            continue;
        }
        while before.front().is_some_and(|(until, _)| *until < from - WEEK) {
            before.pop_front();
        }
        if at > begin && before.iter().all(|(_, other)| *other < lasts) {
            found.push((from.max(begin), at));
        }
        before.push_back((at, lasts));
    }
    found
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;

    use super::*;

    const BEGIN: i64 = 1_767_571_200;
    const CHANCE: Chance = Chance { seed: 3, faults: 0.2 };

    #[test]
    fn a_silence_counts_if_the_week_before_had_none_as_long() {
        let hour = 3_600;
        let times = [0, 2, 4, 7, 9, 24 * 8, 24 * 8 + 3].map(|hours| hours * hour);
        let expected = [(4, 7), (9, 24 * 8)].map(|(from, until)| (from * hour, until * hour));
        assert_eq!(
            silences(times, 2 * hour),
            expected,
            "two hours are no longer than before, and three come within a week of the longest"
        );
        assert_eq!(silences([0, hour - 1], 0), []);
        assert_eq!(silences([0, 5 * hour], 2 * hour), [(2 * hour, 5 * hour)]);
    }

    #[test]
    fn every_home_has_a_past_and_lasts_until_the_end() {
        let players = choose(vec![made_home(1, 7 * 20), made_home(2, 7 * 20)], 5, 14, BEGIN, CHANCE).unwrap();
        assert_eq!(players.len(), 5);
        for player in &players {
            let (first, last) = player.lived.span().unwrap();
            assert!(first <= BEGIN - (PAST_WEEKS - 1) * WEEK, "{}", player.name);
            assert!(last > BEGIN + 13 * 86_400, "{}", player.name);
            assert!(player.labels.iter().all(|label| label.start >= BEGIN), "{}", player.name);
        }
        assert_ne!(
            players[0].lived.readings, players[2].lived.readings,
            "the same recording is played from another week"
        );
    }

    #[test]
    fn each_set_has_its_turn() {
        let of = |set: &str, name: &str| RecordedHome { set: set.into(), name: name.into(), ..made_home(1, 1) };
        let names: Vec<String> = by_turns(vec![of("a", "1"), of("a", "2"), of("b", "1"), of("a", "3")])
            .iter()
            .map(RecordedHome::full_name)
            .collect();
        assert_eq!(names, ["a/1", "b/1", "a/2", "a/3"]);
    }

    #[test]
    fn recordings_that_are_too_short_are_refused_with_what_is_needed() {
        let refused = choose(vec![made_home(1, 30)], 1, 60, BEGIN, CHANCE).unwrap_err();
        assert_eq!(refused.to_string(), "no recording is as long as 14 weeks: choose fewer days");
    }

    #[test]
    fn an_alarm_is_true_only_about_its_own_entity_while_the_fault_lasts() {
        let player = choose(vec![made_home(1, 7 * 20)], 1, 28, BEGIN, CHANCE).unwrap().remove(0);
        let label = player.labels[0].clone();
        let entity = player.lived.entities[label.entity as usize].entity_id.clone();
        assert!(player.is_true(&entity, label.end));
        assert!(!player.is_true(&entity, label.start));
        assert!(!player.is_true("sensor.other", label.end));
    }
}
