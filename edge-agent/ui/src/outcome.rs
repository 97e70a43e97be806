//! The sentence on top of the page after a change.

/// The outcome of a change, in the address as one of a few words, so that no link can make the page show a text of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer was taken.
    Answered,
    /// A miss was kept; what was seen then is still looked up.
    MissKept,
    /// A preference was changed.
    Changed,
    /// A sensor that warns of danger is quiet about everything else.
    QuietButDanger,
    /// The level of sharing changed.
    Sharing,
    /// A withdrawal was noted.
    TakenBack,
    /// Nothing was ever shared that could be withdrawn.
    NothingShared,
    /// A request to roll back was taken.
    RollingBack,
}

impl Outcome {
    pub(super) const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Answered, "answered", "Thank you. It counts at once; what it changed stands under Learnt."),
        (
            Self::MissKept,
            "miss-kept",
            "Thank you. It is noted. What was seen then is being looked up, and will stand under “Was something missed?”.",
        ),
        (Self::Changed, "wished", "Done. It holds from now on, here and in Home Assistant."),
        (
            Self::QuietButDanger,
            "quiet-but-danger",
            "Done for everything but danger: when this sensor warns, it is told all the same.",
        ),
        (Self::Sharing, "sharing", "Chosen. It holds for everything that has not left yet."),
        (Self::TakenBack, "taken-back", "Taken back. The aggregator's receipt will appear here when it is done."),
        (Self::NothingShared, "nothing-shared", "There was nothing to take back: no record has ever left."),
        (Self::RollingBack, "rolling-back", "Asked for, and written down. Under Learnt stands what comes of it."),
    ];

    /// The word that stands in the address.
    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, ..)| *outcome == self).map_or("", |(_, word, _)| word)
    }

    /// The sentence for a word; none for any other word.
    pub(super) fn sentence(word: &str) -> Option<&'static str> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(.., sentence)| *sentence)
    }
}
