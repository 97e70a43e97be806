//! What goes wrong in an operation, and when: read from a file, checked before anything starts. Pure.

use serde::{Deserialize, Serialize};

/// Most incidents of a file.
const INCIDENTS_MAX: usize = 200;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// An operator asks for a retraining, and releases what comes of it, also against the gate's advice.
    Release,
    /// An operator releases a model that misses what it should see, against the gate's advice.
    BadModel,
    /// Residents of `homes` homes confirm what is false and dismiss what is true.
    PoisonedHomes,
    /// The fleet's broker does not run.
    BrokerDown,
    /// The aggregator is killed; with `lasts` it stays away, otherwise it is started again at once.
    AggregatorKilled,
    /// The lease ends: `homes` agents (all without it) are gone with their disks, and come back as new containers.
    LeaseEnds,
    /// `homes` homes were off so long that their certificates have ended: they ask to be let back in.
    CertificateEnded,
    /// Home Assistant of `homes` homes is stopped, and comes back as a newer version.
    HomeAssistantUpgraded,
    /// The clock of `homes` homes is `hours` ahead.
    ClockAhead,
    /// The aggregator's disk takes nothing more.
    DiskFull,
    /// The season changes in `homes` homes: what they measure rises by `percent` within `lasts`.
    SeasonDrift,
    /// `homes` homes get a sensor of a class that they had none of.
    NewDeviceClass,
    /// The signer does not run.
    SignerDown,
}

impl IncidentKind {
    /// The word in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::BadModel => "bad-model",
            Self::PoisonedHomes => "poisoned-homes",
            Self::BrokerDown => "broker-down",
            Self::AggregatorKilled => "aggregator-killed",
            Self::LeaseEnds => "lease-ends",
            Self::CertificateEnded => "certificate-ended",
            Self::HomeAssistantUpgraded => "home-assistant-upgraded",
            Self::ClockAhead => "clock-ahead",
            Self::DiskFull => "disk-full",
            Self::SeasonDrift => "season-drift",
            Self::NewDeviceClass => "new-device-class",
            Self::SignerDown => "signer-down",
        }
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Incident {
    /// Place in the file, from 1.
    pub number: usize,
    /// What.
    pub kind: IncidentKind,
    /// Seconds after the begin of the operation.
    pub begins: i64,
    /// Seconds; 0 for what is done in a moment.
    pub lasts: i64,
    /// How many homes; `None` for all.
    pub homes: Option<usize>,
    /// How far a clock is ahead, hours.
    pub hours: i64,
    /// How much a season adds, percent.
    pub percent: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    incident: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: IncidentKind,
    at: String,
    #[serde(default)]
    lasts: Option<String>,
    #[serde(default)]
    homes: Option<usize>,
    #[serde(default)]
    hours: Option<i64>,
    #[serde(default)]
    percent: Option<f64>,
}

/// Why a file of incidents cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncidentsError {
    /// Not TOML of this form.
    #[error("{0}")]
    Form(String),
    /// Too many.
    #[error("{0} incidents; at most {INCIDENTS_MAX} are taken")]
    TooMany(usize),
    /// A time or length that cannot be read.
    #[error("incident {number}: {text:?} is no time: write days, hours and minutes, such as \"9d 14h 30m\"")]
    Time {
        /// Place in the file.
        number: usize,
        /// What stands there.
        text: String,
    },
    /// It would begin after the end.
    #[error("incident {number} begins after the operation has ended: it runs for {days} days")]
    Late {
        /// Place in the file.
        number: usize,
        /// Length of the operation.
        days: u32,
    },
    /// More homes than there are, or none.
    #[error("incident {number}: {asked} homes of {all}")]
    Homes {
        /// Place in the file.
        number: usize,
        /// As asked.
        asked: usize,
        /// Homes of the operation.
        all: usize,
    },
    /// A number that this kind needs is missing or not sensible.
    #[error("incident {number}: {kind} needs {needs}")]
    Needs {
        /// Place in the file.
        number: usize,
        /// Its kind.
        kind: &'static str,
        /// What it needs, in words.
        needs: &'static str,
    },
}

/// Reads a file of incidents for an operation of `homes` homes and `days` days; in order of time.
///
/// # Errors
/// [`IncidentsError`], the first that is found.
pub fn parse(text: &str, homes: usize, days: u32) -> Result<Vec<Incident>, IncidentsError> {
    let file: File = toml::from_str(text).map_err(|error| IncidentsError::Form(error.to_string()))?;
    if file.incident.len() > INCIDENTS_MAX {
        return Err(IncidentsError::TooMany(file.incident.len()));
    }
    let entries = file.incident.into_iter().enumerate();
    let mut all = entries.map(|(place, entry)| check(place + 1, &entry, homes, days)).collect::<Result<Vec<_>, _>>()?;
    all.sort_by_key(|incident| (incident.begins, incident.number));
    Ok(all)
}

fn check(number: usize, entry: &Entry, homes: usize, days: u32) -> Result<Incident, IncidentsError> {
    let seconds = |text: &str| seconds(text).ok_or_else(|| IncidentsError::Time { number, text: text.to_owned() });
    let begins = seconds(&entry.at)?;
    let lasts = entry.lasts.as_deref().map(seconds).transpose()?.unwrap_or(0);
    if begins >= i64::from(days) * 86_400 {
        return Err(IncidentsError::Late { number, days });
    }
    if let Some(asked) = entry.homes.filter(|asked| *asked == 0 || *asked > homes) {
        return Err(IncidentsError::Homes { number, asked, all: homes });
    }
    let kind = entry.kind;
    let needs = |needs| Err(IncidentsError::Needs { number, kind: kind.as_str(), needs });
    let has_length = matches!(
        kind,
        IncidentKind::BrokerDown
            | IncidentKind::SignerDown
            | IncidentKind::DiskFull
            | IncidentKind::ClockAhead
            | IncidentKind::PoisonedHomes
            | IncidentKind::SeasonDrift
            | IncidentKind::HomeAssistantUpgraded
            | IncidentKind::CertificateEnded
    );
    if has_length && lasts == 0 {
        return needs("lasts, such as \"2h\"");
    }
    let hours = entry.hours.unwrap_or(0);
    if kind == IncidentKind::ClockAhead && !(1..=24 * 365).contains(&hours) {
        return needs("hours, 1 to 8760");
    }
    let percent = entry.percent.unwrap_or(0.0);
    if kind == IncidentKind::SeasonDrift
        && !(percent.is_finite() && (-90.0..=500.0).contains(&percent) && percent != 0.0)
    {
        return needs("percent, -90 to 500 and not 0");
    }
    Ok(Incident { number, kind, begins, lasts, homes: entry.homes, hours, percent })
}

/// `2d 3h 20m`, each part once, in this order.
fn seconds(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut last = i64::MAX;
    for part in text.split_whitespace() {
        let unit = match part.chars().last()? {
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        let count: u32 = part[..part.len() - 1].parse().ok()?;
        total = total.checked_add(i64::from(count).checked_mul(unit)?)?;
    }
    (last != i64::MAX).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Vec<Incident>, IncidentsError> {
        parse(&format!("[[incident]]\n{line}"), 25, 60)
    }

    #[test]
    fn incidents_come_in_order_of_time_and_keep_their_places() {
        let text = "[[incident]]\nkind = \"aggregator-killed\"\nat = \"9d 14h 30m\"\n[[incident]]\nkind = \"broker-down\"\nat = \"2d\"\nlasts = \"3h\"\n";
        let all = parse(text, 25, 60).unwrap();
        let seen: Vec<_> = all.iter().map(|one| (one.number, one.kind, one.begins, one.lasts)).collect();
        assert_eq!(
            seen,
            [
                (2, IncidentKind::BrokerDown, 2 * 86_400, 3 * 3_600),
                (1, IncidentKind::AggregatorKilled, 9 * 86_400 + 14 * 3_600 + 1_800, 0)
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        for (line, message) in [
            (
                "kind = \"broker-down\"\nat = \"soon\"",
                "incident 1: \"soon\" is no time: write days, hours and minutes, such as \"9d 14h 30m\"",
            ),
            (
                "kind = \"broker-down\"\nat = \"3h 2d\"",
                "incident 1: \"3h 2d\" is no time: write days, hours and minutes, such as \"9d 14h 30m\"",
            ),
            (
                "kind = \"broker-down\"\nat = \"61d\"",
                "incident 1 begins after the operation has ended: it runs for 60 days",
            ),
            ("kind = \"broker-down\"\nat = \"1d\"", "incident 1: broker-down needs lasts, such as \"2h\""),
            ("kind = \"lease-ends\"\nat = \"1d\"\nhomes = 26", "incident 1: 26 homes of 25"),
            ("kind = \"clock-ahead\"\nat = \"1d\"\nlasts = \"1d\"", "incident 1: clock-ahead needs hours, 1 to 8760"),
            (
                "kind = \"season-drift\"\nat = \"1d\"\nlasts = \"9d\"",
                "incident 1: season-drift needs percent, -90 to 500 and not 0",
            ),
        ] {
            assert_eq!(one(line).unwrap_err().to_string(), message);
        }
        let unknown = one("kind = \"flood\"\nat = \"1d\"").unwrap_err().to_string();
        assert!(unknown.contains("unknown variant `flood`, expected one of `release`, `bad-model`"), "{unknown}");
    }

    #[test]
    fn the_incidents_in_the_tree_can_be_used() {
        let sixty = parse(include_str!("sixty-days.toml"), 25, 60).unwrap();
        assert!(sixty.len() >= 10);
        assert!(!parse(include_str!("two-days.toml"), 8, 2).unwrap().is_empty());
    }
}
