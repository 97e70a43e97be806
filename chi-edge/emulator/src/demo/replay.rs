//! Lets all homes live through a phase, piece by piece; what residents answer goes out at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hearthwatch_detector::grid::STEP_SECONDS;
use hearthwatch_edge_detection::service::ToFleet;

use super::agent::FleetAgent;
use super::home::SimulatedHome;
use super::pace::Pace;
use super::stage::Stage;
use super::timeline::WEEK;
use crate::screen::{Bar, Screen, spoken};

/// A phase while homes live through it.
pub struct Replay {
    bar: Arc<Bar>,
    pace: Pace,
    phase: usize,
    span: (i64, i64),
    at: i64,
    spent: Duration,
    alarms_before: usize,
    answers: usize,
}

impl Replay {
    /// Before the first step of a phase, counted from 0.
    pub fn new(screen: &Screen, phase: usize, span: (i64, i64), homes: &[SimulatedHome], speed: f64) -> Self {
        let steps = u64::try_from((span.1 - span.0) / STEP_SECONDS).unwrap_or_default() * homes.len() as u64;
        Self {
            bar: Arc::new(screen.bar("replay", steps)),
            pace: Pace::new(speed, span.0),
            phase,
            span,
            at: span.0,
            spent: Duration::ZERO,
            alarms_before: alarms_of(homes),
            answers: 0,
        }
    }

    /// All homes live until `until`, week by week.
    ///
    /// # Errors
    /// When what they say is not sent, or no receipt comes for it.
    pub async fn until(
        &mut self,
        until: i64,
        mut homes: Vec<SimulatedHome>,
        agents: &[FleetAgent],
        stage: &Stage,
    ) -> anyhow::Result<Vec<SimulatedHome>> {
        let start = Instant::now();
        while self.at < until {
            self.at = (self.at + WEEK).min(until);
            self.pace.reach(self.at).await;
            let messages;
            (homes, messages) = live(homes, self.at, &self.bar).await?;
            stage.clock.set(self.at);
            for (agent, words) in agents.iter().zip(messages) {
                self.answers += words.iter().filter(|word| matches!(word, ToFleet::Answer(_))).count();
                agent.say(words).await?;
            }
            self.bar.message(format!("{} alarms, {} answers", self.alarms(&homes), self.answers));
        }
        for agent in agents {
            agent.all_stored().await?;
        }
        self.spent += start.elapsed();
        Ok(homes)
    }

    /// Leaves a line; `answers` says what became of those.
    ///
    /// # Errors
    /// When a home's thread still runs.
    pub fn finish(self, homes: &[SimulatedHome], answers: &str) -> anyhow::Result<()> {
        let line = format!(
            "phase {}: {} weeks of {} homes in {}: {} alarms, {} answers, {answers}",
            self.phase + 1,
            (self.span.1 - self.span.0) / WEEK,
            homes.len(),
            spoken(self.spent),
            self.alarms(homes),
            self.answers,
        );
        let bar = Arc::try_unwrap(self.bar).map_err(|_| anyhow::anyhow!("the replay still holds its bar"))?;
        bar.finish(line);
        Ok(())
    }

    fn alarms(&self, homes: &[SimulatedHome]) -> usize {
        alarms_of(homes) - self.alarms_before
    }
}

fn alarms_of(homes: &[SimulatedHome]) -> usize {
    homes.iter().map(|home| home.alarms.len()).sum()
}

/// All homes until `at`, on every core; results in the order of the homes.
async fn live(
    homes: Vec<SimulatedHome>,
    at: i64,
    bar: &Arc<Bar>,
) -> anyhow::Result<(Vec<SimulatedHome>, Vec<Vec<ToFleet>>)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lanes: Vec<Vec<(usize, SimulatedHome)>> = (0..cores).map(|_| Vec::new()).collect();
    for (index, home) in homes.into_iter().enumerate() {
        lanes[index % cores].push((index, home));
    }
    let lanes = lanes.into_iter().map(|lane| {
        let bar = Arc::clone(bar);
        tokio::task::spawn_blocking(move || {
            let one = |(index, mut home): (usize, SimulatedHome)| {
                let words = home.live_until(at, &mut |steps| bar.advance(steps));
                (index, home, words)
            };
            lane.into_iter().map(one).collect::<Vec<_>>()
        })
    });
    let mut done = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        done.extend(lane.await.context("a home's thread")?);
    }
    done.sort_by_key(|(index, _, _)| *index);
    Ok(done.into_iter().map(|(_, home, words)| (home, words)).unzip())
}
