//! How each part is doing, for `/healthz` and `/readyz`: from what the supervisor knows and what the parts' probes say.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use strum::{IntoStaticStr, VariantNames};

/// What the end of a part means for the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Grade {
    /// The program ends with it.
    Vital,
    /// It is started again, and the rest goes on meanwhile.
    Optional,
}

/// What a probe says of a part that runs. Probes must be cheap: values from atomics and channels, no lock that is held over work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It does its work.
    Able,
    /// It cannot do its work at the moment; waiting or a person mends that, a restart does not.
    Unable,
    /// It has not come on for longer than it ever takes: only a restart helps.
    Stuck,
}

/// How a part is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, IntoStaticStr, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum State {
    /// See [`Condition::Able`].
    Able,
    /// See [`Condition::Unable`].
    Unable,
    /// See [`Condition::Stuck`].
    Stuck,
    /// An optional part has ended and waits to be started again.
    Restarting,
    /// It has ended, before the program was stopped.
    Dead,
    /// It has ended, as it was told to.
    Stopped,
}

impl State {
    /// The word for it on `/healthz` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Where a part is in its life, as its supervisor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    Restarting,
    Dead,
    Stopped,
}

/// One part of a [`Report`]. Open to all, so it names nothing but the part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Name of the part, as in logs and on `/healthz`.
    pub part: &'static str,
    /// What its end means.
    pub grade: Grade,
    /// How it is doing.
    pub state: State,
    /// Since when it was seen so, Unix seconds.
    pub since: i64,
}

/// All in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// Every part does its work.
    Able,
    /// Some part does not; waiting or a person mends that.
    Unable,
    /// A vital part is dead or stuck: only a restart helps.
    Dead,
}

/// How the program is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// All in one word.
    pub status: Verdict,
    /// Every part, in the order in which they were made known.
    pub parts: Vec<PartReport>,
}

impl Report {
    /// What `/healthz` asks: false only where a restart is the cure.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.status != Verdict::Dead
    }

    /// What `/readyz` asks.
    #[must_use]
    pub fn is_able(&self) -> bool {
        self.status == Verdict::Able
    }
}

type Probe = Box<dyn Fn() -> Condition + Send + Sync>;

struct Row {
    part: &'static str,
    grade: Grade,
    life: Life,
    probe: Option<Probe>,
    seen: Option<(State, i64)>,
}

/// Every part of one program.
#[derive(Default)]
pub struct Board(Mutex<Vec<Row>>);

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.parts()).finish()
    }
}

impl Board {
    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        // A probe that panicked has changed nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, part: &'static str, grade: Grade, change: impl FnOnce(&mut Row)) {
        let mut rows = self.rows();
        let index = rows.iter().position(|row| row.part == part).unwrap_or_else(|| {
            rows.push(Row { part, grade, life: Life::Running, probe: None, seen: None });
            rows.len() - 1
        });
        change(&mut rows[index]);
    }

    pub(crate) fn enter(&self, part: &'static str, grade: Grade) {
        self.with(part, grade, |row| row.grade = grade);
    }

    pub(crate) fn set(&self, part: &'static str, grade: Grade, life: Life) {
        self.with(part, grade, |row| row.life = life);
    }

    /// Has `probe` asked how a part is doing while it runs. A name that is no task of the supervisor's makes a row of its own: what a
    /// program needs and does not run, like a disk.
    pub fn probe(&self, part: &'static str, grade: Grade, probe: impl Fn() -> Condition + Send + Sync + 'static) {
        self.with(part, grade, |row| row.probe = Some(Box::new(probe)));
    }

    /// Every part, in the order in which they were made known.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, Grade)> {
        self.rows().iter().map(|row| (row.part, row.grade)).collect()
    }

    /// Looks at every part. Whoever wants `since` to be right looks now and then without being asked.
    #[must_use]
    pub fn look(&self) -> Report {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.look_at(i64::try_from(now).unwrap_or(i64::MAX))
    }

    fn look_at(&self, now: i64) -> Report {
        let parts: Vec<PartReport> = self
            .rows()
            .iter_mut()
            .map(|row| {
                let state = match row.life {
                    Life::Running => match row.probe.as_ref().map_or(Condition::Able, |probe| probe()) {
                        Condition::Able => State::Able,
                        Condition::Unable => State::Unable,
                        Condition::Stuck => State::Stuck,
                    },
                    Life::Restarting => State::Restarting,
                    Life::Dead => State::Dead,
                    Life::Stopped => State::Stopped,
                };
                let since = match row.seen {
                    Some((seen, since)) if seen == state => since,
                    _ => now,
                };
                row.seen = Some((state, since));
                PartReport { part: row.part, grade: row.grade, state, since }
            })
            .collect();
        Report { status: verdict(&parts), parts }
    }

    pub(crate) fn running(&self) -> Vec<&'static str> {
        let rows = self.rows();
        rows.iter().filter(|row| row.life == Life::Running).map(|row| row.part).collect()
    }
}

fn verdict(parts: &[PartReport]) -> Verdict {
    let lost = |part: &&PartReport| part.grade == Grade::Vital && matches!(part.state, State::Dead | State::Stuck);
    if parts.iter().any(|part| lost(&part)) {
        Verdict::Dead
    } else if parts.iter().all(|part| part.state == State::Able) {
        Verdict::Able
    } else {
        Verdict::Unable
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn only_a_vital_part_that_is_dead_or_stuck_is_worth_a_restart() {
        let board = Board::default();
        for (part, grade) in [("detector", Grade::Vital), ("page", Grade::Optional)] {
            board.enter(part, grade);
        }
        assert!(board.look().is_able());
        for life in [Life::Restarting, Life::Dead, Life::Stopped] {
            board.set("page", Grade::Optional, life);
            let report = board.look();
            assert!(report.is_alive() && !report.is_able(), "{life:?}");
        }
        board.probe("detector", Grade::Vital, || Condition::Unable);
        assert!(board.look().is_alive());
        board.probe("detector", Grade::Vital, || Condition::Stuck);
        assert!(!board.look().is_alive());
        board.probe("detector", Grade::Vital, || Condition::Able);
        assert!(board.look().is_alive());
        board.set("detector", Grade::Vital, Life::Dead);
        assert!(!board.look().is_alive(), "a probe says nothing of a part that has ended");
    }

    #[test]
    fn since_is_when_a_state_was_seen_first() {
        let (board, away) = (Board::default(), Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&away);
        let condition = move || if seen.load(Ordering::Relaxed) { Condition::Unable } else { Condition::Able };
        board.probe("broker", Grade::Optional, condition);
        let since = |now| board.look_at(now).parts[0].since;
        assert_eq!((since(10), since(20)), (10, 10));
        away.store(true, Ordering::Relaxed);
        assert_eq!((since(30), since(40)), (30, 30));
    }

    #[test]
    fn a_report_is_json_that_names_parts_and_nothing_else() {
        let board = Board::default();
        board.probe("broker", Grade::Vital, || Condition::Unable);
        let text = serde_json::to_string(&board.look_at(7)).unwrap();
        let expected = r#"{"status":"unable","parts":[{"part":"broker","grade":"vital","state":"unable","since":7}]}"#;
        assert_eq!(text, expected);
    }
}
