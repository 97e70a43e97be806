//! Folds for measuring the network: who trains, who calibrates and who tests, so that every home is tested once.

use hearthwatch_evaluation::dataset::RecordedHome;

use super::corpus::{Corpus, hash};

/// Parts of a cross-fit: a fifth tests, a fifth calibrates, three fifths train.
const CROSS_FIT_PARTS: usize = 5;

/// Divides homes of one kind so that each tests once, under weights and thresholds that never saw it: in part *k* every
/// fifth home from the *k*th on tests, the ones after it calibrate, the others train. The order is that of the hash of
/// their names.
#[must_use]
pub fn cross_fit(mut homes: Vec<RecordedHome>) -> Vec<Corpus> {
    homes.sort_by_key(|home| (hash(home), home.full_name()));
    (0..CROSS_FIT_PARTS)
        .map(|part| {
            let mut corpus = Corpus::default();
            for (index, home) in homes.iter().enumerate() {
                let role = match (index + CROSS_FIT_PARTS - part) % CROSS_FIT_PARTS {
                    0 => &mut corpus.test,
                    1 => &mut corpus.calibrate,
                    _ => &mut corpus.train,
                };
                role.push(home.clone());
            }
            corpus
        })
        .collect()
}

/// Every home of `set` tests; of the others, those that would calibrate a release calibrate, the rest trains.
#[must_use]
pub fn leave_set_out(homes: Vec<RecordedHome>, set: &str) -> Corpus {
    let (test, others): (Vec<_>, Vec<_>) = homes.into_iter().partition(|home| home.set == set);
    let split = Corpus::split(others);
    let train = split.train.into_iter().chain(split.test).collect();
    Corpus { train, calibrate: split.calibrate, test }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(set: &str, name: &str) -> RecordedHome {
        RecordedHome {
            name: name.into(),
            set: set.into(),
            timezone: "UTC".into(),
            entities: Vec::new(),
            readings: Vec::new(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn every_home_tests_once_and_never_in_two_roles() {
        let homes: Vec<_> = (0..20).map(|index| home("here", &format!("home-{index}"))).collect();
        let parts = cross_fit(homes.clone());
        let mut tested: Vec<_> = parts.iter().flat_map(|part| &part.test).map(|home| home.name.clone()).collect();
        tested.sort();
        let mut all: Vec<_> = homes.into_iter().map(|home| home.name).collect();
        all.sort();
        assert_eq!(tested, all);
        for part in parts {
            assert_eq!((part.train.len(), part.calibrate.len(), part.test.len()), (12, 4, 4));
            let mut names: Vec<_> =
                part.train.iter().chain(&part.calibrate).chain(&part.test).map(|home| &home.name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 20);
        }
    }

    #[test]
    fn the_set_that_is_left_out_tests_and_does_nothing_else() {
        let homes = (0..10).map(|index| home("there", &format!("{index}"))).chain([home("here", "a")]).collect();
        let corpus = leave_set_out(homes, "here");
        assert_eq!(corpus.test.len(), 1);
        assert_eq!(corpus.train.len() + corpus.calibrate.len(), 10);
        assert!(corpus.train.iter().chain(&corpus.calibrate).all(|home| home.set == "there"));
    }
}
