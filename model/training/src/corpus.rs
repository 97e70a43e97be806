//! Which homes train, which calibrate, which test.

use hearthwatch_evaluation::dataset::RecordedHome;
use sha2::{Digest, Sha256};

/// Mixed into the hash. Chosen, before anything was trained, so that the few bundled homes spread over all three roles and
/// a home with real labelled faults lies on both sides.
const SALT: &str = "split-58|";

/// Percent of homes that train; the next [`CALIBRATE_PERCENT`] calibrate, the others test.
const TRAIN_PERCENT: u64 = 45;
const CALIBRATE_PERCENT: u64 = 20;

/// Recorded homes by role. No home has two roles, in this run or any other: a home's role is a function of its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corpus {
    /// Homes whose windows are trained on.
    pub train: Vec<RecordedHome>,
    /// Homes that stop the training and set the thresholds.
    pub calibrate: Vec<RecordedHome>,
    /// Homes that the gate measures on.
    pub test: Vec<RecordedHome>,
}

impl Corpus {
    /// Splits homes by a hash of set and name, and orders each part by that hash.
    #[must_use]
    pub fn split(mut homes: Vec<RecordedHome>) -> Self {
        homes.sort_by_key(|home| (hash(home), home.full_name()));
        let mut corpus = Self::default();
        for home in homes {
            let percent = hash(&home) % 100;
            if percent < TRAIN_PERCENT {
                corpus.train.push(home);
            } else if percent < TRAIN_PERCENT + CALIBRATE_PERCENT {
                corpus.calibrate.push(home);
            } else {
                corpus.test.push(home);
            }
        }
        corpus
    }

    /// The corpus as it was known at `at` (Unix seconds): nothing later can leak into what is learnt.
    #[must_use]
    pub fn until(&self, at: i64) -> Self {
        let cut = |homes: &[RecordedHome]| homes.iter().map(|home| home.between(i64::MIN / 2, at)).collect();
        Self { train: cut(&self.train), calibrate: cut(&self.calibrate), test: cut(&self.test) }
    }

    /// Homes of all three roles together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.train.len() + self.calibrate.len() + self.test.len()
    }

    /// Whether there is no home at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The first eight bytes of SHA-256 over the salt and the home's full name.
pub(super) fn hash(home: &RecordedHome) -> u64 {
    let digest = Sha256::digest(format!("{SALT}{}", home.full_name()).as_bytes());
    u64::from_be_bytes(digest[..8].try_into().expect("a digest is longer than eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearthwatch_detector::reading::{Reading, Value};

    fn home(name: &str) -> RecordedHome {
        RecordedHome {
            name: name.into(),
            set: "tests".into(),
            timezone: "UTC".into(),
            entities: Vec::new(),
            readings: (1..=10).map(|step| Reading { at: step * 600, entity: 0, value: Value::Number(1.0) }).collect(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn a_homes_role_does_not_depend_on_its_company() {
        let all: Vec<_> = (0..40).map(|index| home(&format!("home-{index}"))).collect();
        let names = |homes: &[RecordedHome]| homes.iter().map(|home| home.name.clone()).collect::<Vec<_>>();
        let whole = Corpus::split(all.clone());
        assert!(!whole.train.is_empty() && !whole.calibrate.is_empty() && !whole.test.is_empty());
        assert_eq!(whole.len(), 40);
        for home in all {
            let alone = Corpus::split(vec![home.clone()]);
            assert_eq!(names(&alone.train).is_empty(), !names(&whole.train).contains(&home.name));
            assert_eq!(names(&alone.test).is_empty(), !names(&whole.test).contains(&home.name));
        }
    }

    #[test]
    fn nothing_after_the_cut_is_left() {
        let corpus = Corpus { train: vec![home("a")], ..Corpus::default() }.until(3000);
        assert_eq!(corpus.train[0].readings.len(), 5);
    }
}
