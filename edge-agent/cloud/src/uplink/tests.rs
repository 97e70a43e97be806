//! The session: whole days of a bad line, without a clock and without a line.

use std::collections::BTreeSet;
use std::time::Duration;

use hearthwatch_protocol::Sequence;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::session::{Next, RESEND, Sent, Session, WINDOW_RECORDS_MAX};

const NOW: Duration = Duration::from_secs(1_000);

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn nothing_is_sent_without_a_link() {
    let mut session = Session::new([Sequence(1)], RESEND);
    session.queued();
    assert_eq!(session.next(NOW), Next::Idle);
    session.connected(NOW);
    session.disconnected();
    assert_eq!(session.next(NOW), Next::Idle);
}

#[test]
fn a_fresh_record_is_numbered_sent_and_then_waited_for() {
    let mut session = Session::new([], RESEND);
    session.connected(NOW);
    assert_eq!(session.next(NOW), Next::Number);
    session.numbered(Some(Sequence(1)), NOW);
    assert_eq!(session.next(NOW), Next::Send(Sequence(1)));
    session.sent(Sequence(1), Sent::Acknowledged, NOW, &mut rng());
    assert_eq!(session.next(NOW), Next::Number);
    session.numbered(None, NOW);
    let Next::Wait(until) = session.next(NOW) else { panic!("{:?}", session.next(NOW)) };
    assert!(until >= NOW + seconds(15) && until <= NOW + seconds(30), "{until:?}");
    session.settled([], NOW);
    session.numbered(None, NOW);
    assert_eq!(session.next(NOW), Next::Idle);
}

#[test]
fn without_a_receipt_a_record_is_sent_again_ever_more_rarely() {
    let mut session = Session::new([Sequence(1)], RESEND);
    let mut rng = rng();
    session.connected(NOW);
    session.numbered(None, NOW);
    let (mut now, mut pauses) = (NOW, Vec::new());
    for _ in 0..8 {
        assert_eq!(session.next(now), Next::Send(Sequence(1)));
        session.sent(Sequence(1), Sent::Acknowledged, now, &mut rng);
        let Next::Wait(until) = session.next(now) else { panic!("{:?}", session.next(now)) };
        pauses.push((until - now).as_secs());
        now = until;
    }
    assert!(pauses[0] <= 30 && pauses[3] >= 120 && pauses[7] >= 450 && pauses[7] <= 900, "{pauses:?}");
}

#[test]
fn after_a_reconnect_everything_in_flight_is_sent_again_but_live_goes_first() {
    let mut session = Session::new([], RESEND);
    session.connected(NOW);
    for sequence in 1..=2 {
        session.numbered(Some(Sequence(sequence)), NOW);
        session.sent(Sequence(sequence), Sent::Acknowledged, NOW, &mut rng());
    }
    session.disconnected();
    let later = NOW + seconds(86_400);
    session.queued();
    session.connected(later);
    let mut order = Vec::new();
    let mut live = Some(Sequence(3));
    loop {
        match session.next(later) {
            Next::Number => session.numbered(live.take(), later),
            Next::Send(sequence) => {
                order.push(sequence.0);
                session.sent(sequence, Sent::Acknowledged, later, &mut rng());
            }
            Next::Wait(_) | Next::Renew | Next::Idle => break,
        }
    }
    assert_eq!(order.len(), 3);
    assert!(order.contains(&1) && order.contains(&2) && order[..2].contains(&3), "{order:?}");
}

#[test]
fn a_broker_that_takes_everything_and_answers_nothing_is_left_for_a_new_connection() {
    let mut session = Session::new([], RESEND);
    let mut rng = rng();
    session.connected(NOW);
    let day_later = NOW + seconds(86_400);
    session.numbered(Some(Sequence(1)), day_later);
    session.sent(Sequence(1), Sent::Acknowledged, day_later, &mut rng);
    session.numbered(None, day_later);
    assert!(matches!(session.next(day_later), Next::Wait(_)), "a quiet day is no stall");
    let stalled = day_later + seconds(7_200);
    assert_eq!(session.next(stalled), Next::Renew);
    session.connected(stalled);
    session.numbered(None, stalled);
    assert_eq!(session.next(stalled), Next::Send(Sequence(1)), "and everything in flight goes out again");
}

#[test]
fn a_lost_connection_stops_the_sending_at_once() {
    let mut session = Session::new([Sequence(1)], RESEND);
    session.connected(NOW);
    session.numbered(None, NOW);
    session.sent(Sequence(1), Sent::Lost, NOW, &mut rng());
    assert_eq!(session.next(NOW), Next::Idle);
    session.connected(NOW);
    session.numbered(None, NOW);
    assert_eq!(session.next(NOW), Next::Send(Sequence(1)));
}

#[test]
fn a_full_window_gives_out_no_number_until_a_receipt_comes() {
    let all: Vec<Sequence> = (1..=WINDOW_RECORDS_MAX as u64).map(Sequence).collect();
    let mut session = Session::new(all.clone(), RESEND);
    session.connected(NOW);
    session.queued();
    assert_eq!(session.next(NOW), Next::Send(Sequence(1)));
    session.settled(all.into_iter().skip(1), NOW);
    assert_ne!(session.next(NOW), Next::Idle);
    session.numbered(Some(Sequence(100)), NOW);
    assert_eq!(session.next(NOW), Next::Send(Sequence(2)));
}

proptest! {
    /// Whatever is lost on the way, an aggregator that answers in the end has everything in the end.
    #[test]
    fn a_session_always_finishes_once_the_line_is_good(losses in prop::collection::vec(0..4_u8, 0..200), total in 1..80_u64) {
        let mut session = Session::new([], RESEND);
        let mut rng = SmallRng::seed_from_u64(total);
        let (mut given, mut now) = (0, NOW);
        let mut stored = BTreeSet::new();
        let mut numbered = BTreeSet::new();
        let mut losses = losses.into_iter();
        session.connected(now);
        for _ in 0..20_000 {
            match session.next(now) {
                Next::Number => {
                    let next = (given < total).then(|| Sequence(given + 1));
                    given += u64::from(next.is_some());
                    numbered.extend(next);
                    session.numbered(next, now);
                    prop_assert!(numbered.len() <= WINDOW_RECORDS_MAX);
                }
                Next::Send(sequence) => match losses.next().unwrap_or(3) {
                    0 => session.sent(sequence, Sent::Lost, now, &mut rng),
                    1 => session.sent(sequence, Sent::Refused, now, &mut rng),
                    loss => {
                        session.sent(sequence, Sent::Acknowledged, now, &mut rng);
                        stored.insert(sequence);
                        if loss == 3 {
                            let through = (1..).take_while(|&next| stored.contains(&Sequence(next))).count() as u64;
                            numbered.retain(|sequence| sequence.0 > through);
                            session.settled(numbered.iter().copied(), now);
                        }
                    }
                },
                Next::Wait(until) => {
                    prop_assert!(until > now);
                    now = until;
                }
                Next::Renew => session.connected(now),
                Next::Idle if given == total && numbered.is_empty() => return Ok(()),
                Next::Idle => session.connected(now),
            }
        }
        prop_assert!(false, "never finished: {session:?}");
    }
}
