//! How much of an answer leaves the home: the resident's choice, applied where records enter the outbox, so that nothing
//! else can travel.

use hearthwatch_detector::grid::{FEATURE_SCHEMA, FEATURES, WINDOW_STEPS};
use hearthwatch_protocol::messages::{Announcement, FeatureWindow, FeedbackRecord, Origin, Verdict};
use hearthwatch_protocol::{AlarmId, HomeId, ModelVersion, Sequence};

/// The time of a verdict alone is rounded to days: 600 seconds would still show when somebody was at home.
const DAY_SECONDS: i64 = 86_400;

/// How much of an answer leaves the home, as the resident chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharingLevel {
    /// No record leaves the home.
    Off,
    /// No record leaves the home either; the home takes part in rounds of federated training, and what leaves is what training changed.
    Learning,
    /// The verdict, the kind of sensor, the score and the day. This holds as long as nobody was asked.
    #[default]
    Verdicts,
    /// The verdict and the feature window that the model saw: what a model can learn from. It can still show when somebody was at home,
    /// so a resident must have chosen it.
    Windows,
}

impl SharingLevel {
    /// From the one that shows least of the home to the one that shows most.
    pub const ALL: [Self; 4] = [Self::Off, Self::Learning, Self::Verdicts, Self::Windows];

    /// The names of all levels, for messages to a person who wrote something else.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Learning => "learning",
            Self::Verdicts => "verdicts",
            Self::Windows => "windows",
        }
    }

    /// The level that the configuration names so; none for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// Whether the home takes part in rounds: at this level alone, so that nobody trains who agreed to something else.
    #[must_use]
    pub fn takes_part_in_rounds(self) -> bool {
        self == Self::Learning
    }

    /// What of `record` may leave the home; nothing, perhaps.
    #[must_use]
    pub fn shape(self, record: FeedbackRecord) -> Option<FeedbackRecord> {
        match self {
            Self::Off | Self::Learning => None,
            Self::Verdicts => Some(FeedbackRecord {
                window: FeatureWindow::none(),
                raised_at: day_of(record.raised_at),
                answered_at: day_of(record.answered_at),
                ..record
            }),
            Self::Windows => Some(record),
        }
    }

    /// What of an alarm that nobody has answered may leave the home: its day at most, and nothing where windows stay.
    #[must_use]
    pub fn shape_announcement(self, announcement: Announcement) -> Option<Announcement> {
        match self {
            Self::Off | Self::Learning | Self::Verdicts => None,
            Self::Windows => Some(Announcement { raised_on: day_of(announcement.raised_on), ..announcement }),
        }
    }
}

/// A made-up record of the true size: what a home without answers would send.
#[must_use]
pub fn example_record(home: HomeId) -> FeedbackRecord {
    FeedbackRecord {
        home,
        sequence: Sequence(1),
        alarm: AlarmId::new("0123456789abcdef").expect("made of allowed characters"),
        device_class: "temperature".to_owned(),
        model_version: ModelVersion(1),
        feature_schema: FEATURE_SCHEMA,
        window: FeatureWindow {
            steps: u16::try_from(WINDOW_STEPS).unwrap_or(u16::MAX),
            features: u16::try_from(FEATURES).unwrap_or(u16::MAX),
            values: vec![0.0; WINDOW_STEPS * FEATURES],
        },
        score: 4.5,
        threshold: 3.0,
        verdict: Verdict::Confirmed,
        origin: Origin::Alarm,
        raised_at: 1_700_000_000,
        answered_at: 1_700_003_600,
    }
}

fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY_SECONDS) * DAY_SECONDS
}
