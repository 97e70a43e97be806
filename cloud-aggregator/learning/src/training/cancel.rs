//! Runs that somebody wants to end before their time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most wishes that are remembered; the trainer forgets each when what it is about ends. As many as requests can wait, and one in hand.
const WISHES_MAX: usize = super::REQUESTS_MAX + 1;

/// Wishes by the id of the request or the run, with who wished. Cloning is cheap; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Cancellations(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    wishes: BTreeMap<String, String>,
    /// The request in hand.
    request: Option<String>,
}

impl Cancellations {
    /// Wishes the end of the request or run `id`. False if so many are wished that none can be remembered.
    #[must_use]
    pub fn wish(&self, id: &str, by: &str) -> bool {
        let mut inner = self.lock();
        if inner.wishes.len() >= WISHES_MAX && !inner.wishes.contains_key(id) {
            return false;
        }
        inner.wishes.insert(id.to_owned(), by.to_owned());
        true
    }

    /// The request `id` is in hand now; none between two.
    pub(super) fn in_hand(&self, id: Option<&str>) {
        self.lock().request = id.map(str::to_owned);
    }

    /// Who wished the end of `id`, or of the request that `id` is a run of.
    pub(super) fn wished(&self, id: &str) -> Option<String> {
        let inner = self.lock();
        let of_request = || inner.wishes.get(inner.request.as_ref()?);
        inner.wishes.get(id).or_else(of_request).cloned()
    }

    /// What the wish was about has ended.
    pub(super) fn forget(&self, id: &str) {
        self.lock().wishes.remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_about_a_request_ends_the_run_that_it_became() {
        let cancellations = Cancellations::default();
        assert!(cancellations.wish("request", "token:kim"));
        assert_eq!(cancellations.wished("run"), None);
        cancellations.in_hand(Some("request"));
        assert_eq!(cancellations.wished("run").as_deref(), Some("token:kim"));
        cancellations.forget("request");
        assert_eq!(cancellations.wished("run"), None);
    }

    #[test]
    fn the_number_of_wishes_is_bounded() {
        let cancellations = Cancellations::default();
        let taken = (0..100).filter(|number| cancellations.wish(&number.to_string(), "system")).count();
        assert_eq!(taken, WISHES_MAX);
    }
}
