//! Alarms that homes raised, and what their residents are going to say. Pure.

use std::collections::BTreeMap;

use hearthwatch_detector::alarm::Verdict;
use serde::Deserialize;

use super::journal::{Event, Line};
use super::residents::Reply;

/// A resident whose tap had no effect taps again after so long, seconds.
const AGAIN_SECONDS: i64 = 6 * 3_600;
/// And gives up after so many tries.
const TRIES_MAX: u32 = 12;

/// What an agent says in its event entity.
#[derive(Debug, Deserialize)]
pub struct AlarmEvent {
    /// `raised`, `changed`, `ended`, or a verdict.
    pub event_type: String,
    /// The alarm.
    #[serde(default)]
    pub alarm_id: String,
    /// Home Assistant's id of what it is about.
    #[serde(default)]
    pub watched_entity: String,
    /// Its class.
    #[serde(default)]
    pub device_class: String,
    /// What kind of anomaly.
    #[serde(default)]
    pub kind: String,
    /// RFC 3339.
    #[serde(default)]
    pub raised_at: String,
    /// Model in charge when it was raised.
    #[serde(default)]
    pub model_version: u64,
    /// Whether the outbox took the answer.
    #[serde(default)]
    pub shared: bool,
}

/// A verdict in the word that agents take.
#[must_use]
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "confirmed",
        Verdict::Dismissed => "dismissed",
        Verdict::Expected => "expected",
    }
}

/// An answer that a resident is going to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The home.
    pub home: String,
    /// The alarm.
    pub alarm: String,
    /// What they say.
    pub verdict: Verdict,
    tries: u32,
}

/// What is still to be said, by time.
#[derive(Debug, Default)]
pub struct Answers {
    due: BTreeMap<i64, Vec<Due>>,
    /// Alarms that were raised: whether they are really something.
    raised: BTreeMap<(String, String), bool>,
    /// Answers that agents took, and whether they were shared.
    taken: BTreeMap<(String, String), bool>,
    /// Those of them that went with a disk.
    gone: std::collections::BTreeSet<(String, String)>,
}

impl Answers {
    /// What a journal has; residents who have not answered yet are asked once more by `reply` (home, alarm, when it was raised, whether it
    /// is really something).
    pub fn of(lines: &[Line], reply: impl Fn(&str, &str, i64, bool) -> Option<Reply>) -> Self {
        let mut answers = Self::default();
        let mut raised_at = BTreeMap::new();
        for line in lines {
            match &line.event {
                Event::Raised { home, alarm, really, .. } => {
                    answers.raised.insert((home.clone(), alarm.clone()), *really);
                    raised_at.insert((home.clone(), alarm.clone()), line.at);
                }
                Event::Answered { home, alarm, shared, .. } => {
                    answers.taken.insert((home.clone(), alarm.clone()), *shared);
                }
                Event::DisksLost { answers: lost } => answers.gone.extend(lost.iter().cloned()),
                _ => {}
            }
        }
        for ((home, alarm), at) in raised_at {
            let key = (home, alarm);
            if answers.taken.contains_key(&key) {
                continue;
            }
            if let Some(reply) = reply(&key.0, &key.1, at, answers.raised[&key]) {
                answers.plan(&key.0, &key.1, reply);
            }
        }
        answers
    }

    /// Takes note of an alarm; false if it is known.
    pub fn raise(&mut self, home: &str, alarm: &str, really: bool) -> bool {
        self.raised.insert((home.to_owned(), alarm.to_owned()), really).is_none()
    }

    /// A resident is going to say something.
    pub fn plan(&mut self, home: &str, alarm: &str, reply: Reply) {
        let due = Due { home: home.to_owned(), alarm: alarm.to_owned(), verdict: reply.verdict, tries: 0 };
        self.due.entry(reply.at).or_default().push(due);
    }

    /// What is to be said by `now`. Each is said again later, until [`Self::take`] hears that it was taken, or it is given up.
    pub fn due(&mut self, now: i64) -> Vec<Due> {
        let mut said = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| *entry.key() <= now) {
            said.extend(entry.remove());
        }
        said.retain(|due| !self.taken.contains_key(&(due.home.clone(), due.alarm.clone())));
        for due in said.iter().filter(|due| due.tries + 1 < TRIES_MAX) {
            self.due.entry(now + AGAIN_SECONDS).or_default().push(Due { tries: due.tries + 1, ..due.clone() });
        }
        said
    }

    /// An agent took an answer. Gives whether the alarm was really something; `None` for an answer that is known, or to an alarm that is not.
    pub fn take(&mut self, home: &str, alarm: &str, shared: bool) -> Option<bool> {
        let key = (home.to_owned(), alarm.to_owned());
        let really = *self.raised.get(&key)?;
        self.taken.insert(key, shared).is_none().then_some(really)
    }

    /// Answers of a home that agents took and shared.
    #[must_use]
    pub fn shared_of(&self, home: &str) -> Vec<String> {
        let of = self.taken.iter().filter(|((of, alarm), shared)| {
            of == home && **shared && !self.gone.contains(&(of.clone(), alarm.clone()))
        });
        of.map(|((_, alarm), _)| alarm.clone()).collect()
    }

    /// These were on a disk that is lost.
    pub fn lose(&mut self, lost: impl IntoIterator<Item = (String, String)>) {
        self.gone.extend(lost);
    }

    /// How the aggregator's store stands against what agents took: `stored` says how often it has each.
    #[must_use]
    pub fn settle(&self, stored: &BTreeMap<(String, String), usize>) -> Event {
        let name = |key: &(String, String)| format!("{}/{}", key.0, key.1);
        let shared = || self.taken.iter().filter(|(_, shared)| **shared).map(|(key, _)| key);
        let times = |key: &(String, String)| stored.get(key).copied().unwrap_or(0);
        Event::Settled {
            taken: self.taken.len() as u64,
            stored: shared().filter(|key| times(key) == 1).count() as u64,
            doubled: stored.iter().filter(|(_, times)| **times > 1).map(|(key, _)| name(key)).collect(),
            lost: shared().filter(|key| times(key) == 0 && !self.gone.contains(*key)).map(name).collect(),
            gone_with_disks: shared().filter(|key| times(key) == 0 && self.gone.contains(*key)).count() as u64,
            not_shared: self.taken.values().filter(|shared| !**shared).count() as u64,
        }
    }

    /// Answers that are shared and not yet in `stored`, those on lost disks left out.
    #[must_use]
    pub fn missing(&self, stored: &BTreeMap<(String, String), usize>) -> usize {
        let missing = |key: &(String, String)| !stored.contains_key(key) && !self.gone.contains(key);
        self.taken.iter().filter(|(key, shared)| **shared && missing(key)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(at: i64) -> Reply {
        Reply { at, verdict: Verdict::Confirmed }
    }

    #[test]
    fn an_answer_is_given_again_until_it_is_taken() {
        let mut answers = Answers::default();
        assert!(answers.raise("home-01", "a", true));
        assert!(!answers.raise("home-01", "a", true));
        answers.plan("home-01", "a", reply(100));
        assert_eq!(answers.due(99), []);
        assert_eq!(answers.due(100).len(), 1);
        assert_eq!(answers.due(101), []);
        assert_eq!(answers.due(100 + AGAIN_SECONDS).len(), 1);
        assert_eq!(answers.take("home-01", "a", true), Some(true));
        assert_eq!(answers.take("home-01", "a", true), None);
        assert_eq!(answers.due(i64::MAX / 2), []);
    }

    #[test]
    fn what_was_taken_is_stored_lost_doubled_or_gone_with_a_disk() {
        let mut answers = Answers::default();
        for alarm in ["once", "lost", "twice", "gone", "own"] {
            answers.raise("h", alarm, false);
            answers.take("h", alarm, alarm != "own");
        }
        answers.lose([("h".to_owned(), "gone".to_owned())]);
        let key = |alarm: &str| ("h".to_owned(), alarm.to_owned());
        let stored = BTreeMap::from([(key("once"), 1), (key("twice"), 2)]);
        assert_eq!(answers.missing(&stored), 1);
        assert_eq!(
            answers.settle(&stored),
            Event::Settled {
                taken: 5,
                stored: 1,
                doubled: vec!["h/twice".into()],
                lost: vec!["h/lost".into()],
                gone_with_disks: 1,
                not_shared: 1,
            }
        );
    }

    #[test]
    fn a_run_that_goes_on_asks_those_again_who_have_not_answered() {
        let raised = |alarm: &str| Event::Raised {
            home: "h".into(),
            alarm: alarm.into(),
            entity: String::new(),
            class: String::new(),
            kind: String::new(),
            really: true,
            version: 0,
        };
        let answered = Event::Answered {
            home: "h".into(),
            alarm: "a".into(),
            verdict: "confirmed".into(),
            right: true,
            shared: true,
        };
        let lines = [(1, raised("a")), (2, raised("b")), (3, answered)].map(|(at, event)| Line { at, event });
        let mut answers = Answers::of(&lines, |_, _, at, _| Some(reply(at + 10)));
        let due = answers.due(100);
        assert_eq!(due.iter().map(|due| due.alarm.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
