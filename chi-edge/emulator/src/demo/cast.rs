//! Who takes part: recordings chosen, moved onto the virtual calendar, and given faults. Pure.

use std::collections::{BTreeMap, VecDeque};

use hearthwatch_evaluation::dataset::{RecordedHome, Use, registry};
use hearthwatch_evaluation::evaluate::lived::recorder_form;
use hearthwatch_evaluation::inject::{Family, InjectionPlan, inject};
use hearthwatch_protocol::HomeId;
use hearthwatch_training::Corpus;

use super::table::Part;
use super::timeline::{EPOCH, Timeline};

/// The sets whose homes take part, when they are there: the bundled ones first, whole.
pub const SETS: &[&str] = &[
    "citylearn_2022_homes",
    "suthaharan_wsn",
    "river_water_flow",
    // From here on, one home of each in turn.
    "uci_appliances_energy",
    "open_smart_home",
    "daiad_water",
    "southwark_homes",
];

/// Most homes in a demo: with more, two cores need more than the three minutes that it may take.
pub const HOMES_MAX: usize = 24;

/// Faults put into each entity, a week. With four entities that is one a week and home: as many as a household asks to hear of.
const FAULTS_PER_ENTITY_WEEK: f64 = 0.25;

/// A recording with a part to play.
#[derive(Debug, Clone)]
pub struct Player {
    /// Pseudonym in the fleet.
    pub id: HomeId,
    /// As recorded, on the virtual calendar, whole: past and present.
    pub clean: RecordedHome,
    /// What the home lives through: from the epoch on, with faults in it.
    pub lived: RecordedHome,
    /// What else its recording is used for.
    pub part: Part,
    /// When its agent starts to learn.
    pub moves_in: i64,
}

/// Chooses `count` homes, turn by turn from each set so that every kind of home is there, and prepares them.
#[must_use]
pub fn cast(homes: Vec<RecordedHome>, count: usize, timeline: &Timeline, seed: u64) -> Vec<Player> {
    let chosen = choose(homes, count.min(HOMES_MAX));
    let moved: Vec<RecordedHome> = chosen.into_iter().map(|home| moved(home, timeline)).collect();
    let split = Corpus::split(moved.clone());
    let part_of = |home: &RecordedHome| {
        let among = |homes: &[RecordedHome]| homes.iter().any(|other| other.full_name() == home.full_name());
        let may_teach = registry::find(&home.set).is_ok_and(|set| set.usage != Use::EvaluateOnly);
        match () {
            // What has no licence to train shipped weights trains none here either.
            () if !may_teach => Part::HeldOut,
            () if among(&split.train) => Part::Teaches,
            () if among(&split.calibrate) => Part::Calibrates,
            () => Part::HeldOut,
        }
    };
    let player = |(number, clean): (usize, RecordedHome)| {
        let start = clean.span().map_or(EPOCH, |(start, _)| start);
        let moves_in = timeline.moves_in(start);
        let plan =
            InjectionPlan { seed, events_per_entity_week: FAULTS_PER_ENTITY_WEEK, families: Family::ALL.to_vec() };
        let present = clean.between(moves_in, timeline.end());
        Player {
            id: HomeId::new(format!("home-{:02}", number + 1)).expect("digits and a dash"),
            // As Home Assistant tells it: changes only.
            lived: recorder_form(&inject(&present, &plan, timeline.speaks_from(moves_in))),
            part: part_of(&clean),
            moves_in,
            clean,
        }
    };
    moved.into_iter().enumerate().map(player).collect()
}

/// What the aggregator may learn from and judge by: the clean recordings of these homes, split by home.
#[must_use]
pub fn corpus(players: &[Player]) -> Corpus {
    let of = |part: Part| -> Vec<RecordedHome> {
        players.iter().filter(|player| player.part == part).map(|player| player.clean.clone()).collect()
    };
    Corpus { train: of(Part::Teaches), calibrate: of(Part::Calibrates), test: of(Part::HeldOut) }
}

fn choose(homes: Vec<RecordedHome>, count: usize) -> Vec<RecordedHome> {
    let mut by_set: BTreeMap<String, VecDeque<RecordedHome>> = BTreeMap::new();
    for home in homes {
        by_set.entry(home.set.clone()).or_default().push_back(home);
    }
    by_set.values_mut().for_each(|homes| homes.make_contiguous().sort_by(|left, right| left.name.cmp(&right.name)));
    let bundled = |set: &str| registry::find(set).is_ok_and(|set| set.usage == Use::Bundled);
    let mut chosen = Vec::new();
    // Few homes: some of every kind. Enough: the bundled sets whole, then one of each other set in turn.
    for first in [true, false] {
        let mut queues: Vec<_> = by_set.iter_mut().filter(|(set, _)| bundled(set) == first).collect();
        while chosen.len() < count && queues.iter().any(|(_, homes)| !homes.is_empty()) {
            let turn: Vec<RecordedHome> =
                queues.iter_mut().filter_map(|(_, homes)| homes.pop_front()).take(count - chosen.len()).collect();
            chosen.extend(turn);
        }
    }
    chosen.sort_by_key(RecordedHome::full_name);
    chosen
}

fn moved(mut home: RecordedHome, timeline: &Timeline) -> RecordedHome {
    let Some((_, end)) = home.span() else { return home };
    let shift = timeline.shift(end);
    home.readings.iter_mut().for_each(|reading| reading.at += shift);
    for label in &mut home.labels {
        label.start += shift;
        label.end += shift;
    }
    // The world has no summer time; moved recordings keep the hours that they were recorded with.
    home.timezone = "UTC".to_owned();
    home
}
