//! What leaves a home that trained.

use hearthwatch_detector::network::{NamedTensor, initial_weights};
use hearthwatch_detector::reading::Value;
use hearthwatch_evaluation::fixtures::home::made_home;
use hearthwatch_protocol::round::RoundFile;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

fn home() -> LocalHome {
    let recorded = made_home(3, 21);
    let (first, last) = recorded.span().unwrap();
    let steps = (first..=last).step_by(600).collect();
    LocalHome { recorded, verdicts: Vec::new(), steps, from: last - 7 * 86_400, days: 7 }
}

fn work(clip: f64, noise: f64) -> TrainWork {
    let recipe = TrainRecipe { steps: 3, batch: 32, learning_rate: 1e-3, rise_steps: 1, seed: 1 };
    TrainWork { base: RoundFile::of(&[]), recipe, clip, noise, server_noise: 0.0 }
}

fn trained(home: LocalHome, work: &TrainWork) -> Result<(Vec<u8>, JobFigures), RoundError> {
    train(home, &initial_weights(1), work, Form::Levels, 7, &mut StdRng::seed_from_u64(1))
}

#[test]
fn what_is_sent_reads_back_within_the_clip_and_is_the_same_each_time() {
    let (body, figures) = trained(home(), &work(0.05, 0.0)).unwrap();
    let restored = Quantised::from_bytes(&body).unwrap().restore().unwrap();
    assert!(restored.norm() <= 0.05 && restored.norm() > 0.045, "{}", restored.norm());
    assert!((figures.sent_norm - restored.norm()).abs() < 1e-12 && figures.norm > 0.05, "{figures:?}");
    assert_eq!((figures.entities, figures.days), (3, 7));
    assert_eq!(trained(home(), &work(0.05, 0.0)).unwrap().0, body);
}

#[test]
fn noise_is_added_after_the_clip_and_its_norm_is_not_in_the_figures() {
    let (body, figures) = trained(home(), &work(0.05, 0.01)).unwrap();
    let restored = Quantised::from_bytes(&body).unwrap().restore().unwrap();
    // 0.01 × √29,654 values.
    assert!((1.5..2.0).contains(&restored.norm()), "{}", restored.norm());
    assert!(figures.sent_norm <= 0.05 && (figures.noise - 0.01).abs() < 1e-12);
}

#[test]
fn words_are_the_same_delta_in_steps_that_can_be_added() {
    for noise in [0.0, 0.01] {
        let work = work(0.05, noise);
        let trained = |form| train(home(), &initial_weights(1), &work, form, 7, &mut StdRng::seed_from_u64(1)).unwrap();
        let (body, figures) = trained(Form::Words);
        let levels = Quantised::from_bytes(&trained(Form::Levels).0).unwrap().restore().unwrap();
        let words: Vec<u16> = body.as_chunks::<2>().0.iter().map(|word| u16::from_le_bytes(*word)).collect();
        let grid = FixedPoint::of_clip(work.clip).with_noise(work.noise);
        let delta = grid.mean(&words, 1).unwrap();
        assert!(delta.cosine(&levels) > 0.999, "{noise}: {}", delta.cosine(&levels));
        assert!(figures.sent_norm <= 0.05 + 1e-9 && figures.sent_norm > 0.045, "{figures:?}");
    }
}

#[test]
fn rounding_that_makes_a_delta_longer_than_the_clip_is_taken_back() {
    for seed in 0..20 {
        let delta = Delta::between(&initial_weights(seed), &initial_weights(seed + 1));
        let (quantised, norms) = sent(delta, &work(0.5, 0.0), &mut StdRng::seed_from_u64(1)).unwrap();
        assert!(quantised.restore().unwrap().norm() <= 0.5 && norms.before > 0.5, "seed {seed}: {}", norms.sent);
    }
}

#[test]
fn a_sensor_that_never_changes_and_one_that_only_has_gaps_stop_no_training() {
    let mut home = home();
    for reading in &mut home.recorded.readings {
        match reading.entity {
            1 => reading.value = Value::Number(0.0),
            2 => reading.value = Value::Gap,
            _ => {}
        }
    }
    assert!(trained(home, &work(1.0, 0.0)).unwrap().1.norm > 0.0);
}

#[test]
fn a_home_of_gaps_alone_gives_nothing_to_learn() {
    let mut home = home();
    home.recorded.readings.iter_mut().for_each(|reading| reading.value = Value::Gap);
    assert_eq!(trained(home, &work(1.0, 0.0)).unwrap_err(), RoundError::NothingToLearn);
}

#[test]
fn weights_from_which_the_loss_is_no_number_diverge() {
    let usual = initial_weights(1);
    let huge = usual.iter().map(|(name, tensor)| {
        let values = tensor.values.iter().map(|value| value * 1e30).collect();
        (name.to_owned(), NamedTensor { shape: tensor.shape.clone(), values })
    });
    let huge = Weights::new(huge.collect()).unwrap();
    let refused = train(home(), &huge, &work(1.0, 0.0), Form::Levels, 7, &mut StdRng::seed_from_u64(1));
    assert_eq!(refused.unwrap_err(), RoundError::Diverged);
}
