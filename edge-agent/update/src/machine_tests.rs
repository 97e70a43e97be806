//! The update machine: whole update histories without a network, a disk or a clock.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;

fn offer(version: u64) -> Offer {
    let target = format!("model-{version}.safetensors");
    Offer { version: ModelVersion(version), target, length: 3, sha256: vec![0; 32], ordered: false }
}

fn standing(installed: u64) -> Standing {
    Standing { installed: ModelVersion(installed), floor: ModelVersion(installed), ..Standing::default() }
}

fn on_trial(installed: u64, until: i64) -> Standing {
    Standing { trial: Some(Trial { until, tries: 3, ordered: false }), floor: ModelVersion(0), ..standing(installed) }
}

fn in_shadow(installed: u64, version: u64, until: i64) -> Standing {
    Standing { staged: Some((ModelVersion(version), until)), ..standing(installed) }
}

struct Play {
    machine: Machine,
    rng: SmallRng,
    now: i64,
}

impl Play {
    fn new(probation_seconds: i64) -> Self {
        Self::watching(0, probation_seconds)
    }

    fn watching(shadow_seconds: i64, probation_seconds: i64) -> Self {
        let watching = Watching { shadow_seconds, probation_seconds };
        Self { machine: Machine::new(watching, NOW), rng: SmallRng::seed_from_u64(7), now: NOW }
    }

    fn on(&mut self, input: Input, standing: &Standing) -> Turn {
        self.machine.on(input, standing, self.now, &mut self.rng)
    }

    fn task(&mut self, input: Input, standing: &Standing) -> Task {
        let turn = self.on(input, standing);
        assert_eq!(turn.outcome, None);
        turn.task
    }

    /// From a notice of version 2 into its hour of trial.
    fn until_trial(&mut self) -> Standing {
        self.until_swap();
        let trial = on_trial(2, NOW + HOUR);
        self.on(Input::Swapped(Ok(())), &trial);
        trial
    }

    /// From a notice of version 2 to the moment before the swap.
    fn until_swap(&mut self) {
        let at = standing(1);
        assert_eq!(self.task(Input::Notice(ModelVersion(2)), &at), Task::Refresh);
        assert_eq!(self.task(Input::Refreshed(Ok(Some(offer(2)))), &at), Task::Fetch(offer(2)));
        assert_eq!(self.task(Input::Fetched(Ok(())), &at), Task::Prove(offer(2)));
        assert_eq!(self.task(Input::Proved(Ok(())), &at), Task::Stage(offer(2), NOW));
        let shadow = in_shadow(1, 2, NOW);
        assert_eq!(self.task(Input::Staged(Ok(())), &shadow), Task::Compare);
        assert!(matches!(self.task(Input::Compared(Ok(true)), &shadow), Task::Swap(_)));
    }
}

fn installed(version: u64, at: i64) -> Option<UpdateOutcome> {
    Some(UpdateOutcome::installed(ModelVersion(version), at))
}

fn refused(version: u64, stage: UpdateStage, reason: &str, at: i64) -> Option<UpdateOutcome> {
    Some(UpdateOutcome::refused(ModelVersion(version), stage, reason.to_owned(), at))
}

fn rolled_back(version: u64, reason: &str, to: u64, at: i64) -> Option<UpdateOutcome> {
    Some(UpdateOutcome::rolled_back(ModelVersion(version), reason.to_owned(), ModelVersion(to), at))
}

#[test]
fn a_good_release_goes_all_the_way_and_is_reported_once_it_has_earned_its_place() {
    let mut play = Play::new(HOUR);
    play.until_swap();
    let trial = on_trial(2, NOW + HOUR);
    assert_eq!(play.task(Input::Swapped(Ok(())), &trial), Task::Rest);
    assert_eq!(play.machine.next_check(), NOW + 600);
    play.now = NOW + 600;
    assert_eq!(play.task(Input::Tick, &trial), Task::Judge);
    assert_eq!(play.task(Input::Judged(Ok(())), &trial), Task::Rest);
    play.now = NOW + HOUR;
    assert_eq!(play.task(Input::Tick, &trial), Task::Judge);
    assert_eq!(play.task(Input::Judged(Ok(())), &trial), Task::Commit);
    let turn = play.on(Input::Committed(Ok(())), &standing(2));
    assert_eq!(turn, Turn { task: Task::Rest, outcome: installed(2, NOW + HOUR) });
    assert_eq!(*play.machine.phase(), Phase::Committed(ModelVersion(2)));
}

#[test]
fn without_a_probation_time_a_proven_model_is_committed_at_once() {
    let mut play = Play::new(0);
    play.until_swap();
    assert_eq!(play.task(Input::Swapped(Ok(())), &on_trial(2, NOW)), Task::Commit);
}

#[test]
fn a_model_that_fails_its_probation_is_rolled_back_and_the_exact_cause_reported() {
    let mut play = Play::new(HOUR);
    let trial = play.until_trial();
    play.now = NOW + 600;
    play.on(Input::Tick, &trial);
    let cause = "9 of 40 entities would be in alarm at once".to_owned();
    assert_eq!(play.task(Input::Judged(Err(cause.clone())), &trial), Task::Restore(cause.clone()));
    let turn = play.on(Input::Restored(Ok(ModelVersion(1))), &standing(1));
    assert_eq!(turn.outcome, rolled_back(2, &format!("probation: {cause}"), 1, NOW + 600));
}

#[test]
fn a_refused_release_is_reported_once_for_each_reason_and_asked_for_ever_more_rarely() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Notice(ModelVersion(2)), &at);
    let expired = || Input::Refreshed(Err(TrustError::Expired { role: "timestamp".to_owned() }));
    let turn = play.on(expired(), &at);
    assert_eq!(turn.outcome, refused(2, UpdateStage::Verify, "expired: timestamp metadata is expired", NOW));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        play.now = play.machine.next_check();
        assert_eq!(play.task(Input::Tick, &at), Task::Refresh);
        assert_eq!(play.on(expired(), &at).outcome, None);
        pauses.push(play.machine.next_check() - play.now);
    }
    assert!(pauses[0] <= 20 && pauses[7] > 600, "{pauses:?}");
    assert_eq!(play.task(Input::Notice(ModelVersion(2)), &at), Task::Rest, "the retained notice hastens nothing");
    play.now = play.machine.next_check();
    play.on(Input::Tick, &at);
    let tampered = TrustError::Tampered { what: "timestamp.json".to_owned() };
    let turn = play.on(Input::Refreshed(Err(tampered)), &at);
    let words = "tampered: the bytes of timestamp.json differ from the signed hash";
    assert_eq!(turn.outcome, refused(2, UpdateStage::Verify, words, play.now));
}

#[test]
fn metadata_that_is_not_trusted_is_never_held_against_what_is_installed_or_against_a_version_that_nobody_named() {
    let expired = || Input::Refreshed(Err(TrustError::Expired { role: "timestamp".to_owned() }));
    let stale = || {
        let role = "snapshot".to_owned();
        Input::Refreshed(Err(TrustError::RolledBack { role, had: 9, offered: 8 }))
    };
    let pinned = Policy { install: Install::Auto, pin: Some(ModelVersion(2)) };
    for at in [
        standing(2),
        Standing { assigned: Some(ModelVersion(2)), ..standing(2) },
        Standing { policy: pinned, ..standing(2) },
    ] {
        let mut play = Play::new(0);
        // Retained, and long installed.
        play.on(Input::Notice(ModelVersion(2)), &at);
        for input in [expired(), stale(), expired()] {
            play.on(Input::Tick, &at);
            let turn = play.on(input, &at);
            assert_eq!((turn.task, turn.outcome), (Task::Rest, None));
            assert_eq!(*play.machine.phase(), Phase::Idle);
            play.now = play.machine.next_check();
        }
        let cause = "timestamp metadata is expired".to_owned();
        assert_eq!(play.machine.mirror_fault(), Some(&MirrorFault { since: NOW, cause }));
        play.on(Input::Tick, &at);
        play.on(Input::Refreshed(Err(TrustError::Unreachable("no route".to_owned()))), &at);
        assert!(play.machine.mirror_fault().is_some(), "silence repairs nothing");
        play.on(Input::Tick, &at);
        play.on(Input::Refreshed(Ok(Some(offer(2)))), &at);
        assert_eq!(play.machine.mirror_fault(), None);
    }
}

#[test]
fn what_the_fleet_assigns_is_named_when_its_metadata_is_not_trusted() {
    let mut play = Play::new(0);
    let at = Standing { assigned: Some(ModelVersion(3)), ..standing(2) };
    play.on(Input::Assigned, &at);
    let turn = play.on(Input::Refreshed(Err(TrustError::Expired { role: "targets".to_owned() })), &at);
    assert_eq!(turn.outcome, refused(3, UpdateStage::Verify, "expired: targets metadata is expired", NOW));
    assert!(!turn.outcome.unwrap().weighs_on_release());
}

#[test]
fn a_busy_mirror_is_asked_again_when_it_says_and_not_sooner() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Notice(ModelVersion(2)), &at);
    let busy = |seconds| TrustError::Busy(Busy { status: 429, retry_after: Some(Duration::from_secs(seconds)) });
    assert_eq!(play.on(Input::Refreshed(Err(busy(1_800))), &at).outcome, None);
    let pause = play.machine.next_check() - NOW;
    assert!((1_800..=1_980).contains(&pause), "{pause}");
    assert_eq!(play.task(Input::Notice(ModelVersion(2)), &at), Task::Rest, "the retained notice hastens nothing");
    assert_eq!(play.machine.mirror_fault(), None);
}

#[test]
fn a_bad_line_is_not_held_against_the_release() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Notice(ModelVersion(2)), &at);
    assert_eq!(play.on(Input::Refreshed(Err(TrustError::Unreachable("no route".to_owned()))), &at).outcome, None);
    assert_eq!(*play.machine.phase(), Phase::Idle);
    assert!(play.machine.next_check() > NOW && play.machine.next_check() <= NOW + 10);
}

#[test]
fn nothing_below_the_floor_gets_in() {
    let mut play = Play::new(0);
    let at = Standing { floor: ModelVersion(5), ..standing(5) };
    assert_eq!(play.task(Input::Tick, &at), Task::Refresh);
    let turn = play.on(Input::Refreshed(Ok(Some(offer(4)))), &at);
    assert_eq!(turn.outcome, refused(4, UpdateStage::Verify, "below_floor: version 4 is below 5, which ran here", NOW));
    assert_eq!(turn.task, Task::Rest);
}

#[test]
fn the_same_version_and_a_version_that_failed_here_are_left_alone() {
    let mut play = Play::new(0);
    play.on(Input::Tick, &standing(5));
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(5)))), &standing(5)), Task::Rest);
    play.on(Input::Tick, &standing(5));
    let failed = Standing { offer_failed: true, ..standing(5) };
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(6)))), &failed), Task::Rest);
}

#[test]
fn a_notice_that_overtakes_the_mirror_is_followed_up_soon() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Notice(ModelVersion(2)), &at);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(1)))), &at), Task::Rest);
    assert!(play.machine.next_check() <= NOW + 10, "{}", play.machine.next_check() - NOW);
}

#[test]
fn news_of_a_version_does_not_wait_for_the_back_off_of_an_older_failure() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Tick, &at);
    play.on(Input::Refreshed(Err(TrustError::Missing("timestamp.json".to_owned()))), &at);
    assert_eq!(play.task(Input::Notice(ModelVersion(2)), &at), Task::Refresh);
}

#[test]
fn a_notice_of_what_runs_already_wakes_nobody() {
    let mut play = Play::new(0);
    assert_eq!(play.task(Input::Notice(ModelVersion(1)), &standing(1)), Task::Rest);
    assert_eq!(play.task(Input::Notice(ModelVersion(0)), &standing(1)), Task::Rest);
}

#[test]
fn a_notice_during_a_trial_waits_for_its_end() {
    let mut play = Play::new(HOUR);
    let trial = play.until_trial();
    assert_eq!(play.task(Input::Notice(ModelVersion(3)), &trial), Task::Rest);
    play.now = NOW + HOUR;
    play.on(Input::Tick, &trial);
    play.on(Input::Judged(Ok(())), &trial);
    play.on(Input::Committed(Ok(())), &standing(2));
    assert_eq!(play.machine.next_check(), play.now);
}

#[test]
fn a_model_that_does_not_prove_itself_is_refused() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Tick, &at);
    play.on(Input::Refreshed(Ok(Some(offer(2)))), &at);
    play.on(Input::Fetched(Ok(())), &at);
    let turn = play.on(Input::Proved(Err("3 of 9 scores are not finite".to_owned())), &at);
    assert_eq!(turn.outcome, refused(2, UpdateStage::Install, "not_proven: 3 of 9 scores are not finite", NOW));
}

#[test]
fn an_interrupted_update_begins_anew() {
    let mut play = Play::new(0);
    let at = standing(1);
    play.on(Input::Tick, &at);
    play.on(Input::Refreshed(Ok(Some(offer(2)))), &at);
    assert_eq!(play.task(Input::Tick, &at), Task::Refresh);
}

#[test]
fn a_reason_longer_than_a_message_may_hold_is_cut_between_characters() {
    let text = one_line("word", &"é\n".repeat(400));
    assert!(text.len() <= TEXT_BYTES_MAX && !text.contains('\n') && text.starts_with("word: é"));
}

#[test]
fn a_release_scores_beside_the_one_in_charge_until_it_was_looked_at_long_and_often_enough() {
    let mut play = Play::watching(HOUR, HOUR);
    let at = standing(1);
    play.on(Input::Notice(ModelVersion(2)), &at);
    play.on(Input::Refreshed(Ok(Some(offer(2)))), &at);
    play.on(Input::Fetched(Ok(())), &at);
    assert_eq!(play.task(Input::Proved(Ok(())), &at), Task::Stage(offer(2), NOW + HOUR));
    let shadow = in_shadow(1, 2, NOW + HOUR);
    assert_eq!(play.task(Input::Staged(Ok(())), &shadow), Task::Compare);
    assert_eq!(play.task(Input::Compared(Ok(true)), &shadow), Task::Rest);
    assert_eq!(*play.machine.phase(), Phase::Shadowing(ModelVersion(2)));
    assert_eq!(play.machine.next_check(), NOW + 600);
    play.now = NOW + HOUR;
    assert_eq!(play.task(Input::Tick, &shadow), Task::Compare);
    assert_eq!(play.task(Input::Compared(Ok(false)), &shadow), Task::Rest, "an hour asleep is no hour of watching");
    assert_eq!(play.machine.next_check(), NOW + HOUR + 600);
    play.now = NOW + HOUR + 600;
    play.on(Input::Tick, &shadow);
    assert_eq!(play.task(Input::Compared(Ok(true)), &shadow), Task::Swap(play.now + HOUR));
}

#[test]
fn a_release_that_is_deaf_beside_the_one_in_charge_never_takes_charge() {
    let mut play = Play::watching(HOUR, HOUR);
    let shadow = in_shadow(1, 2, NOW + HOUR);
    play.on(Input::Tick, &shadow);
    let cause = "finds 3 of 24 synthetic faults, the model before 22".to_owned();
    assert_eq!(play.task(Input::Compared(Err(cause.clone())), &shadow), Task::Drop(Some(cause.clone())));
    let turn = play.on(Input::Dropped(Ok(())), &standing(1));
    assert_eq!(
        turn,
        Turn { task: Task::Rest, outcome: refused(2, UpdateStage::Install, &format!("shadow: {cause}"), NOW) }
    );
}

#[test]
fn an_owner_may_ask_to_be_asked() {
    let mut play = Play::new(0);
    let at = Standing { policy: Policy { install: Install::Ask, pin: None }, ..standing(1) };
    play.on(Input::Notice(ModelVersion(2)), &at);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(2)))), &at), Task::Rest);
    assert_eq!(*play.machine.phase(), Phase::Waiting(ModelVersion(2)));
    assert_eq!(play.task(Input::Consent(None), &at), Task::Refresh);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(2)))), &at), Task::Fetch(offer(2)));
    play.on(Input::Fetched(Err(TrustError::Unreachable(String::new()))), &at);
    play.on(Input::Tick, &at);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(3)))), &at), Task::Rest, "consent to 2 is none to 3");
}

#[test]
fn a_paused_home_asks_for_nothing_and_what_is_staged_waits() {
    let mut play = Play::new(0);
    let policy = Policy { install: Install::Paused, pin: None };
    let at = Standing { policy, ..standing(1) };
    assert_eq!(play.task(Input::Tick, &at), Task::Rest);
    assert_eq!(play.task(Input::Notice(ModelVersion(2)), &at), Task::Rest);
    assert_eq!(play.task(Input::Tick, &Standing { policy, ..in_shadow(1, 2, NOW) }), Task::Rest);
    let trial = Standing { policy, ..on_trial(2, NOW) };
    assert_eq!(play.task(Input::Tick, &trial), Task::Judge, "a trial under way is still judged");
}

#[test]
fn a_pinned_home_takes_the_pinned_version_and_no_other() {
    let mut play = Play::new(0);
    let at = Standing { policy: Policy { install: Install::Auto, pin: Some(ModelVersion(2)) }, ..standing(1) };
    play.on(Input::Notice(ModelVersion(3)), &at);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(3)))), &at), Task::Rest);
    assert!(play.machine.next_check() > NOW + HOUR, "no hurry after what it does not want");
    play.on(Input::Tick, &at);
    assert_eq!(play.task(Input::Refreshed(Ok(Some(offer(2)))), &at), Task::Fetch(offer(2)));
}

#[test]
fn only_a_signed_order_leads_down_and_it_waits_for_no_consent() {
    let mut play = Play::new(0);
    let policy = Policy { install: Install::Ask, pin: Some(ModelVersion(5)) };
    let at = Standing { policy, assigned: Some(ModelVersion(3)), ..standing(5) };
    play.on(Input::Assigned, &at);
    let ordered = Offer { ordered: true, ..offer(3) };
    assert_eq!(play.task(Input::Refreshed(Ok(Some(ordered.clone()))), &at), Task::Fetch(ordered));
    play.on(Input::Tick, &at);
    let turn = play.on(Input::Refreshed(Ok(Some(offer(3)))), &at);
    assert_eq!(turn.outcome, refused(3, UpdateStage::Verify, "below_floor: version 3 is below 5, which ran here", NOW));
}

#[test]
fn the_fleet_may_call_off_a_shadow_and_a_trial() {
    let mut play = Play::watching(HOUR, HOUR);
    let shadow = Standing { assigned: Some(ModelVersion(1)), ..in_shadow(1, 2, NOW + HOUR) };
    assert_eq!(play.task(Input::Assigned, &shadow), Task::Drop(None));
    assert_eq!(play.task(Input::Dropped(Ok(())), &standing(1)), Task::Refresh);

    let mut play = Play::watching(HOUR, HOUR);
    let trial = Standing { assigned: Some(ModelVersion(1)), ..on_trial(2, NOW + HOUR) };
    assert_eq!(play.task(Input::Assigned, &trial), Task::CallBack);
    let turn = play.on(Input::Restored(Ok(ModelVersion(1))), &standing(1));
    assert_eq!(turn.outcome, rolled_back(2, "ordered: the fleet calls it back", 1, NOW));
    assert_eq!(play.machine.next_check(), NOW, "and what it wants instead is asked for at once");
}
