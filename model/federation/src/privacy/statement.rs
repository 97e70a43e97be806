//! What noise guarantees: against which observer, how much, and whether that means anything for so many homes.

use super::{PrivacyLoss, privacy_loss};

/// Who adds noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoisedBy {
    /// Each home, to its own clipped delta (local; with masks, distributed).
    Home,
    /// The server, to the sum of the clipped deltas, which it has seen (central).
    Server,
}

/// What rounds are run with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivacyTerms {
    /// Who adds the noise.
    pub noised_by: NoisedBy,
    /// Norm that a home's delta is brought down to, above zero.
    pub clip: f64,
    /// Standard deviation of the Gaussian noise on each value: of a home's delta, or of the sum.
    pub noise: f64,
    /// Homes whose deltas are in the sum; those that dropped out do not count, their noise is missing.
    pub homes: u32,
    /// Of these, homes whose sum is the least that the server sees, in secure aggregation: the threshold of a group. Without it 1.
    pub seen_together: u32,
    /// Chance that a home takes part in a round, in [0, 1].
    pub sampling: f64,
    /// Rounds.
    pub rounds: u32,
    /// Chance that the guarantee does not hold, in (0, 1); well below one in the number of homes.
    pub delta: f64,
}

/// A guarantee in a word: the tiers of Ponomareva et al., *How to DP-fy ML* (2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// What this observer sees has no noise.
    Nothing,
    /// ε above 10: a number without a meaning.
    Meaningless,
    /// ε from 1 to 10: what large deployments publish.
    Reasonable,
    /// ε up to 1.
    Strong,
}

/// Up to this ε a guarantee is strong.
const STRONG: f64 = 1.0;
/// Up to this ε it is reasonable.
const REASONABLE: f64 = 10.0;

impl PrivacyLoss {
    /// The tier of the ε.
    #[must_use]
    pub fn strength(&self) -> Strength {
        if self.epsilon <= STRONG {
            Strength::Strong
        } else if self.epsilon <= REASONABLE {
            Strength::Reasonable
        } else if self.epsilon.is_finite() {
            Strength::Meaningless
        } else {
            Strength::Nothing
        }
    }

    /// How often, at most, a guess is right whether one home took part, where without what was published half of the guesses are right:
    /// e^ε / (1 + e^ε) and the chance δ, in [0.5, 1].
    #[must_use]
    pub fn guessed_right(&self) -> f64 {
        (1.0 / (1.0 + (-self.epsilon).exp()) + self.delta).min(1.0)
    }

    /// The same of 1,000 guesses. Rounded up, since it is a bound.
    fn right_of_1000(&self) -> f64 {
        (self.guessed_right() * 1000.0).ceil()
    }
}

/// The guarantee of some rounds, for each of two observers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivacyStatement {
    /// What it follows from.
    pub terms: PrivacyTerms,
    /// Against everybody who sees the published weights.
    pub published: PrivacyLoss,
    /// Against the server itself.
    pub server: PrivacyLoss,
}

/// What rounds with these terms guarantee to any one home.
///
/// *Published*: neighbours are fleets with and without the home, so that the sum differs by one clip; the noise of homes adds up to
/// √homes times that of one. *Server*: it knows who took part, so sampling hides nothing, and neighbours are any two deltas of the
/// home, two clips apart; where it sees sums of a group alone, the noise of the group's homes adds up. Noise that other homes left out
/// on purpose is not there: the guarantee counts on homes that add what the plan asks for.
#[must_use]
pub fn stated(terms: &PrivacyTerms) -> PrivacyStatement {
    let PrivacyTerms { sampling, rounds, delta, .. } = *terms;
    PrivacyStatement {
        terms: *terms,
        published: privacy_loss(terms.on_sum(), sampling, rounds, delta),
        server: privacy_loss(terms.on_seen(), 1.0, rounds, delta),
    }
}

impl PrivacyTerms {
    /// Noise on what everybody sees, as a multiple of what one home changes there.
    fn on_sum(&self) -> f64 {
        match self.noised_by {
            NoisedBy::Home => self.noise * f64::from(self.homes.max(1)).sqrt() / self.clip,
            NoisedBy::Server => self.noise / self.clip,
        }
    }

    /// Noise on what the server sees, as a multiple of what one home changes there.
    fn on_seen(&self) -> f64 {
        match self.noised_by {
            NoisedBy::Home => {
                self.noise * f64::from(self.seen_together.min(self.homes).max(1)).sqrt() / (2.0 * self.clip)
            }
            NoisedBy::Server => 0.0,
        }
    }
}

/// What several rounds guarantee together to a home that was in all of them: rounds without noise leave no guarantee. None without rounds.
///
/// Gaussian mechanisms with multipliers mᵢ, each home in each round, compose to one with 1 / √Σ mᵢ⁻² (their Rényi divergences add up);
/// so `sampling` is not used. Homes in the statement are those of the smallest round.
#[must_use]
pub fn stated_over(rounds: &[PrivacyTerms]) -> Option<PrivacyStatement> {
    let (first, last) = (rounds.first()?, rounds.last()?);
    let composed = |multiplier: fn(&PrivacyTerms) -> f64| {
        let inverse: f64 = rounds.iter().map(|terms| multiplier(terms).powi(-2) * f64::from(terms.rounds)).sum();
        privacy_loss(inverse.sqrt().recip(), 1.0, 1, first.delta)
    };
    let of = |least: fn(&PrivacyTerms) -> u32| rounds.iter().map(least).min().unwrap_or_default();
    let count = rounds.iter().fold(0_u32, |sum, terms| sum.saturating_add(terms.rounds));
    let terms = PrivacyTerms {
        homes: of(|terms| terms.homes),
        seen_together: of(|terms| terms.seen_together),
        rounds: count,
        delta: first.delta,
        ..*last
    };
    let (published, server) = (composed(PrivacyTerms::on_sum), composed(PrivacyTerms::on_seen));
    Some(PrivacyStatement { terms, published, server })
}

/// The noise of one round, as a home finds it in its plan and as the server's settings have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundNoise {
    /// Norm that a home's delta is brought down to, above zero.
    pub clip: f64,
    /// Standard deviation of the Gaussian noise that a home adds to each value of its delta; 0 for none.
    pub by_home: f64,
    /// Standard deviation of the Gaussian noise that the server adds to each value of the clipped mean; 0 for none.
    pub by_server: f64,
    /// Homes in that mean, at least.
    pub homes: u32,
    /// Of these, homes whose sum is the least that the server sees; 1 where it sees each delta.
    pub seen_together: u32,
    /// Whether the deltas are added up and nothing else, so that homes' noise adds up too.
    pub adds_up: bool,
}

impl RoundNoise {
    /// Whether anybody adds any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.by_home > 0.0 || self.by_server > 0.0
    }

    fn of_home(&self, delta: f64) -> PrivacyTerms {
        let Self { clip, by_home, homes, seen_together, .. } = *self;
        let (noised_by, sampling, rounds) = (NoisedBy::Home, 1.0, 1);
        PrivacyTerms { noised_by, clip, noise: by_home, homes, seen_together, sampling, rounds, delta }
    }

    fn published(&self, delta: f64) -> PrivacyTerms {
        let home = self.of_home(delta);
        let homes = f64::from(self.homes.max(1));
        if self.by_server > 0.0 {
            // On the mean; the terms are about the sum.
            PrivacyTerms { noised_by: NoisedBy::Server, noise: self.by_server * homes, ..home }
        } else if self.adds_up {
            home
        } else {
            // As if its own noise were all there is: that holds whatever is made of its delta.
            PrivacyTerms { noise: self.by_home / homes.sqrt(), ..home }
        }
    }
}

/// Of rounds, newest first, those that a statement is about: up to the last one without noise; the newest alone where it has none.
#[must_use]
pub fn newest_with_noise(rounds: &[RoundNoise]) -> &[RoundNoise] {
    let count = rounds.iter().take_while(|round| round.any()).count();
    rounds.get(..count.max(1)).unwrap_or_default()
}

/// What rounds guarantee together to a home that was in all of them; none without rounds. Against readers of the weights the server's noise
/// counts where it adds any, otherwise the homes'; against the server the home's own. Not in it: what a gate's decision tells, and what
/// homes that evaluate count.
#[must_use]
pub fn stated_of_rounds(rounds: &[RoundNoise], delta: f64) -> Option<PrivacyStatement> {
    let terms =
        |of: fn(&RoundNoise, f64) -> PrivacyTerms| rounds.iter().map(|round| of(round, delta)).collect::<Vec<_>>();
    let server = stated_over(&terms(RoundNoise::of_home))?.server;
    Some(PrivacyStatement { server, ..stated_over(&terms(RoundNoise::published))? })
}

impl PrivacyStatement {
    /// Two sentences for the operator's page: numbers, and what they are worth.
    #[must_use]
    pub fn for_operator(&self) -> String {
        let PrivacyTerms { homes, rounds, delta, .. } = self.terms;
        let over = format!("over {rounds} rounds of {homes} homes (δ {delta:.0e})");
        format!(
            "Against readers of the weights {} {over}. Against this server {}.",
            worth(&self.published),
            worth(&self.server)
        )
    }

    /// One or two sentences for a resident, without a formula.
    #[must_use]
    pub fn for_resident(&self) -> String {
        let homes = self.terms.homes;
        let right = |loss: &PrivacyLoss| format!("{:.0} of 1000 times", loss.right_of_1000());
        let readers = match self.published.strength() {
            Strength::Nothing => "No noise is added to what homes send, so nobody can promise that a home cannot be recognised in the published model.".to_owned(),
            Strength::Meaningless => {
                format!("Noise is added, but with {homes} homes it is too little to hide a single home. Do not rely on it.")
            }
            Strength::Reasonable | Strength::Strong => format!(
                "Noise is added: whoever studies the published model and guesses whether your home took part is right at most {}, where a coin is right 500 times.",
                right(&self.published)
            ),
        };
        let server = match self.server.strength() {
            Strength::Nothing | Strength::Meaningless if self.terms.seen_together > 1 => {
                format!(
                    "The server sees sums of at least {} homes, never your home's part alone.",
                    self.terms.seen_together
                )
            }
            Strength::Nothing | Strength::Meaningless => {
                "The server sees what your home sends; noise does not hide it from the server.".to_owned()
            }
            Strength::Reasonable | Strength::Strong => {
                format!("The same holds for the server: at most {}.", right(&self.server))
            }
        };
        format!("{readers} {server}")
    }
}

fn worth(loss: &PrivacyLoss) -> String {
    let (epsilon, percent) = (loss.epsilon, loss.right_of_1000() / 10.0);
    match loss.strength() {
        Strength::Nothing => "no guarantee (no noise)".to_owned(),
        Strength::Meaningless => format!("ε {epsilon:.0}: meaningless"),
        Strength::Reasonable => {
            format!("ε {epsilon:.1}: reasonable, a guess is right at most {percent:.1} %")
        }
        Strength::Strong => {
            format!("ε {epsilon:.2}: strong, a guess is right at most {percent:.1} %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise on the sum such that noise on the mean over `homes` is .003 clips, the most that costs nothing measurable.
    fn central(homes: u32) -> PrivacyTerms {
        PrivacyTerms {
            noised_by: NoisedBy::Server,
            clip: 1.0,
            noise: 0.003 * f64::from(homes),
            homes,
            seen_together: 1,
            sampling: 1.0,
            rounds: 10,
            delta: 1e-5,
        }
    }

    #[test]
    fn the_same_harmless_noise_means_nothing_at_twelve_homes_and_something_at_a_thousand() {
        let (few, many) = (stated(&central(12)), stated(&central(1000)));
        assert_eq!(
            (few.published.strength(), many.published.strength()),
            (Strength::Meaningless, Strength::Reasonable)
        );
        assert!((many.published.epsilon - 5.0).abs() < 0.1, "{}", many.published.epsilon);
        let operator = "Against readers of the weights ε 5.0: reasonable, a guess is right at most 99.4 % over 10 rounds of \
                        1000 homes (δ 1e-5). Against this server no guarantee (no noise).";
        assert_eq!(many.for_operator(), operator);
        let resident = "Noise is added, but with 12 homes it is too little to hide a single home. Do not rely on it. The server sees what \
                        your home sends; noise does not hide it from the server.";
        assert_eq!(few.for_resident(), resident);
        let bound = "Noise is added: whoever studies the published model and guesses whether your home took part is right at most 994 of \
                     1000 times, where a coin is right 500 times.";
        assert!(many.published.guessed_right() < 0.994 && many.for_resident().starts_with(bound), "rounded up");
    }

    #[test]
    fn noise_of_homes_protects_against_the_server_too_and_more_where_it_sees_sums_only() {
        let local = PrivacyTerms { noised_by: NoisedBy::Home, noise: 0.1, ..central(1000) };
        let (alone, masked) = (stated(&local), stated(&PrivacyTerms { seen_together: 16, ..local }));
        assert_eq!(alone.published, stated(&PrivacyTerms { noise: 0.1 * 1000_f64.sqrt(), ..central(1000) }).published);
        assert_eq!(alone.published, masked.published);
        assert!(masked.server.epsilon < alone.server.epsilon && alone.server.epsilon.is_finite());
        assert_eq!(alone.server, privacy_loss(0.05, 1.0, 10, 1e-5));
        assert!(
            masked.for_resident().ends_with("The server sees sums of at least 16 homes, never your home's part alone.")
        );
    }

    #[test]
    fn rounds_compose_as_if_they_were_one_and_one_without_noise_spoils_all() {
        let round = |noise| PrivacyTerms { rounds: 1, noise, ..central(1000) };
        let (ten, once) = (stated(&central(1000)), stated_over(&[round(3.0); 10]).unwrap());
        assert!((ten.published.epsilon - once.published.epsilon).abs() < 1e-9);
        assert_eq!(once.for_operator(), ten.for_operator());
        let mixed = stated_over(&[round(3.0), round(6.0)]).unwrap();
        let five = stated(&PrivacyTerms { noise: 6.0, rounds: 5, ..central(1000) });
        assert!((mixed.published.epsilon - five.published.epsilon).abs() < 1e-9, "a quarter of the noise's square");
        assert_eq!(stated_over(&[round(3.0), round(0.0)]).unwrap().published.strength(), Strength::Nothing);
        assert_eq!(stated_over(&[]), None);
    }

    #[test]
    fn homes_noise_adds_up_only_where_deltas_are_added_up() {
        let summed =
            RoundNoise { clip: 1.0, by_home: 1.0, by_server: 0.0, homes: 100, seen_together: 1, adds_up: true };
        let vetted = RoundNoise { adds_up: false, ..summed };
        let over = |round| stated_of_rounds(&[round; 10], 1e-5).unwrap();
        assert!(over(summed).published.epsilon < over(vetted).published.epsilon / 5.0);
        assert_eq!((over(summed).server, over(vetted).terms.homes), (over(vetted).server, 100));
        let at_server = RoundNoise { by_home: 0.0, by_server: 0.003, homes: 1_000, ..vetted };
        let difference = over(at_server).published.epsilon - stated(&central(1_000)).published.epsilon;
        assert!(difference.abs() < 1e-9, "{difference}");
        assert!(!RoundNoise { by_home: 0.0, ..vetted }.any() && at_server.any());
        assert_eq!(stated_of_rounds(&[], 1e-5), None);
        let without = RoundNoise { by_home: 0.0, ..vetted };
        let newest = |rounds: &[RoundNoise]| newest_with_noise(rounds).len();
        let counts = [newest(&[vetted, vetted, without]), newest(&[without, vetted]), newest(&[])];
        assert_eq!(counts, [2, 1, 0]);
    }

    #[test]
    fn without_noise_a_statement_promises_nothing() {
        let none = stated(&PrivacyTerms { noise: 0.0, ..central(12) });
        assert_eq!((none.published.strength(), none.server.strength()), (Strength::Nothing, Strength::Nothing));
        assert!(none.for_resident().starts_with("No noise is added"));
        assert_eq!(none.published.guessed_right(), 1.0);
    }

    #[test]
    fn a_guess_is_as_good_as_the_odds_allow() {
        let right = |epsilon| PrivacyLoss { epsilon, delta: 0.0 }.guessed_right();
        assert_eq!(right(0.0), 0.5);
        assert!((right(1.0) - 0.731).abs() < 1e-3 && (right(5.0) - 0.993).abs() < 1e-3);
    }
}
