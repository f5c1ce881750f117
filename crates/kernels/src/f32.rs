//! Rows times a packed matrix of 32-bit floating point.

use crate::aligned::LineF32;
use crate::isa::Isa;
use crate::lanes::{Portable, mac};
use crate::{PANEL, each_tile};

/// A matrix `[inputs, outputs]` in panels of 32 columns, and its bias.
#[derive(Debug, Clone)]
pub struct Matrix {
    inputs: usize,
    outputs: usize,
    /// Panel by panel, row by row, two lines each; columns beyond the last are 0.
    panels: Vec<LineF32>,
    /// Padded to whole panels.
    bias: Vec<f32>,
    isa: Isa,
}

impl Matrix {
    /// Packs a row-major matrix `[inputs, outputs]` and its bias.
    ///
    /// # Panics
    ///
    /// When `weights` is not `inputs * outputs` long or `bias` not `outputs`.
    pub fn new(isa: Isa, weights: &[f32], inputs: usize, outputs: usize, bias: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights of a matrix");
        assert_eq!(bias.len(), outputs, "bias of a matrix");
        let count = outputs.div_ceil(PANEL);
        let mut panels = vec![crate::aligned::Line([0.0; 16]); count * inputs * 2];
        for (panel, lines) in panels.chunks_exact_mut(inputs * 2).enumerate() {
            let first = panel * PANEL;
            let width = PANEL.min(outputs - first);
            let (left, right) = (width.min(16), width.saturating_sub(16));
            for (row, pair) in lines.chunks_exact_mut(2).enumerate() {
                let from = &weights[row * outputs + first..][..width];
                pair[0].0[..left].copy_from_slice(&from[..left]);
                pair[1].0[..right].copy_from_slice(&from[left..]);
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { inputs, outputs, panels, bias: padded, isa }
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `output[row] = input[row] · matrix + bias` for `[rows, inputs]` and `[rows, outputs]`.
    ///
    /// # Panics
    ///
    /// When a slice is not as long as that.
    pub fn multiply(&self, rows: usize, input: &[f32], output: &mut [f32]) {
        assert_eq!(input.len(), rows * self.inputs, "input of a product");
        assert_eq!(output.len(), rows * self.outputs, "output of a product");
        for (panel, lines) in self.panels.chunks_exact(self.inputs * 2).enumerate() {
            let bias = &self.bias[panel * PANEL..][..PANEL];
            each_tile(rows, panel, self.outputs, output, 0.0, |from, rows, output, stride| {
                let input = &input[from * self.inputs..][..rows * self.inputs];
                tile(self.isa, rows, input, self.inputs, lines, bias, output, stride);
            });
        }
    }
}

/// One tile: at most [`crate::ROWS`] rows of `inputs` by one panel; output rows are `stride` apart.
fn tile(
    isa: Isa,
    rows: usize,
    input: &[f32],
    inputs: usize,
    panel: &[LineF32],
    bias: &[f32],
    output: &mut [f32],
    stride: usize,
) {
    assert!(
        (1..=crate::ROWS).contains(&rows)
            && input.len() >= rows * inputs
            && panel.len() >= inputs * 2
            && bias.len() >= PANEL
            && output.len() >= (rows - 1) * stride + PANEL,
        "a tile within its slices"
    );
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        crate::isa::Kind::Amx | crate::isa::Kind::Avx512 | crate::isa::Kind::Avx2 => {
            let (a, b, c) = (input.as_ptr(), panel.as_ptr().cast(), output.as_mut_ptr());
            let wide = isa.wide();
            // SAFETY: the processor has the instructions, which is what `Isa` stands for, and the assertion above
            // keeps every access within the slices.
            #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
            unsafe {
                if wide {
                    x86::avx512(rows, a, inputs, b, bias.as_ptr(), c, stride);
                } else {
                    x86::avx2(rows, a, inputs, b, bias.as_ptr(), c, stride);
                }
            }
        }
        _ => portable(rows, input, inputs, panel, bias, output, stride),
    }
}

// Counting loops, for the reason given in `crate::vector`.
fn portable(
    rows: usize,
    input: &[f32],
    inputs: usize,
    panel: &[LineF32],
    bias: &[f32],
    output: &mut [f32],
    stride: usize,
) {
    for row in 0..rows {
        let input = &input[row * inputs..][..inputs];
        let mut sums = [0.0; PANEL];
        sums.copy_from_slice(&bias[..PANEL]);
        for at in 0..inputs {
            let (x, left, right) = (input[at], &panel[at * 2].0, &panel[at * 2 + 1].0);
            for lane in 0..16 {
                sums[lane] = mac::<Portable>(x, left[lane], sums[lane]);
            }
            for lane in 0..16 {
                sums[lane + 16] = mac::<Portable>(x, right[lane], sums[lane + 16]);
            }
        }
        output[row * stride..][..PANEL].copy_from_slice(&sums);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions chosen at run time")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_load_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
        _mm512_load_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use crate::with_rows;

    /// # Safety
    ///
    /// The processor has AVX-512F. `a` holds `rows` rows of `k`, `b` an aligned panel of `k` rows of 32, `bias` 32
    /// numbers, `c` `rows` rows of 32, `stride` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(
        rows: usize,
        a: *const f32,
        k: usize,
        b: *const f32,
        bias: *const f32,
        c: *mut f32,
        stride: usize,
    ) {
        // SAFETY: as above.
        unsafe { with_rows!(rows, tile512(a, k, b, bias, c, stride)) }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn tile512<const M: usize>(
        a: *const f32,
        k: usize,
        b: *const f32,
        bias: *const f32,
        c: *mut f32,
        stride: usize,
    ) {
        // SAFETY: as for `avx512`, with M rows.
        unsafe {
            let mut sums = [[_mm512_loadu_ps(bias), _mm512_loadu_ps(bias.add(16))]; M];
            for p in 0..k {
                let left = _mm512_load_ps(b.add(p * 32));
                let right = _mm512_load_ps(b.add(p * 32 + 16));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(row * k + p));
                    sum[0] = _mm512_fmadd_ps(x, left, sum[0]);
                    sum[1] = _mm512_fmadd_ps(x, right, sum[1]);
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(c.add(row * stride), sum[0]);
                _mm512_storeu_ps(c.add(row * stride + 16), sum[1]);
            }
        }
    }

    /// # Safety
    ///
    /// The processor has AVX2 and FMA; otherwise as [`avx512`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(
        rows: usize,
        a: *const f32,
        k: usize,
        b: *const f32,
        bias: *const f32,
        c: *mut f32,
        stride: usize,
    ) {
        // 16 registers: 6 rows of half a panel at a time.
        for half in [0, 16] {
            let mut from = 0;
            while from < rows {
                let count = (rows - from).min(if rows - from == 7 { 4 } else { 6 });
                // SAFETY: as above; the tile lies within the rows.
                unsafe {
                    let (a, c) = (a.add(from * k), c.add(from * stride + half));
                    match count {
                        1 => tile256::<1>(a, k, b.add(half), bias.add(half), c, stride),
                        2 => tile256::<2>(a, k, b.add(half), bias.add(half), c, stride),
                        3 => tile256::<3>(a, k, b.add(half), bias.add(half), c, stride),
                        4 => tile256::<4>(a, k, b.add(half), bias.add(half), c, stride),
                        5 => tile256::<5>(a, k, b.add(half), bias.add(half), c, stride),
                        _ => tile256::<6>(a, k, b.add(half), bias.add(half), c, stride),
                    }
                }
                from += count;
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile256<const M: usize>(
        a: *const f32,
        k: usize,
        b: *const f32,
        bias: *const f32,
        c: *mut f32,
        stride: usize,
    ) {
        // SAFETY: as for `avx2`, with M rows of 16.
        unsafe {
            let mut sums = [[_mm256_loadu_ps(bias), _mm256_loadu_ps(bias.add(8))]; M];
            for p in 0..k {
                let left = _mm256_load_ps(b.add(p * 32));
                let right = _mm256_load_ps(b.add(p * 32 + 8));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = _mm256_broadcast_ss(&*a.add(row * k + p));
                    sum[0] = _mm256_fmadd_ps(x, left, sum[0]);
                    sum[1] = _mm256_fmadd_ps(x, right, sum[1]);
                }
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm256_storeu_ps(c.add(row * stride), sum[0]);
                _mm256_storeu_ps(c.add(row * stride + 8), sum[1]);
            }
        }
    }
}
