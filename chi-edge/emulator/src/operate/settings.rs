//! What an operation was begun with, kept in its folder: a run that goes on must be the same.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::OperateArguments;
use super::fleet::Ports;

/// Monday 2026-01-05, midnight UTC: where the calendar of every operation begins.
pub const BEGIN: i64 = 1_767_571_200;

const FILE: &str = "operation.json";

/// What stays the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// How many homes.
    pub homes: u16,
    /// How long, in days.
    pub days: u32,
    /// Decides what is left to chance.
    pub seed: u64,
    /// Faults put into each entity, a week.
    pub faults: f64,
    /// Hexadecimal SHA-256 of the incidents.
    pub incidents: String,
    /// When the calendar begins, Unix seconds; real time begins when it begins.
    pub begin: i64,
    /// Where the brokers and the aggregator listen.
    pub ports: Ports,
    /// The clock's file: outside the folder, for the broker's user must see it.
    pub clock: PathBuf,
}

impl Kept {
    /// What `folder` was begun with, or begins with now.
    ///
    /// # Errors
    /// It was begun with something else; a file cannot be read or written.
    pub fn open(folder: &Path, arguments: &OperateArguments, incidents: &str) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let incidents = hex::encode(Sha256::digest(incidents));
        if let Some(kept) = Self::read(folder)? {
            let asked = (arguments.homes, arguments.days, arguments.seed, arguments.faults);
            let same = (kept.homes, kept.days, kept.seed, kept.faults) == asked;
            ensure!(
                same && kept.incidents == incidents,
                "{} was begun with --homes {} --days {} --seed {} --faults {}, and perhaps other incidents: go on with the same, or choose another --out",
                folder.display(),
                kept.homes,
                kept.days,
                kept.seed,
                kept.faults
            );
            make_clock(&kept.clock)?;
            return Ok(kept);
        }
        let ports = Ports::draw()?;
        let clock = std::env::temp_dir()
            .join(format!("hearthwatch-operation-{}-{}", std::process::id(), ports.mqtt))
            .join("clock");
        make_clock(&clock)?;
        let begin = if arguments.speed > 1.0 { BEGIN } else { jiff::Timestamp::now().as_second() };
        let (homes, days, seed, faults) = (arguments.homes, arguments.days, arguments.seed, arguments.faults);
        let kept = Self { homes, days, seed, faults, incidents, begin, ports, clock };
        std::fs::write(&path, serde_json::to_string_pretty(&kept)?).with_context(|| path.display().to_string())?;
        Ok(kept)
    }

    /// What a folder was begun with; none where nothing was.
    ///
    /// # Errors
    /// A file that is none of ours.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?))
    }

    /// When the operation ends, Unix seconds.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.begin + i64::from(self.days) * 86_400
    }
}

/// Everybody may look at the clock; nothing else is in its folder.
fn make_clock(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().context("the clock's folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    if !path.exists() {
        std::fs::write(path, "").context("the operation's clock")?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    Ok(())
}
