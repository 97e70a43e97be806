//! The calendar of an operation: real time, or time that goes faster for every program of it.
//!
//! Faster time is libfaketime's: each program is started under it and takes the time of day from the modification time of one file.
//! Timeouts and pauses are measured by the monotonic clock, which stays as it is. So the programs are those that ship, unchanged.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, bail};

/// Names the clock's file to the process that runs under it.
pub const CLOCK: &str = "HEARTHWATCH_OPERATION_CLOCK";

/// Where Debian and Ubuntu put the library: below the folder of an architecture.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The most that one call moves time on, as real time: after a long call of something else, nothing is skipped.
const PULSE_MAX: Duration = Duration::from_millis(250);

/// libfaketime takes a few nanoseconds away; so a whole second stays one.
const ROUNDING: Duration = Duration::from_millis(1);

/// Time as the operation's programs read it.
pub struct Calendar {
    pace: Pace,
}

enum Pace {
    /// The system's clock.
    Real,
    /// A file whose modification time is the time.
    Faster { file: File, speed: f64, now: f64, moved: Instant },
}

impl Calendar {
    /// Real time.
    #[must_use]
    pub fn real() -> Self {
        Self { pace: Pace::Real }
    }

    /// Time that stands at `now`, Unix seconds, and moves on with [`Self::advance`], `speed` times as fast as real time.
    ///
    /// # Errors
    /// The file cannot be opened or written.
    pub fn faster(file: &Path, speed: f64, now: i64) -> anyhow::Result<Self> {
        let file =
            File::options().write(true).create(true).truncate(false).open(file).context("the operation's clock")?;
        set(&file, now as f64)?;
        Ok(Self { pace: Pace::Faster { file, speed, now: now as f64, moved: Instant::now() } })
    }

    /// Unix seconds, as all programs read them.
    #[must_use]
    pub fn now(&self) -> i64 {
        match &self.pace {
            Pace::Real => jiff::Timestamp::now().as_second(),
            Pace::Faster { now, .. } => *now as i64,
        }
    }

    /// Moves time on by what has really passed since the last call, and returns it.
    ///
    /// # Errors
    /// The clock's file cannot be written.
    pub fn advance(&mut self) -> anyhow::Result<i64> {
        if let Pace::Faster { file, speed, now, moved } = &mut self.pace {
            let passed = moved.elapsed().min(PULSE_MAX);
            *moved = Instant::now();
            *now += passed.as_secs_f64() * *speed;
            set(file, *now)?;
        }
        Ok(self.now())
    }

    /// Leaves out the real time that has passed since the last call of [`Self::advance`].
    pub fn skip_pause(&mut self) {
        if let Pace::Faster { moved, .. } = &mut self.pace {
            *moved = Instant::now();
        }
    }
}

/// Sets the time that programs read from a file.
///
/// # Errors
/// The system's.
pub fn set(file: &File, at: f64) -> anyhow::Result<()> {
    let at = UNIX_EPOCH + Duration::from_secs_f64(at.max(0.0)) + ROUNDING;
    file.set_modified(at).context("setting the operation's clock")
}

/// What a program's environment must have to take its time from `file`.
#[must_use]
pub fn environment(library: &Path, file: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME", "%".into()),
        ("FAKETIME_FOLLOW_FILE", file.to_owned()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        // Files keep their true times.
        ("NO_FAKE_STAT", "1".into()),
        (CLOCK, file.to_owned()),
    ]
}

/// Starts this program again, with the same arguments, under the clock in `file`. Returns only when that fails.
///
/// # Errors
/// libfaketime is not installed, or the program cannot be started.
pub fn start_again_under(file: &Path) -> anyhow::Result<()> {
    let library = library()?;
    let program = std::env::current_exe().context("this program's own path")?;
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .envs(environment(&library, file).into_iter().map(|(name, value)| (name, value.into_os_string())))
        .exec();
    Err(error).context("starting this program under libfaketime")
}

fn library() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir(LIBRARIES).into_iter().flatten().filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join(LIBRARY)).filter(|path| path.exists());
    match found.next() {
        Some(path) => Ok(path),
        None => bail!(
            "time can go faster only with libfaketime: `apt-get install faketime`, or leave out --speed for real time"
        ),
    }
}

/// The clock that this process runs under, if it does.
#[must_use]
pub fn of_this_process() -> Option<PathBuf> {
    std::env::var_os(CLOCK).map(PathBuf::from)
}

/// The clock of a wrong machine: so many seconds ahead of the operation's, moved with it.
///
/// # Errors
/// As [`set`].
pub fn set_ahead(file: &File, now: i64, seconds: i64) -> anyhow::Result<()> {
    set(file, now.saturating_add(seconds) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_it_is_moved_and_a_long_pause_is_not_caught_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        let mut calendar = Calendar::faster(&path, 1e6, 1_767_571_200).unwrap();
        assert_eq!(calendar.now(), 1_767_571_200);
        let seen =
            |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(seen(&path).as_secs(), 1_767_571_200);
        if let Pace::Faster { moved, .. } = &mut calendar.pace {
            *moved = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        }
        assert_eq!(calendar.advance().unwrap(), 1_767_571_200 + 250_000);
        assert_eq!(seen(&path).as_secs(), 1_767_571_200 + 250_000);
    }
}
