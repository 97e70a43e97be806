//! The sums that are kept equal a full count, whatever was written in whatever order.

use hearthwatch_protocol::Sequence;
use hearthwatch_protocol::messages::{AgentStatus, Verdict, Withdrawal, WithdrawalScope};
use proptest::prelude::*;

use super::*;
use crate::fixtures::{NOW, home, record, row, status};
use crate::rollouts::{AnswerDay, RolloutStore as _};
use crate::rows::FeedbackRow;

/// A window of two numbers: a hundred small rows are written faster than one large.
fn answer(home_name: &str, sequence: u64, verdict: Verdict, received_at: i64) -> FeedbackRow {
    let mut answer = record(home_name, sequence);
    answer.window = hearthwatch_protocol::messages::FeatureWindow { steps: 1, features: 2, values: vec![0.5, 1.0] };
    answer.verdict = verdict;
    FeedbackRow { received_at, ..row(answer) }
}

#[derive(Debug, Clone)]
enum Step {
    Answer { home: u8, sequence: u64, verdict: u8, day: i64 },
    TakeBack { home: u8, through: u64 },
    Status { home: u8, online: bool, outbox: u32 },
    Revoke(u8),
    Restore(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let home = 0..3_u8;
    prop_oneof![
        6 => (home.clone(), 1..20_u64, 0..3_u8, 0..3_i64)
            .prop_map(|(home, sequence, verdict, day)| Step::Answer { home, sequence, verdict, day }),
        1 => (home.clone(), 1..20_u64).prop_map(|(home, through)| Step::TakeBack { home, through }),
        2 => (home.clone(), any::<bool>(), 0..9_u32)
            .prop_map(|(home, online, outbox)| Step::Status { home, online, outbox }),
        1 => home.clone().prop_map(Step::Revoke),
        1 => home.prop_map(Step::Restore),
    ]
}

fn name(home: u8) -> String {
    format!("home-{home}")
}

/// The same sums, counted row by row.
fn counted(store: &SqliteStore) -> (FeedbackTotals, FleetTotals, Vec<AnswerDay>) {
    let reader = store.read();
    let count = |select: &str| -> u64 { reader.query_row(select, [], |row| row.get(0)).unwrap() };
    let feedback = FeedbackTotals {
        records: count("SELECT count(*) FROM feedback"),
        confirmed: count("SELECT count(*) FROM feedback WHERE verdict = 'confirmed'"),
        dismissed: count("SELECT count(*) FROM feedback WHERE verdict = 'dismissed'"),
        expected: count("SELECT count(*) FROM feedback WHERE verdict = 'expected'"),
        homes: count("SELECT count(DISTINCT home) FROM feedback"),
    };
    let fleet = FleetTotals {
        homes: count("SELECT count(*) FROM homes"),
        online: count("SELECT count(*) FROM homes WHERE revoked_at IS NULL AND online = 1"),
        waiting: count("SELECT coalesce(sum(outbox), 0) FROM homes"),
    };
    let select =
        "SELECT home, received_at / 86400, sum(verdict = 'confirmed'), sum(verdict = 'dismissed') FROM feedback
         WHERE received_at >= ?1 GROUP BY 1, 2 HAVING sum(verdict <> 'expected') > 0 ORDER BY 1, 2";
    let mut statement = reader.prepare(select).unwrap();
    let days = statement.query_map([SINCE], |row| {
        let home = HomeId::new(row.get::<_, String>(0)?).unwrap();
        Ok(AnswerDay { home, day: row.get(1)?, confirmed: row.get(2)?, dismissed: row.get(3)? })
    });
    let days = days.unwrap().collect::<Result<_, _>>().unwrap();
    (feedback, fleet, days)
}

/// In the middle of a day: what was stored on it before does not count.
const SINCE: i64 = NOW + 600;

fn play(steps: &[Step]) -> (tempfile::TempDir, SqliteStore) {
    let (directory, store) = crate::fixtures::store();
    for number in 0..3 {
        store.enrol_home(&home(&name(number)), 1).unwrap();
    }
    for (number, step) in (1..).zip(steps) {
        match *step {
            Step::Answer { home, sequence, verdict, day } => {
                let verdict = [Verdict::Confirmed, Verdict::Dismissed, Verdict::Expected][usize::from(verdict)];
                let feedback = vec![answer(&name(home), sequence, verdict, NOW + day * 86_400 + i64::from(home) * 600)];
                store.apply(&IngestBatch { feedback, at: NOW, ..IngestBatch::default() }).unwrap();
            }
            Step::TakeBack { home: whose, through } => {
                let scope = WithdrawalScope::Through(Sequence(through));
                let withdrawal = Withdrawal { home: home(&name(whose)), id: number, scope, at: NOW };
                store.withdraw(&withdrawal, NOW).unwrap();
            }
            Step::Status { home: whose, online, outbox } => {
                let statuses = vec![(home(&name(whose)), AgentStatus { online, ..status(outbox) })];
                store.apply(&IngestBatch { statuses, at: NOW, ..IngestBatch::default() }).unwrap();
            }
            Step::Revoke(whose) => store.revoke_home(&home(&name(whose)), NOW).unwrap(),
            Step::Restore(whose) => store.restore_home(&home(&name(whose))).unwrap(),
        }
    }
    (directory, store)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn after_any_writes_the_kept_sums_equal_a_full_count(steps in prop::collection::vec(step(), 1..40)) {
        let (_directory, store) = play(&steps);
        let (feedback, fleet, days) = counted(&store);
        prop_assert_eq!(store.feedback_totals().unwrap(), feedback);
        prop_assert_eq!(store.fleet_totals().unwrap(), fleet);
        let mut kept = store.answer_days(SINCE).unwrap();
        kept.retain(|day| day.confirmed + day.dismissed > 0);
        prop_assert_eq!(kept, days);
    }
}
