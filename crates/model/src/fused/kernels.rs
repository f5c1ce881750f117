//! Loops over slices that the fused operations are made of: everything but the matrix products.
//!
//! Rows are tokens. Work is cut into blocks of a fixed number of rows, so results do not depend on the number of
//! threads; the blocks run in parallel on the Rayon pool. Inner loops are written so that the compiler can vectorise
//! them (eight independent lanes instead of one running sum).

use rayon::prelude::*;

use crate::config::Activation;

/// Rows per block of parallel work.
const BLOCK: usize = 32;

/// Σ aᵢbᵢ in eight lanes.
#[inline]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let tail: f32 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..8 {
            lanes[lane] = a[lane].mul_add(b[lane], lanes[lane]);
        }
    }
    sum_lanes(lanes) + tail
}

#[inline]
fn sum_lanes(lanes: [f32; 8]) -> f32 {
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))
}

/// `target += factor · source`
#[inline]
pub(super) fn add_scaled(target: &mut [f32], factor: f32, source: &[f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target = factor.mul_add(*source, *target);
    }
}

/// eˣ to about one part in 10⁷ (Cephes' `expf`: reduction by ln 2, a polynomial of degree five), without branches.
#[inline]
fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let power = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = (-power).mul_add(LN2_LOW, (-power).mul_add(LN2_HIGH, x));
    let polynomial = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_2e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let mantissa = polynomial.mul_add(r * r, r + 1.0);
    mantissa * f32::from_bits((((power as i32) + 127) << 23) as u32)
}

/// Φ(x), the standard normal distribution function, and φ(x), its density; Φ by Abramowitz and Stegun 7.1.26, whose
/// absolute error is below 1.5·10⁻⁷.
#[inline]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let bell = exp(-z * z);
    let t = 1.0 / 0.327_591_1_f32.mul_add(z, 1.0);
    let polynomial = 1.061_405_4_f32
        .mul_add(t, -1.453_152)
        .mul_add(t, 1.421_413_7)
        .mul_add(t, -0.284_496_74)
        .mul_add(t, 0.254_829_6)
        * t;
    let upper = 0.5 * polynomial * bell;
    let distribution = if x < 0.0 { upper } else { 1.0 - upper };
    (distribution, bell * 0.398_942_3)
}

#[inline]
fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    ((1.0 - e) / (1.0 + e)).copysign(x)
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;

/// The activation of each element of `input`.
pub(super) fn activate(kind: Activation, input: &[f32], output: &mut [f32]) {
    let each = |function: fn(f32) -> f32, output: &mut [f32]| {
        output.par_chunks_mut(1 << 14).zip(input.par_chunks(1 << 14)).for_each(|(output, input)| {
            for (output, &input) in output.iter_mut().zip(input) {
                *output = function(input);
            }
        });
    };
    match kind {
        Activation::Gelu => {
            output.par_chunks_mut(1 << 14).zip(input.par_chunks(1 << 14)).for_each(|(output, input)| {
                for (output, &x) in output.iter_mut().zip(input) {
                    *output = x * normal(x).0;
                }
            });
        }
        Activation::GeluNew => {
            each(|x| 0.5 * x * (1.0 + tanh(SQRT_2_OVER_PI * 0.044_715_f32.mul_add(x * x * x, x))), output);
        }
        Activation::Relu => each(|x| x.max(0.0), output),
    }
}

/// Turns the gradient by the activation's output into the gradient by its input, in place.
pub(super) fn activate_backward(kind: Activation, input: &[f32], gradient: &mut [f32]) {
    gradient.par_chunks_mut(1 << 14).zip(input.par_chunks(1 << 14)).for_each(|(gradient, input)| match kind {
        Activation::Gelu => {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                let (distribution, density) = normal(x);
                *gradient *= x.mul_add(density, distribution);
            }
        }
        Activation::GeluNew => {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                let tanh = tanh(SQRT_2_OVER_PI * 0.044_715_f32.mul_add(x * x * x, x));
                let slope = SQRT_2_OVER_PI * (3.0 * 0.044_715_f32).mul_add(x * x, 1.0);
                *gradient *= 0.5f32.mul_add(1.0 + tanh, 0.5 * x * (1.0 - tanh * tanh) * slope);
            }
        }
        Activation::Relu => {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                *gradient = if x > 0.0 { *gradient } else { 0.0 };
            }
        }
    });
}

/// Adds a bias to every row.
pub(super) fn add_bias(matrix: &mut [f32], bias: &[f32]) {
    matrix.par_chunks_mut(bias.len() * BLOCK).for_each(|rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += bias;
            }
        }
    });
}

/// The sum of each column: the gradient of a bias.
pub(super) fn column_sums(matrix: &[f32], columns: usize) -> Vec<f32> {
    let blocks: Vec<Vec<f32>> = matrix
        .par_chunks(columns * BLOCK)
        .map(|rows| {
            let mut sums = vec![0.0; columns];
            for row in rows.chunks_exact(columns) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += value;
                }
            }
            sums
        })
        .collect();
    add_up(blocks, columns)
}

/// Sums blocks in their order, so that the result does not depend on which thread finished first.
fn add_up(blocks: Vec<Vec<f32>>, columns: usize) -> Vec<f32> {
    blocks
        .into_iter()
        .reduce(|mut total, block| {
            for (total, value) in total.iter_mut().zip(block) {
                *total += value;
            }
            total
        })
        .unwrap_or_else(|| vec![0.0; columns])
}

/// Which activations a dropout lets through: a pure function of a key and the element's index, so the backward pass
/// draws the same mask again instead of remembering it, and threads need no shared generator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mask {
    key: u32,
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// The mask of one dropout of one step; `None` when nothing is dropped.
    pub(super) fn new(seed: u64, site: u32, probability: f64) -> Option<Self> {
        (probability > 0.0).then(|| Self {
            key: mix((seed as u32) ^ mix((seed >> 32) as u32 ^ mix(site))),
            threshold: (probability * 4_294_967_296.0) as u32,
            scale: (1.0 / (1.0 - probability)) as f32,
        })
    }

    /// The factor of element `index`: 0 or 1/(1−p).
    #[inline]
    pub(super) fn factor(self, index: u32) -> f32 {
        let kept = mix(mix(index) ^ self.key) >= self.threshold;
        if kept { self.scale } else { 0.0 }
    }
}

/// A bijection of 32-bit words in which every input bit moves every output bit with probability close to a half
/// (Wellons' "lowbias32").
#[inline]
fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7feb_352d);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846c_a68b);
    word ^ (word >> 16)
}

/// Multiplies by the mask, in place.
pub(super) fn drop_out(values: &mut [f32], mask: Option<Mask>) {
    let Some(mask) = mask else { return };
    values.par_chunks_mut(1 << 14).enumerate().for_each(|(block, values)| {
        let start = (block << 14) as u32;
        for (index, value) in values.iter_mut().enumerate() {
            *value *= mask.factor(start.wrapping_add(index as u32));
        }
    });
}

/// What the backward pass of a layer norm needs.
#[derive(Debug, Clone)]
pub(super) struct Normalised {
    /// (x − mean) / deviation, `[rows, columns]`.
    pub(super) unit: Vec<f32>,
    /// 1 / deviation of each row.
    pub(super) inverse: Vec<f32>,
}

/// `output = norm(mask · values + bias + residual)`; `values` holds the normalised rows afterwards.
///
/// `bias` is that of the matrix product before, which saves a pass over memory.
pub(super) fn add_and_norm(
    mut values: Vec<f32>,
    bias: Option<&[f32]>,
    mask: Option<Mask>,
    residual: Option<&[f32]>,
    (gamma, beta, epsilon): (&[f32], &[f32], f32),
) -> (Vec<f32>, Normalised) {
    let columns = gamma.len();
    let rows = values.len() / columns;
    let mut output = vec![0.0; values.len()];
    let mut inverse = vec![0.0; rows];
    values
        .par_chunks_mut(columns * BLOCK)
        .zip(output.par_chunks_mut(columns * BLOCK))
        .zip(inverse.par_chunks_mut(BLOCK))
        .enumerate()
        .for_each(|(block, ((values, output), inverse))| {
            let rows = values.chunks_exact_mut(columns).zip(output.chunks_exact_mut(columns)).zip(inverse);
            for (row, ((values, output), inverse)) in rows.enumerate() {
                let start = (block * BLOCK + row) * columns;
                if let Some(bias) = bias {
                    for (value, bias) in values.iter_mut().zip(bias) {
                        *value += bias;
                    }
                }
                if let Some(mask) = mask {
                    for (column, value) in values.iter_mut().enumerate() {
                        *value *= mask.factor((start + column) as u32);
                    }
                }
                if let Some(residual) = residual {
                    for (value, residual) in values.iter_mut().zip(&residual[start..start + columns]) {
                        *value += residual;
                    }
                }
                *inverse = normalise(values, output, gamma, beta, epsilon);
            }
        });
    (output, Normalised { unit: values, inverse })
}

/// Normalises one row in place, writes `gamma · row + beta`, and returns 1 / deviation.
#[inline]
fn normalise(values: &mut [f32], output: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> f32 {
    let count = values.len() as f32;
    let mean = lane_sum(values, |value| value) / count;
    let variance = lane_sum(values, |value| (value - mean) * (value - mean)) / count;
    let inverse = 1.0 / (variance + epsilon).sqrt();
    for ((value, output), (gamma, beta)) in values.iter_mut().zip(output).zip(gamma.iter().zip(beta)) {
        *value = (*value - mean) * inverse;
        *output = gamma.mul_add(*value, *beta);
    }
    inverse
}

#[inline]
fn lane_sum(values: &[f32], function: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let chunks = values.chunks_exact(8);
    let tail: f32 = chunks.remainder().iter().map(|&value| function(value)).sum();
    for chunk in chunks {
        for lane in 0..8 {
            lanes[lane] += function(chunk[lane]);
        }
    }
    sum_lanes(lanes) + tail
}

/// The gradients of a layer norm by its input, `gamma` and `beta`.
pub(super) fn norm_backward(gradient: &[f32], saved: &Normalised, gamma: &[f32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let columns = gamma.len();
    let mut input = vec![0.0; gradient.len()];
    let blocks: Vec<(Vec<f32>, Vec<f32>)> = input
        .par_chunks_mut(columns * BLOCK)
        .zip(gradient.par_chunks(columns * BLOCK))
        .zip(saved.unit.par_chunks(columns * BLOCK))
        .zip(saved.inverse.par_chunks(BLOCK))
        .map(|(((input, gradient), unit), inverse)| {
            let (mut by_gamma, mut by_beta) = (vec![0.0; columns], vec![0.0; columns]);
            let rows = input
                .chunks_exact_mut(columns)
                .zip(gradient.chunks_exact(columns))
                .zip(unit.chunks_exact(columns))
                .zip(inverse);
            for (((input, gradient), unit), inverse) in rows {
                for column in 0..columns {
                    by_gamma[column] = gradient[column].mul_add(unit[column], by_gamma[column]);
                    by_beta[column] += gradient[column];
                    input[column] = gradient[column] * gamma[column];
                }
                let count = columns as f32;
                let mean = lane_sum(input, |value| value) / count;
                let along = dot(input, unit) / count;
                for (input, unit) in input.iter_mut().zip(unit) {
                    *input = (*input - mean - unit * along) * inverse;
                }
            }
            (by_gamma, by_beta)
        })
        .collect();
    let (by_gamma, by_beta): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
    (input, add_up(by_gamma, columns), add_up(by_beta, columns))
}

/// `left += right`
pub(super) fn add(left: &mut [f32], right: &[f32]) {
    left.par_chunks_mut(1 << 14).zip(right.par_chunks(1 << 14)).for_each(|(left, right)| {
        for (left, right) in left.iter_mut().zip(right) {
            *left += right;
        }
    });
}

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

    /// Attention weights of all heads of all sentences.
    fn weights(self) -> usize {
        self.offsets.windows(2).map(|pair| self.count * (pair[1] - pair[0]).pow(2)).sum()
    }

    /// Cuts `[tokens, width]` into sentences.
    fn cut_rows(self, mut values: &mut [f32]) -> Vec<&mut [f32]> {
        let width = self.width();
        self.offsets
            .windows(2)
            .map(|pair| {
                let (head, tail) = std::mem::take(&mut values).split_at_mut((pair[1] - pair[0]) * width);
                values = tail;
                head
            })
            .collect()
    }

    /// Where each sentence's attention weights start.
    fn starts(self) -> Vec<usize> {
        let lengths = self.offsets.windows(2).map(|pair| self.count * (pair[1] - pair[0]).pow(2));
        lengths.scan(0, |start, length| Some(std::mem::replace(start, *start + length))).collect()
    }
}

/// softmax(Q·Kᵀ/√d)·V for every head of every sentence. Returns the context `[tokens, width]` and the attention
/// weights before dropout.
pub(super) fn attend(query: &[f32], key: &[f32], value: &[f32], heads: Heads<'_>) -> (Vec<f32>, Vec<f32>) {
    let (width, size) = (heads.width(), heads.size);
    let mut context = vec![0.0; query.len()];
    let mut weights = vec![0.0; heads.weights()];
    let scale = 1.0 / (size as f32).sqrt();
    let starts = heads.starts();
    let mut rest = weights.as_mut_slice();
    let cut: Vec<_> = heads
        .offsets
        .windows(2)
        .map(|pair| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(heads.count * (pair[1] - pair[0]).pow(2));
            rest = tail;
            head
        })
        .collect();
    heads.cut_rows(&mut context).into_par_iter().zip(cut).enumerate().for_each(|(sentence, (context, weights))| {
        let tokens = heads.offsets[sentence]..heads.offsets[sentence + 1];
        let length = tokens.len();
        let rows = |matrix, token: usize, head: usize| row(matrix, tokens.start + token, head, width, size);
        for head in 0..heads.count {
            for token in 0..length {
                let first = (head * length + token) * length;
                let scores = &mut weights[first..first + length];
                let query = rows(query, token, head);
                for (other, score) in scores.iter_mut().enumerate() {
                    *score = dot(query, rows(key, other, head)) * scale;
                }
                softmax(scores);
                let context = &mut context[token * width + head * size..][..size];
                for (other, &weight) in scores.iter().enumerate() {
                    let index = (starts[sentence] + first + other) as u32;
                    let weight = heads.mask.map_or(weight, |mask| weight * mask.factor(index));
                    add_scaled(context, weight, rows(value, other, head));
                }
            }
        }
    });
    (context, weights)
}

#[inline]
fn row(matrix: &[f32], token: usize, head: usize, width: usize, size: usize) -> &[f32] {
    &matrix[token * width + head * size..][..size]
}

#[inline]
fn softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - highest);
    }
    let inverse = 1.0 / lane_sum(scores, |score| score);
    for score in scores.iter_mut() {
        *score *= inverse;
    }
}

/// The gradients of [`attend`] by query, key and value.
pub(super) fn attend_backward(
    gradient: &[f32],
    (query, key, value): (&[f32], &[f32], &[f32]),
    weights: &[f32],
    heads: Heads<'_>,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (width, size) = (heads.width(), heads.size);
    let (mut by_query, mut by_key, mut by_value) =
        (vec![0.0; query.len()], vec![0.0; query.len()], vec![0.0; query.len()]);
    let scale = 1.0 / (size as f32).sqrt();
    let starts = heads.starts();
    heads
        .cut_rows(&mut by_query)
        .into_par_iter()
        .zip(heads.cut_rows(&mut by_key))
        .zip(heads.cut_rows(&mut by_value))
        .enumerate()
        .for_each(|(sentence, ((by_query, by_key), by_value))| {
            let tokens = heads.offsets[sentence]..heads.offsets[sentence + 1];
            let length = tokens.len();
            let rows = |matrix, token: usize, head: usize| row(matrix, tokens.start + token, head, width, size);
            let mut by_weight = vec![0.0; length];
            for head in 0..heads.count {
                for token in 0..length {
                    let first = starts[sentence] + (head * length + token) * length;
                    let weights = &weights[first..first + length];
                    let gradient = rows(gradient, token, head);
                    for (other, by_weight) in by_weight.iter_mut().enumerate() {
                        let factor = heads.mask.map_or(1.0, |mask| mask.factor((first + other) as u32));
                        *by_weight = dot(gradient, rows(value, other, head)) * factor;
                        let by_value = &mut by_value[other * width + head * size..][..size];
                        add_scaled(by_value, weights[other] * factor, gradient);
                    }
                    let mean = dot(&by_weight, weights);
                    let query = rows(query, token, head);
                    for (other, &by_weight) in by_weight.iter().enumerate() {
                        let by_score = weights[other] * (by_weight - mean) * scale;
                        let by_query = &mut by_query[token * width + head * size..][..size];
                        add_scaled(by_query, by_score, rows(key, other, head));
                        let by_key = &mut by_key[other * width + head * size..][..size];
                        add_scaled(by_key, by_score, query);
                    }
                }
            }
        });
    (by_query, by_key, by_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for step in -8000..8000 {
            let x = step as f32 / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 3e-7, "exp({x}) = {ours}, expected {exact}");
        }
    }

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        // From scipy.stats.norm.cdf and .pdf.
        for (x, distribution, density) in [
            (0.0, 0.5, 0.398_942_280_401_432_7),
            (1.0, 0.841_344_746_068_542_9, 0.241_970_724_519_143_37),
            (-1.0, 0.158_655_253_931_457_05, 0.241_970_724_519_143_37),
            (-2.5, 0.006_209_665_325_776_132, 0.017_528_300_493_568_54),
            (4.0, 0.999_968_328_758_166_9, 0.000_133_830_225_764_885_37),
        ] {
            let (ours, slope) = normal(x);
            assert!((f64::from(ours) - distribution).abs() < 3e-7, "Φ({x}) = {ours}");
            assert!((f64::from(slope) - density).abs() < 3e-7, "φ({x}) = {slope}");
        }
    }

    #[test]
    fn a_mask_keeps_its_share_and_is_another_one_for_another_seed_or_site() {
        let count = 200_000;
        let kept = |seed, site| -> Vec<bool> {
            let mask = Mask::new(seed, site, 0.1).unwrap();
            (0..count).map(|index| mask.factor(index) > 0.0).collect()
        };
        let (one, other_seed, other_site) = (kept(1, 0), kept(2, 0), kept(1, 1));
        let share = |mask: &[bool]| mask.iter().filter(|kept| **kept).count() as f64 / f64::from(count);
        for mask in [&one, &other_seed, &other_site] {
            // Six standard deviations of a binomial share.
            assert!((share(mask) - 0.9).abs() < 6.0 * (0.09 / f64::from(count)).sqrt());
        }
        for other in [&other_seed, &other_site] {
            let agree = one.iter().zip(other).filter(|(a, b)| a == b).count() as f64 / f64::from(count);
            assert!((agree - 0.82).abs() < 0.01, "independent masks agree in 0.9² + 0.1² of the places, not {agree}");
        }
        assert!(Mask::new(1, 0, 0.0).is_none());
    }

    #[test]
    fn column_sums_do_not_depend_on_the_number_of_threads() {
        let values: Vec<f32> = (0..1000 * 24).map(|index| (index as f32 * 0.37).sin()).collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| column_sums(&values, 24))
        };
        assert_eq!(with(1), with(4));
    }
}
