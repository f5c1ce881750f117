//! One optimiser step's gradient, from one device or from several.
//!
//! With several devices this is data parallelism: every device has a replica of the classifier, made anew at every step
//! from the one that the optimiser updates; each batch is dealt out to them; each device runs the forward and backward
//! passes of its share in a thread of its own; the gradients are moved to the first device and added up there, in the
//! devices' order, so that the sum does not depend on who was done first. Clipping, `AdamW` and everything after it take
//! place once, on the first device, and do not know of this.
//!
//! A share's loss is divided by the weight of the *whole* batch ([`Objective::part_of_loss`]), so the sum of the shares'
//! gradients is the batch's gradient: without dropout, several devices differ from one by rounding alone. With dropout
//! each share has a seed of its own, and another number of devices is another random draw.

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, FloatDType, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};
use wellformed_core::params::{DeviceKind, TrainPrecision};
use wellformed_model::batch::Batch;
use wellformed_model::classifier::{Classifier, Mode, Weights};
use wellformed_model::device::{self, Chosen};

use crate::derived_seed;
use crate::objective::{Objective, Target};

/// The sentences of one forward pass.
#[derive(Debug, Clone)]
pub struct Sentences<'a> {
    /// Token ids.
    pub ids: Vec<&'a [i32]>,
    /// What they are to come to.
    pub targets: Vec<Target>,
    /// Of the dropout.
    pub seed: u64,
}

impl Sentences<'_> {
    /// The share of device `place` of `count`: sentences are dealt out like cards, so that shares are of like size and,
    /// as a batch is sorted by length, of like length. There may be none left for the last devices.
    fn share(&self, place: usize, count: usize) -> Self {
        let ids: Vec<_> = self.ids.iter().skip(place).step_by(count).copied().collect();
        let targets = self.targets.iter().skip(place).step_by(count).copied().collect();
        // The first device drops what a single one would.
        let seed = if place == 0 { self.seed } else { derived_seed(self.seed, "device", place as u64) };
        Self { ids, targets, seed }
    }
}

/// The devices that compute gradients.
#[derive(Debug)]
pub struct Devices {
    first: Device,
    /// Of the encoder's matrix products.
    precision: TrainPrecision,
    /// With the threads of each; empty when there is one device, which needs no threads of its own.
    several: Vec<(Device, ThreadPool)>,
}

impl Devices {
    /// The first `count` devices of the chosen kind. The CPU can be chosen several times: its threads are then divided
    /// among the devices, each of which has at least one.
    ///
    /// # Errors
    ///
    /// When the machine has not that many, or threads cannot be started.
    pub fn new(chosen: &Chosen, count: usize, precision: TrainPrecision) -> Result<Self> {
        let precision = if chosen.device.supports_dtype(FloatDType::BF16) { precision } else { TrainPrecision::Fp32 };
        let devices = device::several(chosen, count)?;
        let first = chosen.device.clone();
        if count == 1 {
            return Ok(Self { first, precision, several: Vec::new() });
        }
        let threads = match chosen.kind {
            DeviceKind::Flex | DeviceKind::Ndarray => (rayon::current_num_threads() / count).max(1),
            // These compute elsewhere: a thread gives them their work, always the same one, because Burn keeps a queue
            // of work for each thread.
            _ => 1,
        };
        let pool = |(place, device)| {
            let name = move |thread| format!("device-{place}-{thread}");
            let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build();
            Ok((device, pool.context("cannot start the threads of train.devices")?))
        };
        Ok(Self { first, precision, several: devices.into_iter().enumerate().map(pool).collect::<Result<_>>()? })
    }

    /// What the encoder's matrix products take in: what was asked for where the device can do it, else 32 bits.
    pub fn precision(&self) -> TrainPrecision {
        self.precision
    }

    /// Gradient and loss (shape `[1]`) of one optimiser step, on the first device: the mean over the batches.
    /// `heard` is told how many sentences a batch had once its work is given out.
    ///
    /// # Errors
    ///
    /// When there is no sentence at all.
    pub fn gradients(
        &self,
        classifier: &Classifier,
        objective: &Objective,
        batches: &[Sentences<'_>],
        heard: &mut dyn FnMut(usize),
    ) -> Result<(GradientsParams, Tensor<1>)> {
        let nothing = "a step without a sentence";
        if self.several.is_empty() {
            return share_of_step(classifier, objective, batches, self.precision, (0, 1), heard).context(nothing);
        }
        let count = self.several.len();
        let mut shares: Vec<Option<Share>> = (0..count).map(|_| None).collect();
        let jobs = self.several.iter().zip(&mut shares).enumerate().map(|(place, ((device, pool), share))| {
            let source = classifier.clone();
            let job = move || {
                let replica = on_device(source, device);
                let done = share_of_step(&replica, objective, batches, self.precision, (place, count), &mut |_| {});
                *share = done.map(|(gradients, loss)| {
                    (gradients.to_device(&self.first, &replica.weights), loss.to_device(&self.first))
                });
            };
            (pool, job)
        });
        at_once(jobs);
        for batch in batches {
            heard(batch.ids.len());
        }

        let mut sum = GradientsAccumulator::new();
        let mut total: Option<Tensor<1>> = None;
        for (gradients, loss) in shares.into_iter().flatten() {
            sum.accumulate(&classifier.weights, gradients);
            total = Some(total.map_or(loss.clone(), |total| total + loss));
        }
        Ok((sum.grads(), total.context(nothing)?))
    }
}

/// Gradient and loss.
type Share = (GradientsParams, Tensor<1>);

/// What device `place` of `count` contributes to a step; `None` when there is no sentence for it.
fn share_of_step(
    classifier: &Classifier,
    objective: &Objective,
    batches: &[Sentences<'_>],
    precision: TrainPrecision,
    (place, count): (usize, usize),
    heard: &mut dyn FnMut(usize),
) -> Option<Share> {
    let mut accumulator = GradientsAccumulator::<Weights>::new();
    let mut total: Option<Tensor<1>> = None;
    for whole in batches {
        let share = whole.share(place, count);
        if share.ids.is_empty() {
            continue;
        }
        let batch = Batch::new(share.ids.iter().copied());
        let logits = classifier.forward(&batch, Mode::Training { seed: share.seed, precision });
        let loss = objective.part_of_loss(logits, &share.targets, &whole.targets);
        let loss = loss.mul_scalar(1.0 / batches.len() as f64);
        let gradients = GradientsParams::from_grads(loss.backward(), &classifier.weights);
        accumulator.accumulate(&classifier.weights, gradients);
        let loss = loss.inner();
        total = Some(total.map_or(loss.clone(), |total| total + loss));
        heard(share.ids.len());
    }
    Some((accumulator.grads(), total?))
}

/// A replica with an autodiff graph of its own. Where the device is the same, it shares the parameters' memory.
fn on_device(classifier: Classifier, device: &Device) -> Classifier {
    Classifier { weights: classifier.weights.fork(device), ..classifier }
}

/// Runs every job on a thread of its pool, all at once, and waits for them.
fn at_once<'pool, J: FnOnce() + Send>(mut jobs: impl Iterator<Item = (&'pool ThreadPool, J)>) {
    if let Some((pool, job)) = jobs.next() {
        pool.in_place_scope(|scope| {
            scope.spawn(|_| job());
            at_once(jobs);
        });
    }
}
