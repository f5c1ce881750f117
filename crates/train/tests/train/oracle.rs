//! Training as PyTorch does it; fixture by `fixtures/make_training.py`.

use std::collections::BTreeMap;
use std::fs;

use burn::tensor::FloatDType;
use serde::Deserialize;
use serde_json::Value;
use wellformed_core::label::Label;
use wellformed_core::params::DeviceKind;
use wellformed_model::batch::Batch;
use wellformed_model::device::{Chosen, open};
use wellformed_train::objective::{Objective, Target};
use wellformed_train::optimizer::AdamW;
use wellformed_train::parallel::{self, Devices};
use wellformed_train::schedule::LearningRate;

use crate::support::{cpu_devices, devices, manifest, small_bert, stage};

#[derive(Deserialize)]
struct Fixture {
    batches: Vec<Sentences>,
    cases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Sentences {
    sequences: Vec<Vec<i32>>,
    labels: Vec<usize>,
    /// A teacher's probabilities of *acceptable*.
    taught: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    settings: BTreeMap<String, Value>,
    losses: Vec<f64>,
    norms: Vec<f64>,
    logits: Vec<Vec<[f64; 2]>>,
    /// By step, the losses and gradient norms that PyTorch comes to as well, in 32 bits, when it adds up in other orders.
    #[serde(default)]
    in_32_bits: Vec<Vec<[f64; 2]>>,
}

impl Case {
    /// What PyTorch comes to in a step, in 64 bits or in 32: of these, the loss and norm nearest to those found. Where
    /// factors are rounded there are several: a number next to the middle between two bfloat16 is rounded up with one
    /// order of a sum and down with another, and that moves the loss by up to a thousandth.
    fn nearest(&self, step: usize, found: [f64; 2]) -> [f64; 2] {
        let in_64_bits = [self.losses[step], self.norms[step]];
        let others = self.in_32_bits.get(step).into_iter().flatten().copied();
        let distance = |of: &[f64; 2]| {
            let apart = |at: usize, tolerance: f64| (found[at] - of[at]).abs() / (tolerance * of[at].abs().max(1.0));
            apart(0, TOLERANCE).max(apart(1, NORM_TOLERANCE))
        };
        others.fold(in_64_bits, |best, other| if distance(&other) < distance(&best) { other } else { best })
    }
}

/// How far a 32-bit device may be from PyTorch's 64-bit run over six steps: losses and logits, relative, or absolute below
/// 1.
const TOLERANCE: f64 = 1e-4;
/// Likewise gradient norms.
const NORM_TOLERANCE: f64 = 5e-4;
/// How many times as far off a step may be where [`Products::steps_apart`] allows one to be.
const ONE_ROUNDING: f64 = 50.0;

/// What a case does in a device's matrix products, and so which devices it is for.
#[derive(Clone, Copy, PartialEq)]
enum Products {
    /// 32 bits: every device.
    Plain,
    /// Rounded factors: the fused encoder.
    RoundedFactors,
    /// Rounded factors and results: plain operations, on a device that has bfloat16.
    RoundedResults,
}

impl Products {
    fn of(name: &str) -> Self {
        match name {
            "rounded" => Self::RoundedFactors,
            "rounded results" => Self::RoundedResults,
            _ => Self::Plain,
        }
    }

    /// In how many of the steps a result may have been rounded the other way. A sum that was added up in 32 bits can lie
    /// on the other side of the middle between two bfloat16 than the same sum in 64 bits, which moves one number by one
    /// part in 256, and the loss of that step by some thousandth.
    fn steps_apart(self) -> usize {
        match self {
            Self::Plain | Self::RoundedFactors => 0,
            Self::RoundedResults => 1,
        }
    }

    fn are_those_of(self, chosen: &Chosen) -> bool {
        match self {
            Self::Plain => true,
            Self::RoundedFactors => chosen.kind == DeviceKind::Flex,
            Self::RoundedResults => chosen.device.supports_dtype(FloatDType::BF16),
        }
    }
}

fn is_close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() < tolerance * expected.abs().max(1.0)
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(is_close(found, expected, tolerance), "{what}: {found}, PyTorch has {expected}");
}

#[test]
fn losses_gradient_norms_and_logits_are_pytorchs_on_every_device() {
    check_every_device(devices(), 1);
}

#[test]
fn with_batches_split_over_two_or_three_devices_they_are_still_pytorchs() {
    // One of the batches has two sentences, so the third device has nothing to do.
    check_every_device(cpu_devices(), 2);
    check_every_device(cpu_devices(), 3);
}

fn check_every_device(kinds: impl Iterator<Item = DeviceKind>, count: usize) {
    let text = fs::read_to_string(manifest().join("tests/fixtures/training.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    for kind in kinds {
        for (name, case) in &fixture.cases {
            let (chosen, products) = (open(kind).unwrap(), Products::of(name));
            if products.are_those_of(&chosen) {
                let what = format!("{name} on {count} × {}", kind.name());
                check(&fixture.batches, case, products, (&chosen, count), &what);
            }
        }
    }
}

fn check(batches: &[Sentences], case: &Case, products: Products, (chosen, count): (&Chosen, usize), what: &str) {
    let mut sets: Vec<String> =
        ["lr=1e-3", "clip_norm=0", "warmup_ratio=0.3333"].map(|set| format!("train.{set}")).into();
    sets.extend(["hidden", "attention", "classifier"].map(|dropout| format!("model.{dropout}_dropout=0")));
    sets.extend(["model.layers=0", "train.precision=fp32"].map(str::to_owned));
    sets.extend(
        case.settings.iter().map(|(key, value)| format!("train.{key}={}", value.to_string().trim_matches('"'))),
    );
    let stage = stage(&sets.iter().map(String::as_str).collect::<Vec<_>>());

    let devices = Devices::new(chosen, count, stage.train.precision).unwrap();
    assert_eq!(devices.precision(), stage.train.precision, "{what}");
    let mut classifier = small_bert(&stage, chosen);
    classifier.fused &= products != Products::RoundedResults;

    let label = |&index: &usize| Label::from_index(index).unwrap();
    let objective = Objective::new(&stage.train, batches.iter().flat_map(|batch| batch.labels.iter().map(label)));
    let schedule = LearningRate::new(&stage.train, case.losses.len());
    let mut optimizer = AdamW::new(&stage.train, &classifier, chosen.kind);
    let mut apart = 0;
    let pack = |sentences: &Sentences| Batch::new(sentences.sequences.iter().map(|ids| &ids[..]));
    for step in 0..case.losses.len() {
        let sentences = &batches[step % batches.len()];
        let batch = parallel::Sentences {
            ids: sentences.sequences.iter().map(|ids| &ids[..]).collect(),
            targets: (sentences.labels.iter().zip(&sentences.taught))
                .map(|(index, &taught)| Target { label: label(index), taught: Some(taught) })
                .collect(),
            seed: step as u64,
        };
        let (grads, loss) = devices.gradients(&classifier, &objective, &[batch], &mut |_| {}).unwrap();
        let norm;
        (classifier, norm) = optimizer.step(classifier, grads, schedule.at(step)).unwrap();
        let scalar = |tensor: burn::tensor::Tensor<1>| f64::from(tensor.into_data().try_into_vec::<f32>().unwrap()[0]);
        let (loss, norm) = (scalar(loss), scalar(norm));
        let expected = case.nearest(step, [loss, norm]);
        let agree = is_close(loss, expected[0], TOLERANCE) && is_close(norm, expected[1], NORM_TOLERANCE);
        let may_differ = apart < products.steps_apart();
        apart += usize::from(may_differ && !agree);
        let times = if may_differ { ONE_ROUNDING } else { 1.0 };
        close(loss, expected[0], TOLERANCE * times, &format!("{what}: loss of step {}", step + 1));
        close(norm, expected[1], NORM_TOLERANCE * times, &format!("{what}: gradient norm of step {}", step + 1));
    }
    for (sentences, expected) in batches.iter().zip(&case.logits) {
        let logits = classifier.valid().logits(&pack(sentences)).unwrap();
        for (found, expected) in logits.iter().flatten().zip(expected.iter().flatten()) {
            close(f64::from(*found), *expected, TOLERANCE, &format!("{what}: a logit after the last step"));
        }
    }
}
