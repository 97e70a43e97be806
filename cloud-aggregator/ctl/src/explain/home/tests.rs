//! What is said of homes in trouble.

use super::*;
use crate::testing::{self, NOW};

fn told(known: &Known) -> String {
    testing::in_a_world("", |world| tell(known, world).lines().join("\n"))
}

fn home() -> Value {
    json!({"home": "home-7", "enrolled_at": NOW - 864_000, "revoked_at": null, "records": 1_204, "through": 9, "agent": {
        "online": true, "agent_version": "0.1.0", "model_version": 3, "entities": 12, "outbox": 0, "heard_at": NOW - 60}})
}

#[test]
fn a_home_in_order_runs_the_fleets_model() {
    let known = Known { home: home(), champion: Some(json!({"version": 3})), ..Known::default() };
    let text = told(&known);
    for part in [
        "Home home-7",
        "Its agent (version 0.1.0) is online; last heard 2026-12-01 09:05 (60 s ago). It watches 12 entities, and nothing waits for a receipt.",
        "It says that model 3 is in charge.\nThat is the fleet's model.",
        "1,204 answers stored.\nThey are learned from: it is not excluded.\nNothing that it sent waits in quarantine.",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn why_a_home_is_excluded_suspected_and_not_updated_is_said() {
    let known = Known {
        home: home(),
        champion: Some(json!({"version": 4})),
        rollout: Some(json!({"model_version": 4, "state": "running"})),
        attestation: Some(json!({"home": "home-7", "ordered": 4, "runs": 3, "state": "differs"})),
        outcome: Some(
            json!({"home": "home-7", "model_version": 4, "stage": "run", "result": "rolled_back", "reason": "probation: too slow",
            "back_to": 3, "weighs": true, "received_at": NOW - 3_000}),
        ),
        exclusion: Some(
            json!({"home": "home-7", "reason": "answers for others", "by": "token:kim", "at": NOW - 7_200, "lifted_at": null}),
        ),
        standing: Some(
            json!({"home": "home-7", "rounds": 5, "left_out": 3, "copied": 1, "alike": "home-9", "suspicion": 0.82,
            "verdict": "left_out"}),
        ),
        offer: Some(json!({"home": "home-7", "willing": true, "entities": 9})),
        round: Some(json!({"number": 6})),
        part: Some(json!({"home": "home-7", "duty": "train", "state": "late", "reason": ""})),
        refused: vec![
            json!({"id": 8, "at": NOW - 100, "home": "home-7", "reason": "not_announced", "detail": "no such alarm", "settled": null}),
        ],
        ..Known::default()
    };
    let text = told(&known);
    for part in [
        "Model 4 was in charge and gave way at the stage run: probation: too slow, and model 3 is in charge again",
        "By its signed word: it runs model 3, and was ordered to run model 4.",
        "The fleet's model is 4. Why it does not run it:\nit tried, and that ended as said above (rolled back)",
        "EXCLUDED since 2026-12-01 07:06 (2 h ago) by token:kim: answers for others.",
        "1 for not announced, the newest 2026-12-01 09:05 (1 min ago): no such alarm. `quarantine lift 8` lets that one in",
        "In round 6 it was asked to train: late. Its delta came after the deadline.",
        "By 5 rounds in which it was judged, SUSPECTED: its next delta is left out (suspicion 0.82 of 1).",
        "its deltas have the same direction as those of home-9, round after round",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_home_that_is_shut_out_or_whose_wave_is_closed_is_told_so() {
    let mut shut = home();
    shut["revoked_at"] = (NOW - 60).into();
    shut["agent"]["online"] = false.into();
    let known = Known {
        home: shut,
        champion: Some(json!({"version": 4})),
        rollout: Some(json!({"model_version": 4, "state": "running"})),
        renewal: Some(json!({"home": "home-7", "expired_at": NOW - 86_400, "approved_by": null})),
        hidden: vec!["its standing: off".to_owned()],
        ..Known::default()
    };
    let text = told(&known);
    for part in [
        "SHUT OUT since 2026-12-01 09:05 (60 s ago)",
        "CERTIFICATE RAN OUT 2026-11-30 09:06 (24 h ago): it waits for a word: `renewals approve` or `renewals deny`.",
        "it is shut out\nits wave is not open yet: `explain rollout 4` says when the next opens\nit is not online",
        "Not shown to this token, or off\nits standing: off",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}
