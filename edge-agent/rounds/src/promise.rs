//! What the noise of the rounds in the ledger promises to this home. Pure.

use hearthwatch_federation::{RoundNoise, Strength, newest_with_noise, stated_of_rounds};

use crate::ledger::RoundEntry;

/// Chance that the promise does not hold.
const DELTA: f64 = 1e-5;

/// Sentences for a resident about the newest rounds with noise in which this home trained, up to the last one without; none where it trained
/// in no round. `entries` come newest first. Noise of the server is what its plans say: this home cannot check it.
#[must_use]
pub fn promised(entries: &[RoundEntry]) -> Option<String> {
    // Of a masked round without a group keys have left, and nothing of the delta.
    let left = |entry: &&RoundEntry| entry.bytes > 0 && entry.sent_at.is_some() && entry.masked != Some(0);
    let trained: Vec<RoundNoise> = entries.iter().filter(|entry| !entry.evaluates).filter(left).map(noise).collect();
    let rounds = newest_with_noise(&trained);
    let stated = stated_of_rounds(rounds, DELTA)?;
    let words = stated.for_resident();
    Some(match stated.published.strength() {
        Strength::Nothing => words,
        _ => format!(
            "{words} In numbers: ε {:.1} after {} rounds, δ {DELTA:.0e}.",
            stated.published.epsilon,
            rounds.len()
        ),
    })
}

fn noise(entry: &RoundEntry) -> RoundNoise {
    let by_home = entry.figures.as_ref().map_or(0.0, |figures| figures.noise);
    let (clip, by_server, homes) = (entry.clip, entry.server_noise, entry.least);
    RoundNoise { clip, by_home, by_server, homes, seen_together: entry.fewest_in_sum(), adds_up: false }
}

#[cfg(test)]
mod tests {
    use hearthwatch_edge_core::round_job::JobFigures;

    use super::*;
    use crate::ledger::Outcome;

    /// Rounds in which this home trained, newest first.
    fn entries(count: u64, by_server: f64, least: u32, by_home: f64) -> Vec<RoundEntry> {
        let entry = |round: u64| RoundEntry {
            masked: None,
            round,
            evaluates: false,
            planned_at: 1,
            trained_at: Some(2),
            sent_at: Some(3),
            ended_at: Some(4),
            bytes: 30_000,
            figures: Some(JobFigures { noise: by_home, ..JobFigures::default() }),
            clip: 1.0,
            model: [0; 32],
            cohort: least,
            least,
            server_noise: by_server,
            outcome: Outcome::Taken,
            reason: String::new(),
            picture: None,
        };
        (1..=count).rev().map(entry).collect()
    }

    #[test]
    fn the_same_noise_is_called_too_little_in_a_small_fleet_and_a_bound_in_a_large_one() {
        let few = promised(&entries(10, 0.003, 12, 0.0)).unwrap();
        assert!(few.starts_with("Noise is added, but with 12 homes it is too little to hide a single home."), "{few}");
        let many = promised(&entries(10, 0.003, 1_000, 0.0)).unwrap();
        assert!(many.contains("right at most 994 of 1000 times"), "{many}");
        assert!(many.ends_with("In numbers: ε 5.0 after 10 rounds, δ 1e-5."), "{many}");
    }

    #[test]
    fn rounds_without_noise_and_rounds_in_which_nothing_left_promise_nothing() {
        let none = promised(&entries(2, 0.0, 12, 0.0)).unwrap();
        assert!(none.starts_with("No noise is added"), "{none}");
        let mut mixed = entries(3, 0.0, 12, 20.0);
        mixed[2].figures = None;
        assert!(promised(&mixed).unwrap().contains("after 2 rounds"));
        mixed.iter_mut().for_each(|entry| entry.sent_at = None);
        assert_eq!(promised(&mixed), None);
    }

    #[test]
    fn of_a_masked_round_the_server_is_said_to_see_a_sum() {
        let of = |masked| {
            let masked = |entry| RoundEntry { masked, ..entry };
            promised(&entries(1, 0.0, 12, 0.0).into_iter().map(masked).collect::<Vec<_>>())
        };
        let words = of(Some(8)).unwrap();
        assert!(words.ends_with("The server sees sums of at least 6 homes, never your home's part alone."), "{words}");
        assert_eq!(of(Some(0)), None, "only keys have left");
    }
}
