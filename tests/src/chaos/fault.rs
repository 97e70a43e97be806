//! What can go wrong in a round.

use super::proxy::Line;

/// One fault; it lasts for a moment and is then mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of a home.
    KillHome,
    /// `kill -9` of the broker: what it had acknowledged and not delivered is gone.
    KillBroker,
    /// `kill -9` of the aggregator.
    KillAggregator,
    /// All three at once.
    KillAll,
    /// Nobody reaches the broker.
    Partition,
    /// Connections stay open and carry nothing.
    HalfOpen,
    /// Two seconds more each way.
    Delay,
    /// A fifth of the pieces comes late, as TCP sees a lossy line.
    Lossy,
    /// The home cannot write.
    DiskFull,
    /// The home's clock is two days behind.
    ClockBehind,
    /// The home's certificate ends, and is renewed only when the fault is mended.
    CertificateEnds,
    /// The home's certificate is taken back; another is issued only when the fault is mended.
    Revoked,
    /// Somebody else connects under the home's name, with its key.
    Twin,
    /// A home with a valid certificate says thousands of things of every kind, with numbers that no home has.
    FloodingHome,
    /// A part of the aggregator or of a home ends or panics inside its process.
    DyingTask,
    /// The repository of models is served as it was before, or expired, after a model was taken from it.
    StaleMirror,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::KillHome,
        Self::KillBroker,
        Self::KillAggregator,
        Self::KillAll,
        Self::Partition,
        Self::HalfOpen,
        Self::Delay,
        Self::Lossy,
        Self::DiskFull,
        Self::ClockBehind,
        Self::CertificateEnds,
        Self::Revoked,
        Self::Twin,
        Self::FloodingHome,
        Self::DyingTask,
        Self::StaleMirror,
    ];

    /// Its name in the tally.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KillHome => "kill -9 home",
            Self::KillBroker => "kill -9 broker",
            Self::KillAggregator => "kill -9 aggregator",
            Self::KillAll => "kill -9 all three",
            Self::Partition => "partition",
            Self::HalfOpen => "half-open",
            Self::Delay => "2 s delay",
            Self::Lossy => "lossy line",
            Self::DiskFull => "disk full",
            Self::ClockBehind => "clock 2 days behind",
            Self::CertificateEnds => "certificate ends",
            Self::Revoked => "certificate revoked",
            Self::Twin => "duplicate client id",
            Self::FloodingHome => "flooding home",
            Self::DyingTask => "dying task",
            Self::StaleMirror => "stale mirror",
        }
    }

    /// What it does to the homes' line, if it is a matter of the line.
    #[must_use]
    pub(super) fn line(self) -> Option<Line> {
        match self {
            Self::Partition => Some(Line::Cut),
            Self::HalfOpen => Some(Line::HalfOpen),
            Self::Delay => Some(Line::Delay),
            Self::Lossy => Some(Line::Lossy),
            _ => None,
        }
    }
}
