//! Layer norm, activations and attention: plain loops, compiled once for each set of instructions.

use crate::isa::Isa;

/// Declares a function of plain Rust that is compiled for every set of instructions, and takes an [`Isa`] to choose.
/// The body may ask the constant `FMA` whether multiply-add is one instruction.
macro_rules! versions {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $visibility fn $name(isa: Isa, $($argument: $type),*) {
            #[inline(always)]
            #[allow(clippy::inline_always, clippy::extra_unused_type_parameters, reason = "the point of the macro")]
            fn body<const FMA: bool>($($argument: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) {
                body::<true>($($argument),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) {
                body::<true>($($argument),*);
            }

            match isa.0 {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instructions, which is what `Isa` stands for.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                $crate::isa::Kind::Avx512 => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: likewise.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                $crate::isa::Kind::Avx2 => unsafe { avx2($($argument),*) },
                _ => body::<{ cfg!(target_arch = "aarch64") }>($($argument),*),
            }
        }
    };
}
pub(crate) use versions;

const LANES: usize = 16;

/// a · b + c
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn mac<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// e^x for x from −87 to 88, to two units in the last place; below, almost 0; above, almost the largest number.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
#[expect(clippy::excessive_precision, clippy::unreadable_literal, reason = "coefficients as computed")]
fn exp<const FMA: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // x = n·ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, the first of which n multiplies exactly.
    let shifted = mac::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mac::<FMA>(n, -0.693359375, x);
    let r = mac::<FMA>(n, 2.12194440e-4, r);
    // The Taylor polynomial of degree 7; its first left-out term is below 1e-8.
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = mac::<FMA>(p, r, coefficient);
    }
    // 2^n, by its exponent bits; the lowest bits of `shifted` hold n.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * power
}

/// erf(x), absolute error below 5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
#[expect(clippy::excessive_precision, reason = "coefficients as printed in the source")]
fn erf<const FMA: bool>(x: f32) -> f32 {
    let t = 1.0 / mac::<FMA>(0.327_591_1, x.abs(), 1.0);
    let mut p = 1.061_405_429;
    for coefficient in [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592] {
        p = mac::<FMA>(p, t, coefficient);
    }
    (1.0 - p * t * exp::<FMA>(-x * x)).copysign(x)
}

versions! {
    /// x·Φ(x), in place.
    pub fn gelu(values: &mut [f32]) {
        let one = |x: f32| 0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2));
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
            *x /= 1.0 + exp::<FMA>(-u);
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

/// The sum of a row: 16 partial sums, then those.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = row.as_chunks::<LANES>();
    let mut partial = [0.0; LANES];
    for chunk in whole {
        for (partial, &x) in partial.iter_mut().zip(chunk) {
            *partial += of(x);
        }
    }
    for (partial, &x) in partial.iter_mut().zip(rest) {
        *partial += of(x);
    }
    for half in [8, 4, 2, 1] {
        for at in 0..half {
            partial[at] += partial[at + half];
        }
    }
    partial[0]
}

versions! {
    /// `values = norm(values + added) · weight + bias`, for rows as long as `weight`.
    ///
    /// # Panics
    ///
    /// When `added` is not as long as `values`.
    pub fn add_layer_norm(values: &mut [f32], added: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        assert_eq!(values.len(), added.len(), "what is added before a layer norm");
        let width = weight.len();
        for (row, added) in values.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
            for (x, added) in row.iter_mut().zip(added) {
                *x += added;
            }
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                *x = mac::<FMA>((*x - mean) * scale, *weight, *bias);
            }
        }
    }
}

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
        // Keys side by side, so that one query meets 16 keys at a time; padded keys are 0 and are not read again.
        let padded = length.div_ceil(LANES) * LANES;
        scratch.clear();
        scratch.resize((size + 1) * padded, 0.0);
        let (keys, scores) = scratch.split_at_mut(size * padded);
        for head in 0..heads {
            for (at, row) in qkv.chunks_exact(3 * width).enumerate() {
                for (part, &key) in row[width + head * size..][..size].iter().enumerate() {
                    keys[part * padded + at] = key;
                }
            }
            for (row, out) in qkv.chunks_exact(3 * width).zip(out.chunks_exact_mut(width)) {
                let query = &row[head * size..][..size];
                for (block, scores) in scores.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
                    let mut sums = [0.0f32; LANES];
                    for (&query, keys) in query.iter().zip(keys.chunks_exact(padded)) {
                        let keys: &[f32; LANES] = &keys.as_chunks::<LANES>().0[block];
                        for (sum, &key) in sums.iter_mut().zip(keys) {
                            *sum = mac::<FMA>(query, key, *sum);
                        }
                    }
                    *scores = sums;
                }
                let mut largest = f32::MIN;
                for &score in &scores[..length] {
                    largest = if score > largest { score } else { largest };
                }
                for block in scores.as_chunks_mut::<LANES>().0 {
                    for score in block {
                        *score = exp::<FMA>(*score - largest);
                    }
                }
                let whole = sum(&scores[..length], |x| x);
                let out = &mut out[head * size..][..size];
                out.fill(0.0);
                for (&score, row) in scores.iter().zip(qkv.chunks_exact(3 * width)) {
                    let share = score / whole;
                    for (out, &value) in out.iter_mut().zip(&row[2 * width + head * size..][..size]) {
                        *out = mac::<FMA>(share, value, *out);
                    }
                }
            }
        }
    }
}
