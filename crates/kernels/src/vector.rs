//! Layer norm, activations and attention: plain loops, compiled once for each set of instructions.
//!
//! The loops count instead of zipping iterators: an iterator's functions are not compiled for the caller's
//! instructions, and where the compiler then does not inline them, a loop costs several times as much.
#![expect(clippy::needless_range_loop, reason = "see above")]

use crate::isa::Isa;
use crate::lanes::{LANES, Lanes, mac};

/// Declares a function of plain Rust that is compiled for every set of instructions, and takes an [`Isa`] to choose.
/// The body may use `V`, the widest [`crate::lanes::Lanes`] that the instructions have.
macro_rules! versions {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $visibility fn $name(isa: Isa, $($argument: $type),*) {
            #[inline(always)]
            #[allow(clippy::inline_always, clippy::extra_unused_type_parameters, reason = "the point of the macro")]
            fn body<V: $crate::lanes::Lanes>($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) {
                body::<$crate::lanes::x86::Pair>($($argument),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) {
                body::<$crate::lanes::x86::Wide>($($argument),*);
            }

            match isa.0 {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instructions, which is what `Isa` stands for.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                $crate::isa::Kind::Avx512 | $crate::isa::Kind::Amx => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: likewise.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                $crate::isa::Kind::Avx2 => unsafe { avx2($($argument),*) },
                _ => body::<$crate::lanes::Portable>($($argument),*),
            }
        }
    };
}
pub(crate) use versions;

/// e^x for x from −87 to 88, to two units in the last place; below, almost 0; above, almost the largest number.
#[inline(always)]
#[expect(clippy::excessive_precision, clippy::unreadable_literal, reason = "coefficients as computed")]
fn exp<V: Lanes>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // x = n·ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, the first of which n multiplies exactly.
    let shifted = mac::<V>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mac::<V>(n, -0.693359375, x);
    let r = mac::<V>(n, 2.12194440e-4, r);
    // The Taylor polynomial of degree 7; its first left-out term is below 1e-8.
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = mac::<V>(p, r, coefficient);
    }
    // 2^n, by its exponent bits; the lowest bits of `shifted` hold n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * power
}

/// erf(x), absolute error below 5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
#[expect(clippy::excessive_precision, reason = "coefficients as printed in the source")]
fn erf<V: Lanes>(x: f32) -> f32 {
    let t = 1.0 / mac::<V>(0.327_591_1, x.abs(), 1.0);
    let mut p = 1.061_405_429;
    for coefficient in [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592] {
        p = mac::<V>(p, t, coefficient);
    }
    (1.0 - p * t * exp::<V>(-x * x)).copysign(x)
}

versions! {
    /// x·Φ(x), in place.
    pub fn gelu(values: &mut [f32]) {
        let one = |x: f32| 0.5 * x * (1.0 + erf::<V>(x * std::f32::consts::FRAC_1_SQRT_2));
        let (whole, rest) = values.as_chunks_mut::<LANES>();
        for chunk in whole {
            for x in chunk {
                *x = one(*x);
            }
        }
        for x in rest {
            *x = one(*x);
        }
    }
}

versions! {
    /// GELU's tanh approximation, x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), in place.
    pub fn gelu_tanh(values: &mut [f32]) {
        // (1 + tanh u) / 2 = 1 / (1 + e^(-2u))
        let factor = 2.0 * (2.0 / std::f32::consts::PI).sqrt();
        for x in values {
            let u = factor * (*x + 0.044_715 * *x * *x * *x);
            *x /= 1.0 + exp::<V>(-u);
        }
    }
}

versions! {
    /// max(0, x), in place.
    pub fn relu(values: &mut [f32]) {
        for x in values {
            *x = if *x > 0.0 { *x } else { 0.0 };
        }
    }
}

/// The sum of what `of` makes of each number: 16 partial sums, then those.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut partial = [0.0; LANES];
    for chunk in whole {
        for lane in 0..LANES {
            partial[lane] += of(chunk[lane]);
        }
    }
    for lane in 0..rest.len() {
        partial[lane] += of(rest[lane]);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            partial[lane] += partial[lane + half];
        }
    }
    partial[0]
}

versions! {
    /// `values = norm(values + added) · weight + bias`, for rows as long as `weight`.
    ///
    /// # Panics
    ///
    /// When `added` is not as long as `values`, or `bias` not as long as `weight`.
    pub fn add_layer_norm(values: &mut [f32], added: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        assert_eq!(values.len(), added.len(), "what is added before a layer norm");
        assert_eq!(weight.len(), bias.len(), "weight and bias of a layer norm");
        let width = weight.len();
        for row in 0..values.len() / width {
            let values = &mut values[row * width..][..width];
            let added = &added[row * width..][..width];
            for at in 0..width {
                values[at] += added[at];
            }
            let mean = sum(values, |x| x) / width as f32;
            let variance = sum(values, |x| (x - mean) * (x - mean)) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for at in 0..width {
                values[at] = mac::<V>((values[at] - mean) * scale, weight[at], bias[at]);
            }
        }
    }
}

/// Queries whose scores are computed side by side, so that their sums do not wait for each other.
const QUERIES: usize = 4;

versions! {
    /// Self-attention of one sentence. `qkv` is `[length, 3 · heads · size]`: queries (already scaled), keys and values
    /// side by side; `out` is `[length, heads · size]`. `scratch` is memory to work in, of any length.
    ///
    /// # Panics
    ///
    /// When a slice has another length.
    pub fn attention(qkv: &[f32], length: usize, heads: usize, size: usize, out: &mut [f32], scratch: &mut Vec<f32>) {
        let width = heads * size;
        assert_eq!((qkv.len(), out.len()), (length * 3 * width, length * width), "attention of {length} tokens");
        let blocks = length.div_ceil(LANES);
        let padded = blocks * LANES;
        // What is beyond the length is finite and never read as a result.
        scratch.resize((size + QUERIES) * padded, 0.0);
        scratch.fill(0.0);
        let (keys, scores) = scratch.split_at_mut(size * padded);
        for head in 0..heads {
            // Keys side by side, so that one query meets 16 keys at a time.
            for at in 0..length {
                let key = &qkv[at * 3 * width + width + head * size..][..size];
                for part in 0..size {
                    keys[part * padded + at] = key[part];
                }
            }
            for first in (0..length).step_by(QUERIES) {
                // The last group is filled up with its last query.
                let query = |index: usize| &qkv[(first + index).min(length - 1) * 3 * width + head * size..][..size];
                let queries = [query(0), query(1), query(2), query(3)];
                for block in 0..blocks {
                    let mut sums = [V::splat(0.0); QUERIES];
                    for part in 0..size {
                        let keys = V::load(lanes(keys, part * padded + block * LANES));
                        for index in 0..QUERIES {
                            sums[index] = V::splat(queries[index][part]).mul_add(keys, sums[index]);
                        }
                    }
                    for index in 0..QUERIES {
                        if let Some(scores) = scores[index * padded + block * LANES..].first_chunk_mut() {
                            sums[index].store(scores);
                        }
                    }
                }
                for index in 0..QUERIES.min(length - first) {
                    let scores = &mut scores[index * padded..][..padded];
                    softmax::<V>(scores, length);
                    let out = &mut out[(first + index) * width + head * size..][..size];
                    weigh::<V>(scores, length, &qkv[2 * width + head * size..], 3 * width, out);
                }
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn lanes(values: &[f32], from: usize) -> &[f32; LANES] {
    // A slice of LANES is always an array of LANES.
    values[from..from + LANES].as_array().unwrap_or(&[0.0; LANES])
}

/// Softmax of the first `length` scores, in place; the others become whatever.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn softmax<V: Lanes>(scores: &mut [f32], length: usize) {
    let mut largest = f32::MIN;
    for at in 0..length {
        largest = if scores[at] > largest { scores[at] } else { largest };
    }
    for block in scores.as_chunks_mut::<LANES>().0 {
        for lane in 0..LANES {
            block[lane] = exp::<V>(block[lane] - largest);
        }
    }
    let factor = 1.0 / sum(&scores[..length], |x| x);
    for at in 0..length {
        scores[at] *= factor;
    }
}

/// `out = Σ scores[at] · values[at]`, where rows of values are `stride` apart.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn weigh<V: Lanes>(scores: &[f32], length: usize, values: &[f32], stride: usize, out: &mut [f32]) {
    let (whole, rest) = out.as_chunks_mut::<LANES>();
    for block in 0..whole.len() {
        let mut sums = V::splat(0.0);
        for at in 0..length {
            let values = V::load(lanes(values, at * stride + block * LANES));
            sums = V::splat(scores[at]).mul_add(values, sums);
        }
        sums.store(&mut whole[block]);
    }
    let first = whole.len() * LANES;
    for part in 0..rest.len() {
        let mut sum = 0.0;
        for at in 0..length {
            sum = mac::<V>(scores[at], values[at * stride + first + part], sum);
        }
        rest[part] = sum;
    }
}
