//! Embedding look-up, layer norm and dropout as one operation; the projection of narrower embeddings comes after it.

use std::sync::{Mutex, PoisonError};

use burn::backend::Flex;
use burn::tensor::Tensor;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use super::{Input, Normalised, Pass, kernels, tensor, values, values_mut};
use crate::batch::Batch;
use crate::classifier::Embeddings;

/// The dropout of the embeddings; the layers use the sites after it.
const SITE: u32 = 0;

/// Embeddings `[tokens, embedding]`, not yet projected; `first` is the row of the position table that a sentence's
/// first token gets.
pub(super) fn forward(embeddings: &Embeddings, first: usize, batch: &Batch, pass: &Pass) -> Tensor<2> {
    let width = embeddings.word.weight.val().dims()[1];
    let beta = embeddings.norm.beta.as_ref().map(burn::module::Param::val);
    let gamma = embeddings.norm.gamma.val();
    let beta = beta.unwrap_or_else(|| gamma.zeros_like());
    let inputs = [
        Input::new(embeddings.word.weight.val()),
        Input::new(embeddings.position.weight.val()),
        Input::new(embeddings.token_type.weight.val()),
        Input::new(gamma),
        Input::new(beta),
    ];
    let (output, saved) = look_up(&inputs, first, batch, pass, width);
    let [word, position, token_type, gamma, beta] = inputs;
    let nodes = [word.node, position.node, token_type.node, gamma.node, beta.node];
    let [Some(a), Some(b), Some(c), Some(d), Some(e)] = nodes else { return Tensor::from_primitive::<Flex>(output) };
    let state = State {
        rows: [word.primitive, position.primitive, token_type.primitive].map(|table| table.layout().shape()[0]),
        width,
        first,
        gamma: gamma.primitive,
        ids: batch.ids.clone(),
        saved,
        pass: pass.clone(),
    };
    let prepared = EmbeddingBackward.prepare::<NoCheckpointing>([a, b, c, d, e]).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

fn look_up(inputs: &[Input; 5], first: usize, batch: &Batch, pass: &Pass, width: usize) -> (FlexTensor, Normalised) {
    let [word, position, token_type, gamma, beta] = inputs.each_ref().map(|input| values(&input.primitive));
    let mut sums = Vec::with_capacity(batch.tokens() * width);
    for pair in batch.offsets.windows(2) {
        for (place, &id) in batch.ids[pair[0]..pair[1]].iter().enumerate() {
            let word = &word[id as usize * width..][..width];
            let position = &position[(first + place) * width..][..width];
            let token_type = &token_type[..width];
            sums.extend(
                word.iter().zip(position).zip(token_type).map(|((word, position), kind)| word + position + kind),
            );
        }
    }
    let (mut output, inverse) = kernels::add_and_norm(&mut sums, None, None, None, (gamma, beta, pass.epsilon));
    kernels::drop_out(&mut output, pass.hidden_mask(SITE));
    let shape = [batch.tokens(), width];
    (tensor(output, shape), Normalised { unit: tensor(sums, shape), inverse })
}

#[derive(Debug)]
struct EmbeddingBackward;

#[derive(Debug, Clone)]
struct State {
    /// Of the word, position and type tables.
    rows: [usize; 3],
    width: usize,
    /// The position of a sentence's first token.
    first: usize,
    gamma: FlexTensor,
    ids: Vec<i32>,
    saved: Normalised,
    pass: Pass,
}

impl Backward<Flex, 5> for EmbeddingBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 5>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let State { rows, width, first, gamma, ids, saved, pass } = ops.state;
        let mut gradient = super::contiguous(grads.consume::<Flex>(&ops.node));
        kernels::drop_out(values_mut(&mut gradient), pass.hidden_mask(SITE));
        let (by_sum, by_gamma, by_beta) = kernels::norm_backward(values(&gradient), saved.values(), values(&gamma));
        let [word, position, token_type, gamma_node, beta_node] = ops.parents;
        let by_sum_rows = || by_sum.chunks_exact(width);
        if let Some(node) = word {
            grads.register::<Flex>(node.id, word_gradient(ids, &by_sum, [rows[0], width]));
        }
        if let Some(node) = position {
            let mut table = vec![0.0; rows[1] * width];
            let places = pass.offsets.windows(2).flat_map(|pair| 0..pair[1] - pair[0]);
            for (place, row) in places.zip(by_sum_rows()) {
                kernels::add_scaled(&mut table[(first + place) * width..][..width], 1.0, row);
            }
            grads.register::<Flex>(node.id, tensor(table, [rows[1], width]));
        }
        if let Some(node) = token_type {
            let mut table = kernels::column_sums(&by_sum, width);
            table.resize(rows[2] * width, 0.0);
            grads.register::<Flex>(node.id, tensor(table, [rows[2], width]));
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, tensor(by_gamma, [width]));
        }
        if let Some(node) = beta_node {
            grads.register::<Flex>(node.id, tensor(by_beta, [width]));
        }
    }
}

/// A gradient of a word table that was given out, and the rows of it that are not zero.
struct Given {
    table: FlexTensor,
    rows: Vec<i32>,
}

/// Gradients to be written again when their last user has let them go.
///
/// Nearly all of such a gradient is zero, 47 MB of it with BERT's vocabulary: to ask the system for that at every step,
/// which clears it, takes longer than the rest of the embeddings' backward pass. Clearing the rows of the step before
/// takes no time.
static GIVEN: Mutex<Vec<Given>> = Mutex::new(Vec::new());

/// The gradient of the word table, of this shape: each row of `by_sum` added to the row of its token.
fn word_gradient(ids: Vec<i32>, by_sum: &[f32], shape: [usize; 2]) -> FlexTensor {
    let fits = |given: &Given| **given.table.layout().shape() == shape;
    let given = || GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = {
        let mut given = given();
        let place = given.iter().position(|given| fits(given) && given.table.is_unique());
        place.map(|place| given.swap_remove(place))
    };
    let width = shape[1];
    let row = |id: i32| id as usize * width..(id as usize + 1) * width;
    let mut table = match free {
        Some(Given { mut table, rows }) => {
            let values = values_mut(&mut table);
            for id in rows {
                values[row(id)].fill(0.0);
            }
            table
        }
        None => tensor(vec![0.0; shape[0] * width], shape),
    };
    let values = values_mut(&mut table);
    for (&id, by_row) in ids.iter().zip(by_sum.chunks_exact(width)) {
        kernels::add_scaled(&mut values[row(id)], 1.0, by_row);
    }
    let mut given = given();
    // Another model's are of no use any more.
    given.retain(|given| fits(given) || !given.table.is_unique());
    given.push(Given { table: table.clone(), rows: ids });
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_written_again_has_nothing_left_of_the_one_before() {
        // No other test has tables of this shape.
        let shape = [9, 2];
        let by_sum = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let first = word_gradient(vec![1, 8, 1], &by_sum, shape);
        let expected = [0.0, 0.0, 6.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0];
        assert_eq!(values(&first), expected);

        // The first is still there, so its memory is not free yet.
        let second = word_gradient(vec![0, 2, 3], &by_sum, shape);
        assert_eq!(values(&first), expected);
        let place = values(&first).as_ptr();
        assert_ne!(place, values(&second).as_ptr());

        drop(first);
        let third = word_gradient(vec![4, 4, 0], &by_sum, shape);
        assert_eq!(place, values(&third).as_ptr(), "the first one's memory is used again");
        assert_eq!(values(&third)[..10], [5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 6.0]);
        assert!(values(&third)[10..].iter().all(|&value| value == 0.0));
    }
}
