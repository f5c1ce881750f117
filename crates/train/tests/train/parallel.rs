//! Several devices against one: without dropout they may differ by rounding alone.
//!
//! The devices here are one CPU several times over. What that cannot show is the way of a tensor from one GPU to
//! another, which is Burn's.

use std::collections::BTreeMap;

use wellformed_core::dataset::Example;
use wellformed_core::params::{DeviceKind, TrainPrecision, TrainStage};
use wellformed_model::device::{Chosen, DeviceError, open};
use wellformed_train::objective::Objective;
use wellformed_train::optimizer::AdamW;
use wellformed_train::parallel::{Devices, Sentences};

use crate::support::{cpu_devices, example, small_bert, stage};

/// Of losses, absolute; losses here are near 0.7.
const LOSS_TOLERANCE: f64 = 1e-5;
/// Of gradient norms, relative.
const NORM_TOLERANCE: f64 = 1e-5;
/// Of weights after the last step, absolute: a hundredth of what a step of this learning rate can move one.
const WEIGHT_TOLERANCE: f64 = 1e-5;

const NO_DROPOUT: [&str; 3] = ["model.hidden_dropout=0", "model.attention_dropout=0", "model.classifier_dropout=0"];
/// As in the PyTorch fixture, a larger epsilon keeps rounding from deciding the sign of an update where a gradient is all
/// but zero.
const SETTINGS: [&str; 4] = ["model.layers=0", "train.lr=1e-3", "train.epsilon=1e-5", "train.precision=fp32"];

#[derive(Debug)]
struct Trace {
    losses: Vec<f64>,
    norms: Vec<f64>,
    weights: BTreeMap<String, Vec<f32>>,
    /// Sentences, as they were told of batch by batch.
    heard: Vec<usize>,
}

/// A step for each group of batches, each batch of so many sentences.
fn train(stage: &TrainStage, (kind, count): (DeviceKind, usize), steps: &[&[usize]]) -> Trace {
    let chosen = open(kind).unwrap();
    let devices = Devices::new(&chosen, count, stage.train.precision).unwrap();
    let mut classifier = small_bert(stage, &chosen);
    let mut optimizer = AdamW::new(&stage.train, &classifier, kind);
    let examples: Vec<Example> = (0..97).map(|number| example("train", number)).collect();
    let objective = Objective::new(&stage.train, examples.iter().map(|example| example.label));
    let mut endless = examples.iter().cycle();
    let (mut losses, mut norms, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    for (step, sizes) in steps.iter().enumerate() {
        let batches: Vec<Sentences<'_>> = sizes
            .iter()
            .enumerate()
            .map(|(place, &size)| {
                let batch: Vec<&Example> = endless.by_ref().take(size).collect();
                Sentences {
                    ids: batch.iter().map(|example| &example.input_ids[..]).collect(),
                    targets: batch.iter().map(|example| example.label.into()).collect(),
                    seed: (10 * step + place) as u64,
                }
            })
            .collect();
        let (gradients, loss) =
            devices.gradients(&classifier, &objective, &batches, &mut |sentences| heard.push(sentences)).unwrap();
        let norm;
        (classifier, norm) = optimizer.step(classifier, gradients, stage.train.lr).unwrap();
        let scalar = |tensor: burn::tensor::Tensor<1>| f64::from(tensor.into_data().try_into_vec::<f32>().unwrap()[0]);
        losses.push(scalar(loss));
        norms.push(scalar(norm));
    }
    let tensors = classifier.valid().tensors().unwrap();
    let weights = tensors.into_iter().map(|(name, tensor)| (name, tensor.values)).collect();
    Trace { losses, norms, weights, heard }
}

fn furthest(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| f64::from((left - right).abs())).fold(0.0, f64::max)
}

/// Holds two and three devices against one, on every CPU device of the build.
fn hold_against_one(sets: &[&str], steps: &[&[usize]]) {
    let stage = stage(&[&SETTINGS[..], &NO_DROPOUT, sets].concat());
    for kind in cpu_devices() {
        let one = train(&stage, (kind, 1), steps);
        assert!(one.losses.first() != one.losses.last(), "nothing was trained");
        for count in [2, 3] {
            let what = format!("{sets:?} on {count} × {}", kind.name());
            let several = train(&stage, (kind, count), steps);
            assert_eq!(several.heard, one.heard, "{what}");
            assert_close(&several, &one, &what);
        }
    }
}

fn assert_close(found: &Trace, expected: &Trace, what: &str) {
    for (step, (found, expected)) in found.losses.iter().zip(&expected.losses).enumerate() {
        assert!((found - expected).abs() < LOSS_TOLERANCE, "{what}: loss {step}: {found}, one has {expected}");
    }
    for (step, (found, expected)) in found.norms.iter().zip(&expected.norms).enumerate() {
        let apart = (found / expected - 1.0).abs();
        assert!(apart < NORM_TOLERANCE, "{what}: norm {step}: {found}, one has {expected}");
    }
    for (name, expected) in &expected.weights {
        let apart = furthest(&found.weights[name], expected);
        assert!(apart < WEIGHT_TOLERANCE, "{what}: {name} is {apart} apart");
    }
}

#[test]
fn six_steps_on_several_devices_are_those_of_one() {
    hold_against_one(&[], &[&[16], &[16], &[16], &[16], &[16], &[16]]);
}

#[test]
fn they_are_with_weighted_classes_smoothing_and_clipping() {
    // The classes' weights differ, and so do the shares' sums of them: each share is divided by the whole batch's.
    let sets = ["train.class_weights=balanced", "train.label_smoothing=0.1", "train.clip_norm=0.1"];
    hold_against_one(&sets, &[&[7], &[5], &[16], &[4], &[9], &[11]]);
}

#[test]
fn they_are_with_accumulated_batches() {
    hold_against_one(&[], &[&[8, 8, 8], &[8, 8, 8], &[8, 8, 8], &[8, 8, 8], &[8, 8, 8], &[8, 1]]);
}

#[test]
fn two_accumulated_batches_are_one_of_twice_the_size() {
    let (once, twice): ([&[usize]; 6], [&[usize]; 6]) = ([&[16]; 6], [&[8, 8]; 6]);
    let stage = stage(&[&SETTINGS[..], &NO_DROPOUT].concat());
    for (kind, count) in cpu_devices().flat_map(|kind| [(kind, 1), (kind, 2)]) {
        let whole = train(&stage, (kind, 1), &once);
        let halves = train(&stage, (kind, count), &twice);
        assert_close(&halves, &whole, &format!("{count} × {}", kind.name()));
    }
}

#[test]
fn they_are_when_batches_are_smaller_than_the_devices_are_many() {
    hold_against_one(&[], &[&[8], &[1], &[2], &[2, 1], &[1, 8], &[1]]);
}

#[test]
fn they_are_with_frozen_parameters_which_stay_as_they_were() {
    let sets = ["model.freeze_embeddings=true", "model.freeze_layers=1"];
    let steps: [&[usize]; 6] = [&[16]; 6];
    hold_against_one(&sets, &steps);
    let stage = stage(&[&SETTINGS[..], &NO_DROPOUT, &sets].concat());
    let (before, after) = (train(&stage, (DeviceKind::Flex, 2), &[]), train(&stage, (DeviceKind::Flex, 2), &steps));
    for (name, weights) in before.weights {
        let frozen = name.starts_with("embeddings.") || name.starts_with("encoder.layer.0.");
        assert_eq!(after.weights[&name] == weights, frozen, "{name}");
    }
}

#[test]
fn with_dropout_a_seed_gives_the_same_bits_every_time() {
    let stage = stage(&SETTINGS);
    for kind in cpu_devices() {
        let steps: [&[usize]; 4] = [&[16, 16]; 4];
        let first = train(&stage, (kind, 3), &steps);
        for _ in 0..4 {
            let again = train(&stage, (kind, 3), &steps);
            assert!((&first.losses, &first.weights) == (&again.losses, &again.weights), "{}", kind.name());
        }
    }
}

#[test]
fn each_device_drops_something_else() {
    let stage = stage(&SETTINGS);
    let labels = [example("train", 1).label];
    let objective = Objective::new(&stage.train, labels);
    for kind in cpu_devices() {
        let chosen = open(kind).unwrap();
        let classifier = small_bert(&stage, &chosen);
        let loss = |count: usize| {
            let sentence = example("train", 1);
            let batch = Sentences {
                ids: vec![&sentence.input_ids; count],
                targets: vec![sentence.label.into(); count],
                seed: 5,
            };
            let devices = Devices::new(&chosen, count, stage.train.precision).unwrap();
            let (_, loss) = devices.gradients(&classifier, &objective, &[batch], &mut |_| {}).unwrap();
            loss.into_data().try_into_vec::<f32>().unwrap()[0]
        };
        // The same sentence once, and on each of two devices: with the same masks the mean would be the same.
        assert!((loss(1) - loss(2)).abs() > 1e-4, "{}", kind.name());
    }
}

#[test]
fn too_many_devices_are_refused_with_how_many_there_are() {
    let said = DeviceError::TooFew { asked: 4, present: 2 }.to_string();
    assert!(said.contains("train.devices is 4") && said.contains("2 CUDA devices"), "{said}");
    let wgpu = Chosen { kind: DeviceKind::Wgpu, ..open(DeviceKind::Flex).unwrap() };
    let said = format!("{:#}", Devices::new(&wgpu, 2, TrainPrecision::Fp32).unwrap_err());
    assert_eq!(said, "train.devices is 2, but with compute.device wgpu it can only be 1");
}
