//! `home-assistant`: the side of Home Assistant for one recorded home, in real time, until it is stopped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use hearthwatch_evaluation::dataset::{DATA_SETS, RecordedHome};
use hearthwatch_evaluation::evaluate::lived::recorder_form;
use jiff::Timestamp;

use super::recorded::RecordedSensors;
use super::server::EmulatedHomeAssistant;
use crate::data;

/// Monday 2026-01-05, midnight UTC: recordings are moved by whole weeks from here, so that every start on the same day gives the same.
const EPOCH: i64 = 1_767_571_200;
const WEEK: i64 = 7 * 86_400;
/// Weeks of a recording that have always happened already: what an agent learns from when it starts.
const PAST_WEEKS: i64 = 5;
/// Longest sleep: a clock that was set is noticed within it.
pub(super) const SLEEP_MAX: Duration = Duration::from_secs(10);
/// Largest token file that is read, bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// Which home, and where it listens.
#[derive(Debug, Args)]
pub struct PlayArguments {
    /// Number of the recorded home, from 1; numbers beyond the last begin again with the first.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_HOME", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    home: u32,
    /// Where agents connect, as they do to Home Assistant.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_LISTEN", default_value = "127.0.0.1:8123", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// File with the access token that agents must show; without one, any is taken.
    #[arg(long, env = "HEARTHWATCH_EMULATOR_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Folder of recordings; else $HEARTHWATCH_DATA, else ../shared/data, else the bundled sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Plays the home until the process is stopped.
///
/// # Errors
/// No recording is long enough, the token cannot be read, or nobody can listen at the address.
pub fn play(arguments: &PlayArguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            ended = serve(arguments) => ended,
            stopped = stopped() => stopped,
        }
    })
}

async fn serve(arguments: &PlayArguments) -> anyhow::Result<()> {
    let token = arguments.token_file.as_deref().map(read_token).transpose()?;
    let now = Timestamp::now().as_second();
    let home = on_the_calendar(&choose(arguments.home, arguments.data.as_deref())?, now);
    let name = home.full_name();
    let mut sensors = RecordedSensors::new(home, now);
    let (listen, recorder) = (arguments.listen, sensors.recorder());
    let started = EmulatedHomeAssistant::start_at(listen, token, sensors.sensors(), recorder).await;
    let server = started.with_context(|| format!("nobody can listen at {listen}: choose another with --listen"))?;
    println!("{name}: {} sensors at {}", sensors.sensors().len(), server.url());
    while let Some(at) = sensors.next_at() {
        let wait = u64::try_from(at - Timestamp::now().as_second()).unwrap_or(0);
        if wait > 0 {
            tokio::time::sleep(Duration::from_secs(wait).min(SLEEP_MAX)).await;
        }
        server.say_at(sensors.happened(Timestamp::now().as_second()));
    }
    anyhow::bail!("the recording of {name} has ended: start again, and it begins anew")
}

/// Ctrl-C, or the signal that a container is stopped with.
pub(super) async fn stopped() -> anyhow::Result<()> {
    let mut ended = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => Ok(pressed?),
        _ = ended.recv() => Ok(()),
    }
}

pub(super) fn read_token(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the access token in {}", path.display()))?;
    let token = text.trim();
    ensure!(!token.is_empty() && token.len() <= TOKEN_BYTES_MAX, "no access token in {}", path.display());
    Ok(token.to_owned())
}

/// The recorded home with this number, of those that are long enough.
pub(super) fn choose(number: u32, folder: Option<&Path>) -> anyhow::Result<RecordedHome> {
    let sets: Vec<&str> = DATA_SETS.iter().map(|set| set.name).collect();
    let mut homes = data::homes(&data::find(folder, &sets)?, &sets)?;
    homes.retain(|home| home.weeks() >= (PAST_WEEKS + 1) as f64);
    ensure!(!homes.is_empty(), "no recorded home is longer than {} weeks", PAST_WEEKS + 1);
    let place = (number.max(1) as usize - 1) % homes.len();
    Ok(homes.swap_remove(place))
}

/// The recording as Home Assistant would have it, moved by whole weeks so that some of it has happened and some is still to come.
pub(super) fn on_the_calendar(home: &RecordedHome, now: i64) -> RecordedHome {
    let mut home = recorder_form(home);
    let Some((first, last)) = home.span() else { return home };
    let past = PAST_WEEKS * WEEK;
    let period = ((last - first) / WEEK * WEEK - past).max(WEEK);
    let begin = EPOCH + (now - past - EPOCH).div_euclid(period) * period;
    let shift = (begin - first).div_euclid(WEEK) * WEEK;
    home.readings.iter_mut().for_each(|reading| reading.at += shift);
    home
}

#[cfg(test)]
mod tests {
    use hearthwatch_evaluation::fixtures::home::made_home;

    use super::*;

    #[test]
    fn a_recording_has_a_past_and_a_future_and_keeps_its_hours_whenever_it_is_started() {
        let home = made_home(1, 7 * 9);
        let (first, _) = home.span().unwrap();
        for day in 0..60 {
            let now = EPOCH + day * 86_400 + 1234;
            let moved = on_the_calendar(&home, now);
            let (begin, end) = moved.span().unwrap();
            assert_eq!((begin - first).rem_euclid(WEEK), 0);
            assert!(now - begin >= (PAST_WEEKS - 1) * WEEK, "day {day}: {} s have happened", now - begin);
            assert!(end > now, "day {day}: nothing is still to come");
        }
    }

    #[test]
    fn another_start_on_the_same_day_gives_the_same_course() {
        let home = made_home(1, 7 * 9);
        assert_eq!(on_the_calendar(&home, EPOCH + 500), on_the_calendar(&home, EPOCH + 80_000));
    }
}
