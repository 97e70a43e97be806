//! The arms: what weights learnt from.

use hearthwatch_training::RoundRecipes;

use super::super::feedback::Habits;
use super::setup::Design;

/// Where an arm's weights come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// No network: the baseline detector.
    Baseline,
    /// Those that ship.
    Shipped,
    /// Those that ship, after rounds.
    Rounds(Rounds),
    /// Those that ship, after so many steps on the histories of all homes together and on the server's recordings in turn: what no product
    /// may do, and the most that rounds could learn.
    Pooled,
    /// Those that ship, after as many steps at the server on its recordings as a nightly run takes; a quarter of the windows are those
    /// that residents answered about, if any did.
    Central(Option<Habits>),
    /// The rounds of another arm, by its name; then each home trains the last layer on its own history and keeps it.
    PersonalHead(&'static str),
}

/// Rounds as an arm runs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    /// How many.
    pub(super) count: usize,
    /// Whether homes train.
    pub(super) homes: bool,
    /// Whether the server trains after each round.
    pub(super) replay: bool,
    /// Whether liars are expected: multi-Krum in place of the mean.
    pub(super) krum: bool,
    /// What residents said, if anything.
    pub(super) said: Option<Habits>,
    /// From the usual recipes to the arm's.
    pub(super) change: fn(&mut RoundRecipes),
}

/// A line of the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arm {
    pub(super) name: &'static str,
    /// What it is held against, beside the network that ships.
    pub(super) control: &'static str,
    pub(super) kind: Kind,
}

/// The arm that all are held against.
pub(super) const REFERENCE: &str = "network that ships";
const REPLAY: &str = "replay alone";
const FEDERATED: &str = "federated, replay";
const REPLAY_LONGER: &str = "replay alone, 30 rounds";
const UNANSWERED_LONGER: &str = "longer, no answers";
const UNANSWERED_LIGHTER: &str = "lighter replay, no answers";
const CENTRAL: &str = "central, no answers";
const UNANSWERED: &str = "federated, no answers";

const HONEST: Habits = Habits { answered: 1.0, wrong: 0.0, bored: 0.0, flipping: 0.0, shuffled: false };
const MIDDLING: Habits = Habits { answered: 0.6, wrong: 0.1, ..HONEST };

const ALONE: Rounds = Rounds { count: 15, homes: false, replay: true, krum: false, said: None, change: |_| {} };
const BOTH: Rounds = Rounds { homes: true, ..ALONE };
/// What the tries led to.
const LONGER: Rounds = Rounds { count: 30, change: |usual| usual.server_step = 2.0, ..BOTH };
/// The same with replay that pulls back less.
const LIGHTER: Rounds = Rounds {
    change: |usual| {
        usual.server_step = 2.0;
        usual.replay.learning_rate /= 3.0;
    },
    ..LONGER
};

const fn arm(name: &'static str, control: &'static str, kind: Kind) -> Arm {
    Arm { name, control, kind }
}

/// Arms whose homes train on their clean history.
const HOMES: &[Arm] = &[
    arm("baseline detector", REPLAY, Kind::Baseline),
    arm(REFERENCE, REPLAY, Kind::Shipped),
    arm(REPLAY, REPLAY, Kind::Rounds(ALONE)),
    arm("federated, without replay", REPLAY, Kind::Rounds(Rounds { replay: false, ..BOTH })),
    arm(FEDERATED, REPLAY, Kind::Rounds(BOTH)),
    arm("federated, replay, multi-Krum", REPLAY, Kind::Rounds(Rounds { krum: true, ..BOTH })),
    arm("histories in one place, replay", REPLAY, Kind::Pooled),
    arm("federated, replay, personal head", FEDERATED, Kind::PersonalHead(FEDERATED)),
];

/// Changes of the recipe.
const TRIES: &[Arm] = &[
    arm(REPLAY_LONGER, REPLAY, Kind::Rounds(Rounds { count: 30, ..ALONE })),
    tried("30 rounds", 30, |_| {}),
    tried("60 rounds", 60, |_| {}),
    tried("homes 60 steps", 15, |usual| usual.home.steps = 60),
    tried("homes at twice the step size", 15, |usual| usual.home.learning_rate *= 2.0),
    tried("homes half of windows in faults", 15, |usual| usual.home.faulty_share = 0.5),
    tried("homes half of normal windows hard", 15, |usual| usual.home.hard_share = 0.5),
    tried("replay 60 steps", 15, |usual| usual.replay.steps = 60),
    tried("replay at a third of the step size", 15, |usual| usual.replay.learning_rate /= 3.0),
    tried("server steps twice as far", 15, |usual| usual.server_step = 2.0),
    tried("server steps three times as far", 15, |usual| usual.server_step = 3.0),
    arm("30 rounds, server steps twice as far", REPLAY_LONGER, Kind::Rounds(LONGER)),
    tried("60 rounds, server steps twice as far", 60, |usual| usual.server_step = 2.0),
    tried("60 rounds, homes 60 steps", 60, |usual| usual.home.steps = 60),
    tried("30 rounds, replay at a third of the step size", 30, |usual| usual.replay.learning_rate /= 3.0),
    arm("30 rounds, server twice, replay at a third of the step size", REPLAY_LONGER, Kind::Rounds(LIGHTER)),
    tried("30 rounds, homes 60 steps", 30, |usual| usual.home.steps = 60),
];

/// The same questions with the longer recipe.
const VERDICT_TRIES: &[Arm] = &[
    arm(REPLAY_LONGER, REPLAY, Kind::Rounds(Rounds { count: 30, ..ALONE })),
    arm(UNANSWERED_LONGER, REPLAY_LONGER, Kind::Rounds(LONGER)),
    arm("longer, all answered, none wrong", UNANSWERED_LONGER, Kind::Rounds(Rounds { said: Some(HONEST), ..LONGER })),
    arm(
        "longer, 60 % answered, 10 % wrong",
        UNANSWERED_LONGER,
        Kind::Rounds(Rounds { said: Some(MIDDLING), ..LONGER }),
    ),
    arm(
        "longer, the same, shuffled",
        UNANSWERED_LONGER,
        Kind::Rounds(Rounds { said: Some(Habits { shuffled: true, ..MIDDLING }), ..LONGER }),
    ),
    arm(UNANSWERED_LIGHTER, REPLAY_LONGER, Kind::Rounds(LIGHTER)),
    arm(
        "lighter replay, all answered, none wrong",
        UNANSWERED_LIGHTER,
        Kind::Rounds(Rounds { said: Some(HONEST), ..LIGHTER }),
    ),
    arm(
        "lighter replay, 60 % answered, 10 % wrong",
        UNANSWERED_LIGHTER,
        Kind::Rounds(Rounds { said: Some(MIDDLING), ..LIGHTER }),
    ),
    arm(
        "lighter replay, the same, shuffled",
        UNANSWERED_LIGHTER,
        Kind::Rounds(Rounds { said: Some(Habits { shuffled: true, ..MIDDLING }), ..LIGHTER }),
    ),
];

const fn tried(name: &'static str, count: usize, change: fn(&mut RoundRecipes)) -> Arm {
    // Held against as many steps without homes where there are more than usual.
    let control = if count == 30 { REPLAY_LONGER } else { FEDERATED };
    arm(name, control, Kind::Rounds(Rounds { count, change, ..BOTH }))
}

/// Arms whose homes' history holds faults that they do not know of, and about which residents are asked.
const VERDICTS: &[Arm] = &[
    arm(REFERENCE, REPLAY, Kind::Shipped),
    arm(REPLAY, REPLAY, Kind::Rounds(ALONE)),
    arm(UNANSWERED, REPLAY, Kind::Rounds(BOTH)),
    arm("all answered, none wrong", UNANSWERED, Kind::Rounds(Rounds { said: Some(HONEST), ..BOTH })),
    arm("60 % answered, 10 % wrong", UNANSWERED, Kind::Rounds(Rounds { said: Some(MIDDLING), ..BOTH })),
    arm(
        "  the same, shuffled",
        UNANSWERED,
        Kind::Rounds(Rounds { said: Some(Habits { shuffled: true, ..MIDDLING }), ..BOTH }),
    ),
    arm(
        "all answered, shuffled",
        UNANSWERED,
        Kind::Rounds(Rounds { said: Some(Habits { shuffled: true, ..HONEST }), ..BOTH }),
    ),
    arm(CENTRAL, CENTRAL, Kind::Central(None)),
    arm("central, all answered, none wrong", CENTRAL, Kind::Central(Some(HONEST))),
    arm("central, 60 % answered, 10 % wrong", CENTRAL, Kind::Central(Some(MIDDLING))),
    arm("central, the same, shuffled", CENTRAL, Kind::Central(Some(Habits { shuffled: true, ..MIDDLING }))),
];

impl Arm {
    /// The design's arms whose name holds one of the texts, all of them without a text; and what these are held against.
    pub(super) fn chosen(design: Design, texts: &[String], tries: bool) -> Vec<Self> {
        let all: Vec<Self> = match design {
            Design::Homes => HOMES.iter().chain(TRIES.iter().filter(|_| tries)).copied().collect(),
            Design::Verdicts => VERDICTS.iter().chain(VERDICT_TRIES.iter().filter(|_| tries)).copied().collect(),
        };
        let asked = |arm: &&Self| texts.is_empty() || texts.iter().any(|text| arm.name.contains(text.as_str()));
        let mut wanted: Vec<&str> = all.iter().filter(asked).flat_map(|arm| [arm.name, arm.control]).collect();
        wanted.push(REFERENCE);
        all.iter().filter(|arm| wanted.contains(&arm.name)).copied().collect()
    }

    /// The arm of that name in either design.
    pub(super) fn named(name: &str) -> Option<Self> {
        HOMES.iter().chain(TRIES).chain(VERDICTS).chain(VERDICT_TRIES).find(|arm| arm.name == name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_comes_with_its_control_and_the_network_that_ships() {
        let names = |design, text: &str| -> Vec<&str> {
            Arm::chosen(design, &[text.to_owned()], false).into_iter().map(|arm| arm.name).collect()
        };
        assert_eq!(names(Design::Verdicts, "all answered, sh"), [REFERENCE, UNANSWERED, "all answered, shuffled"]);
        assert_eq!(names(Design::Homes, "without replay"), [REFERENCE, REPLAY, "federated, without replay"]);
    }

    #[test]
    fn every_control_is_an_arm_of_the_same_design() {
        for design in [Design::Homes, Design::Verdicts] {
            let arms = Arm::chosen(design, &[], true);
            for arm in &arms {
                assert!(arms.iter().any(|other| other.name == arm.control), "{}", arm.name);
            }
        }
    }
}
