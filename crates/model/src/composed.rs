//! An encoder layer in tensor operations, as one autodiff operation: for the devices that [`crate::fused`] is not for.
//!
//! Left to autodiff, a layer is some forty nodes, whose backward passes know nothing of each other. On a GPU every
//! operation is work for the host, and the step of a small model is spent on that work rather than on arithmetic. Here the
//! backward pass is written down: what softmax and layer norms need again is kept, and what is left between two matrix
//! products are element-wise operations and sums of rows, which Burn fuses on `cuda` and `wgpu`.
//!
//! Its outputs and gradients are held against transformers (`tests/parity.rs`), against [`crate::fused`]
//! (`tests/fused.rs`), and, as training, against PyTorch (the crate `train`).

use burn::backend::{Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::module::Param;
use burn::nn;
use burn::tensor::{Distribution, FloatDType, Tensor, activation};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use wellformed_core::params::{DeviceKind, TrainPrecision};

use crate::classifier::{Layer, Mode};
use crate::config::{Activation, BertConfig};

/// The hidden states and the layer's sixteen parameters, in the order of [`Parameters::of`].
const INPUTS: usize = 17;

/// What is the same for every layer of one forward pass.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// Sentences.
    rows: usize,
    /// Tokens of each, padding included.
    width: usize,
    /// Added to scores, `[rows, 1, 1, width]`: nothing, or at padding what no score outweighs.
    padding: Tensor<4>,
    heads: usize,
    head_size: usize,
    activation: Activation,
    epsilon: f64,
    /// Of matrix products with parameters.
    precision: TrainPrecision,
    /// 0 at inference.
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl Pass {
    /// Of sentences whose `padding`, `[rows, 1, 1, width]`, is negative enough for its softmax to be 0; with dropouts of
    /// `(hidden, attention)` while training.
    pub(crate) fn new(padding: Tensor<4>, config: &BertConfig, dropouts: (f64, f64), mode: Mode) -> Self {
        let [rows, _, _, width] = padding.dims();
        let (precision, (hidden_dropout, attention_dropout)) = match mode {
            Mode::Inference => (TrainPrecision::Fp32, (0.0, 0.0)),
            Mode::Training { precision, .. } => (precision, dropouts),
        };
        Self {
            rows,
            width,
            padding: if padding.is_autodiff() { padding.inner() } else { padding },
            heads: config.num_attention_heads,
            head_size: config.head_size(),
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps,
            precision,
            hidden_dropout,
            attention_dropout,
        }
    }

    /// What a product takes.
    fn factor(&self, tensor: Tensor<2>) -> Tensor<2> {
        match self.precision {
            TrainPrecision::Fp32 => tensor,
            TrainPrecision::Bf16 => tensor.cast(FloatDType::BF16),
        }
    }

    /// The product of two factors, in 32 bits.
    fn product(&self, left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
        let product = left.matmul(right);
        match self.precision {
            TrainPrecision::Fp32 => product,
            TrainPrecision::Bf16 => product.cast(FloatDType::F32),
        }
    }

    /// `[tokens, hidden]` to `[rows, heads, width, head size]`.
    fn split(&self, tensor: Tensor<2>) -> Tensor<4> {
        tensor.reshape([self.rows, self.width, self.heads, self.head_size]).swap_dims(1, 2)
    }

    /// `[rows, heads, width, head size]` to `[tokens, hidden]`.
    fn join(&self, tensor: Tensor<4>) -> Tensor<2> {
        tensor.swap_dims(1, 2).reshape([self.rows * self.width, self.heads * self.head_size])
    }
}

/// Which values a dropout keeps, 1 or 0, and what those are multiplied with.
#[derive(Debug, Clone)]
struct Dropout<const D: usize>(Option<(Tensor<D>, f64)>);

impl<const D: usize> Dropout<D> {
    /// Draws for a tensor like this one.
    fn draw(probability: f64, like: &Tensor<D>) -> Self {
        if probability == 0.0 {
            return Self(None);
        }
        let keep = 1.0 - probability;
        Self(Some((like.random_like(Distribution::Bernoulli(keep)), 1.0 / keep)))
    }

    /// The dropout of activations, and, being linear, of gradients.
    fn apply(&self, tensor: Tensor<D>) -> Tensor<D> {
        match &self.0 {
            None => tensor,
            Some((kept, scale)) => (tensor * kept.clone()).mul_scalar(*scale),
        }
    }
}

/// `[from, to]` and `[to]`.
#[derive(Debug, Clone)]
struct Dense {
    weight: Tensor<2>,
    bias: Tensor<1>,
}

impl Dense {
    fn apply(&self, factor: Tensor<2>, pass: &Pass) -> Tensor<2> {
        pass.product(factor, self.weight.clone()) + self.bias.clone().unsqueeze()
    }

    /// The gradient by what went in, from that by what came out.
    fn by_input(&self, by_output: Tensor<2>, pass: &Pass) -> Tensor<2> {
        pass.product(by_output, self.weight.clone().transpose())
    }
}

/// Scale and shift, `[hidden]` each.
#[derive(Debug, Clone)]
struct Norm {
    gamma: Tensor<1>,
    beta: Tensor<1>,
}

/// What the backward pass of a layer norm needs: its input in units of its deviation, and 1 / deviation, `[tokens, 1]`.
#[derive(Debug, Clone)]
struct Normalised {
    unit: Tensor<2>,
    inverse: Tensor<2>,
}

impl Norm {
    fn apply(&self, tensor: Tensor<2>, epsilon: f64) -> (Tensor<2>, Normalised) {
        let centred = tensor.clone() - tensor.mean_dim(1);
        let variance = centred.clone().powi_scalar(2).mean_dim(1);
        let inverse = (variance + epsilon).sqrt().recip();
        let unit = centred * inverse.clone();
        let output = unit.clone() * self.gamma.clone().unsqueeze() + self.beta.clone().unsqueeze();
        (output, Normalised { unit, inverse })
    }

    /// The gradients by input, scale and shift.
    fn backward(&self, by_output: Tensor<2>, Normalised { unit, inverse }: Normalised) -> (Tensor<2>, [Tensor<1>; 2]) {
        let by_gamma = sum_rows(by_output.clone() * unit.clone());
        let by_beta = sum_rows(by_output.clone());
        let by_unit = by_output * self.gamma.clone().unsqueeze();
        let along = (by_unit.clone() * unit.clone()).mean_dim(1);
        let by_input = (by_unit.clone() - by_unit.mean_dim(1) - unit * along) * inverse;
        (by_input, [by_gamma, by_beta])
    }
}

/// `[tokens, n]` to `[n]`.
fn sum_rows(tensor: Tensor<2>) -> Tensor<1> {
    tensor.sum_dim(0).squeeze_dim(0)
}

/// Φ(x) of the standard normal distribution, from the error function. Burn's own GELU is differentiated, on most devices,
/// as if it were the tanh approximation, which training against `PyTorch` shows in the fourth digit of the loss after one
/// step; so GELU is composed of this.
pub(crate) fn normal_distribution<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5)
}

/// u and 1 + 3·0.044715·x², its slope over √(2/π), of the tanh approximation of GELU, x·(1 + tanh u) / 2.
fn tanh_argument(tensor: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let cubic = 0.044_715;
    let square = tensor.clone().powi_scalar(2);
    let argument = (tensor * square.clone().mul_scalar(cubic).add_scalar(1.0)).mul_scalar(tanh_scale());
    (argument, square.mul_scalar(3.0 * cubic).add_scalar(1.0))
}

fn tanh_scale() -> f64 {
    (2.0 / std::f64::consts::PI).sqrt()
}

fn activate(tensor: Tensor<2>, kind: Activation) -> Tensor<2> {
    match kind {
        Activation::Gelu => tensor.clone() * normal_distribution(tensor),
        Activation::GeluNew => {
            let (argument, _) = tanh_argument(tensor.clone());
            tensor * argument.tanh().add_scalar(1.0).mul_scalar(0.5)
        }
        Activation::Relu => activation::relu(tensor),
    }
}

/// The slope of [`activate`], from what went in: another pass over the elements, and nothing more to keep.
fn slope(tensor: Tensor<2>, kind: Activation) -> Tensor<2> {
    match kind {
        // Φ(x) + x·φ(x).
        Activation::Gelu => {
            let scale = (2.0 * std::f64::consts::PI).sqrt().recip();
            let density = tensor.clone().powi_scalar(2).mul_scalar(-0.5).exp().mul_scalar(scale);
            normal_distribution(tensor.clone()) + tensor * density
        }
        // (1 + tanh u) / 2 + x·(1 − tanh² u) / 2 · u′.
        Activation::GeluNew => {
            let (argument, rise) = tanh_argument(tensor.clone());
            let tanh = argument.tanh();
            let share = tanh.clone().add_scalar(1.0).mul_scalar(0.5);
            let rise = tanh.powi_scalar(2).neg().add_scalar(1.0) * rise.mul_scalar(0.5 * tanh_scale());
            share + tensor * rise
        }
        Activation::Relu => tensor.greater_scalar(0.0).float(),
    }
}

/// A layer's parameters without autodiff, matrices as factors of products.
#[derive(Debug, Clone)]
struct Parameters {
    query: Dense,
    key: Dense,
    value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    intermediate: Dense,
    output: Dense,
    output_norm: Norm,
}

impl Parameters {
    fn of<B: Backend>(layer: &Layer, inputs: &mut Inputs, pass: &Pass) -> Self
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        let mut dense = |linear: &nn::Linear| {
            let weight = linear.weight.val();
            let bias =
                linear.bias.as_ref().map_or_else(|| Tensor::zeros([weight.dims()[1]], &weight.device()), Param::val);
            let weight = inputs.take::<B, 2>(weight);
            Dense { weight: pass.factor(weight), bias: inputs.take::<B, 1>(bias) }
        };
        let [query, key, value] = [&layer.query, &layer.key, &layer.value].map(&mut dense);
        let attention_output = dense(&layer.attention_output);
        let [intermediate, output] = [&layer.intermediate, &layer.output].map(dense);
        let [attention_norm, output_norm] = [&layer.attention_norm, &layer.output_norm].map(|norm: &nn::LayerNorm| {
            let gamma = norm.gamma.val();
            let beta = norm.beta.as_ref().map_or_else(|| gamma.zeros_like(), Param::val);
            Norm { gamma: inputs.take::<B, 1>(gamma), beta: inputs.take::<B, 1>(beta) }
        });
        Self { query, key, value, attention_output, attention_norm, intermediate, output, output_norm }
    }
}

/// Places of weights among the inputs; each bias or shift comes after its weight or scale.
mod place {
    pub(super) const HIDDEN: usize = 0;
    pub(super) const QUERY: usize = 1;
    pub(super) const KEY: usize = 3;
    pub(super) const VALUE: usize = 5;
    pub(super) const ATTENTION_OUTPUT: usize = 7;
    pub(super) const INTERMEDIATE: usize = 9;
    pub(super) const OUTPUT: usize = 11;
    pub(super) const ATTENTION_NORM: usize = 13;
    pub(super) const OUTPUT_NORM: usize = 15;
}

/// The autodiff nodes of the tensors that were taken, in order.
#[derive(Default)]
struct Inputs {
    nodes: Vec<NodeGuard>,
}

impl Inputs {
    /// The tensor without autodiff.
    fn take<B: Backend, const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        if !tensor.is_autodiff() {
            return tensor;
        }
        #[expect(clippy::expect_used, reason = "the caller has chosen the backend of the tensor's device")]
        let tensor = tensor.try_into_primitive::<Autodiff<B>>().expect("a tensor of this backend");
        let (primitive, node) = tensor.into_parts();
        self.nodes.push(node);
        Tensor::from_primitive::<B>(primitive)
    }
}

/// Activations of the forward pass that the backward pass reads.
#[derive(Debug, Clone)]
struct Saved {
    hidden: Tensor<2>,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    weights: Tensor<4>,
    weights_dropout: Dropout<4>,
    context: Tensor<2>,
    attended_dropout: Dropout<2>,
    attention_norm: Normalised,
    middle: Tensor<2>,
    /// What went into the activation.
    before: Tensor<2>,
    inner: Tensor<2>,
    outer_dropout: Dropout<2>,
    output_norm: Normalised,
}

/// Hidden states `[tokens, hidden]` of the next layer, on a device of `kind`.
pub(crate) fn forward(layer: &Layer, hidden: Tensor<2>, pass: &Pass, kind: DeviceKind) -> Tensor<2> {
    match kind {
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::Ndarray => on::<burn::backend::NdArray>(layer, hidden, pass),
        #[cfg(feature = "libtorch")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::Libtorch | DeviceKind::LibtorchCuda => on::<burn::backend::LibTorch>(layer, hidden, pass),
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        DeviceKind::Cuda | DeviceKind::Wgpu => on::<burn::backend::Cube>(layer, hidden, pass),
        _ => on::<Flex>(layer, hidden, pass),
    }
}

fn on<B: Backend>(layer: &Layer, hidden: Tensor<2>, pass: &Pass) -> Tensor<2>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let mut inputs = Inputs::default();
    let hidden = inputs.take::<B, 2>(hidden);
    let parameters = Parameters::of::<B>(layer, &mut inputs, pass);
    let (output, saved) = run(&parameters, hidden, pass);
    let Ok(nodes) = <[_; INPUTS]>::try_from(inputs.nodes) else { return output };
    let output = primitive::<B, 2>(output);
    let output = match LayerBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(State { parameters, pass: pass.clone(), saved }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

#[expect(clippy::expect_used, reason = "this module's own tensors, all of one backend")]
fn primitive<B: Backend, const D: usize>(tensor: Tensor<D>) -> B::FloatTensorPrimitive
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor.try_into_primitive::<B>().expect("a tensor of this backend")
}

fn run(parameters: &Parameters, hidden: Tensor<2>, pass: &Pass) -> (Tensor<2>, Saved) {
    let from_hidden = pass.factor(hidden.clone());
    let [query, key, value] = [&parameters.query, &parameters.key, &parameters.value]
        .map(|dense| pass.split(dense.apply(from_hidden.clone(), pass)));
    let scores = query.clone().matmul(key.clone().swap_dims(2, 3)).mul_scalar(scale(pass)) + pass.padding.clone();
    let weights = activation::softmax(scores, 3);
    let weights_dropout = Dropout::draw(pass.attention_dropout, &weights);
    let context = pass.factor(pass.join(weights_dropout.apply(weights.clone()).matmul(value.clone())));

    let attended = parameters.attention_output.apply(context.clone(), pass);
    let attended_dropout = Dropout::draw(pass.hidden_dropout, &attended);
    let sum = attended_dropout.apply(attended) + hidden;
    let (middle, attention_norm) = parameters.attention_norm.apply(sum, pass.epsilon);

    let from_middle = pass.factor(middle.clone());
    let before = parameters.intermediate.apply(from_middle.clone(), pass);
    let inner = pass.factor(activate(before.clone(), pass.activation));
    let outer = parameters.output.apply(inner.clone(), pass);
    let outer_dropout = Dropout::draw(pass.hidden_dropout, &outer);
    let sum = outer_dropout.apply(outer) + middle;
    let (output, output_norm) = parameters.output_norm.apply(sum, pass.epsilon);
    let saved = Saved {
        hidden: from_hidden,
        query,
        key,
        value,
        weights,
        weights_dropout,
        context,
        attended_dropout,
        attention_norm,
        middle: from_middle,
        before,
        inner,
        outer_dropout,
        output_norm,
    };
    (output, saved)
}

fn scale(pass: &Pass) -> f64 {
    1.0 / (pass.head_size as f64).sqrt()
}

#[derive(Debug)]
struct LayerBackward;

#[derive(Debug, Clone)]
struct State {
    parameters: Parameters,
    pass: Pass,
    saved: Saved,
}

impl<B: Backend> Backward<B, INPUTS> for LayerBackward
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = State;

    fn backward(self, ops: Ops<State, INPUTS>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let State { parameters, pass, saved } = ops.state;
        let by_output = Tensor::<2>::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let is_wanted = parents.each_ref().map(Option::is_some);
        let mut found = Found::<B> { is_wanted, gradients: Vec::new(), pass: &pass };

        // Feed-forward, from the end.
        let (by_sum, by_norm) = parameters.output_norm.backward(by_output, saved.output_norm);
        found.norm(place::OUTPUT_NORM, by_norm);
        let by_outer = saved.outer_dropout.apply(by_sum.clone());
        let by_outer = found.dense(place::OUTPUT, saved.inner, by_outer);
        let by_before = parameters.output.by_input(by_outer, &pass) * slope(saved.before, pass.activation);
        let by_before = found.dense(place::INTERMEDIATE, saved.middle, by_before);
        let by_middle = parameters.intermediate.by_input(by_before, &pass) + by_sum;

        // Attention.
        let (by_sum, by_norm) = parameters.attention_norm.backward(by_middle, saved.attention_norm);
        found.norm(place::ATTENTION_NORM, by_norm);
        let by_attended = saved.attended_dropout.apply(by_sum.clone());
        let by_attended = found.dense(place::ATTENTION_OUTPUT, saved.context, by_attended);
        let by_context = pass.split(parameters.attention_output.by_input(by_attended, &pass));

        let dropped = saved.weights_dropout.apply(saved.weights.clone());
        let by_value = dropped.swap_dims(2, 3).matmul(by_context.clone());
        let by_weights = saved.weights_dropout.apply(by_context.matmul(saved.value.swap_dims(2, 3)));
        let along = (by_weights.clone() * saved.weights.clone()).sum_dim(3);
        let by_scores = ((by_weights - along) * saved.weights).mul_scalar(scale(&pass));
        let by_query = by_scores.clone().matmul(saved.key);
        let by_key = by_scores.swap_dims(2, 3).matmul(saved.query);

        let mut by_hidden = by_sum;
        for (place, dense, gradient) in [
            (place::QUERY, &parameters.query, by_query),
            (place::KEY, &parameters.key, by_key),
            (place::VALUE, &parameters.value, by_value),
        ] {
            let gradient = found.dense(place, saved.hidden.clone(), pass.join(gradient));
            if is_wanted[place::HIDDEN] {
                by_hidden = by_hidden + dense.by_input(gradient, &pass);
            }
        }
        found.give(place::HIDDEN, || by_hidden);
        for (place, gradient) in found.gradients {
            if let Some(id) = parents[place] {
                grads.register::<B>(id, gradient);
            }
        }
    }
}

/// The gradients of the inputs that are wanted, by place.
struct Found<'a, B: Backend> {
    is_wanted: [bool; INPUTS],
    gradients: Vec<(usize, B::FloatTensorPrimitive)>,
    pass: &'a Pass,
}

impl<B: Backend> Found<'_, B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn give<const D: usize>(&mut self, place: usize, gradient: impl FnOnce() -> Tensor<D>) {
        if self.is_wanted[place] {
            self.gradients.push((place, primitive::<B, D>(gradient())));
        }
    }

    /// Weight and bias of a dense layer, from what went in and the gradient by what came out; returns the latter as a
    /// factor.
    fn dense(&mut self, place: usize, input: Tensor<2>, by_output: Tensor<2>) -> Tensor<2> {
        self.give(place + 1, || sum_rows(by_output.clone()));
        let (pass, by_output) = (self.pass, self.pass.factor(by_output));
        self.give(place, || pass.product(input.transpose(), by_output.clone()));
        by_output
    }

    /// Scale and shift of a layer norm.
    fn norm(&mut self, place: usize, [by_gamma, by_beta]: [Tensor<1>; 2]) {
        self.give(place, || by_gamma);
        self.give(place + 1, || by_beta);
    }
}
