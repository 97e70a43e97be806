//! Gauges that a word of a fixed list splits.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// A gauge for each word; the label's name is chosen where the family is made.
pub type GaugeByWord = Family<[(&'static str, &'static str); 1], Gauge>;

/// A family with all its `words` at 0, under the label `label`.
#[must_use]
pub fn by_word(label: &'static str, words: &[&'static str]) -> GaugeByWord {
    let family = GaugeByWord::default();
    for word in words {
        set(&family, label, word, 0);
    }
    family
}

/// Sets the gauge of one word; a number that is too large is the largest.
pub fn set(family: &GaugeByWord, label: &'static str, word: &'static str, number: u64) {
    family.get_or_create(&[(label, word)]).set(i64::try_from(number).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn every_word_is_there_before_anything_happened() {
        let mut registry = Registry::default();
        registry.register("homes", "Homes", by_word("state", &["online", "offline"]));
        let text = crate::render(&registry);
        assert!(
            text.contains("homes{state=\"online\"} 0\n") && text.contains("homes{state=\"offline\"} 0\n"),
            "{text}"
        );
    }
}
