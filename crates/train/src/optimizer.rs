//! `AdamW` (Loshchilov and Hutter 2019) over the parameters of a [`Classifier`], with decay groups, layer-wise learning
//! rates and clipping of the whole gradient's norm.
//!
//! On the CPU devices of pure Rust the update is one pass over each parameter, in place and on all threads: most
//! parameters of a small BERT are its embedding table, and an update written in tensor operations would go over its
//! 47 MB fifteen times a step. Most words of the table never occur, so their moments are zero and not even read.
//!
//! On the other devices the same update is made of tensor operations, so that nothing leaves the device. There what
//! counts is how many operations there are: so the parameters that the same update is for are laid end to end, and
//! updated as one.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::backend::Flex;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use wellformed_core::params::{DeviceKind, Pooling, TrainParams};
use wellformed_model::classifier::Classifier;
use wellformed_model::follow_path;
use wellformed_model::names::ParameterPath;
use wellformed_model::weights::{Named, Tensors, named};

/// Elements that one thread updates at a time.
const CHUNK: usize = 1 << 14;
/// Elements that a part of a [`Group`] is a multiple of, where it can be: 256 bytes.
const ALIGNMENT: usize = 1 << 6;
/// Elements of which [`HostMoments`] knows whether their moments are zero; a chunk has a whole number of them.
const BLOCK: usize = 1 << 7;

/// The settings of an update.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    clip_norm: f64,
    layer_lr_decay: f64,
    layers: usize,
    pooling: Pooling,
}

impl Settings {
    /// The learning rate of a parameter relative to the peak: 1 for the head, times `layer_lr_decay` for every layer
    /// that lies between.
    fn lr_factor(&self, name: &str) -> f64 {
        let depth = if name.starts_with("embeddings.") {
            0
        } else if let Some(rest) = name.strip_prefix("encoder.layer.") {
            rest.split('.').next().and_then(|index| index.parse().ok()).map_or(0, |index: usize| index + 1)
        } else {
            self.layers + 1
        };
        self.layer_lr_decay.powi((self.layers + 1 - depth) as i32)
    }

    /// The factor that keeps a gradient of this norm within `clip_norm`, as PyTorch's `clip_grad_norm_` has it.
    fn clip(&self, norm: f64) -> f64 {
        if self.clip_norm > 0.0 { (self.clip_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }
    }

    /// Matrices and tables decay; biases and layer norms do not.
    fn weight_decay(&self, name: &str) -> f64 {
        if name.rsplit('.').next() == Some("bias") || name.contains("LayerNorm") { 0.0 } else { self.weight_decay }
    }
}

/// `AdamW` and its moments.
pub struct AdamW {
    settings: Settings,
    moments: Moments,
    steps: i32,
}

/// First and second moments of the gradient by parameter, flat.
enum Moments {
    /// For the CPU devices of pure Rust.
    Host(BTreeMap<String, HostMoments>),
    /// For every other device.
    Device(DeviceMoments),
}

impl AdamW {
    /// Without moments, for a classifier on the device `kind`.
    pub fn new(params: &TrainParams, classifier: &Classifier, kind: DeviceKind) -> Self {
        let settings = Settings {
            beta1: params.beta1,
            beta2: params.beta2,
            epsilon: params.epsilon,
            weight_decay: params.weight_decay,
            clip_norm: params.clip_norm,
            layer_lr_decay: params.layer_lr_decay,
            layers: classifier.architecture.encoder.num_hidden_layers,
            pooling: classifier.architecture.pooling,
        };
        let moments = match kind {
            DeviceKind::Flex | DeviceKind::Ndarray => Moments::Host(BTreeMap::new()),
            _ => Moments::Device(DeviceMoments::default()),
        };
        Self { settings, moments, steps: 0 }
    }

    /// Updates the classifier and returns it with the gradient's norm before clipping, shape `[1]` on the classifier's
    /// device; reading the norm may wait for the device.
    ///
    /// The update is in place where the classifier is the only owner of its parameters. Parameters without a gradient
    /// (frozen ones) stay as they are.
    ///
    /// # Errors
    ///
    /// When the gradients cannot be read.
    pub fn step(&mut self, classifier: Classifier, grads: GradientsParams, lr: f64) -> Result<(Classifier, Tensor<1>)> {
        self.steps += 1;
        let step = Step::new(&self.settings, self.steps, lr);
        let device = classifier.device().inner();
        let Classifier { weights, architecture, kind, fused, width_step } = classifier;
        let (weights, norm) = match &mut self.moments {
            Moments::Host(moments) => {
                let mut collect = Collect::new(grads, self.settings.pooling);
                weights.visit(&mut collect);
                let gradients = collect.gradients;
                let mut square = 0.0;
                for (name, gradient) in &gradients {
                    square += with_values(gradient, |gradient| {
                        let moments = moments.entry(name.clone());
                        moments.or_insert_with(|| HostMoments::zero(gradient.len())).meet(gradient)
                    })?;
                }
                let norm = square.sqrt();
                let clip = self.settings.clip(norm) as f32;
                let mut update =
                    HostUpdate { path: ParameterPath::default(), step, clip, gradients, moments, error: None };
                let weights = weights.map(&mut update);
                update.error.map_or(Ok(()), Err)?;
                (weights, Tensor::from_data(TensorData::new(vec![norm as f32], [1]), &device))
            }
            Moments::Device(moments) => {
                let mut collect = Collect::new(grads, self.settings.pooling);
                weights.visit(&mut collect);
                let groups = Group::all(collect.gradients, &self.settings);
                let zero = Tensor::<1>::zeros([1], &device);
                let square = groups.iter().fold(zero, |sum, group| sum + group.gradient.clone().powi_scalar(2).sum());
                let norm = square.sqrt();
                // As PyTorch's clip_grad_norm_: max / (norm + 1e-6), at most 1.
                let clip = (self.settings.clip_norm > 0.0)
                    .then(|| (norm.clone() + 1e-6).recip().mul_scalar(self.settings.clip_norm).clamp_max(1.0));
                let mut before = Flattened::new(self.settings.pooling);
                weights.visit(&mut before);
                let mut updated = BTreeMap::new();
                for group in groups {
                    group.update(&mut before.values, moments, &step, clip.as_ref(), &mut updated);
                }
                let mut replace = Replace { path: ParameterPath::default(), pooling: self.settings.pooling, updated };
                (weights.map(&mut replace), norm)
            }
        };
        Ok((Classifier { weights, architecture, kind, fused, width_step }, norm))
    }

    /// Steps so far.
    pub fn steps(&self) -> usize {
        self.steps as usize
    }

    /// The moments on the host, to be written: `m.NAME` and `v.NAME`, flat.
    ///
    /// # Errors
    ///
    /// When they cannot be read from the device.
    pub fn tensors(&self) -> Result<Tensors> {
        let flat = |values: &Vec<f32>| Named { shape: vec![values.len()], values: values.clone() };
        let mut tensors = Tensors::new();
        match &self.moments {
            Moments::Host(moments) => {
                for (name, HostMoments { first, second, .. }) in moments {
                    tensors.insert(format!("m.{name}"), flat(first));
                    tensors.insert(format!("v.{name}"), flat(second));
                }
            }
            Moments::Device(moments) => {
                for (name, [first, second]) in moments.by_name() {
                    tensors.insert(format!("m.{name}"), named(first.into_data())?);
                    tensors.insert(format!("v.{name}"), named(second.into_data())?);
                }
            }
        }
        Ok(tensors)
    }

    /// Goes on from moments that [`AdamW::tensors`] gave after `steps` steps.
    ///
    /// # Errors
    ///
    /// When a moment has no counterpart.
    pub fn restore(&mut self, mut tensors: Tensors, steps: usize, device: &Device) -> Result<()> {
        self.steps = steps as i32;
        let names: Vec<String> = tensors.keys().filter_map(|name| name.strip_prefix("m.").map(str::to_owned)).collect();
        for name in names {
            let mut take = |kind: &str| {
                let name = format!("{kind}.{name}");
                tensors.remove(&name).with_context(|| format!("the optimiser's state lacks {name}"))
            };
            let (first, second) = (take("m")?, take("v")?);
            match &mut self.moments {
                Moments::Host(moments) => {
                    moments.insert(name, HostMoments::new(first.values, second.values));
                }
                Moments::Device(moments) => {
                    let tensor = |named: Named| Tensor::from_data(named.into_data(), device);
                    moments.apart.insert(name, [tensor(first), tensor(second)]);
                }
            }
        }
        Ok(())
    }
}

/// What all parameters of one step have in common.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    settings: &'a Settings,
    lr: f64,
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    corrections: (f64, f64),
}

impl<'a> Step<'a> {
    fn new(settings: &'a Settings, steps: i32, lr: f64) -> Self {
        Self { settings, lr, corrections: (1.0 - settings.beta1.powi(steps), 1.0 - settings.beta2.powi(steps)) }
    }

    /// `(shrink, rate)` of a parameter: θ ← shrink · θ − rate · m / (√v / √(1 − β₂ᵗ) + ε).
    fn of(&self, name: &str) -> (f64, f64) {
        let lr = self.lr * self.settings.lr_factor(name);
        (1.0 - lr * self.settings.weight_decay(name), lr / self.corrections.0)
    }
}

/// Takes the gradients out by name, flat.
struct Collect {
    path: ParameterPath,
    pooling: Pooling,
    grads: GradientsParams,
    gradients: BTreeMap<String, Tensor<1>>,
}

impl Collect {
    fn new(grads: GradientsParams, pooling: Pooling) -> Self {
        Self { path: ParameterPath::default(), pooling, grads, gradients: BTreeMap::new() }
    }
}

impl ModuleVisitor for Collect {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.grads.remove::<D>(param.id) {
            let count = gradient.shape().num_elements();
            self.gradients.insert(self.path.name(self.pooling).0, gradient.inner().reshape([count]));
        }
    }
}

/// Shows the values of a tensor of a CPU device; those of `flex` where they are, without a copy.
fn with_values<R>(tensor: &Tensor<1>, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
    if let Ok(tensor) = tensor.clone().try_into_primitive::<Flex>()
        && let Some(values) = tensor.as_slice::<f32>()
    {
        return Ok(read(values));
    }
    Ok(read(&named(tensor.clone().into_data())?.values))
}

/// First and second moments of the gradient by one parameter.
struct HostMoments {
    first: Vec<f32>,
    second: Vec<f32>,
    /// For each [`BLOCK`] of elements, whether there was ever a gradient other than zero. Where there was none, the
    /// moments are zero and the update is the weight decay alone.
    met: Vec<bool>,
}

impl HostMoments {
    fn zero(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count], met: vec![false; count.div_ceil(BLOCK)] }
    }

    fn new(first: Vec<f32>, second: Vec<f32>) -> Self {
        let blocks = first.par_chunks(BLOCK).zip(second.par_chunks(BLOCK));
        let met = blocks.map(|(first, second)| !(is_zero(first) && is_zero(second))).collect();
        Self { first, second, met }
    }

    /// Notes where the gradient is not zero; returns Σ x², in chunks whose sums are added in order: the same for any
    /// number of threads.
    fn meet(&mut self, gradient: &[f32]) -> f64 {
        let chunks = gradient.par_chunks(CHUNK).zip(self.met.par_chunks_mut(CHUNK / BLOCK));
        let sums: Vec<f64> = chunks
            .map(|(chunk, met)| {
                let mut lanes = [0.0_f32; 16];
                let mut tail = 0.0;
                for (block, met) in chunk.chunks(BLOCK).zip(met) {
                    *met = *met || !is_zero(block);
                    if !*met {
                        continue;
                    }
                    let (whole, rest) = block.as_chunks::<16>();
                    for part in whole {
                        for lane in 0..16 {
                            lanes[lane] = part[lane].mul_add(part[lane], lanes[lane]);
                        }
                    }
                    tail += rest.iter().map(|value| value * value).sum::<f32>();
                }
                f64::from(tail) + lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>()
            })
            .collect();
        sums.iter().sum()
    }
}

/// Whether all values are 0 or −0.
fn is_zero(values: &[f32]) -> bool {
    values.iter().fold(0, |bits, value| bits | value.to_bits()) << 1 == 0
}

/// The update on the host, one pass over each parameter.
struct HostUpdate<'a> {
    path: ParameterPath,
    step: Step<'a>,
    clip: f32,
    gradients: BTreeMap<String, Tensor<1>>,
    moments: &'a mut BTreeMap<String, HostMoments>,
    error: Option<anyhow::Error>,
}

impl ModuleMapper for HostUpdate<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name(self.step.settings.pooling).0;
        let Some(gradient) = self.gradients.remove(&name) else { return param };
        let Some(moments) = self.moments.get_mut(&name) else { return param };
        let (step, clip, error) = (self.step, self.clip, &mut self.error);
        updated(param, |tensor| {
            let (device, shape) = (tensor.device(), tensor.dims());
            let changed = named(tensor.into_data()).and_then(|Named { mut values, .. }| {
                with_values(&gradient, |gradient| {
                    update(&mut values, gradient, moments, clip, &step, step.of(&name));
                })?;
                Ok(values)
            });
            match changed {
                Ok(values) => Tensor::from_data(TensorData::new(values, shape), &device),
                Err(problem) => {
                    *error = Some(problem);
                    Tensor::zeros(shape, &device)
                }
            }
        })
    }
}

/// Equations 6 to 12 of the paper's algorithm 2, as PyTorch orders them.
fn update(
    values: &mut [f32],
    gradient: &[f32],
    moments: &mut HostMoments,
    clip: f32,
    step: &Step<'_>,
    (shrink, rate): (f64, f64),
) {
    let (beta1, beta2) = (step.settings.beta1 as f32, step.settings.beta2 as f32);
    let (fresh1, fresh2) = ((1.0 - step.settings.beta1) as f32, (1.0 - step.settings.beta2) as f32);
    let inverse_root = (1.0 / step.corrections.1.sqrt()) as f32;
    let (shrink, rate, epsilon) = (shrink as f32, rate as f32, step.settings.epsilon as f32);
    let blocks = |values: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], met: &[bool]| {
        let moments = first.chunks_mut(BLOCK).zip(second.chunks_mut(BLOCK));
        let blocks = values.chunks_mut(BLOCK).zip(gradient.chunks(BLOCK)).zip(moments).zip(met);
        for (((values, gradient), (first, second)), met) in blocks {
            if !met {
                // To the last bit what follows comes to with a gradient and moments of zero.
                for value in values {
                    *value *= shrink;
                }
                continue;
            }
            for ((value, gradient), (first, second)) in
                values.iter_mut().zip(gradient).zip(first.iter_mut().zip(second))
            {
                let gradient = gradient * clip;
                *first = beta1.mul_add(*first, fresh1 * gradient);
                *second = beta2.mul_add(*second, fresh2 * gradient * gradient);
                let root = second.sqrt().mul_add(inverse_root, epsilon);
                *value = shrink.mul_add(*value, -(rate * *first / root));
            }
        }
    };
    values
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(moments.first.par_chunks_mut(CHUNK))
        .zip(moments.second.par_chunks_mut(CHUNK))
        .zip(moments.met.par_chunks(CHUNK / BLOCK))
        .for_each(|((((values, gradient), first), second), met)| blocks(values, gradient, first, second, met));
}

/// What decides which update a parameter takes: the bits of its learning rate's factor, and of its weight decay.
type Kind = (u64, u64);

/// The moments on a device other than the CPU of pure Rust.
#[derive(Default)]
struct DeviceMoments {
    /// By what is updated together.
    together: BTreeMap<Kind, Joined>,
    /// Those of parameters by themselves, before they are first updated together.
    apart: BTreeMap<String, [Tensor<1>; 2]>,
}

/// First and second moments of some parameters, [`joined`].
struct Joined {
    parts: Vec<Part>,
    moments: [Tensor<1>; 2],
}

/// A parameter's place in what is laid end to end.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    name: String,
    start: usize,
    count: usize,
}

impl Part {
    fn of(&self, joined: &Tensor<1>) -> Tensor<1> {
        joined.clone().narrow(0, self.start, self.count)
    }
}

impl DeviceMoments {
    fn by_name(&self) -> BTreeMap<String, [Tensor<1>; 2]> {
        let mut all = self.apart.clone();
        for Joined { parts, moments } in self.together.values() {
            all.extend(parts.iter().map(|part| (part.name.clone(), moments.each_ref().map(|joined| part.of(joined)))));
        }
        all
    }

    /// Those of these parameters, zeros for the ones that have none yet.
    fn take(&mut self, kind: Kind, parts: &[Part], device: &Device) -> [Tensor<1>; 2] {
        if let Some(joined) = self.together.remove(&kind) {
            if joined.parts == parts {
                return joined.moments;
            }
            // Other parameters have gradients than in the step before.
            self.together.insert(kind, joined);
            self.apart = self.by_name();
            self.together.clear();
        }
        let pairs = parts.iter().map(|part| {
            self.apart.remove(&part.name).unwrap_or_else(|| [0, 1].map(|_| Tensor::zeros([part.count], device)))
        });
        let (first, second): (Vec<_>, Vec<_>) = pairs.map(|[first, second]| (first, second)).unzip();
        [joined(first), joined(second)]
    }
}

/// Parameters that the same update is for.
struct Group {
    kind: Kind,
    parts: Vec<Part>,
    /// Of the parts, [`joined`].
    gradient: Tensor<1>,
}

impl Group {
    /// Every parameter that has a gradient, in its group.
    fn all(gradients: BTreeMap<String, Tensor<1>>, settings: &Settings) -> Vec<Self> {
        let mut kinds: BTreeMap<Kind, Vec<(String, Tensor<1>)>> = BTreeMap::new();
        for (name, gradient) in gradients {
            let kind = (settings.lr_factor(&name).to_bits(), settings.weight_decay(&name).to_bits());
            kinds.entry(kind).or_default().push((name, gradient));
        }
        let group = |(kind, mut members): (Kind, Vec<(String, Tensor<1>)>)| {
            // A part that begins and ends where memory is aligned can be a view of the whole: so those that would move what
            // comes after them are the last.
            members.sort_by_key(|(_, gradient)| !gradient.dims()[0].is_multiple_of(ALIGNMENT));
            let mut start = 0;
            let parts = members.iter().map(|(name, gradient)| {
                let part = Part { name: name.clone(), start, count: gradient.dims()[0] };
                start += part.count;
                part
            });
            let parts = parts.collect();
            let gradient = joined(members.into_iter().map(|(_, gradient)| gradient).collect());
            Self { kind, parts, gradient }
        };
        kinds.into_iter().map(group).collect()
    }

    /// Updates the moments and gives each part's new values. Nothing is read back.
    fn update(
        self,
        values: &mut BTreeMap<String, Tensor<1>>,
        moments: &mut DeviceMoments,
        step: &Step<'_>,
        clip: Option<&Tensor<1>>,
        updated: &mut BTreeMap<String, Tensor<1>>,
    ) {
        let Self { kind, parts, gradient } = self;
        let Some(name) = parts.first().map(|part| &part.name) else { return };
        let (shrink, rate) = step.of(name);
        let Settings { beta1, beta2, epsilon, .. } = *step.settings;
        let before: Vec<Tensor<1>> = parts.iter().filter_map(|part| values.remove(&part.name)).collect();
        let [first, second] = moments.take(kind, &parts, &gradient.device());
        let gradient = match clip {
            Some(clip) => gradient * clip.clone(),
            None => gradient,
        };
        let first = first.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
        let second = second.mul_scalar(beta2) + gradient.powi_scalar(2).mul_scalar(1.0 - beta2);
        let root = second.clone().sqrt().div_scalar(step.corrections.1.sqrt()).add_scalar(epsilon);
        let change = (first.clone() / root).mul_scalar(rate);
        let after = joined(before).mul_scalar(shrink) - change;
        updated.extend(parts.iter().map(|part| (part.name.clone(), part.of(&after))));
        moments.together.insert(kind, Joined { parts, moments: [first, second] });
    }
}

/// Tensors end to end, and zeros up to a multiple of [`ALIGNMENT`].
fn joined(mut parts: Vec<Tensor<1>>) -> Tensor<1> {
    let count: usize = parts.iter().map(|part| part.dims()[0]).sum();
    let missing = count.next_multiple_of(ALIGNMENT) - count;
    if let (Some(part), true) = (parts.first(), missing > 0) {
        parts.push(Tensor::zeros([missing], &part.device()));
    }
    Tensor::cat(parts, 0)
}

/// Takes all values by name, flat and without autodiff.
struct Flattened {
    path: ParameterPath,
    pooling: Pooling,
    values: BTreeMap<String, Tensor<1>>,
}

impl Flattened {
    fn new(pooling: Pooling) -> Self {
        Self { path: ParameterPath::default(), pooling, values: BTreeMap::new() }
    }
}

impl ModuleVisitor for Flattened {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let count = value.shape().num_elements();
        self.values.insert(self.path.name(self.pooling).0, value.reshape([count]));
    }
}

/// Puts new values, flat, in the places of old ones.
struct Replace {
    path: ParameterPath,
    pooling: Pooling,
    updated: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Replace {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name(self.pooling).0;
        let Some(values) = self.updated.remove(&name) else { return param };
        updated(param, |tensor| values.reshape(tensor.dims()))
    }
}

/// Maps a parameter's value without its autodiff node, and gives it a fresh one if it had one.
fn updated<const D: usize>(param: Param<Tensor<D>>, change: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Param<Tensor<D>> {
    param.map(|tensor| {
        let wants_gradient = tensor.is_require_grad();
        let tensor = Tensor::from_inner(change(tensor.inner()));
        if wants_gradient { tensor.require_grad() } else { tensor }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_no_gradient_has_met_change_as_if_their_moments_were_computed() {
        let settings = Settings {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            clip_norm: 1.0,
            layer_lr_decay: 1.0,
            layers: 1,
            pooling: Pooling::Mean,
        };
        // Two chunks and a part of a block.
        let count = 2 * CHUNK + 3 * BLOCK + 17;
        let start: Vec<f32> = (0..count).map(|index| (index as f32 * 0.7).sin()).collect();
        // Each step's gradient is zero nearly everywhere, and in another place.
        let gradient = |step: usize| -> Vec<f32> {
            let reached = |index: usize| (index / BLOCK).is_multiple_of(40 * step) && index.is_multiple_of(3);
            (0..count).map(|index| if reached(index) { (index as f32).cos() } else { 0.0 }).collect()
        };
        let run = |mut moments: HostMoments, all: bool| {
            let mut values = start.clone();
            for number in 1..=4 {
                let gradient = gradient(number);
                if all {
                    moments.met.fill(true);
                }
                let square = moments.meet(&gradient);
                let expected: f64 = gradient.iter().map(|&value| f64::from(value).powi(2)).sum();
                assert!((square / expected - 1.0).abs() < 1e-5, "{square}, expected {expected}");
                let step = Step::new(&settings, number as i32, 1e-2);
                update(&mut values, &gradient, &mut moments, 0.5, &step, step.of("pooler.dense.weight"));
            }
            (values, moments)
        };
        let (values, moments) = run(HostMoments::zero(count), false);
        let (all_values, all_moments) = run(HostMoments::zero(count), true);
        assert_eq!(values, all_values);
        assert_eq!((&moments.first, &moments.second), (&all_moments.first, &all_moments.second));
        let met = moments.met.iter().filter(|met| **met).count();
        assert!(met > 0 && met < moments.met.len() / 10, "{met} of {}", moments.met.len());

        // What is restored from moments goes on from there.
        let restored = HostMoments::new(moments.first.clone(), moments.second.clone());
        assert_eq!(restored.met, moments.met);
    }
}
