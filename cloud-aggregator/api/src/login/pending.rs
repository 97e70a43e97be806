//! Log-ins on their way: a browser that was sent to the provider, a command line that waits for a code to be entered.
//!
//! In memory and bounded: whoever was on the way when the program ended begins anew.

use std::collections::HashMap;

/// Most log-ins on their way at a time, of each kind; the oldest makes room. 1,000 × some 300 bytes are 300 KB.
const PENDING_MAX: usize = 1000;

/// How long a browser may take at the provider, seconds.
pub(crate) const BROWSER_SECONDS: i64 = 600;

/// A browser on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Browser {
    /// Comes back within the ID token.
    pub nonce: String,
    /// The secret of PKCE (RFC 7636).
    pub verifier: String,
}

/// A command line that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// The provider's name for it (RFC 8628).
    pub code: String,
    /// Seconds between two questions.
    pub interval: i64,
    /// When the provider may be asked again, Unix seconds.
    pub next: i64,
}

/// Log-ins of one kind.
#[derive(Debug)]
pub(crate) struct Pending<T>(HashMap<String, (T, i64)>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone> Pending<T> {
    /// Remembers one under a secret until `ends`.
    pub(crate) fn put(&mut self, key: String, value: T, ends: i64, now: i64) {
        self.0.retain(|_, (_, ends)| now < *ends);
        if self.0.len() >= PENDING_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, (_, ends))| *ends).map(|(key, _)| key.clone())
        {
            self.0.remove(&oldest);
        }
        self.0.insert(key, (value, ends));
    }

    /// Takes one out, if its time is not up.
    pub(crate) fn take(&mut self, key: &str, now: i64) -> Option<(T, i64)> {
        self.0.remove(key).filter(|(_, ends)| now < *ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_taken_once_and_in_time() {
        let mut pending = Pending::default();
        pending.put("a".to_owned(), 1, 100, 0);
        pending.put("b".to_owned(), 2, 100, 0);
        assert_eq!((pending.take("a", 99), pending.take("a", 99)), (Some((1, 100)), None));
        assert_eq!(pending.take("b", 100), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut pending = Pending::default();
        for number in 0..1500 {
            pending.put(number.to_string(), (), 1000 + number, 0);
        }
        assert_eq!(pending.0.len(), PENDING_MAX);
        assert!(pending.take("0", 0).is_none() && pending.take("1499", 0).is_some());
    }
}
