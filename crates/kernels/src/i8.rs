//! Rows quantised to 8 bits, and those times a packed 8-bit matrix.
//!
//! A row x of 32-bit numbers becomes q = round(x · 127 / max|x|) + 128, unsigned, halves to even, and the scale
//! max|x| / 127. A product is the integer sum of (q − 128) · w, exact in 32 bits, times the row's scale, times the
//! column's scale, plus the bias: in this order, so that other engines come to the same floating-point numbers.

use crate::aligned::{Line, LineI8, LineI16};
use crate::isa::{Isa, Kind};
use crate::vector::versions;
use crate::{PANEL, each_tile};

/// Rows of a tile of AMX.
const TILE: usize = 16;

/// The smallest max|x| that a row is scaled by; below, it is all zeros.
pub const SMALLEST: f32 = 1e-10;

/// A matrix of 8-bit weights `[inputs, outputs]` with a scale for each column, in panels of 32 columns, and its bias.
#[derive(Debug, Clone)]
pub struct Matrix {
    inputs: usize,
    outputs: usize,
    /// Rows of the panels: the inputs, padded.
    stride: usize,
    panels: Panels,
    /// 128 times the sum of each column: what the offset of the rows adds to a product.
    offset: Vec<i32>,
    scale: Vec<f32>,
    bias: Vec<f32>,
}

/// The weights, in the form that the instructions want.
#[derive(Debug, Clone)]
enum Panels {
    /// Row by row, for plain code.
    Rows(Vec<[i8; PANEL]>),
    /// Four rows of a column side by side, for VNNI.
    Quads(Vec<LineI8>),
    /// The same with rows of 0 up to whole tiles, for AMX.
    Tiles(Vec<LineI8>),
    /// Two rows of a column side by side in 16 bits, for AVX2, whose 8-bit product saturates.
    Pairs(Vec<LineI16>),
}

/// Rows quantised to 8 bits.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// `[rows, stride]`; for AMX with rows of anything behind the last, up to a whole tile.
    values: Vec<u8>,
    scales: Vec<f32>,
    stride: usize,
}

impl Rows {
    /// Quantises `[rows, columns]`.
    ///
    /// # Panics
    ///
    /// When `input` is not that long.
    pub fn quantize(&mut self, isa: Isa, input: &[f32], rows: usize, columns: usize) {
        assert_eq!(input.len(), rows * columns, "rows to quantise");
        self.stride = stride(isa, columns);
        let padded = if isa.0 == Kind::Amx { rows.next_multiple_of(TILE) } else { rows };
        // What is beyond the columns meets weights of 0, so any value does.
        self.values.resize(padded * self.stride, 128);
        self.scales.resize(rows, 0.0);
        quantize(isa, input, columns, &mut self.values, self.stride, &mut self.scales);
    }
}

/// Columns rounded up to whole groups of four, or whole rows of a tile.
fn stride(isa: Isa, columns: usize) -> usize {
    columns.next_multiple_of(if isa.0 == Kind::Amx { 64 } else { 4 })
}

versions! {
    /// Quantises rows of `columns` into rows of `stride`. Counting loops, for the reason given in [`crate::vector`].
    #[expect(clippy::needless_range_loop, reason = "see above")]
    fn quantize(input: &[f32], columns: usize, values: &mut [u8], stride: usize, scales: &mut [f32]) {
        for row in 0..scales.len() {
            let x = &input[row * columns..][..columns];
            let out = &mut values[row * stride..][..columns];
            let mut largest = [0.0f32; 16];
            let (whole, rest) = x.as_chunks::<16>();
            for chunk in whole {
                for lane in 0..16 {
                    let x = chunk[lane].abs();
                    largest[lane] = if x > largest[lane] { x } else { largest[lane] };
                }
            }
            let mut most = SMALLEST;
            for x in largest {
                most = if x > most { x } else { most };
            }
            for at in 0..rest.len() {
                let x = rest[at].abs();
                most = if x > most { x } else { most };
            }
            let factor = 127.0 / most;
            for at in 0..columns {
                // Adding 1.5 · 2^23 rounds to a whole number, halves to even, and leaves it in the lowest bits.
                out[at] = ((x[at] * factor + 12_582_912.0).to_bits() as u8).wrapping_add(128);
            }
            scales[row] = most / 127.0;
        }
    }
}

impl Matrix {
    /// Packs a row-major matrix `[inputs, outputs]` of weights in −127…127 with a scale and a bias for each column.
    ///
    /// # Panics
    ///
    /// When a slice has another length.
    pub fn new(isa: Isa, weights: &[i8], inputs: usize, outputs: usize, scale: &[f32], bias: &[f32]) -> Self {
        assert_eq!(weights.len(), inputs * outputs, "weights of a matrix");
        assert_eq!((scale.len(), bias.len()), (outputs, outputs), "scale and bias of a matrix");
        let count = outputs.div_ceil(PANEL);
        let pad = |values: &[f32]| {
            let mut padded = values.to_vec();
            padded.resize(count * PANEL, 0.0);
            padded
        };
        let mut offset = vec![0; count * PANEL];
        for row in weights.chunks_exact(outputs) {
            for (sum, &weight) in offset.iter_mut().zip(row) {
                *sum += 128 * i32::from(weight);
            }
        }
        let stride = stride(isa, inputs);
        let panels = match isa.0 {
            Kind::Amx => Panels::Tiles(pack_quads(weights, inputs, stride, outputs, count)),
            Kind::Avx512 => Panels::Quads(pack_quads(weights, inputs, stride, outputs, count)),
            Kind::Avx2 => Panels::Pairs(pack_pairs(weights, inputs, stride, outputs, count)),
            Kind::Portable => Panels::Rows(pack_rows(weights, inputs, outputs, count)),
        };
        Self { inputs, outputs, stride, panels, offset, scale: pad(scale), bias: pad(bias) }
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// `output[row] = input[row] · matrix + bias`, for `[rows, outputs]`.
    ///
    /// # Panics
    ///
    /// When `input` does not have the matrix's width, or `output` another length.
    pub fn multiply(&self, input: &Rows, output: &mut [f32]) {
        let rows = input.scales.len();
        assert_eq!(input.stride, self.stride, "input of a product");
        assert_eq!(output.len(), rows * self.outputs, "output of a product");
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Panels::Tiles(lines) = &self.panels {
            /// Rows from which on tiles are faster.
            const ENOUGH: usize = 4;
            if rows >= ENOUGH {
                self.multiply_tiles(lines, input, output);
                return;
            }
        }
        for panel in 0..self.outputs.div_ceil(PANEL) {
            each_tile(rows, panel, self.outputs, output, 0.0, |from, rows, output, stride| {
                self.tile(input, from, from + rows, panel, output, stride);
            });
        }
    }

    /// [`Self::multiply`] by AMX.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn multiply_tiles(&self, lines: &[LineI8], input: &Rows, output: &mut [f32]) {
        use crate::tiles::{STRIP, Tiles};

        let mut registers = Tiles::new();
        let mut sums = [0; STRIP * PANEL];
        let mut whole = [0.0; STRIP * PANEL];
        for (panel, lines) in lines.chunks_exact(self.stride / 4 * 2).enumerate() {
            let first = panel * PANEL;
            let (width, column) = (PANEL.min(self.outputs - first), self.column(first));
            let strips = output.chunks_mut(STRIP * self.outputs).zip(input.scales.chunks(STRIP));
            for (strip, (output, scales)) in strips.enumerate() {
                let rows = scales.len();
                let left = &input.values[strip * STRIP * self.stride..];
                let left = &left[..rows.next_multiple_of(TILE) * self.stride];
                registers.multiply_bytes(left, lines, &mut sums);
                let (place, apart) =
                    if width == PANEL { (&mut output[first..], self.outputs) } else { (&mut whole[..], PANEL) };
                assert!(rows <= STRIP && place.len() >= (rows - 1) * apart + PANEL, "a strip within its slices");
                // SAFETY: the processor has AMX and so AVX-512; there are as many sums and places as the assertion says.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                unsafe {
                    x86::scaled(&sums, scales, &column, place.as_mut_ptr(), apart);
                }
                if width < PANEL {
                    for (row, values) in whole.chunks_exact(PANEL).take(rows).enumerate() {
                        output[row * self.outputs + first..][..width].copy_from_slice(&values[..width]);
                    }
                }
            }
        }
    }

    /// What the 32 columns of the panel need that begins at `first`.
    fn column(&self, first: usize) -> Column<'_> {
        Column {
            offset: &self.offset[first..first + PANEL],
            scale: &self.scale[first..first + PANEL],
            bias: &self.bias[first..first + PANEL],
        }
    }

    fn tile(&self, input: &Rows, from: usize, to: usize, panel: usize, output: &mut [f32], out_stride: usize) {
        let (rows, first) = (to - from, panel * PANEL);
        let values = &input.values[from * input.stride..to * input.stride];
        let scales = &input.scales[from..to];
        let column = self.column(first);
        assert!(
            (1..=crate::ROWS).contains(&rows) && output.len() >= (rows - 1) * out_stride + PANEL,
            "a tile within its slices"
        );
        let groups = input.stride / 4;
        match &self.panels {
            Panels::Rows(lines) => {
                let lines = &lines[panel * self.inputs..(panel + 1) * self.inputs];
                portable(values, input.stride, scales, lines, &column, output, out_stride);
            }
            Panels::Quads(lines) | Panels::Tiles(lines) => {
                let lines = &lines[panel * groups * 2..(panel + 1) * groups * 2];
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instructions, for which alone quads are packed; values, scales, lines
                // and column are cut to size above, and the assertion covers the output.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                unsafe {
                    x86::vnni(rows, values, input.stride, scales, lines, &column, output.as_mut_ptr(), out_stride);
                }
                #[cfg(not(target_arch = "x86_64"))]
                unreachable!("quads are only packed for AVX-512 and AMX, not for {} lines", lines.len());
            }
            Panels::Pairs(lines) => {
                let lines = &lines[panel * groups * 4..(panel + 1) * groups * 4];
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above; pairs are only packed for AVX2.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                unsafe {
                    x86::avx2(values, input.stride, scales, lines, &column, output.as_mut_ptr(), out_stride);
                }
                #[cfg(not(target_arch = "x86_64"))]
                unreachable!("pairs are only packed for AVX2, not for {} lines", lines.len());
            }
        }
    }
}

/// What a panel's columns need after the sum; 32 of each.
struct Column<'a> {
    offset: &'a [i32],
    scale: &'a [f32],
    bias: &'a [f32],
}

/// For each panel, its rows. What is beyond the matrix is 0.
fn pack_rows(weights: &[i8], inputs: usize, outputs: usize, count: usize) -> Vec<[i8; PANEL]> {
    let mut panels = vec![[0; PANEL]; count * inputs];
    for (panel, lines) in panels.chunks_exact_mut(inputs).enumerate() {
        for (row, line) in lines.iter_mut().enumerate() {
            copy_rows(weights, inputs, outputs, row, panel, std::array::from_mut(line));
        }
    }
    panels
}

/// For each panel and each four rows: two lines of 16 columns by 4 rows. What is beyond the matrix is 0.
fn pack_quads(weights: &[i8], inputs: usize, stride: usize, outputs: usize, count: usize) -> Vec<LineI8> {
    let groups = stride / 4;
    let mut panels = vec![Line([0; 64]); count * groups * 2];
    let mut rows = [[0; PANEL]; 4];
    for (panel, lines) in panels.chunks_exact_mut(groups * 2).enumerate() {
        for (group, pair) in lines.chunks_exact_mut(2).enumerate() {
            copy_rows(weights, inputs, outputs, group * 4, panel, &mut rows);
            for (half, line) in pair.iter_mut().enumerate() {
                for (column, quad) in line.0.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    let at = half * 16 + column;
                    *quad = [rows[0][at], rows[1][at], rows[2][at], rows[3][at]];
                }
            }
        }
    }
    panels
}

/// For each panel and each two rows: two lines of 16 columns by 2 rows. What is beyond the matrix is 0.
fn pack_pairs(weights: &[i8], inputs: usize, stride: usize, outputs: usize, count: usize) -> Vec<LineI16> {
    let pairs = stride / 2;
    let mut panels = vec![Line([0; 32]); count * pairs * 2];
    let mut rows = [[0; PANEL]; 2];
    for (panel, lines) in panels.chunks_exact_mut(pairs * 2).enumerate() {
        for (group, lines) in lines.chunks_exact_mut(2).enumerate() {
            copy_rows(weights, inputs, outputs, group * 2, panel, &mut rows);
            for (half, line) in lines.iter_mut().enumerate() {
                for (column, pair) in line.0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let at = half * 16 + column;
                    *pair = [i16::from(rows[0][at]), i16::from(rows[1][at])];
                }
            }
        }
    }
    panels
}

/// Copies the columns of a panel from `N` rows, as far as there are such rows and columns.
fn copy_rows<const N: usize>(
    weights: &[i8],
    inputs: usize,
    outputs: usize,
    first: usize,
    panel: usize,
    rows: &mut [[i8; PANEL]; N],
) {
    let column = panel * PANEL;
    let width = PANEL.min(outputs - column);
    for (at, row) in rows.iter_mut().enumerate() {
        row.fill(0);
        if first + at < inputs {
            row[..width].copy_from_slice(&weights[(first + at) * outputs + column..][..width]);
        }
    }
}

// Counting loops, for the reason given in `crate::vector`.
fn portable(
    values: &[u8],
    stride: usize,
    scales: &[f32],
    lines: &[[i8; PANEL]],
    column: &Column<'_>,
    output: &mut [f32],
    out_stride: usize,
) {
    for row in 0..scales.len() {
        let values = &values[row * stride..][..lines.len()];
        let mut sums = [0_i32; PANEL];
        for at in 0..lines.len() {
            let (value, line) = (i32::from(values[at]), &lines[at]);
            for lane in 0..PANEL {
                sums[lane] += value * i32::from(line[lane]);
            }
        }
        let out = &mut output[row * out_stride..][..PANEL];
        for at in 0..PANEL {
            out[at] = (sums[at] - column.offset[at]) as f32 * scales[row] * column.scale[at] + column.bias[at];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions chosen at run time")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512, __m512i, _mm256_add_epi32, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_load_si256,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps,
        _mm256_setzero_si256, _mm256_storeu_ps, _mm256_sub_epi32, _mm512_add_ps, _mm512_cvtepi32_ps,
        _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_si512, _mm512_storeu_ps, _mm512_sub_epi32,
    };

    use super::Column;
    use crate::aligned::{LineI8, LineI16};
    use crate::with_rows;

    /// # Safety
    ///
    /// The processor has AVX-512 with VNNI. `values` holds `rows` rows of `stride` (a multiple of 4), `scales` as many
    /// numbers, `lines` two for every four columns of a row, `column` 32 of each, `out` `rows` rows of 32,
    /// `out_stride` apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn vnni(
        rows: usize,
        values: &[u8],
        stride: usize,
        scales: &[f32],
        lines: &[LineI8],
        column: &Column<'_>,
        out: *mut f32,
        out_stride: usize,
    ) {
        // SAFETY: as above.
        unsafe { with_rows!(rows, tile512(values, stride, scales, lines, column, out, out_stride)) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn tile512<const M: usize>(
        values: &[u8],
        stride: usize,
        scales: &[f32],
        lines: &[LineI8],
        column: &Column<'_>,
        out: *mut f32,
        out_stride: usize,
    ) {
        // SAFETY: as for `vnni`, with M rows.
        unsafe {
            let (a, b): (*const u8, *const __m512i) = (values.as_ptr(), lines.as_ptr().cast());
            let mut sums = [[_mm512_setzero_si512(); 2]; M];
            for group in 0..stride / 4 {
                let left = _mm512_load_si512(b.add(group * 2));
                let right = _mm512_load_si512(b.add(group * 2 + 1));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let quad = a.add(row * stride + group * 4).cast::<i32>().read_unaligned();
                    let x = _mm512_set1_epi32(quad);
                    sum[0] = _mm512_dpbusd_epi32(sum[0], x, left);
                    sum[1] = _mm512_dpbusd_epi32(sum[1], x, right);
                }
            }
            for half in 0..2 {
                let finish = Finish::new(column, half);
                for (row, sum) in sums.iter().enumerate() {
                    let scaled = finish.of(sum[half], *scales.get_unchecked(row));
                    _mm512_storeu_ps(out.add(row * out_stride + half * 16), scaled);
                }
            }
        }
    }

    /// What sixteen columns need after the sum.
    struct Finish {
        offset: __m512i,
        scale: __m512,
        bias: __m512,
    }

    impl Finish {
        /// # Safety
        ///
        /// The processor has AVX-512. `column` holds 32 of each.
        #[inline]
        #[target_feature(enable = "avx512f")]
        unsafe fn new(column: &Column<'_>, half: usize) -> Self {
            // SAFETY: as above.
            unsafe {
                Self {
                    offset: _mm512_loadu_si512(column.offset.as_ptr().add(half * 16).cast()),
                    scale: _mm512_loadu_ps(column.scale.as_ptr().add(half * 16)),
                    bias: _mm512_loadu_ps(column.bias.as_ptr().add(half * 16)),
                }
            }
        }

        #[inline]
        #[target_feature(enable = "avx512f")]
        fn of(&self, sum: __m512i, row_scale: f32) -> __m512 {
            let exact = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, self.offset));
            let scaled = _mm512_mul_ps(_mm512_mul_ps(exact, _mm512_set1_ps(row_scale)), self.scale);
            _mm512_add_ps(scaled, self.bias)
        }
    }

    /// What the sums of a panel come to: rows of 32.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512. `sums` holds 32 for every one of `scales`, `column` 32 of each, `out` as many rows of 32,
    /// `out_stride` apart.
    #[cfg(target_os = "linux")]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn scaled(sums: &[i32], scales: &[f32], column: &Column<'_>, out: *mut f32, out_stride: usize) {
        // SAFETY: as above.
        unsafe {
            for half in 0..2 {
                let finish = Finish::new(column, half);
                for (row, &scale) in scales.iter().enumerate() {
                    let sum = _mm512_loadu_si512(sums.as_ptr().add(row * 32 + half * 16).cast());
                    _mm512_storeu_ps(out.add(row * out_stride + half * 16), finish.of(sum, scale));
                }
            }
        }
    }

    /// # Safety
    ///
    /// The processor has AVX2. `lines` holds two for every two columns of a row; otherwise as [`vnni`].
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(
        values: &[u8],
        stride: usize,
        scales: &[f32],
        lines: &[LineI16],
        column: &Column<'_>,
        out: *mut f32,
        out_stride: usize,
    ) {
        // 16 registers: 2 rows by a whole panel at a time.
        let rows = scales.len();
        let mut row = 0;
        while row < rows {
            // SAFETY: as above; the rows lie within the slices.
            unsafe {
                let (values, scales) = (&values[row * stride..], &scales[row..]);
                let out = out.add(row * out_stride);
                if row + 1 < rows {
                    tile256::<2>(values, stride, scales, lines, column, out, out_stride);
                } else {
                    tile256::<1>(values, stride, scales, lines, column, out, out_stride);
                }
            }
            row += 2;
        }
    }

    #[target_feature(enable = "avx2")]
    unsafe fn tile256<const M: usize>(
        values: &[u8],
        stride: usize,
        scales: &[f32],
        lines: &[LineI16],
        column: &Column<'_>,
        out: *mut f32,
        out_stride: usize,
    ) {
        // SAFETY: as for `avx2`, with M rows.
        unsafe {
            let (a, b): (*const u8, *const __m256i) = (values.as_ptr(), lines.as_ptr().cast());
            let mut sums = [[_mm256_setzero_si256(); 4]; M];
            for pair in 0..stride / 2 {
                let weights = [
                    _mm256_load_si256(b.add(pair * 4)),
                    _mm256_load_si256(b.add(pair * 4 + 1)),
                    _mm256_load_si256(b.add(pair * 4 + 2)),
                    _mm256_load_si256(b.add(pair * 4 + 3)),
                ];
                for (row, sums) in sums.iter_mut().enumerate() {
                    let at = a.add(row * stride + pair * 2);
                    let x = _mm256_set1_epi32(i32::from(*at) | i32::from(*at.add(1)) << 16);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, weights));
                    }
                }
            }
            for part in 0..4 {
                let offset = _mm256_loadu_si256(column.offset.as_ptr().add(part * 8).cast());
                let scale = _mm256_loadu_ps(column.scale.as_ptr().add(part * 8));
                let bias = _mm256_loadu_ps(column.bias.as_ptr().add(part * 8));
                for (row, sums) in sums.iter().enumerate() {
                    let exact = _mm256_cvtepi32_ps(_mm256_sub_epi32(sums[part], offset));
                    let scaled = _mm256_mul_ps(_mm256_mul_ps(exact, _mm256_set1_ps(*scales.get_unchecked(row))), scale);
                    _mm256_storeu_ps(out.add(row * out_stride + part * 8), _mm256_add_ps(scaled, bias));
                }
            }
        }
    }
}
