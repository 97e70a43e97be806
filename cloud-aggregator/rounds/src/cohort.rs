//! Who trains in a round, and who evaluates. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_protocol::HomeId;
use hearthwatch_store::HomeRow;
use hearthwatch_store::rounds::OfferRow;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

/// Hashed before a home's id, so that no other choice by hash falls on the same homes.
const EVALUATORS: &[u8] = b"hearthwatch round evaluator 1";

/// Whether a home evaluates and never trains, for a `share` in [0, 1] of all homes: the same answer as long as the share does not change,
/// and a larger share only adds homes.
#[must_use]
pub fn is_evaluator(home: &HomeId, share: f64) -> bool {
    let digest = Sha256::new().chain_update(EVALUATORS).chain_update(home.as_str()).finalize();
    let (head, _) = digest.split_at(4);
    let number = head.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(number) < share * 4_294_967_296.0
}

/// Offers of homes that may be asked at `now`: willing, with a sensor to train on, let in, not `excluded`, and heard of within
/// `heard_seconds`.
#[must_use]
pub fn eligible<'a>(
    homes: &[HomeRow],
    offers: &'a [OfferRow],
    excluded: &BTreeMap<HomeId, String>,
    now: i64,
    heard_seconds: i64,
) -> Vec<&'a OfferRow> {
    let admitted = homes.iter().filter(|row| row.revoked_at.is_none());
    let admitted: BTreeMap<&HomeId, i64> =
        admitted.map(|row| (&row.home, row.status.as_ref().map_or(i64::MIN, |status| status.heard_at))).collect();
    let may = |offer: &&OfferRow| {
        let heard = admitted.get(&offer.home).map(|heard| offer.heard_at.max(*heard));
        let lately = heard.is_some_and(|heard| now.saturating_sub(heard) <= heard_seconds);
        let learnt = offer.classes.iter().any(|count| count.entities > 0);
        offer.willing && learnt && lately && !excluded.contains_key(&offer.home)
    };
    offers.iter().filter(may).collect()
}

/// At most `most` of the `offers`, drawn by `seed`: first one home for each class, rarest class first, then whoever comes. By home.
#[must_use]
pub fn sample(offers: &[&OfferRow], most: usize, seed: u64) -> Vec<HomeId> {
    let mut drawn: Vec<&OfferRow> = offers.to_vec();
    // By name before the draw: the order in which a store lists them decides nothing.
    drawn.sort_by(|one, other| one.home.cmp(&other.home));
    drawn.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    if drawn.len() > most {
        let mut by_class: BTreeMap<&str, Vec<&OfferRow>> = BTreeMap::new();
        for offer in &drawn {
            for count in offer.classes.iter().filter(|count| count.entities > 0) {
                by_class.entry(&count.class).or_default().push(offer);
            }
        }
        let mut classes: Vec<(&str, Vec<&OfferRow>)> = by_class.into_iter().collect();
        classes.sort_by_key(|(name, homes)| (homes.len(), *name));
        let mut chosen: BTreeSet<&HomeId> = BTreeSet::new();
        for (_, homes) in &classes {
            let covered = homes.iter().any(|offer| chosen.contains(&offer.home));
            if let (false, true, Some(first)) = (covered, chosen.len() < most, homes.first()) {
                chosen.insert(&first.home);
            }
        }
        for offer in &drawn {
            if chosen.len() >= most {
                break;
            }
            chosen.insert(&offer.home);
        }
        return chosen.into_iter().cloned().collect();
    }
    let mut all: Vec<HomeId> = drawn.into_iter().map(|offer| offer.home.clone()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use hearthwatch_protocol::round::{ClassCount, SignedRoundOffer};
    use hearthwatch_store::fixtures::home;
    use hearthwatch_store::{HomeRow, Store as _};

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn offer(name: &str, classes: &[&str]) -> OfferRow {
        let class = |class: &&str| ClassCount { class: (*class).to_owned(), entities: 2 };
        let (classes, signed) = (classes.iter().map(class).collect(), SignedRoundOffer::from_bytes(vec![1]));
        OfferRow { home: home(name), willing: true, classes, masks: false, signed, at: NOW, heard_at: NOW }
    }

    fn homes(names: &[&str]) -> Vec<HomeRow> {
        let (_directory, store) = hearthwatch_store::fixtures::store();
        for name in names {
            store.enrol_home(&home(name), 1).unwrap();
        }
        store.homes().unwrap()
    }

    #[test]
    fn only_willing_homes_that_know_a_sensor_are_let_in_and_heard_of_lately_are_asked() {
        let mut rows = homes(&["a", "b", "c", "d", "e"]);
        rows[1].revoked_at = Some(NOW);
        let offer = |name: &str| offer(name, &["temperature"]);
        let silent = OfferRow { heard_at: NOW - 101, ..offer("d") };
        let unwilling = OfferRow { willing: false, ..offer("a") };
        let new = OfferRow { classes: Vec::new(), ..offer("e") };
        let offers = [offer("b"), offer("c"), silent, new, unwilling, offer("stranger")];
        let asked = |excluded: &[&str]| -> Vec<String> {
            let excluded = excluded.iter().map(|name| (home(name), String::new())).collect();
            eligible(&rows, &offers, &excluded, NOW, 100).iter().map(|offer| offer.home.to_string()).collect()
        };
        assert_eq!(asked(&[]), ["c"]);
        assert_eq!(asked(&["c"]), [""; 0]);
    }

    #[test]
    fn evaluators_are_a_fixed_share_that_only_grows_with_the_share() {
        let names: Vec<HomeId> = (0..1_000).map(|number| home(&format!("home-{number}"))).collect();
        let of = |share: f64| names.iter().filter(|home| is_evaluator(home, share)).collect::<BTreeSet<_>>();
        assert!((150..250).contains(&of(0.2).len()), "{}", of(0.2).len());
        assert!(of(0.2).is_subset(&of(0.3)));
        assert_eq!((of(0.0).len(), of(1.0).len()), (0, 1_000));
    }

    #[test]
    fn a_sample_has_every_class_and_depends_on_the_seed_alone() {
        let mut offers: Vec<OfferRow> = (0..30).map(|number| offer(&format!("t{number}"), &["temperature"])).collect();
        offers.push(offer("wet", &["water", "temperature"]));
        let rows: Vec<&OfferRow> = offers.iter().collect();
        let turned: Vec<&OfferRow> = offers.iter().rev().collect();
        for seed in 0..20 {
            let drawn = sample(&rows, 3, seed);
            assert!(drawn.len() == 3 && drawn.contains(&home("wet")), "{drawn:?}");
            assert_eq!(drawn, sample(&turned, 3, seed));
        }
        assert_ne!(sample(&rows, 3, 1), sample(&rows, 3, 2));
        assert_eq!(sample(&rows, 100, 1).len(), 31);
    }
}
