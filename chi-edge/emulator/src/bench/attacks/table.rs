//! The losses by attack, number of attackers and strategy, and which homes were left out.

use std::collections::BTreeMap;

use hearthwatch_evaluation::evaluate::fan_out;

use super::attack::Attack;
use super::strategies::StrategyKind;
use super::world::{Outcome, World};

/// The losses of one cell, a seed each.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Cell(pub Vec<f32>);

impl Cell {
    /// Over the seeds.
    pub(in crate::bench) fn mean(&self) -> f32 {
        self.0.iter().sum::<f32>() / self.0.len().max(1) as f32
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let largest = self.0.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        write!(f, "{:.3} ({largest:.3})", self.mean())
    }
}

/// How many deltas of attackers and of honest homes a strategy left out, each of how many.
#[derive(Debug, Clone, Copy, Default)]
struct Treated {
    attackers: (usize, usize),
    honest: (usize, usize),
}

/// An attack's name and the number of attackers.
type Row = (&'static str, usize);

/// Everything that was measured so far.
pub(super) struct Table {
    pub strategies: Vec<StrategyKind>,
    /// By attack, attackers and place of the strategy; the honest fleet has no attack.
    pub cells: BTreeMap<(Option<&'static str>, usize), Vec<Cell>>,
    treated: BTreeMap<Row, Vec<Treated>>,
    /// What became of the homes under the vetted mean in the first seed.
    vetted: BTreeMap<Row, Outcome>,
}

impl Table {
    pub(super) fn new(strategies: &[StrategyKind]) -> Self {
        let (cells, treated, vetted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { strategies: strategies.to_vec(), cells, treated, vetted }
    }

    /// Runs one row: every strategy, every seed.
    pub(super) fn row(&mut self, worlds: &[World], attack: Option<(Attack, usize)>) -> anyhow::Result<Vec<Cell>> {
        let attackers = attack.map_or(0, |(_, attackers)| attackers);
        let runs: Vec<(StrategyKind, &World)> =
            self.strategies.iter().flat_map(|strategy| worlds.iter().map(move |world| (*strategy, world))).collect();
        let threads = worlds.first().map_or(1, |world| world.config.threads);
        let outcomes = fan_out(&runs, threads, |(strategy, world)| world.run(*strategy, attack), |_| {});
        let mut outcomes = outcomes.into_iter().collect::<anyhow::Result<Vec<Outcome>>>()?;
        let trained = worlds.first().map_or(0, |world| world.trained);
        let of_strategies = || outcomes.chunks(worlds.len().max(1));
        let losses = |own: &[Outcome]| Cell(own.iter().map(|outcome| outcome.loss).collect());
        let cells: Vec<Cell> = of_strategies().map(losses).collect();
        let treated = of_strategies().map(|own| Treated::of(own, attackers, trained)).collect();
        let name = attack.map(|(attack, _)| attack.name());
        self.cells.insert((name, attackers), cells.clone());
        self.treated.insert((name.unwrap_or("honest"), attackers), treated);
        let vetted = self.strategies.iter().position(|strategy| *strategy == StrategyKind::VettedMean);
        if let (Some(name), Some(place)) = (name, vetted) {
            self.vetted.insert((name, attackers), outcomes.swap_remove(place * worlds.len()));
        }
        Ok(cells)
    }

    pub(super) fn print_head(&self, title: &str) {
        let names: String = self.strategies.iter().map(|strategy| format!("{:>17}", strategy.name())).collect();
        println!("\n{title:<28}{names}");
    }

    pub(super) fn print_row(name: &str, cells: &[Cell]) {
        let cells: String = cells.iter().map(|cell| format!("{:>17}", cell.to_string())).collect();
        println!("{name:<28}{cells}");
    }

    /// The worst attack of so many attackers by strategy, less the honest fleet: under the same strategy, and under the best one.
    pub(super) fn print_worst(&self, attackers: usize) {
        let Some(honest) = self.cells.get(&(None, 0)) else { return };
        let best = honest.iter().map(Cell::mean).fold(f32::INFINITY, f32::min);
        let of = |place: usize| {
            let own = self.cells.iter().filter(|((attack, count), _)| attack.is_some() && *count == attackers);
            own.map(|(_, cells)| cells[place].mean()).fold(f32::NEG_INFINITY, f32::max)
        };
        let line = |name: &str, base: &dyn Fn(usize) -> f32| {
            let cells: String =
                (0..self.strategies.len()).map(|place| format!("{:>+17.3}", of(place) - base(place))).collect();
            println!("{name:<28}{cells}");
        };
        line("worst less own honest", &|place| honest[place].mean());
        line("worst less best honest", &|_| best);
    }

    /// For each strategy: the share of the attackers' deltas and of the others' that it left out, over rounds and seeds. Then, for the
    /// vetted mean, the reputation of two of the `homes` after the last round.
    pub(super) fn print_left_out(&self, homes: usize) {
        self.print_head("left out: attackers' / others'");
        for ((attack, attackers), treated) in &self.treated {
            let cells: String = treated.iter().map(|treated| format!("{:>17}", treated.to_string())).collect();
            println!("{:<28}{cells}", format!("{attack}, {attackers}"));
        }
        if self.vetted.is_empty() {
            return;
        }
        println!(
            "\nafter the last round, {}, seed 1: the first attacker, and the honest home that was left out most",
            StrategyKind::VettedMean.name()
        );
        for ((attack, attackers), outcome) in &self.vetted {
            println!("{:<28}{}", format!("{attack}, {attackers}"), standing(outcome, 0));
            let most = (*attackers..homes).max_by_key(|place| {
                outcome.reputation.standing(&place.to_string()).map_or(0, |standing| standing.left_out)
            });
            println!("{:<28}{}", "", most.map_or(String::new(), |place| standing(outcome, place)));
        }
    }
}

fn standing(outcome: &Outcome, place: usize) -> String {
    let home = place.to_string();
    let last = outcome.left_out.iter().rev().find_map(|round| round.iter().find(|left| left.home == home));
    let last = last.map_or(String::new(), |left| format!("; last: {}", left.reason));
    let Some(standing) = outcome.reputation.standing(&home) else { return "never took part".to_owned() };
    format!("home {home}: {:?}, {standing}{last}", outcome.reputation.verdict(&home))
}

impl Treated {
    fn of(outcomes: &[Outcome], attackers: usize, homes: usize) -> Self {
        let mut treated = Self::default();
        for round in outcomes.iter().flat_map(|outcome| &outcome.left_out) {
            let is_attacker = |home: &str| home.parse::<usize>().is_ok_and(|place| place < attackers);
            let of_attackers = round.iter().filter(|left| is_attacker(&left.home)).count();
            treated.attackers.0 += of_attackers;
            treated.attackers.1 += attackers;
            treated.honest.0 += round.len() - of_attackers;
            treated.honest.1 += homes - attackers;
        }
        treated
    }
}

impl std::fmt::Display for Treated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |(some, all): (usize, usize)| if all == 0 { 0.0 } else { some as f64 / all as f64 };
        write!(f, "{:.2} / {:.2}", share(self.attackers), share(self.honest))
    }
}
