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
    let arithmetic = setting.pass.arithmetic;
    let from_hidden = arithmetic.left(hidden);
    let [query, key, value] = at_once([QUERY, KEY, VALUE], |place| {
        let mut output = from_hidden.times(&arithmetic.right(&inputs[place]));
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
    let attended = arithmetic.linear(&context, &inputs[ATTENTION_OUTPUT]);
    let (middle, attention_norm) =
        add_and_norm(attended, ATTENTION_OUTPUT, setting.attention_mask(), hidden, ATTENTION_NORM);

    let mut slopes = arithmetic.linear(&middle, &inputs[INTERMEDIATE]);
    let inner = kernels::activate(setting.activation, values_mut(&mut slopes), bias(INTERMEDIATE));
    let inner_width = slopes.layout().shape()[1];
    let inner = tensor(inner, [tokens, inner_width]);
    let outer = arithmetic.linear(&inner, &inputs[OUTPUT]);
    let (output, output_norm) = add_and_norm(outer, OUTPUT, setting.output_mask(), &middle, OUTPUT_NORM);
    let saved = Saved { query, key, value, weights, context, attention_norm, middle, slopes, inner, output_norm };
    (output, saved)
}

/// What `function` makes of three things, at once.
fn at_once<I: Send, O: Send>([first, second, third]: [I; 3], function: impl Fn(I) -> O + Sync) -> [O; 3] {
    let (first, (second, third)) =
        rayon::join(|| function(first), || rayon::join(|| function(second), || function(third)));
    [first, second, third]
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
        let arithmetic = setting.pass.arithmetic;
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let wanted = |place: usize| parents[place].is_some();
        let mut set = |place: usize, gradient: Option<FlexTensor>| {
            if let (Some(id), Some(gradient)) = (parents[place], gradient) {
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
        set(OUTPUT_NORM, Some(vector(by_gamma)));
        set(OUTPUT_NORM + 1, Some(vector(by_beta)));
        // The forward pass adds the bias before the mask, so its gradient is the masked one.
        let (by_output, by_bias) = kernels::dropped_out(&by_sum, setting.output_mask(), width);
        set(OUTPUT + 1, Some(vector(by_bias)));
        let by_output = tensor(by_output, [tokens, width]);
        let (by_weights, mut by_before) =
            arithmetic.linear_backward(&saved.inner, &by_output, &inputs[OUTPUT], wanted(OUTPUT));
        set(OUTPUT, by_weights);
        let by_bias = kernels::activate_backward(values_mut(&mut by_before), values(&saved.slopes), inner_width);
        set(INTERMEDIATE + 1, Some(vector(by_bias)));
        let (by_weights, mut by_middle) =
            arithmetic.linear_backward(&saved.middle, &by_before, &inputs[INTERMEDIATE], wanted(INTERMEDIATE));
        set(INTERMEDIATE, by_weights);
        kernels::add(values_mut(&mut by_middle), [&by_sum]);

        // Attention.
        let (mut by_hidden, by_gamma, by_beta) =
            kernels::norm_backward(values(&by_middle), saved.attention_norm.values(), values(&inputs[ATTENTION_NORM]));
        set(ATTENTION_NORM, Some(vector(by_gamma)));
        set(ATTENTION_NORM + 1, Some(vector(by_beta)));
        let (by_attended, by_bias) = kernels::dropped_out(&by_hidden, setting.attention_mask(), width);
        set(ATTENTION_OUTPUT + 1, Some(vector(by_bias)));
        let by_attended = tensor(by_attended, [tokens, width]);
        let (by_weights, by_context) = arithmetic.linear_backward(
            &saved.context,
            &by_attended,
            &inputs[ATTENTION_OUTPUT],
            wanted(ATTENTION_OUTPUT),
        );
        set(ATTENTION_OUTPUT, by_weights);
        let (by_query, by_key, by_value) = attention::attend_backward(
            values(&by_context),
            (values(&saved.query), values(&saved.key), values(&saved.value)),
            &saved.weights,
            setting.heads(),
        );
        let places = [QUERY, KEY, VALUE];
        let any = places.iter().any(|&place| wanted(place));
        let from_hidden = any.then(|| arithmetic.left_transposed(&inputs[0]));
        let gradients = at_once([(QUERY, by_query), (KEY, by_key), (VALUE, by_value)], |(place, gradient)| {
            let by_bias = wanted(place + 1).then(|| vector(kernels::column_sums(&gradient, width)));
            let gradient = tensor(gradient, [tokens, width]);
            let left = from_hidden.as_ref().filter(|_| wanted(place));
            let (by_weights, by_input) = rayon::join(
                || left.map(|left| left.times(&arithmetic.right(&gradient))),
                || wanted(0).then(|| arithmetic.by_input(&gradient, &inputs[place])),
            );
            (by_weights, by_bias, by_input)
        });
        let by_inputs = gradients.each_ref().map(|(_, _, by_input)| by_input.as_ref());
        if let [Some(by_query), Some(by_key), Some(by_value)] = by_inputs {
            kernels::add(&mut by_hidden, [values(by_query), values(by_key), values(by_value)]);
        }
        for (place, (by_weights, by_bias, _)) in places.into_iter().zip(gradients) {
            set(place, by_weights);
            set(place + 1, by_bias);
        }
        set(0, Some(tensor(by_hidden, [tokens, width])));
    }
}
