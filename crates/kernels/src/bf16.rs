//! Matrix products of numbers rounded to bfloat16, added up in 32 bits: what training in mixed precision computes.
//!
//! A bfloat16 is the upper half of a 32-bit number: the same exponents, 8 bits of precision instead of 24. Two of them
//! lie side by side in 32 bits, so one instruction (`vdpbf16ps`, AVX-512 BF16: AMD since 2022, Intel's Cooper Lake and
//! everything since Sapphire Rapids) multiplies and adds twice as many as of 32-bit numbers.
//!
//! The product of two bfloat16 is exact in 32 bits, so a processor without that instruction comes to the same bits with
//! multiply-add in 32 bits, in the same order. Only numbers below 10⁻³⁷ differ: the instruction takes them for 0. There
//! are processors that have it and are faster without: Intel's begin one in two cycles, and two multiply-adds in each.
//! So [`Engine::detect`] does not ask what there is but what is fast.
//!
//! A product takes [`Rows`] on the left and [`Panels`] on the right. Each is made from a matrix or from its transpose,
//! so the three products of a linear layer (output, gradient of the input, gradient of the weights) need no other copy.

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::aligned::Line;
use crate::f32::tile as tile_of_floats;
use crate::isa::{Isa, Kind};
use crate::reuse::Buffer;
use crate::vector::versions;
use crate::{PANEL, each_tile};

/// Pairs in a register, and rows and columns of a block of pairs that is transposed as one.
const BLOCK: usize = 16;

/// Columns of a matrix that a thread transposes at a time: whole cache lines of each row, so not too few.
const ACROSS: usize = 6 * BLOCK;

/// Rows of a product that a thread takes at a time.
const SHARE: usize = 48;

/// How products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    isa: Isa,
    /// Whether there are instructions for bfloat16: numbers are rounded by them.
    rounds: bool,
    products: Products,
}

/// What multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Products {
    /// Multiply-add of numbers that have been made 32 bits wide again on both sides.
    Floats,
    /// Multiply-add of such numbers on the left; those on the right stay pairs in memory, and are widened in registers.
    Widened,
    /// The instruction for pairs.
    Paired,
}

impl Engine {
    /// The fastest that this processor has; where that cannot be known beforehand, it is timed, which takes less than
    /// a millisecond and is done once. All come to the same bits.
    pub fn detect() -> Self {
        static FASTEST: OnceLock<Engine> = OnceLock::new();
        *FASTEST.get_or_init(|| {
            let all = Self::available();
            let best = all.iter().rposition(|engine| engine.products != Products::Paired).unwrap_or(0);
            let candidates = &all[best..];
            if candidates.len() == 1 {
                return candidates[0];
            }
            let times = Self::timed(candidates);
            let fastest = (0..times.len()).min_by_key(|&at| times[at]).unwrap_or(0);
            candidates[fastest]
        })
    }

    /// The shortest of a few times that each takes for one tile.
    fn timed(candidates: &[Self]) -> Vec<Duration> {
        /// Numbers that a sum of the tile adds up: a layer's width, as a rule.
        const DEPTH: usize = 384;
        /// Repetitions, in turn, so that what else the processor does meets all of them.
        const TIMES: usize = 8;
        let (left, right) = (vec![1.0; crate::ROWS * DEPTH], vec![1.0; DEPTH * PANEL]);
        let sides = |&engine| (Rows::new(engine, &left, DEPTH), Panels::new(engine, &right, PANEL));
        let sides: Vec<(Rows, Panels)> = candidates.iter().map(sides).collect();
        let mut shortest = vec![Duration::MAX; candidates.len()];
        for _ in 0..TIMES {
            for (shortest, (left, right)) in shortest.iter_mut().zip(&sides) {
                let start = Instant::now();
                left.share(0, right, &mut [MaybeUninit::uninit(); crate::ROWS * PANEL]);
                *shortest = start.elapsed().min(*shortest);
            }
        }
        shortest
    }

    /// All that this processor has, the newest instructions last.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        for isa in Isa::available() {
            let products = if isa.0 == Kind::Avx512 { Products::Widened } else { Products::Floats };
            all.push(Self { isa, rounds: false, products });
            if has_pairs(isa) {
                all.push(Self { isa, rounds: true, products });
                all.push(Self { isa, rounds: true, products: Products::Paired });
            }
        }
        all
    }

    /// The name, for messages.
    pub fn name(self) -> &'static str {
        match (self.products, self.rounds) {
            (Products::Paired, _) => "avx512-bf16",
            (_, true) => "avx512-bf16, widened",
            _ => self.isa.name(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_pairs(isa: Isa) -> bool {
    isa.0 == Kind::Avx512 && is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_pairs(_: Isa) -> bool {
    false
}

/// The left side of a product, `[rows, depth]`.
#[derive(Debug)]
pub struct Rows {
    engine: Engine,
    count: usize,
    depth: usize,
    /// `[rows, pairs]`: two numbers each, the first in the lower half.
    pairs: Buffer<u32>,
    /// `[rows, 2 · pairs]` of numbers in 32 bits, in the order in which pairs are added up; where it is not the
    /// instruction for pairs that multiplies.
    floats: Buffer<f32>,
}

/// The right side of a product, `[depth, columns]`, in panels of 32 columns.
#[derive(Debug)]
pub struct Panels {
    engine: Engine,
    depth: usize,
    columns: usize,
    /// Panel by panel, pair by pair, two lines each; columns beyond the last are anything.
    pairs: Buffer<Line<u32, 16>>,
    /// The same as numbers in 32 bits, four lines a pair; for [`Products::Floats`] alone.
    floats: Buffer<Line<f32, 16>>,
}

/// A number's bits, rounded to bfloat16 (halves to even) in the upper 16; the lower ones are 0.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let magnitude = bits & 0x7fff_ffff;
    // Not a number: stays so, where rounding could carry it into the sign.
    let rounded = if magnitude > 0x7f80_0000 { bits | 0x0040_0000 } else { rounded };
    // Below the smallest normal number: 0, as the instruction takes it.
    let rounded = if magnitude < 0x0080_0000 { bits & 0x8000_0000 } else { rounded };
    rounded & 0xffff_0000
}

/// Two numbers as a pair.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
fn pair(first: f32, second: f32) -> u32 {
    (round(first) >> 16) | round(second)
}

/// Pairs of neighbours in a row; the last stands alone when their number is odd.
fn pairs_of_row(engine: Engine, row: &[f32], pairs: &mut [u32]) {
    assert_eq!(pairs.len(), row.len().div_ceil(2), "pairs of a row");
    #[cfg(target_arch = "x86_64")]
    if engine.rounds {
        let whole = pairs.len() / BLOCK * BLOCK;
        let whole = if whole * 2 > row.len() { whole - BLOCK } else { whole };
        // SAFETY: the processor has the instructions, and both slices are as long as that.
        #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
        unsafe {
            x86::pairs_of_row(row.as_ptr(), pairs.as_mut_ptr(), whole);
        }
        rest_of_row(engine.isa, &row[2 * whole..], &mut pairs[whole..]);
        return;
    }
    rest_of_row(engine.isa, row, pairs);
}

/// Pairs of a number with the one below it.
fn pairs_of_rows(engine: Engine, above: &[f32], below: &[f32], pairs: &mut [u32]) {
    assert!(above.len() == pairs.len() && below.len() == pairs.len(), "pairs of rows");
    #[cfg(target_arch = "x86_64")]
    if engine.rounds {
        let whole = pairs.len() / BLOCK * BLOCK;
        // SAFETY: the processor has the instructions, and the slices are as long as that.
        #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
        unsafe {
            x86::pairs_of_rows(above.as_ptr(), below.as_ptr(), pairs.as_mut_ptr(), whole);
        }
        rest_of_rows(engine.isa, &above[whole..], &below[whole..], &mut pairs[whole..]);
        return;
    }
    rest_of_rows(engine.isa, above, below, pairs);
}

versions! {
    /// [`pairs_of_row`] without the instruction.
    fn rest_of_row(row: &[f32], pairs: &mut [u32]) {
        let (whole, rest) = row.as_chunks::<2>();
        for at in 0..whole.len() {
            pairs[at] = pair(whole[at][0], whole[at][1]);
        }
        if let [last] = rest {
            pairs[whole.len()] = pair(*last, 0.0);
        }
    }
}

versions! {
    /// [`pairs_of_rows`] without the instruction.
    fn rest_of_rows(above: &[f32], below: &[f32], pairs: &mut [u32]) {
        let (above, below) = (&above[..pairs.len()], &below[..pairs.len()]);
        for at in 0..pairs.len() {
            pairs[at] = pair(above[at], below[at]);
        }
    }
}

versions! {
    /// The two numbers of every pair in 32 bits, the second one first: the order in which the instruction for pairs
    /// adds their products.
    fn unpair(pairs: &[u32], floats: &mut [f32]) {
        let floats = &mut floats.as_chunks_mut::<2>().0[..pairs.len()];
        for at in 0..pairs.len() {
            floats[at] = [f32::from_bits(pairs[at] & 0xffff_0000), f32::from_bits(pairs[at] << 16)];
        }
    }
}

/// Transposes a block of pairs.
fn transpose(engine: Engine, block: &mut [[u32; BLOCK]; BLOCK]) {
    #[cfg(target_arch = "x86_64")]
    if engine.rounds {
        // SAFETY: the processor has the instructions.
        #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
        unsafe {
            x86::transpose(block);
        }
        return;
    }
    let before = *block;
    for (row, numbers) in block.iter_mut().enumerate() {
        *numbers = before.map(|column| column[row]);
    }
}

/// The row below the last one of a matrix whose depth is odd.
fn row_or_zeros<'a>(matrix: &'a [f32], width: usize, row: usize, zeros: &'a [f32]) -> &'a [f32] {
    matrix.get(row * width..(row + 1) * width).unwrap_or(&zeros[..width])
}

impl Rows {
    /// Rounds a row-major matrix `[rows, depth]`.
    ///
    /// # Panics
    ///
    /// When `values` is not made of whole rows.
    pub fn new(engine: Engine, values: &[f32], depth: usize) -> Self {
        assert!(depth > 0 && values.len().is_multiple_of(depth), "rows of {depth}");
        Self::each_share(engine, values.len() / depth, depth, SHARE, |first, pairs| {
            let stride = depth.div_ceil(2);
            for (pairs, row) in pairs.chunks_exact_mut(stride).zip(values[first * depth..].chunks_exact(depth)) {
                pairs_of_row(engine, row, pairs);
            }
        })
    }

    /// Rounds the transpose of a row-major matrix `[depth, rows]`.
    ///
    /// # Panics
    ///
    /// When `values` is not made of whole rows.
    pub fn transposed(engine: Engine, values: &[f32], rows: usize) -> Self {
        assert!(rows > 0 && values.len().is_multiple_of(rows), "columns of {rows}");
        let depth = values.len() / rows;
        let stride = depth.div_ceil(2);
        let zeros = vec![0.0; rows];
        Self::each_share(engine, rows, depth, ACROSS, |first, pairs| {
            let width = pairs.len() / stride;
            let mut strip = [[0; ACROSS]; BLOCK];
            for from in (0..stride).step_by(BLOCK) {
                let count = BLOCK.min(stride - from);
                for (at, strip) in strip.iter_mut().take(count).enumerate() {
                    let part = |row| &row_or_zeros(values, rows, row, &zeros)[first..first + width];
                    let row = 2 * (from + at);
                    pairs_of_rows(engine, part(row), part(row + 1), &mut strip[..width]);
                }
                for (left, pairs) in pairs.chunks_mut(stride * BLOCK).enumerate() {
                    let mut block = [[0; BLOCK]; BLOCK];
                    for (block, strip) in block.iter_mut().zip(&strip) {
                        block.copy_from_slice(&strip[left * BLOCK..][..BLOCK]);
                    }
                    transpose(engine, &mut block);
                    for (pairs, block) in pairs.chunks_exact_mut(stride).zip(&block) {
                        pairs[from..from + count].copy_from_slice(&block[..count]);
                    }
                }
            }
        })
    }

    /// Calls `fill(first row, pairs)` for every `share` rows.
    fn each_share(
        engine: Engine,
        rows: usize,
        depth: usize,
        share: usize,
        fill: impl Fn(usize, &mut [u32]) + Sync,
    ) -> Self {
        let stride = depth.div_ceil(2);
        if engine.products == Products::Paired {
            let mut pairs = Buffer::new(rows * stride);
            pairs.par_chunks_mut(stride * share).enumerate().for_each(|(at, pairs)| fill(at * share, pairs));
            return Self { engine, count: rows, depth, pairs, floats: Buffer::empty() };
        }
        let mut floats = Buffer::new(rows * stride * 2);
        let shares = floats.par_chunks_mut(stride * 2 * share).enumerate();
        shares.for_each_init(
            || Buffer::new(stride * share),
            |pairs, (at, floats)| {
                let pairs = &mut pairs[..floats.len() / 2];
                fill(at * share, pairs);
                unpair(engine.isa, pairs, floats);
            },
        );
        Self { engine, count: rows, depth, pairs: Buffer::empty(), floats }
    }

    /// `self · right`, row-major `[rows, columns]`.
    ///
    /// # Panics
    ///
    /// When the depths differ.
    pub fn times(&self, right: &Panels) -> Vec<f32> {
        assert_eq!((self.depth, self.engine), (right.depth, right.engine), "both sides of a product");
        let length = self.count * right.columns;
        let mut output = Vec::with_capacity(length);
        let places = &mut output.spare_capacity_mut()[..length];
        places.par_chunks_mut(right.columns * SHARE).enumerate().for_each(|(share, output)| {
            self.share(share * SHARE, right, output);
        });
        // SAFETY: the capacity is that long, and every share has written all of its part.
        #[expect(unsafe_code, reason = "memory that is written once need not be cleared before, by one thread")]
        unsafe {
            output.set_len(length);
        }
        output
    }

    /// Writes the rows of the product from `first` on, all of `output`.
    fn share(&self, first: usize, right: &Panels, output: &mut [MaybeUninit<f32>]) {
        let rows = output.len() / right.columns;
        for panel in 0..right.columns.div_ceil(PANEL) {
            let tile = |from, rows, output: &mut [MaybeUninit<f32>], width| {
                self.tile(first + from, rows, right, panel, output, width);
            };
            each_tile(rows, panel, right.columns, output, MaybeUninit::uninit(), tile);
        }
    }

    /// One tile: at most [`crate::ROWS`] rows from `first` on by one panel; output rows are `width` apart.
    fn tile(
        &self,
        first: usize,
        rows: usize,
        right: &Panels,
        panel: usize,
        output: &mut [MaybeUninit<f32>],
        width: usize,
    ) {
        let pairs = self.depth.div_ceil(2);
        assert!(
            (1..=crate::ROWS).contains(&rows) && output.len() >= (rows - 1) * width + PANEL,
            "a tile within its slices"
        );
        let floats = || &self.floats[first * pairs * 2..][..rows * pairs * 2];
        match self.engine.products {
            #[cfg(target_arch = "x86_64")]
            Products::Paired | Products::Widened => {
                let lines = &right.pairs[panel * pairs * 2..][..pairs * 2];
                let (lines, output) = (lines.as_ptr().cast(), output.as_mut_ptr().cast());
                // SAFETY: the processor has the instructions, or the engine would not be there, and the assertion and
                // the slices above and below keep every access within them.
                #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
                unsafe {
                    if self.engine.products == Products::Paired {
                        let input = &self.pairs[first * pairs..][..rows * pairs];
                        x86::paired(rows, input.as_ptr(), pairs, lines, output, width);
                    } else {
                        x86::widened(rows, floats().as_ptr(), pairs, lines, output, width);
                    }
                }
            }
            _ => {
                let lines = &right.floats[panel * pairs * 4..][..pairs * 4];
                let mut sums = [0.0; crate::ROWS * PANEL];
                tile_of_floats(self.engine.isa, rows, floats(), pairs * 2, lines, &[0.0; PANEL], &mut sums, PANEL);
                for (row, sums) in sums.chunks_exact(PANEL).take(rows).enumerate() {
                    output[row * width..][..PANEL].write_copy_of_slice(sums);
                }
            }
        }
    }
}

impl Panels {
    /// Rounds a row-major matrix `[depth, columns]`.
    ///
    /// # Panics
    ///
    /// When `values` is not made of whole rows.
    pub fn new(engine: Engine, values: &[f32], columns: usize) -> Self {
        assert!(columns > 0 && values.len().is_multiple_of(columns), "rows of {columns}");
        let depth = values.len() / columns;
        let zeros = vec![0.0; columns];
        Self::each_panel(engine, depth, columns, |first, width, lines| {
            for (at, lines) in lines.chunks_exact_mut(2).enumerate() {
                let above = &row_or_zeros(values, columns, 2 * at, &zeros)[first..first + width];
                let below = &row_or_zeros(values, columns, 2 * at + 1, &zeros)[first..first + width];
                let left = width.min(16);
                pairs_of_rows(engine, &above[..left], &below[..left], &mut lines[0].0[..left]);
                pairs_of_rows(engine, &above[left..], &below[left..], &mut lines[1].0[..width - left]);
            }
        })
    }

    /// Rounds the transpose of a row-major matrix `[columns, depth]`.
    ///
    /// # Panics
    ///
    /// When `values` is not made of whole rows.
    pub fn transposed(engine: Engine, values: &[f32], depth: usize) -> Self {
        assert!(depth > 0 && values.len().is_multiple_of(depth), "rows of {depth}");
        let columns = values.len() / depth;
        Self::each_panel(engine, depth, columns, |first, width, lines| {
            for (at, lines) in lines.chunks_mut(2 * BLOCK).enumerate() {
                let from = at * 2 * BLOCK;
                let to = depth.min(from + 2 * BLOCK);
                for half in 0..2 {
                    let mut block = [[0; BLOCK]; BLOCK];
                    for (column, block) in (half * BLOCK..width).zip(&mut block) {
                        let row = &values[(first + column) * depth..][from..to];
                        pairs_of_row(engine, row, &mut block[..lines.len() / 2]);
                    }
                    transpose(engine, &mut block);
                    for (lines, block) in lines.chunks_exact_mut(2).zip(block) {
                        lines[half].0 = block;
                    }
                }
            }
        })
    }

    /// Calls `fill(first column, columns, lines)` for every panel.
    fn each_panel(
        engine: Engine,
        depth: usize,
        columns: usize,
        fill: impl Fn(usize, usize, &mut [Line<u32, 16>]) + Sync,
    ) -> Self {
        let stride = depth.div_ceil(2) * 2;
        let mut pairs = Buffer::new(columns.div_ceil(PANEL) * stride);
        pairs.par_chunks_mut(stride).enumerate().for_each(|(panel, lines)| {
            let first = panel * PANEL;
            fill(first, PANEL.min(columns - first), lines);
        });
        if engine.products != Products::Floats {
            return Self { engine, depth, columns, pairs, floats: Buffer::empty() };
        }
        let mut floats: Buffer<Line<f32, 16>> = Buffer::new(2 * pairs.len());
        floats.par_chunks_mut(2 * stride).zip(pairs.par_chunks(stride)).for_each(|(floats, pairs)| {
            let mut numbers = [0.0; 32];
            for (floats, pairs) in floats.chunks_exact_mut(4).zip(pairs.chunks_exact(2)) {
                for (half, line) in pairs.iter().enumerate() {
                    unpair(engine.isa, &line.0, &mut numbers);
                    for lane in 0..16 {
                        floats[half].0[lane] = numbers[2 * lane];
                        floats[2 + half].0[lane] = numbers[2 * lane + 1];
                    }
                }
            }
        });
        Self { engine, depth, columns, pairs: Buffer::empty(), floats }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions chosen at run time")]
mod x86 {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_and_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
        _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_permutexvar_epi16,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4,
        _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };
    use std::hint::black_box;
    use std::mem::transmute;

    use super::BLOCK;
    use crate::with_rows;

    /// # Safety
    ///
    /// The processor has AVX-512 BF16. There are `2 * count` numbers and `count` pairs, whole registers of them.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn pairs_of_row(row: *const f32, pairs: *mut u32, count: usize) {
        for at in (0..count).step_by(BLOCK) {
            // SAFETY: as above; both vector types are 64 bytes of any value.
            unsafe {
                let (first, second) = (_mm512_loadu_ps(row.add(2 * at)), _mm512_loadu_ps(row.add(2 * at + 16)));
                let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(pairs.add(at).cast(), both);
            }
        }
    }

    /// # Safety
    ///
    /// The processor has AVX-512 BF16. There are `count` numbers above, below, and pairs, whole registers of them.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn pairs_of_rows(above: *const f32, below: *const f32, pairs: *mut u32, count: usize) {
        /// Of 16 numbers and then 16 others, in turn one of the former and one of the latter.
        const IN_TURN: [u16; 32] = {
            let mut places = [0; 32];
            let mut at = 0;
            while at < 16 {
                places[2 * at] = at as u16;
                places[2 * at + 1] = at as u16 + 16;
                at += 1;
            }
            places
        };
        // SAFETY: as above; both vector types are 64 bytes of any value.
        unsafe {
            let in_turn = _mm512_loadu_si512(IN_TURN.as_ptr().cast());
            for at in (0..count).step_by(BLOCK) {
                let (above, below) = (_mm512_loadu_ps(above.add(at)), _mm512_loadu_ps(below.add(at)));
                let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(below, above));
                _mm512_storeu_si512(pairs.add(at).cast(), _mm512_permutexvar_epi16(in_turn, both));
            }
        }
    }

    /// Transposes in three rounds: within pairs of rows, within fours, and then the quarters of the registers.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn transpose(block: &mut [[u32; BLOCK]; BLOCK]) {
        /// Quarters 0 and 2 of two registers, and 1 and 3.
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        // SAFETY: loads and stores are of whole rows.
        unsafe {
            let mut twos = [_mm512_setzero_si512(); BLOCK];
            for at in (0..BLOCK).step_by(2) {
                let row = |row: usize| _mm512_loadu_si512(block[row].as_ptr().cast());
                twos[at] = _mm512_unpacklo_epi32(row(at), row(at + 1));
                twos[at + 1] = _mm512_unpackhi_epi32(row(at), row(at + 1));
            }
            // Quarter q of fours[g + j] holds column 4q + j of the rows g to g + 3.
            let mut fours = [_mm512_setzero_si512(); BLOCK];
            for at in (0..BLOCK).step_by(4) {
                fours[at] = _mm512_unpacklo_epi64(twos[at], twos[at + 2]);
                fours[at + 1] = _mm512_unpackhi_epi64(twos[at], twos[at + 2]);
                fours[at + 2] = _mm512_unpacklo_epi64(twos[at + 1], twos[at + 3]);
                fours[at + 3] = _mm512_unpackhi_epi64(twos[at + 1], twos[at + 3]);
            }
            for at in 0..4 {
                let [first, second, third, fourth] = [fours[at], fours[at + 4], fours[at + 8], fours[at + 12]];
                let even = (_mm512_shuffle_i32x4::<EVEN>(first, second), _mm512_shuffle_i32x4::<EVEN>(third, fourth));
                let odd = (_mm512_shuffle_i32x4::<ODD>(first, second), _mm512_shuffle_i32x4::<ODD>(third, fourth));
                let mut store = |row: usize, quarters| _mm512_storeu_si512(block[row].as_mut_ptr().cast(), quarters);
                store(at, _mm512_shuffle_i32x4::<EVEN>(even.0, even.1));
                store(at + 4, _mm512_shuffle_i32x4::<EVEN>(odd.0, odd.1));
                store(at + 8, _mm512_shuffle_i32x4::<ODD>(even.0, even.1));
                store(at + 12, _mm512_shuffle_i32x4::<ODD>(odd.0, odd.1));
            }
        }
    }

    /// # Safety
    ///
    /// The processor has AVX-512 BF16. `a` holds `rows` rows of `k` pairs, `b` an aligned panel of `k` rows of 32
    /// pairs, `c` `rows` rows of 32 numbers, `stride` apart.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn paired(rows: usize, a: *const u32, k: usize, b: *const u32, c: *mut f32, stride: usize) {
        // SAFETY: as above.
        unsafe { with_rows!(rows, tile_paired(a, k, b, c, stride)) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn tile_paired<const M: usize>(a: *const u32, k: usize, b: *const u32, c: *mut f32, stride: usize) {
        // SAFETY: as for `paired`, with M rows; both vector types are 64 bytes of any value.
        unsafe {
            let pairs = |vector: __m512i| transmute::<__m512i, __m512bh>(vector);
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            for p in 0..k {
                let left = pairs(_mm512_load_si512(b.add(p * 32).cast()));
                let right = pairs(_mm512_load_si512(b.add(p * 32 + 16).cast()));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = pairs(_mm512_set1_epi32((*a.add(row * k + p)).cast_signed()));
                    sum[0] = _mm512_dpbf16_ps(sum[0], x, left);
                    sum[1] = _mm512_dpbf16_ps(sum[1], x, right);
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
    /// The processor has AVX-512. `a` holds `rows` rows of `2 * k` numbers, of each pair the second one first; `b` an
    /// aligned panel of `k` rows of 32 pairs, `c` `rows` rows of 32 numbers, `stride` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn widened(rows: usize, a: *const f32, k: usize, b: *const u32, c: *mut f32, stride: usize) {
        // SAFETY: as above.
        unsafe { with_rows!(rows, tile_widened(a, k, b, c, stride)) }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn tile_widened<const M: usize>(a: *const f32, k: usize, b: *const u32, c: *mut f32, stride: usize) {
        // SAFETY: as for `widened`, with M rows.
        unsafe {
            let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
            let mut sums = [[_mm512_setzero_ps(); 2]; M];
            let mut a = a;
            for p in 0..k {
                let left = _mm512_load_si512(b.add(p * 32).cast());
                let right = _mm512_load_si512(b.add(p * 32 + 16).cast());
                let numbers = (_mm512_and_si512(left, upper), _mm512_and_si512(right, upper));
                let numbers = (_mm512_castsi512_ps(numbers.0), _mm512_castsi512_ps(numbers.1));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(row * k * 2));
                    sum[0] = _mm512_fmadd_ps(x, numbers.0, sum[0]);
                    sum[1] = _mm512_fmadd_ps(x, numbers.1, sum[1]);
                }
                // The compiler would load the next number of every row as well before it is used, for which there are
                // too few registers; so it may not know that this is the next one. Twice as fast.
                a = black_box(a.add(1));
                let numbers = (_mm512_slli_epi32::<16>(left), _mm512_slli_epi32::<16>(right));
                let numbers = (_mm512_castsi512_ps(numbers.0), _mm512_castsi512_ps(numbers.1));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let x = _mm512_set1_ps(*a.add(row * k * 2));
                    sum[0] = _mm512_fmadd_ps(x, numbers.0, sum[0]);
                    sum[1] = _mm512_fmadd_ps(x, numbers.1, sum[1]);
                }
                a = black_box(a.add(1));
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm512_storeu_ps(c.add(row * stride), sum[0]);
                _mm512_storeu_ps(c.add(row * stride + 16), sum[1]);
            }
        }
    }
}
