//! Loops over slices that the fused operations are made of: everything but the matrix products.
//!
//! Rows are tokens. Work is cut into blocks of a fixed number of rows, so results do not depend on the number of
//! threads; the blocks run in parallel on the Rayon pool. Inner loops are written so that the compiler can vectorise
//! them (eight independent lanes instead of one running sum).

use rayon::prelude::*;
use wellformed_kernels::written::written;

use crate::config::Activation;

/// Rows per block of parallel work.
const BLOCK: usize = 32;

/// Σ aᵢbᵢ in eight lanes.
#[inline]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let ((left, left_tail), (right, right_tail)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    for (a, b) in left.iter().zip(right) {
        for lane in 0..8 {
            lanes[lane] = a[lane].mul_add(b[lane], lanes[lane]);
        }
    }
    let tail: f32 = left_tail.iter().zip(right_tail).map(|(a, b)| a * b).sum();
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
    /// 1.5·2²³: the floats around it are the whole numbers, so adding it rounds, and its last bits are the number.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let power = rounded - ROUND;
    let r = (-power).mul_add(LN2_LOW, (-power).mul_add(LN2_HIGH, x));
    let polynomial = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_2e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let mantissa = polynomial.mul_add(r * r, r + 1.0);
    mantissa * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
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

/// The activation of `x`, and its slope there.
#[inline]
fn activation(kind: Activation, x: f32) -> (f32, f32) {
    match kind {
        Activation::Gelu => {
            let (distribution, density) = normal(x);
            (x * distribution, x.mul_add(density, distribution))
        }
        Activation::GeluNew => {
            let tanh = tanh(SQRT_2_OVER_PI * 0.044_715_f32.mul_add(x * x * x, x));
            let slope = SQRT_2_OVER_PI * (3.0 * 0.044_715_f32).mul_add(x * x, 1.0);
            (0.5 * x * (1.0 + tanh), 0.5f32.mul_add(1.0 + tanh, 0.5 * x * (1.0 - tanh * tanh) * slope))
        }
        Activation::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
    }
}

/// Adds a bias to every row and returns the activation of the sums, of which `matrix` then holds the slopes: the
/// backward pass multiplies by them and need not compute them from the sums once more.
pub(super) fn activate(kind: Activation, matrix: &mut [f32], bias: &[f32]) -> Vec<f32> {
    fn rows(matrix: &mut [f32], bias: &[f32], output: &mut [f32], function: impl Fn(f32) -> (f32, f32)) {
        for (row, output) in matrix.chunks_exact_mut(bias.len()).zip(output.chunks_exact_mut(bias.len())) {
            for ((value, bias), output) in row.iter_mut().zip(bias).zip(output) {
                (*output, *value) = function(*value + bias);
            }
        }
    }
    let block = bias.len() * BLOCK;
    let (output, _) = written(matrix.len(), block, matrix.par_chunks_mut(block), |output, matrix| {
        let output = output.write_copy_of_slice(matrix);
        // A loop for each kind, which the compiler can vectorise.
        match kind {
            Activation::Gelu => rows(matrix, bias, output, |x| activation(Activation::Gelu, x)),
            Activation::GeluNew => rows(matrix, bias, output, |x| activation(Activation::GeluNew, x)),
            Activation::Relu => rows(matrix, bias, output, |x| activation(Activation::Relu, x)),
        }
        (output, ())
    });
    output
}

/// Turns the gradient by the activations into the gradient by their inputs, in place; returns the sum of each column,
/// the gradient of the bias.
pub(super) fn activate_backward(gradient: &mut [f32], slopes: &[f32], columns: usize) -> Vec<f32> {
    let blocks = gradient.par_chunks_mut(columns * BLOCK).zip(slopes.par_chunks(columns * BLOCK));
    let blocks: Vec<Vec<f32>> = blocks
        .map(|(gradient, slopes)| {
            let mut sums = vec![0.0; columns];
            for (row, slopes) in gradient.chunks_exact_mut(columns).zip(slopes.chunks_exact(columns)) {
                for ((value, slope), sum) in row.iter_mut().zip(slopes).zip(&mut sums) {
                    *value *= slope;
                    *sum += *value;
                }
            }
            sums
        })
        .collect();
    add_up(blocks, columns)
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
    let blocks: Vec<Vec<f32>> = matrix.par_chunks(columns * BLOCK).map(|rows| row_sums(rows, columns)).collect();
    add_up(blocks, columns)
}

/// The sum of some rows.
fn row_sums(rows: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    for row in rows.chunks_exact(columns) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums
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

    /// Multiplies values, the first of which has this index.
    #[inline]
    pub(super) fn apply(self, values: &mut [f32], first: usize) {
        for (index, value) in values.iter_mut().enumerate() {
            *value *= self.factor((first + index) as u32);
        }
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
    values.par_chunks_mut(1 << 14).enumerate().for_each(|(block, values)| mask.apply(values, block << 14));
}

/// A copy multiplied by the mask, and the sum of each of its columns: the gradients of a matrix product whose result
/// was dropped out, and of its bias.
pub(super) fn dropped_out(values: &[f32], mask: Option<Mask>, columns: usize) -> (Vec<f32>, Vec<f32>) {
    let blocks = values.par_chunks(columns * BLOCK).enumerate();
    let (output, sums) = written(values.len(), columns * BLOCK, blocks, |output, (block, values)| {
        let output = output.write_copy_of_slice(values);
        if let Some(mask) = mask {
            mask.apply(output, block * BLOCK * columns);
        }
        let sums = row_sums(output, columns);
        (output, sums)
    });
    (output, add_up(sums, columns))
}

/// Returns norm(mask · (values + bias) + residual), and 1 / deviation of each row; `values` then holds (x − mean) /
/// deviation, which the backward pass needs as well.
///
/// `bias` is that of the matrix product before, which saves a pass over memory.
pub(super) fn add_and_norm(
    values: &mut [f32],
    bias: Option<&[f32]>,
    mask: Option<Mask>,
    residual: Option<&[f32]>,
    (gamma, beta, epsilon): (&[f32], &[f32], f32),
) -> (Vec<f32>, Vec<f32>) {
    let columns = gamma.len();
    let length = values.len();
    let mut inverse = vec![0.0; length / columns];
    let blocks = values.par_chunks_mut(columns * BLOCK).zip(inverse.par_chunks_mut(BLOCK)).enumerate();
    let (output, _) = written(length, columns * BLOCK, blocks, |output, (block, (values, inverse))| {
        let output = output.write_copy_of_slice(values);
        let rows = values.chunks_exact_mut(columns).zip(output.chunks_exact_mut(columns)).zip(inverse);
        for (row, ((values, output), inverse)) in rows.enumerate() {
            let start = (block * BLOCK + row) * columns;
            if let Some(bias) = bias {
                for (value, bias) in values.iter_mut().zip(bias) {
                    *value += bias;
                }
            }
            if let Some(mask) = mask {
                mask.apply(values, start);
            }
            if let Some(residual) = residual {
                for (value, residual) in values.iter_mut().zip(&residual[start..start + columns]) {
                    *value += residual;
                }
            }
            *inverse = normalise(values, output, gamma, beta, epsilon);
        }
        (output, ())
    });
    (output, inverse)
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
    let (chunks, tail) = values.as_chunks::<8>();
    for chunk in chunks {
        for lane in 0..8 {
            lanes[lane] += function(chunk[lane]);
        }
    }
    let tail: f32 = tail.iter().map(|&value| function(value)).sum();
    sum_lanes(lanes) + tail
}

/// The gradients of a layer norm by its input, `gamma` and `beta`; `unit` and `inverse` are what [`add_and_norm`] left.
pub(super) fn norm_backward(
    gradient: &[f32],
    (unit, inverse): (&[f32], &[f32]),
    gamma: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let columns = gamma.len();
    let blocks = gradient.par_chunks(columns * BLOCK).zip(unit.par_chunks(columns * BLOCK));
    let blocks = blocks.zip(inverse.par_chunks(BLOCK));
    let (input, sums) = written(gradient.len(), columns * BLOCK, blocks, |input, ((gradient, unit), inverse)| {
        let input = input.write_copy_of_slice(gradient);
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
        (input, (by_gamma, by_beta))
    });
    let (by_gamma, by_beta): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
    (input, add_up(by_gamma, columns), add_up(by_beta, columns))
}

/// Adds others to the values, one after another.
pub(super) fn add<const N: usize>(values: &mut [f32], others: [&[f32]; N]) {
    const PART: usize = 1 << 13;
    values.par_chunks_mut(PART).enumerate().for_each(|(part, values)| {
        let places = part * PART..part * PART + values.len();
        for other in others {
            for (value, other) in values.iter_mut().zip(&other[places.clone()]) {
                *value += other;
            }
        }
    });
}

/// The softmax of `scale` times the first `length` of the scores, in place; what comes after them becomes zero.
///
/// A row has a few scores more than needed, so that it is made of whole vectors.
#[inline]
pub(super) fn softmax(scores: &mut [f32], length: usize, scale: f32) {
    let highest = scores[..length].iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp((*score - highest) * scale);
    }
    scores[length..].fill(0.0);
    let inverse = 1.0 / lane_sum(scores, |score| score);
    for score in scores.iter_mut() {
        *score *= inverse;
    }
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
