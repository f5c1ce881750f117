//! Attention over packed sentences: softmax(Q·Kᵀ/√d)·V for every head of every sentence, and its gradients.
//!
//! The matrices of a head are tiny (eleven tokens by thirty-two, say), far below what a general matrix product is worth
//! for, so they have a product of their own here. Sentences are computed in parallel, each by one thread, so results do
//! not depend on the number of threads.

use rayon::prelude::*;
use wellformed_kernels::written::zeros;

use super::kernels::{self, Mask};

/// Rows and columns of the sums that a small product keeps in registers: eight vectors of AVX2, half of what there is.
const ROWS: usize = 4;
const LANES: usize = 16;

/// The shape of an attention over packed sentences.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads<'a> {
    /// Where each sentence starts, and the end of the last.
    pub(super) offsets: &'a [usize],
    /// Attention heads.
    pub(super) count: usize,
    /// Width of one head.
    pub(super) size: usize,
    /// Dropout of the attention weights.
    pub(super) mask: Option<Mask>,
}

impl Heads<'_> {
    fn width(self) -> usize {
        self.count * self.size
    }

    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    fn lengths(&self) -> impl Iterator<Item = usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// How many numbers of `[tokens, width]` each sentence has.
    fn rows(&self) -> impl Iterator<Item = usize> {
        self.lengths().map(|length| length * self.width())
    }

    /// How many attention weights each sentence has, `[heads, length, length]`.
    fn weights(&self) -> impl Iterator<Item = usize> {
        self.lengths().map(|length| self.count * length * length)
    }

    /// Where each sentence's attention weights start.
    fn starts(&self) -> Vec<usize> {
        self.weights().scan(0, |start, count| Some(std::mem::replace(start, *start + count))).collect()
    }

    /// Where the values of a head of a sentence's first token are in `[tokens, width]`.
    fn first(self, sentence: usize, head: usize) -> usize {
        self.offsets[sentence] * self.width() + head * self.size
    }
}

/// Cuts a slice into pieces of these lengths.
fn cut(mut values: &mut [f32], lengths: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    lengths
        .map(|length| {
            let (head, tail) = std::mem::take(&mut values).split_at_mut(length);
            values = tail;
            head
        })
        .collect()
}

/// softmax(Q·Kᵀ/√d)·V for every head of every sentence. Returns the context `[tokens, width]` and the attention
/// weights before dropout.
pub(super) fn attend(query: &[f32], key: &[f32], value: &[f32], heads: Heads<'_>) -> (Vec<f32>, Vec<f32>) {
    let (width, size) = (heads.width(), heads.size);
    let mut context = zeros(query.len());
    let mut weights = zeros(heads.weights().sum());
    let starts = heads.starts();
    let sentences = cut(&mut context, heads.rows()).into_par_iter().zip(cut(&mut weights, heads.weights()));
    sentences.enumerate().for_each(|(sentence, (context, weights))| {
        let length = heads.offsets[sentence + 1] - heads.offsets[sentence];
        // Whole vectors: what is beyond the sentence's end stays zero.
        let padded = length.next_multiple_of(LANES);
        let mut keys = vec![0.0; size * padded];
        let mut scores = vec![0.0; length * padded];
        for head in 0..heads.count {
            let first = heads.first(sentence, head);
            transpose(&mut keys, padded, &key[first..], width, [length, size]);
            let queries = Left { values: &query[first..], row: width, column: 1 };
            product(&mut scores, padded, queries, &keys, padded, [length, size, padded]);
            for (token, scores) in scores.chunks_exact_mut(padded).enumerate() {
                kernels::softmax(scores, length, heads.scale());
                let place = (head * length + token) * length;
                weights[place..place + length].copy_from_slice(&scores[..length]);
                if let Some(mask) = heads.mask {
                    mask.apply(scores, starts[sentence] + place);
                }
            }
            let dropped = Left { values: &scores, row: padded, column: 1 };
            product(&mut context[head * size..], width, dropped, &value[first..], width, [length, length, size]);
        }
    });
    (context, weights)
}

/// The gradients of [`attend`] by query, key and value.
pub(super) fn attend_backward(
    gradient: &[f32],
    (query, key, value): (&[f32], &[f32], &[f32]),
    weights: &[f32],
    heads: Heads<'_>,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (width, size) = (heads.width(), heads.size);
    let [mut by_query, mut by_key, mut by_value] = [(); 3].map(|()| zeros(query.len()));
    let starts = heads.starts();
    let sentences = cut(&mut by_query, heads.rows())
        .into_par_iter()
        .zip(cut(&mut by_key, heads.rows()))
        .zip(cut(&mut by_value, heads.rows()));
    sentences.enumerate().for_each(|(sentence, ((by_query, by_key), by_value))| {
        let length = heads.offsets[sentence + 1] - heads.offsets[sentence];
        let padded = length.next_multiple_of(LANES);
        let shape = [length, length, size];
        let mut values = vec![0.0; size * padded];
        let mut by_score = vec![0.0; length * padded];
        let mut dropped = vec![0.0; length * padded];
        for head in 0..heads.count {
            let first = heads.first(sentence, head);
            let gradients = &gradient[first..];
            transpose(&mut values, padded, &value[first..], width, [length, size]);
            let left = Left { values: gradients, row: width, column: 1 };
            product(&mut by_score, padded, left, &values, padded, [length, size, padded]);
            let rows = by_score.chunks_exact_mut(padded).zip(dropped.chunks_exact_mut(padded));
            for (token, (by_score, dropped)) in rows.enumerate() {
                let place = starts[sentence] + (head * length + token) * length;
                let weights = &weights[place..place + length];
                dropped[..length].copy_from_slice(weights);
                if let Some(mask) = heads.mask {
                    mask.apply(by_score, place);
                    mask.apply(dropped, place);
                }
                let by_score = &mut by_score[..length];
                let mean = kernels::dot(by_score, weights);
                for (by_score, weight) in by_score.iter_mut().zip(weights) {
                    *by_score = weight * (*by_score - mean) * heads.scale();
                }
            }
            let part = head * size;
            let along = |values| Left { values, row: padded, column: 1 };
            let across = |values| Left { values, row: 1, column: padded };
            product(&mut by_value[part..], width, across(&dropped), gradients, width, shape);
            product(&mut by_query[part..], width, along(&by_score), &key[first..], width, shape);
            product(&mut by_key[part..], width, across(&by_score), &query[first..], width, shape);
        }
    });
    (by_query, by_key, by_value)
}

/// `target = sourceᵀ` for a source of `[rows, columns]`, whose rows start `stride` apart.
fn transpose(target: &mut [f32], target_stride: usize, source: &[f32], stride: usize, [rows, columns]: [usize; 2]) {
    for row in 0..rows {
        for (column, &value) in source[row * stride..][..columns].iter().enumerate() {
            target[column * target_stride + row] = value;
        }
    }
}

/// The left side of a small product: how far apart its rows and its columns are in `values`, so that a transposed
/// matrix need not be copied.
#[derive(Clone, Copy)]
struct Left<'a> {
    values: &'a [f32],
    row: usize,
    column: usize,
}

/// `target = left · right`, of `[rows, depth]` and `[depth, columns]`; the strides are those between rows.
fn product(
    target: &mut [f32],
    target_stride: usize,
    left: Left<'_>,
    right: &[f32],
    stride: usize,
    [rows, depth, columns]: [usize; 3],
) {
    for first in (0..rows).step_by(ROWS) {
        let target = &mut target[first * target_stride..];
        let left = Left { values: &left.values[first * left.row..], ..left };
        match rows - first {
            1 => product_of::<1>(target, target_stride, left, right, stride, depth, columns),
            2 => product_of::<2>(target, target_stride, left, right, stride, depth, columns),
            3 => product_of::<3>(target, target_stride, left, right, stride, depth, columns),
            _ => product_of::<ROWS>(target, target_stride, left, right, stride, depth, columns),
        }
    }
}

/// [`product`] with `R` rows.
#[inline]
fn product_of<const R: usize>(
    target: &mut [f32],
    target_stride: usize,
    left: Left<'_>,
    right: &[f32],
    stride: usize,
    depth: usize,
    columns: usize,
) {
    let whole = columns - columns % LANES;
    for column in (0..whole).step_by(LANES) {
        let mut sums = [[0.0_f32; LANES]; R];
        for step in 0..depth {
            let right = &right[step * stride + column..][..LANES];
            for (row, sums) in sums.iter_mut().enumerate() {
                let left = left.values[row * left.row + step * left.column];
                for lane in 0..LANES {
                    sums[lane] = left.mul_add(right[lane], sums[lane]);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            target[row * target_stride + column..][..LANES].copy_from_slice(sums);
        }
    }
    // Heads whose width is no multiple of the vectors'.
    for row in 0..R {
        for column in whole..columns {
            let terms = (0..depth)
                .map(|step| (left.values[row * left.row + step * left.column], right[step * stride + column]));
            target[row * target_stride + column] = terms.fold(0.0, |sum, (left, right)| left.mul_add(right, sum));
        }
    }
}
