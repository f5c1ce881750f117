//! One encoder layer as one operation: attention, add and norm, feed-forward, add and norm.

use burn::backend::Flex;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use super::attention::{self, Heads};
use super::products::Operand;
use super::{Input, Normalised, Pass, kernels, tensor, values, values_mut};
use crate::classifier::Layer;
use crate::config::{Activation, BertConfig};

/// The hidden states and the layer's sixteen parameters.
const INPUTS: usize = 17;

/// Places of the parameters among the inputs.
const QUERY: usize = 1;
const KEY: usize = 3;
const VALUE: usize = 5;
const ATTENTION_OUTPUT: usize = 7;
const ATTENTION_NORM: usize = 9;
const INTERMEDIATE: usize = 11;
const OUTPUT: usize = 13;
const OUTPUT_NORM: usize = 15;

/// Hidden states `[tokens, hidden]` of the next layer.
pub(super) fn forward(layer: &Layer, index: usize, hidden: Tensor<2>, config: &BertConfig, pass: &Pass) -> Tensor<2> {
    let linear = |linear: &Linear| {
        let weight = linear.weight.val();
        let bias = linear
            .bias
            .as_ref()
            .map_or_else(|| Tensor::zeros([weight.dims()[1]], &weight.device()), burn::module::Param::val);
        [Input::new(weight), Input::new(bias)]
    };
    let norm = |norm: &burn::nn::LayerNorm| {
        let gamma = norm.gamma.val();
        let beta = norm.beta.as_ref().map_or_else(|| gamma.zeros_like(), burn::module::Param::val);
        [Input::new(gamma), Input::new(beta)]
    };
    let mut inputs = vec![Input::new(hidden)];
    inputs.extend(linear(&layer.query));
    inputs.extend(linear(&layer.key));
    inputs.extend(linear(&layer.value));
    inputs.extend(linear(&layer.attention_output));
    inputs.extend(norm(&layer.attention_norm));
    inputs.extend(linear(&layer.intermediate));
    inputs.extend(linear(&layer.output));
    inputs.extend(norm(&layer.output_norm));

    let (primitives, nodes): (Vec<_>, Vec<_>) = inputs.into_iter().map(|input| (input.primitive, input.node)).unzip();
    let setting = Setting {
        heads: config.num_attention_heads,
        head_size: config.head_size(),
        activation: config.hidden_act,
        // Three dropouts a layer, after the one of the embeddings.
        site: 1 + 3 * index as u32,
        pass: pass.clone(),
    };
    let (output, saved) = run(&primitives, &setting);
    let nodes: Option<Vec<_>> = nodes.into_iter().collect();
    let Some(Ok(nodes)) = nodes.map(<[_; INPUTS]>::try_from) else { return Tensor::from_primitive::<Flex>(output) };
    let output = match LayerBackward.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(State { inputs: primitives, setting, saved }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

#[derive(Debug, Clone)]
struct Setting {
    heads: usize,
    head_size: usize,
    activation: Activation,
    site: u32,
    pass: Pass,
}

impl Setting {
    fn heads(&self) -> Heads<'_> {
        Heads {
            offsets: &self.pass.offsets,
            count: self.heads,
            size: self.head_size,
            mask: self.pass.attention_mask(self.site),
        }
    }

    fn operand<'a>(&self, tensor: &'a FlexTensor) -> Operand<'a> {
        Operand::new(self.pass.arithmetic, tensor)
    }

    fn attention_mask(&self) -> Option<kernels::Mask> {
        self.pass.hidden_mask(self.site + 1)
    }

    fn output_mask(&self) -> Option<kernels::Mask> {
        self.pass.hidden_mask(self.site + 2)
    }
}

/// Activations of the forward pass that the backward pass reads.
#[derive(Debug, Clone)]
struct Saved {
    query: FlexTensor,
    key: FlexTensor,
    value: FlexTensor,
    weights: Vec<f32>,
    context: FlexTensor,
    attention_norm: Normalised,
    middle: FlexTensor,
    /// Of the activation.
    slopes: FlexTensor,
    /// After the activation.
    inner: FlexTensor,
    output_norm: Normalised,
}

fn run(inputs: &[FlexTensor], setting: &Setting) -> (FlexTensor, Saved) {
    let hidden = &inputs[0];
    let tokens = hidden.layout().shape()[0];
    let width = setting.heads * setting.head_size;
    let epsilon = setting.pass.epsilon;
    let bias = |place: usize| values(&inputs[place + 1]);
    let weights_of = |place: usize| setting.operand(&inputs[place]);
    let from_hidden = setting.operand(hidden);
    let [query, key, value] = [QUERY, KEY, VALUE].map(|place| {
        let mut output = from_hidden.times(&weights_of(place));
        kernels::add_bias(values_mut(&mut output), bias(place));
        output
    });
    let (context, weights) = attention::attend(values(&query), values(&key), values(&value), setting.heads());
    let context = tensor(context, [tokens, width]);

    let add_and_norm = |mut unit: FlexTensor, dense: usize, mask, residual: &FlexTensor, norm: usize| {
        let (gamma, beta) = (values(&inputs[norm]), values(&inputs[norm + 1]));
        let norm = (gamma, beta, epsilon);
        let (output, inverse) =
            kernels::add_and_norm(values_mut(&mut unit), Some(bias(dense)), mask, Some(values(residual)), norm);
        (tensor(output, [tokens, width]), Normalised { unit, inverse })
    };
    let attended = setting.operand(&context).times(&weights_of(ATTENTION_OUTPUT));
    let (middle, attention_norm) =
        add_and_norm(attended, ATTENTION_OUTPUT, setting.attention_mask(), hidden, ATTENTION_NORM);

    let mut slopes = setting.operand(&middle).times(&weights_of(INTERMEDIATE));
    let inner = kernels::activate(setting.activation, values_mut(&mut slopes), bias(INTERMEDIATE));
    let inner_width = slopes.layout().shape()[1];
    let inner = tensor(inner, [tokens, inner_width]);
    let outer = setting.operand(&inner).times(&weights_of(OUTPUT));
    let (output, output_norm) = add_and_norm(outer, OUTPUT, setting.output_mask(), &middle, OUTPUT_NORM);
    let saved = Saved { query, key, value, weights, context, attention_norm, middle, slopes, inner, output_norm };
    (output, saved)
}

#[derive(Debug)]
struct LayerBackward;

#[derive(Debug, Clone)]
struct State {
    inputs: Vec<FlexTensor>,
    setting: Setting,
    saved: Saved,
}

impl Backward<Flex, INPUTS> for LayerBackward {
    type State = State;

    fn backward(self, ops: Ops<State, INPUTS>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let State { inputs, setting, saved } = ops.state;
        let gradient = super::contiguous(grads.consume::<Flex>(&ops.node));
        let weights_of = |place: usize| setting.operand(&inputs[place]);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let wanted = |place: usize| parents[place].is_some();
        let mut set = |place: usize, gradient: FlexTensor| {
            if let Some(id) = parents[place] {
                grads.register::<Flex>(id, gradient);
            }
        };
        let vector = |values: Vec<f32>| {
            let length = values.len();
            tensor(values, [length])
        };
        let (tokens, width) = (saved.middle.layout().shape()[0], saved.middle.layout().shape()[1]);
        let inner_width = saved.inner.layout().shape()[1];

        // Feed-forward, from the end.
        let (by_sum, by_gamma, by_beta) =
            kernels::norm_backward(values(&gradient), saved.output_norm.values(), values(&inputs[OUTPUT_NORM]));
        set(OUTPUT_NORM, vector(by_gamma));
        set(OUTPUT_NORM + 1, vector(by_beta));
        // The forward pass adds the bias before the mask, so its gradient is the masked one.
        let (by_output, by_bias) = kernels::dropped_out(&by_sum, setting.output_mask(), width);
        set(OUTPUT + 1, vector(by_bias));
        let by_output = tensor(by_output, [tokens, width]);
        let by_output = setting.operand(&by_output);
        if wanted(OUTPUT) {
            set(OUTPUT, setting.operand(&saved.inner).transposed_times(&by_output));
        }
        let mut by_before = by_output.times_transposed(&weights_of(OUTPUT));
        let by_bias = kernels::activate_backward(values_mut(&mut by_before), values(&saved.slopes), inner_width);
        set(INTERMEDIATE + 1, vector(by_bias));
        let by_before = setting.operand(&by_before);
        if wanted(INTERMEDIATE) {
            set(INTERMEDIATE, setting.operand(&saved.middle).transposed_times(&by_before));
        }
        let mut by_middle = by_before.times_transposed(&weights_of(INTERMEDIATE));
        kernels::add(values_mut(&mut by_middle), &by_sum);

        // Attention.
        let (mut by_hidden, by_gamma, by_beta) =
            kernels::norm_backward(values(&by_middle), saved.attention_norm.values(), values(&inputs[ATTENTION_NORM]));
        set(ATTENTION_NORM, vector(by_gamma));
        set(ATTENTION_NORM + 1, vector(by_beta));
        let (by_attended, by_bias) = kernels::dropped_out(&by_hidden, setting.attention_mask(), width);
        set(ATTENTION_OUTPUT + 1, vector(by_bias));
        let by_attended = tensor(by_attended, [tokens, width]);
        let by_attended = setting.operand(&by_attended);
        if wanted(ATTENTION_OUTPUT) {
            set(ATTENTION_OUTPUT, setting.operand(&saved.context).transposed_times(&by_attended));
        }
        let by_context = by_attended.times_transposed(&weights_of(ATTENTION_OUTPUT));
        let (by_query, by_key, by_value) = attention::attend_backward(
            values(&by_context),
            (values(&saved.query), values(&saved.key), values(&saved.value)),
            &saved.weights,
            setting.heads(),
        );
        let from_hidden = setting.operand(&inputs[0]);
        for (place, gradient) in [(QUERY, by_query), (KEY, by_key), (VALUE, by_value)] {
            if wanted(place + 1) {
                set(place + 1, vector(kernels::column_sums(&gradient, width)));
            }
            let gradient = tensor(gradient, [tokens, width]);
            let gradient = setting.operand(&gradient);
            if wanted(place) {
                set(place, from_hidden.transposed_times(&gradient));
            }
            if wanted(0) {
                kernels::add(&mut by_hidden, values(&gradient.times_transposed(&weights_of(place))));
            }
        }
        set(0, tensor(by_hidden, [tokens, width]));
    }
}
