//! Batches and learning rates.

use std::collections::BTreeSet;

use wellformed_train::batches;
use wellformed_train::schedule::LearningRate;

use crate::support::train_params;

fn lengths() -> Vec<usize> {
    (0..1000).map(|number| 3 + (number * 37) % 29).collect()
}

#[test]
fn an_epoch_has_every_sentence_once_in_batches_of_like_length() {
    let params = train_params(&["train.batch_size=16"]);
    let batches = batches::of_epoch(&lengths(), &params, 1, 0);
    let all: Vec<usize> = batches.iter().flatten().copied().collect();
    assert_eq!(all.len(), 1000);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1000);
    let widths = batches.iter().map(|batch| batch.iter().map(|&index| lengths()[index]).max().unwrap() * batch.len());
    let padding = widths.sum::<usize>() as f64 / lengths().iter().sum::<usize>() as f64;
    assert!(padding < 1.05, "batches would be padded to {padding} times their tokens");
}

#[test]
fn epochs_and_seeds_order_differently_and_repeat_exactly() {
    let params = train_params(&["train.batch_size=16"]);
    let order = |seed, epoch| batches::of_epoch(&lengths(), &params, seed, epoch);
    assert_eq!(order(1, 3), order(1, 3));
    assert_ne!(order(1, 3), order(1, 4));
    assert_ne!(order(1, 3), order(2, 3));
}

#[test]
fn limits_cut_an_epoch_and_overfitting_repeats_its_batches() {
    let limited = train_params(&["train.batch_size=16", "train.limit_train_batches=5"]);
    assert_eq!(batches::of_epoch(&lengths(), &limited, 1, 0).len(), 5);
    assert_ne!(batches::of_epoch(&lengths(), &limited, 1, 0), batches::of_epoch(&lengths(), &limited, 1, 1));
    let repeated = train_params(&["train.batch_size=16", "train.overfit_batches=2"]);
    assert_eq!(batches::of_epoch(&lengths(), &repeated, 1, 0).len(), 2);
    assert_eq!(batches::of_epoch(&lengths(), &repeated, 1, 0), batches::of_epoch(&lengths(), &repeated, 1, 7));
}

#[test]
fn the_rate_rises_to_its_peak_and_falls_to_just_above_zero() {
    for (schedule, middle, last) in [("linear", 0.5, 1.0 / 90.0), ("cosine", 0.5, 3.05e-4), ("constant", 1.0, 1.0)] {
        let set = format!("train.schedule={schedule}");
        let params = train_params(&["train.lr=1.0", "train.warmup_ratio=0.1", &set]);
        let rate = LearningRate::new(&params, 100);
        assert!((rate.at(0) - 0.1).abs() < 1e-12, "{schedule}");
        assert!((rate.at(9) - 1.0).abs() < 1e-12 && (rate.at(10) - 1.0).abs() < 1e-12, "{schedule}");
        assert!((rate.at(55) - middle).abs() < 1e-12, "{schedule}");
        assert!((rate.at(99) - last).abs() < 1e-4, "{schedule}: {}", rate.at(99));
    }
}
