//! `cargo xtask bench home`: the whole agent beside the [stand-in](hearthwatch_emulator::home_assistant) and a real mosquitto.
//!
//! Measured is what a resident would feel: from the event that completes the evidence, as Home Assistant sends it, to the
//! alarm's attributes and state on the home's broker, also while the agent learns its routine anew and while the home trains in a round;
//! memory; processor time at rest and under load.

mod training;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;

use crate::fleet::Fleet;
use crate::guest::{Guest, Membership};
use hearthwatch_emulator::home_assistant::Sensor;

/// Days that the recorder holds.
const REMEMBERED_SECONDS: i64 = 14 * 86_400;
/// Between two recorded states of a sensor.
const RECORDED_EVERY: i64 = 600;
/// How long the agent is left in peace, to see what it does at rest.
const REST: Duration = Duration::from_secs(60);

/// What the agent logs when it has learnt anew.
const RELEARNT: &str = "the home's routine is learnt anew";
/// Longest that this may take.
const RELEARNING_MAX: Duration = Duration::from_secs(60);
/// Between two alarms of that time.
const BREATH: Duration = Duration::from_millis(50);

/// How large a home, how busy, how often.
#[derive(Debug, Args)]
pub struct HomeArguments {
    /// Sensors.
    #[arg(long, default_value_t = 300)]
    entities: usize,
    /// Ordinary changes a second.
    #[arg(long, default_value_t = 20)]
    changes: u32,
    /// Alarms that are timed, each another sensor's; the detector allows 168 in four weeks.
    #[arg(long, default_value_t = 120)]
    alarms: usize,
    /// Alarms that are timed while the routine is learnt anew, as many at a time as fit.
    #[arg(long, default_value_t = 40)]
    relearning_alarms: usize,
    /// The home is one of a fleet, and has no disk: the way to the cloud, enrolment and updates are measured with it.
    #[arg(long)]
    fleet: bool,
    /// The agent that is measured.
    #[arg(long)]
    agent: PathBuf,
    /// The program that trains, `hearthwatch-train-round`; alarms are timed beside it too.
    #[arg(long)]
    trainer: Option<PathBuf>,
    /// How often alarms are timed without training and beside it, by turns.
    #[arg(long, default_value_t = 3)]
    training_repeats: usize,
    /// Alarms each time.
    #[arg(long, default_value_t = 25)]
    training_alarms: usize,
    /// Leaves out everything but alarms beside training.
    #[arg(long, requires = "trainer")]
    only_training: bool,
}

/// Measures and prints.
///
/// # Errors
/// The part that did not start or did not answer.
pub async fn run(arguments: &HomeArguments) -> anyhow::Result<()> {
    if !arguments.only_training {
        whole(arguments).await?;
    }
    match &arguments.trainer {
        Some(trainer) => training::run(arguments, trainer).await,
        None => Ok(()),
    }
}

async fn whole(arguments: &HomeArguments) -> anyhow::Result<()> {
    let timed = arguments.alarms + arguments.relearning_alarms;
    ensure!(timed < arguments.entities, "each timed alarm is another sensor's: ask for fewer --alarms");
    let sensors = sensors(arguments.entities);
    let fleet = if arguments.fleet { Some(Fleet::of("bench").await?) } else { None };
    let begun = Instant::now();
    let guest = match &fleet {
        Some(fleet) => {
            let tables = fleet.tables(fleet.http_port()?, fleet.mqtt_port());
            let member = Membership { node: fleet.home.as_str(), state: "none", tables: &tables };
            Guest::start_as(member, &arguments.agent, sensors, Box::new(recorded)).await?
        }
        None => Guest::start(&arguments.agent, sensors, Box::new(recorded)).await?,
    };
    let mut bench = Bench { guest };
    println!(
        "{} sensors, warm start from 14 days of states: {:.1} s",
        arguments.entities,
        begun.elapsed().as_secs_f64()
    );
    bench.guest.allow_alarms().await?;

    let busy = bench.guest.processor_seconds()?;
    tokio::time::sleep(REST).await;
    println!("at rest: {:.2} % of a core", share(bench.guest.processor_seconds()? - busy, REST));

    bench.print_memory("after the warm start")?;

    bench.time_alarms(arguments).await?;
    bench.print_memory("after these alarms")?;
    bench.time_relearning(arguments).await?;
    bench.print_memory("after learning anew")?;
    println!("the most that was ever resident: {:.1} MB", bench.guest.peak_memory_mb()?);
    Ok(())
}

struct Bench {
    guest: Guest,
}

impl Bench {
    /// Ordinary changes at the asked pace, and once in a while an impossible one, whose alarm is timed and confirmed.
    async fn time_alarms(&mut self, arguments: &HomeArguments) -> anyhow::Result<()> {
        // A second between two alarms: each is answered before the next.
        let pause = Duration::from_secs(1) / arguments.changes;
        let mut ticks = tokio::time::interval(pause);
        let (begun, busy) = (Instant::now(), self.guest.processor_seconds()?);
        let mut times = Vec::with_capacity(arguments.alarms);
        let mut turn = 0_u32;
        while times.len() < arguments.alarms {
            for _ in 0..arguments.changes {
                ticks.tick().await;
                // Those that broke are not spoken for any more.
                let ordinary = times.len() + (turn as usize * 7) % (arguments.entities - times.len());
                let value = 20.0 + f64::from(turn % 17) / 10.0;
                self.guest.double.say([(name(ordinary).as_str(), format!("{value:.1}"))]);
                turn += 1;
            }
            times.push(self.time_alarm(times.len()).await?);
        }
        let lived = begun.elapsed();
        println!(
            "from the event to the alarm on the broker, {} alarms at {} changes a second: {}",
            times.len(),
            arguments.changes,
            summary(&mut times)
        );
        println!("meanwhile {:.2} % of a core", share(self.guest.processor_seconds()? - busy, lived));
        Ok(())
    }

    /// Breaks a sensor; how long until its alarm is on the broker. Confirms it before the next.
    async fn time_alarm(&mut self, number: usize) -> anyhow::Result<Duration> {
        let said = Instant::now();
        let id = self.guest.break_sensor(&name(number)).await?;
        let took = said.elapsed();
        self.guest.confirm(&id).await?;
        Ok(took)
    }

    /// The end of days with guests has the routine learnt anew; sensors break meanwhile, one after the other.
    async fn time_relearning(&mut self, arguments: &HomeArguments) -> anyhow::Result<()> {
        let (mut alarms, mut relearnt) = (Vec::new(), Vec::new());
        // A sensor breaks once, whether its alarm counts or not.
        let mut broken = arguments.alarms;
        while alarms.len() < arguments.relearning_alarms && broken < arguments.entities {
            let before = self.relearnt();
            for mode in ["guests", "home"] {
                self.guest.line.say("house_mode", mode).await?;
                self.guest.line.wait_for("house_mode", |told| told == mode).await?;
            }
            let begun = Instant::now();
            while self.relearnt() == before {
                ensure!(begun.elapsed() < RELEARNING_MAX, "the routine is not learnt anew: {}", self.guest.log());
                if alarms.len() < arguments.relearning_alarms && broken < arguments.entities {
                    let took = self.time_alarm(broken).await?;
                    broken += 1;
                    // One that was told when it was over already says nothing of the time before.
                    if self.relearnt() == before || alarms.is_empty() {
                        alarms.push(took);
                    }
                }
                tokio::time::sleep(BREATH).await;
            }
            relearnt.push(begun.elapsed());
        }
        println!("learning 14 days anew beside that, {} times: {}", relearnt.len(), summary(&mut relearnt));
        println!("from the event to the alarm meanwhile, {} alarms: {}", alarms.len(), summary(&mut alarms));
        Ok(())
    }

    fn print_memory(&self, when: &str) -> anyhow::Result<()> {
        let (all, own) = (self.guest.memory_mb()?, self.guest.allocated_mb()?);
        println!(
            "resident memory {when}: {all:.1} MB, {own:.1} MB of it allocated, the rest pages of the program's file"
        );
        Ok(())
    }

    /// How often the agent has said that it has learnt anew.
    fn relearnt(&self) -> usize {
        self.guest.log().matches(RELEARNT).count()
    }
}

/// Middle, tail and end of some times.
fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share| percentile(times, share) * 1000.0;
    format!("p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0))
}

/// Of times in order, in seconds.
fn percentile(times: &[Duration], share: f64) -> f64 {
    times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64()
}

fn share(seconds: f64, of: Duration) -> f64 {
    100.0 * seconds / of.as_secs_f64()
}

fn name(number: usize) -> String {
    format!("sensor.thermometer_{number:03}")
}

fn sensors(count: usize) -> Vec<Sensor> {
    let one = |number| Sensor {
        entity_id: name(number),
        device_class: "temperature",
        unit: "°C".to_owned(),
        state: "20.0".to_owned(),
    };
    (0..count).map(one).collect()
}

fn recorded(entity_id: &str, from: i64, until: i64) -> Vec<(i64, String)> {
    recorded_since(entity_id, from, until, REMEMBERED_SECONDS)
}

/// A daily wave with some noise, every ten minutes, of the last `remembered` seconds.
fn recorded_since(entity_id: &str, from: i64, until: i64, remembered: i64) -> Vec<(i64, String)> {
    let now = jiff::Timestamp::now().as_second();
    let number = entity_id.rsplit('_').next().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
    let first = from.max(now - remembered).div_euclid(RECORDED_EVERY) + 1;
    let last = until.min(now).div_euclid(RECORDED_EVERY);
    let value = |step: i64| {
        let wave = (std::f64::consts::TAU * (step % 144) as f64 / 144.0).sin();
        let noise = ((step * 7919 + number * 104_729) % 1009) as f64 / 1009.0;
        format!("{:.2}", 20.0 + wave + noise)
    };
    (first..=last).map(|step| (step * RECORDED_EVERY, value(step))).collect()
}
