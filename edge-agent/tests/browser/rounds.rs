//! Two rounds of a home, as its ledger has them: one taken, one in hand.

use std::path::Path;

use hearthwatch_edge_core::round_job::JobFigures;
use hearthwatch_edge_rounds::machine::Waits;
use hearthwatch_edge_rounds::state::RoundState;
use hearthwatch_edge_rounds::{Doing, Outcome, RoundsView};
use hearthwatch_edge_ui::RoundsPage;
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{
    PlanSeen, RoundFile, RoundPlan, RoundWork, SignedRoundAnswer, SignedRoundPlan, TrainRecipe, TrainWork,
};
use tokio::sync::watch;

use crate::home::NOW;

/// Writes the ledger into `folder`.
pub fn page(folder: &Path) -> RoundsPage {
    let file = folder.join("rounds.sqlite");
    let mut state = RoundState::open(&file).unwrap();
    for round in [41, 42] {
        let at = NOW - (43 - round) as i64 * 86_400;
        let plan = SignedRoundPlan::from_bytes(vec![1]);
        state.take(&plan, &plan_of(round, at), &PlanSeen { round, digest: [0; 32] }, at).unwrap();
        let figures = JobFigures { entities: 5, days: 28, norm: 1.4, sent_norm: 1.0, ..JobFigures::default() };
        state.answer(round, &SignedRoundAnswer::from_bytes(vec![1]), &levels(), &figures, at + 60).unwrap();
    }
    state.sent(41, NOW).unwrap();
    state.end(41, Outcome::Taken, None, NOW).unwrap();
    let view = RoundsView { doing: Doing::Waiting(Waits::Receipt, NOW), ..RoundsView::default() };
    RoundsPage { state: file, view: watch::channel(view).1 }
}

fn plan_of(round: u64, at: i64) -> RoundPlan {
    RoundPlan {
        home: HomeId::new("home-7").unwrap(),
        round,
        work: RoundWork::Train(TrainWork {
            base: RoundFile::of(b"weights"),
            recipe: TrainRecipe { steps: 20, batch: 128, learning_rate: 1e-3, rise_steps: 5, seed: 7 },
            clip: 1.0,
            noise: 0.0,
            server_noise: 0.0,
        }),
        cohort: 12,
        least: 6,
        opens_at: at,
        deadline: at + 86_400,
        nonce: [2; 16],
    }
}

/// A hill of levels, as a delta has it: each the sum of four throws.
fn levels() -> Vec<u8> {
    let throw = |number: u32| (number.wrapping_mul(2_654_435_761) >> 26) as i32 - 32;
    (0..29_862_u32).map(|place| (0..4).map(|turn| throw(place * 4 + turn)).sum::<i32>() as u8).collect()
}
