//! The update in tensor operations is the one on the host. It is for devices that a test cannot count on, so here it runs
//! on `flex`, under another device's name.

use wellformed_core::label::Label;
use wellformed_core::params::DeviceKind;
use wellformed_model::classifier::Classifier;
use wellformed_model::device::{Chosen, open};
use wellformed_model::weights::Tensors;
use wellformed_train::objective::Objective;
use wellformed_train::optimizer::AdamW;
use wellformed_train::parallel::{Devices, Sentences};

use crate::support::{example, small_bert, stage};

/// 32-bit sums in another order.
const TOLERANCE: f32 = 1e-5;

/// A classifier in training.
struct Training {
    devices: Devices,
    objective: Objective,
    classifier: Classifier,
    optimizer: AdamW,
    sets: Vec<&'static str>,
}

impl Training {
    fn start(chosen: &Chosen, kind: DeviceKind, sets: &[&'static str]) -> Self {
        let stage = stage(sets);
        let classifier = small_bert(&stage, chosen);
        Self {
            devices: Devices::new(chosen, 1, stage.train.precision).unwrap(),
            objective: Objective::new(&stage.train, [Label::Acceptable, Label::Unacceptable]),
            optimizer: AdamW::new(&stage.train, &classifier, kind),
            classifier,
            sets: sets.to_vec(),
        }
    }

    /// Trains on sentences `from` to `from + 8`; gives the norm of the gradient.
    fn step(&mut self, from: usize) -> f32 {
        let examples: Vec<_> = (from..from + 8).map(|number| example("train", number)).collect();
        let batch = Sentences {
            ids: examples.iter().map(|example| &example.input_ids[..]).collect(),
            targets: examples.iter().map(|example| example.label.into()).collect(),
            seed: 0,
        };
        let (gradients, _) = self.devices.gradients(&self.classifier, &self.objective, &[batch], &mut |_| {}).unwrap();
        let (classifier, norm) = self.optimizer.step(self.classifier.clone(), gradients, 1e-3).unwrap();
        self.classifier = classifier;
        norm.into_data().try_into_vec::<f32>().unwrap()[0]
    }

    /// Goes on with another optimiser, from what this one would leave in a file, after freezing `more`.
    fn interrupted(self, chosen: &Chosen, kind: DeviceKind, more: &[&'static str]) -> Self {
        let stage = stage(&[&self.sets[..], more].concat());
        let mut optimizer = AdamW::new(&stage.train, &self.classifier, kind);
        optimizer.restore(self.optimizer.tensors().unwrap(), self.optimizer.steps(), &chosen.device).unwrap();
        let classifier = self.classifier.valid().train(&stage.model);
        Self { classifier, optimizer, ..self }
    }

    fn results(&self) -> [Tensors; 2] {
        [self.classifier.valid().tensors().unwrap(), self.optimizer.tensors().unwrap()]
    }
}

fn assert_same(found: &Training, expected: &Training, what: &str) {
    for (found, expected) in found.results().into_iter().zip(expected.results()) {
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
        for (name, expected) in expected {
            assert_eq!(found[&name].shape, expected.shape, "{what}: {name}");
            for (found, expected) in found[&name].values.iter().zip(&expected.values) {
                assert!((found - expected).abs() < TOLERANCE, "{what}: {name} has {found}, the host {expected}");
            }
        }
    }
}

#[test]
fn the_update_end_to_end_is_the_one_on_the_host_also_after_an_interruption_and_with_other_parameters() {
    let chosen = open(DeviceKind::Flex).unwrap();
    let dropouts = ["model.hidden_dropout=0", "model.attention_dropout=0", "model.classifier_dropout=0"];
    for sets in
        [&["train.layer_lr_decay=0.8", "train.clip_norm=0.1"][..], &["train.clip_norm=0", "train.weight_decay=0.3"]]
    {
        let sets = [&["model.layers=0", "train.precision=fp32", "train.epsilon=1e-5"], &dropouts[..], sets].concat();
        let mut host = Training::start(&chosen, DeviceKind::Flex, &sets);
        let mut joined = Training::start(&chosen, DeviceKind::Libtorch, &sets);
        let both = |host: &mut Training, joined: &mut Training, from: usize, what: &str| {
            for step in 0..3 {
                let (expected, found) = (host.step(from + 8 * step), joined.step(from + 8 * step));
                assert!((found / expected - 1.0).abs() < 1e-5, "{what}: norm {found}, the host has {expected}");
            }
            assert_same(joined, host, what);
        };
        both(&mut host, &mut joined, 0, "from the start");
        // Now the lower layer gets no gradient: its moments stay as they are, and what is updated together changes.
        let frozen = ["model.freeze_embeddings=true", "model.freeze_layers=1"];
        let mut host = host.interrupted(&chosen, DeviceKind::Flex, &frozen);
        let mut joined = joined.interrupted(&chosen, DeviceKind::Libtorch, &frozen);
        both(&mut host, &mut joined, 24, "after an interruption");
        // And then it gets one again, without an interruption.
        for training in [&mut host, &mut joined] {
            training.classifier = training.classifier.valid().train(&stage(&sets).model);
        }
        both(&mut host, &mut joined, 48, "with all parameters again");
    }
}
