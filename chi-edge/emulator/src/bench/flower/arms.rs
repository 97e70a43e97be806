//! The two arms: rounds in our code, and rounds by Flower in a process of its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use anyhow::Context as _;
use hearthwatch_detector::alarm::Blend;
use hearthwatch_detector::network::{DeviceKind, Scorer, Weights};
use hearthwatch_evaluation::evaluate::{Blended, Detector, HomePair, Method, NotReady, TrainingSplit};
use hearthwatch_federation::{Delta, Mean, Quantised, Strategy};
use hearthwatch_training::{
    FederatedRounds, FoldHomes, HomeOutline, RetrainConfig, RoundRecipe, held_out_loss, train_round,
};
use serde::Deserialize;

use super::super::SHIPPED;
use super::{FlowerArguments, files};

/// Our arm's name.
pub(super) const OURS: &str = "federated, mean, ours";
/// Flower's.
pub(super) const THEIRS: &str = "federated, mean, Flower";

/// What both arms train on, and what came of it.
pub(super) struct Arena {
    start: Weights,
    blend: Blend,
    config: RetrainConfig,
    rounds: usize,
    seeds: u64,
    python: PathBuf,
    out: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    homes: Option<FoldHomes>,
    /// The fold whose homes lie in files.
    written: Option<usize>,
    runs: Vec<Run>,
}

/// One arm, fold and seed.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub arm: &'static str,
    pub fold: usize,
    pub seed: u64,
    pub homes: usize,
    /// On the calibration homes, before and after the rounds.
    pub start_loss: f32,
    pub loss: f32,
    pub rounds_s: f64,
    /// Processor time of all processes, over the rounds.
    pub rounds_cpu_s: f64,
    pub whole_s: f64,
    /// Training alone, of one home in one round, on a clock and of the processor.
    pub home_s: f64,
    pub home_cpu_s: f64,
    pub bytes_down: f64,
    pub bytes_up: f64,
}

/// What `rounds.py` prints.
#[derive(Debug, Deserialize)]
struct Printed {
    whole_s: f64,
    rounds_s: f64,
    rounds_cpu_s: f64,
    home_train_s: f64,
    home_cpu_s: f64,
    bytes_down: f64,
    bytes_up: f64,
}

impl Arena {
    pub(super) fn new(start: Weights, blend: Blend, config: RetrainConfig, arguments: &FlowerArguments) -> Self {
        let FlowerArguments { rounds, seeds, python, out, .. } = arguments;
        let (python, out) = (python.clone(), out.clone());
        Self { start, blend, config, rounds: *rounds, seeds: *seeds, python, out, state: Mutex::default() }
    }

    /// Every run so far.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.lock().runs.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn detector(&self, weights: &Weights) -> anyhow::Result<Box<dyn Detector>> {
        Ok(Box::new(Blended { scorer: Scorer::new(weights)?, blend: self.blend.clone() }))
    }

    /// Runs an arm on the fold's homes, judges what came of it and keeps the figures.
    fn measured(
        &self,
        split: &TrainingSplit<'_>,
        arm: impl FnOnce(&Self, &mut State) -> anyhow::Result<(Weights, Run)>,
    ) -> anyhow::Result<Box<dyn Detector>> {
        let mut state = self.lock();
        FoldHomes::kept(&mut state.homes, split, &split.families, &self.config);
        let (weights, run) = arm(self, &mut state)?;
        let homes = state.homes.as_ref().context("the fold's homes are gone")?;
        let loss = |weights| held_out_loss(weights, &homes.calibrate, &self.config);
        let (fold, seed, homes) = (split.fold.number, split.seed, homes.train.len());
        let run = Run { fold, seed, homes, start_loss: loss(&self.start)?, loss: loss(&weights)?, ..run };
        eprintln!("{run:?}");
        state.runs.push(run);
        self.detector(&weights)
    }

    fn ours(&self, homes: &[HomePair], seed: u64) -> anyhow::Result<(Weights, Run)> {
        let strategy = || -> Box<dyn Strategy> { Box::<Mean>::default() };
        let rounds =
            FederatedRounds { rounds: self.rounds, homes, verdicts: &[], strategy: Some(&strategy), replay: None };
        let (begin, cpu) = (Instant::now(), cpu_seconds()?);
        let weights = rounds.run(&self.start, &self.config, seed)?;
        let (rounds_s, rounds_cpu_s) = (begin.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        let device = DeviceKind::open_cpu()?;
        let recipe = RoundRecipe::home(self.config.anomaly_weight);
        let (mut home_s, mut home_cpu_s, mut bytes_up) = (0.0, 0.0, 0.0);
        for home in homes {
            let (begin, cpu) = (Instant::now(), cpu_seconds()?);
            let end = train_round(&self.start, std::slice::from_ref(home), &[], &recipe, seed, &device)?;
            home_s += begin.elapsed().as_secs_f64() / homes.len() as f64;
            home_cpu_s += (cpu_seconds()? - cpu) / homes.len() as f64;
            bytes_up = Quantised::of(&Delta::between(&self.start, &end)).to_bytes()?.len() as f64;
        }
        let (whole_s, bytes_down) = (rounds_s, SHIPPED.len() as f64);
        Ok((
            weights,
            Run { rounds_s, rounds_cpu_s, whole_s, home_s, home_cpu_s, bytes_down, bytes_up, ..Run::of(OURS) },
        ))
    }

    fn flower(&self, state: &mut State, fold: usize, seed: u64) -> anyhow::Result<(Weights, Run)> {
        let homes = state.homes.as_ref().context("the fold's homes are gone")?;
        let (folder, start) = (self.out.join("homes"), self.out.join("start.safetensors"));
        if state.written != Some(fold) {
            if folder.is_dir() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir_all(&folder)?;
            for (place, home) in homes.train.iter().enumerate() {
                let file = folder.join(format!("home-{place:02}.safetensors"));
                std::fs::write(&file, files::of_home(&HomeOutline::of(home))?)?;
            }
            // The whole artifact: the script holds its network against the golden vectors.
            std::fs::write(&start, SHIPPED)?;
            state.written = Some(fold);
        }
        let out = self.out.join(format!("fold-{fold}-seed-{seed}.safetensors"));
        let output = Command::new(&self.python)
            .arg("tests/flower/rounds.py")
            .arg("--homes")
            .arg(&folder)
            .arg("--weights")
            .arg(&start)
            .arg("--out")
            .arg(&out)
            .args(["--rounds", &self.rounds.to_string(), "--seed", &seed.to_string()])
            .args(["--threads", &self.config.threads.to_string()])
            .args(["--anomaly-weight", &self.config.anomaly_weight.to_string()])
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.python.display().to_string())?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().rev().find(|line| line.starts_with('{'));
        let Some(line) = last.filter(|_| output.status.success()) else {
            anyhow::bail!("rounds.py ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        };
        let printed: Printed = serde_json::from_str(line)?;
        let Printed { whole_s, rounds_s, rounds_cpu_s, home_train_s: home_s, home_cpu_s, bytes_down, bytes_up } =
            printed;
        let run = Run { rounds_s, rounds_cpu_s, whole_s, home_s, home_cpu_s, bytes_down, bytes_up, ..Run::of(THEIRS) };
        Ok((files::weights(&std::fs::read(&out)?)?, run))
    }
}

impl Run {
    fn of(arm: &'static str) -> Self {
        Self { arm, ..Self::default() }
    }
}

/// Of this process so far, from the kernel's count; in steps of a hundredth.
fn cpu_seconds() -> anyhow::Result<f64> {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |place: usize| -> anyhow::Result<f64> { Ok(fields.get(place).context("/proc/self/stat is short")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// Our rounds.
pub(super) struct Ours<'a>(pub &'a Arena);

impl Method for Ours<'_> {
    fn name(&self) -> &str {
        OURS
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.0.seeds).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let arm = |arena: &Arena, state: &mut State| {
            arena.ours(state.homes.as_ref().map_or(&[], |homes| &homes.train), split.seed)
        };
        let detector = self.0.measured(split, arm).map_err(|error| NotReady(format!("{OURS}: {error:#}")))?;
        Ok(detector)
    }
}

/// Flower's.
pub(super) struct Flower<'a>(pub &'a Arena);

impl Method for Flower<'_> {
    fn name(&self) -> &str {
        THEIRS
    }

    fn seeds(&self) -> Vec<u64> {
        (1..=self.0.seeds).collect()
    }

    fn prepare<'a>(&'a self, split: &TrainingSplit<'_>) -> Result<Box<dyn Detector + 'a>, NotReady> {
        let arm = |arena: &Arena, state: &mut State| arena.flower(state, split.fold.number, split.seed);
        let detector = self.0.measured(split, arm).map_err(|error| NotReady(format!("{THEIRS}: {error:#}")))?;
        Ok(detector)
    }
}
