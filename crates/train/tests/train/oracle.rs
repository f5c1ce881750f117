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
    /// How far PyTorch's own runs in 32 bits come from this one.
    #[serde(default)]
    in_32_bits: Farthest,
}

/// The farthest of PyTorch's runs in 32 bits, each with another order in which products are added up: losses and norms by
/// step, and all logits.
#[derive(Default, Deserialize)]
struct Farthest {
    losses: Vec<f64>,
    norms: Vec<f64>,
    logits: f64,
}

impl Farthest {
    fn at(steps: &[f64], step: usize) -> f64 {
        steps.get(step).copied().unwrap_or(0.0)
    }
}

/// How far a 32-bit device may be from PyTorch's 64-bit run over six steps: losses and logits, relative, or absolute where
/// they are below one. Where factors are rounded, as much farther as PyTorch itself comes in 32 bits, depending on nothing
/// but the order of its sums ([`Farthest`]).
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

fn close(found: f64, expected: f64, tolerance: f64, farther: f64, what: &str) {
    let allowed = tolerance * expected.abs().max(1.0) + farther;
    assert!((found - expected).abs() < allowed, "{what}: {found}, PyTorch has {expected}, and {allowed} is allowed");
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
    for (step, expected) in case.losses.iter().zip(&case.norms).enumerate() {
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
        let agree = is_close(loss, *expected.0, TOLERANCE) && is_close(norm, *expected.1, NORM_TOLERANCE);
        let may_differ = apart < products.steps_apart();
        apart += usize::from(may_differ && !agree);
        let times = if may_differ { ONE_ROUNDING } else { 1.0 };
        let farther = [&case.in_32_bits.losses, &case.in_32_bits.norms].map(|steps| Farthest::at(steps, step));
        let what = |number| format!("{what}: {number} of step {}", step + 1);
        close(loss, *expected.0, TOLERANCE * times, farther[0], &what("loss"));
        close(norm, *expected.1, NORM_TOLERANCE * times, farther[1], &what("gradient norm"));
    }
    for (sentences, expected) in batches.iter().zip(&case.logits) {
        let logits = classifier.valid().logits(&pack(sentences)).unwrap();
        for (found, expected) in logits.iter().flatten().zip(expected.iter().flatten()) {
            let what = format!("{what}: a logit after the last step");
            close(f64::from(*found), *expected, TOLERANCE, case.in_32_bits.logits, &what);
        }
    }
}
