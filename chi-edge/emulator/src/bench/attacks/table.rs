//! The losses by attack, share and strategy, and who was left out.

use std::collections::BTreeMap;

use hearthwatch_evaluation::evaluate::fan_out;

use super::attack::Attack;
use super::strategies::Way;
use super::world::{Outcome, World};

/// The losses of one cell, a seed each.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub losses: Vec<f32>,
}

impl Cell {
    pub(super) fn of(losses: Vec<f32>) -> Self {
        Self { losses }
    }

    /// Over the seeds.
    pub(super) fn mean(&self) -> f32 {
        self.losses.iter().sum::<f32>() / self.losses.len().max(1) as f32
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let largest = self.losses.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        write!(f, "{:.3} ({largest:.3})", self.mean())
    }
}

/// How a strategy treated liars and honest homes: shares of their deltas that it left out.
#[derive(Debug, Clone, Copy, Default)]
struct Treated {
    liars: (usize, usize),
    honest: (usize, usize),
}

/// Everything that was measured so far.
pub(super) struct Table {
    pub ways: Vec<Way>,
    /// By attack, liars and place of the strategy; the honest fleet has no attack.
    pub cells: BTreeMap<(Option<&'static str>, usize), Vec<Cell>>,
    treated: BTreeMap<(&'static str, usize), Vec<Treated>>,
}

impl Table {
    pub(super) fn new(ways: &[Way]) -> Self {
        Self { ways: ways.to_vec(), cells: BTreeMap::new(), treated: BTreeMap::new() }
    }

    /// Runs one row: every strategy, every seed.
    pub(super) fn row(&mut self, worlds: &[World], attack: Option<(Attack, usize)>) -> anyhow::Result<Vec<Cell>> {
        let liars = attack.map_or(0, |(_, liars)| liars);
        let runs: Vec<(Way, &World)> =
            self.ways.iter().flat_map(|way| worlds.iter().map(move |world| (*way, world))).collect();
        let threads = worlds.first().map_or(1, |world| world.config.threads);
        let outcomes = fan_out(&runs, threads, |(way, world)| world.run(*way, attack), |_| {});
        let outcomes = outcomes.into_iter().collect::<anyhow::Result<Vec<Outcome>>>()?;
        let trained = worlds.first().map_or(0, |world| world.trained);
        let of_ways = || outcomes.chunks(worlds.len().max(1));
        let losses = |own: &[Outcome]| Cell::of(own.iter().map(|outcome| outcome.loss).collect());
        let cells: Vec<Cell> = of_ways().map(losses).collect();
        let treated = of_ways().map(|own| Treated::of(own, liars, trained)).collect();
        self.cells.insert((attack.map(|(attack, _)| attack.name()), liars), cells.clone());
        self.treated.insert((attack.map_or("honest", |(attack, _)| attack.name()), liars), treated);
        Ok(cells)
    }

    pub(super) fn print_head(&self, title: &str) {
        let names: String = self.ways.iter().map(|way| format!("{:>17}", way.name())).collect();
        println!("\n{title:<26}{names}");
    }

    pub(super) fn print_row(&self, name: &str, cells: &[Cell]) {
        let cells: String = cells.iter().map(|cell| format!("{:>17}", cell.to_string())).collect();
        println!("{name:<26}{cells}");
    }

    /// The worst attack of so many liars by strategy, less the honest fleet: under the same strategy, and under the best one.
    pub(super) fn print_worst(&self, liars: usize) {
        let Some(honest) = self.cells.get(&(None, 0)) else { return };
        let best = honest.iter().map(Cell::mean).fold(f32::INFINITY, f32::min);
        let of = |place: usize| {
            let own = self.cells.iter().filter(|((attack, count), _)| attack.is_some() && *count == liars);
            own.map(|(_, cells)| cells[place].mean()).fold(f32::NEG_INFINITY, f32::max)
        };
        let line = |name: &str, base: &dyn Fn(usize) -> f32| {
            let cells: String =
                (0..self.ways.len()).map(|place| format!("{:>+17.3}", of(place) - base(place))).collect();
            println!("{name:<26}{cells}");
        };
        line("worst less own honest", &|place| honest[place].mean());
        line("worst less best honest", &|_| best);
    }

    /// For each strategy that leaves homes out: the share of the liars' deltas and of the others' that it left out, over rounds and
    /// seeds; and what reputation says of the first liar after the last round.
    pub(super) fn print_left_out(&self, worlds: &[World], attacks: &[Attack]) -> anyhow::Result<()> {
        println!("\nleft out of the liars' deltas / of the others', by liars and strategy");
        for ((attack, liars), treated) in &self.treated {
            let cells: String = treated.iter().map(|treated| format!("{:>17}", treated.to_string())).collect();
            println!("{:<26}{cells}", format!("{attack}, {liars}"));
        }
        let Some(world) = worlds.first() else { return Ok(()) };
        println!(
            "\nafter the last round, {}, seed 1, 3 liars: the first liar, and the honest home that was left out most",
            Way::VettedMean.name()
        );
        for attack in attacks {
            let outcome = world.run(Way::VettedMean, Some((*attack, 3.min(world.trained))))?;
            println!("{:<26}{}", attack.name(), standing(&outcome, 0));
            let most = (3..world.trained).max_by_key(|place| {
                outcome.reputation.standing(&place.to_string()).map_or(0, |standing| standing.left_out)
            });
            println!("{:<26}{}", "", most.map_or(String::new(), |place| standing(&outcome, place)));
        }
        Ok(())
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
    fn of(outcomes: &[Outcome], liars: usize, homes: usize) -> Self {
        let mut treated = Self::default();
        for round in outcomes.iter().flat_map(|outcome| &outcome.left_out) {
            let lied = round.iter().filter(|left| left.home.parse::<usize>().is_ok_and(|place| place < liars)).count();
            treated.liars.0 += lied;
            treated.liars.1 += liars;
            treated.honest.0 += round.len() - lied;
            treated.honest.1 += homes - liars;
        }
        treated
    }
}

impl std::fmt::Display for Treated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |(some, all): (usize, usize)| if all == 0 { 0.0 } else { some as f64 / all as f64 };
        write!(f, "{:.2} / {:.2}", share(self.liars), share(self.honest))
    }
}
