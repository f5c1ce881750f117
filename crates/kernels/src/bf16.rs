//! Matrix products of numbers rounded to bfloat16, added up in 32 bits: what training in mixed precision computes.
//!
//! A bfloat16 is the upper half of a 32-bit number: the same exponents, 8 bits of precision instead of 24. Two of them
//! lie side by side in 32 bits, a pair, and newer processors have instructions that multiply pairs:
//!
//! | instructions | processors |
//! |---|---|
//! | AMX: whole tiles of pairs | Intel since Sapphire Rapids (2023) |
//! | AVX-512 BF16: registers of pairs | AMD since Zen 4 (2022), Intel's Cooper Lake and since Sapphire Rapids |
//! | none: multiply-add of numbers made 32 bits wide again | all others |
//!
//! **All come to the same bits.** The product of two bfloat16 is exact in 32 bits, so what matters is in which order
//! products are added up. It is AMX's, the only one that cannot be chosen: 16 pairs at a time, the products of the pairs'
//! first numbers from 0 on, those of the second numbers likewise, then what the two come to together is added to the
//! blocks before. Only numbers below 10⁻³⁷ differ: some instructions take them for 0.
//!
//! There are processors that have an instruction and are faster without: Intel's begin a `vdpbf16ps` in two cycles, and
//! two multiply-adds in each. So [`Engine::detect`] does not ask what there is but what is fast.
//!
//! A product takes [`Rows`] on the left and [`Panels`] on the right. Each is made from a matrix or from its transpose,
//! so the three products of a linear layer (output, gradient of the input, gradient of the weights) need no other copy.

#[cfg(target_arch = "x86_64")]
mod x86;

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::aligned::Line;
use crate::isa::{Isa, Kind};
use crate::lanes::Lanes;
use crate::reuse::Buffer;
use crate::vector::versions;
use crate::{PANEL, each_tile};

/// Pairs that are added up as one: those of a tile's row, and of a register. Depths are padded to whole blocks with pairs
/// of zeros, which change no sum.
const BLOCK: usize = 16;

/// Columns of a matrix that a thread transposes at a time: whole cache lines of each row, so not too few.
const ACROSS: usize = 6 * BLOCK;

/// Panels that a thread fills at a time: several cache lines of each row, which the processor then fetches ahead.
const GROUP: usize = 8;

/// Rows of a product that a thread takes at a time; whole tiles of them.
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
    /// The instruction for registers of pairs.
    Paired,
    /// The instruction for tiles of pairs.
    Tiles,
}

impl Products {
    /// Which numbers of a sum are in a pair, the one in the lower half first: neighbours, but for [`Self::Paired`].
    ///
    /// That instruction adds the product of the upper halves and then that of the lower ones to the same sum. So its
    /// pairs are, of each block, the first number of two neighbouring pairs, and behind those the second numbers.
    fn numbers(self, pair: usize) -> [usize; 2] {
        if self != Self::Paired {
            return [2 * pair, 2 * pair + 1];
        }
        let (block, at) = (pair / BLOCK, pair % BLOCK);
        let (second, at) = (at / (BLOCK / 2), at % (BLOCK / 2));
        let upper = block * 2 * BLOCK + 4 * at + second;
        [upper + 2, upper]
    }
}

impl Engine {
    /// The fastest that this processor has; where that cannot be known beforehand, it is timed, which takes less than
    /// a millisecond and is done once. All come to the same bits.
    pub fn detect() -> Self {
        static FASTEST: OnceLock<Engine> = OnceLock::new();
        *FASTEST.get_or_init(|| {
            let all = Self::available();
            let without = |engine: &Self| matches!(engine.products, Products::Floats | Products::Widened);
            let best = all.iter().rposition(without).unwrap_or(0);
            let candidates = &all[best..];
            if candidates.len() == 1 {
                return candidates[0];
            }
            let times = Self::timed(candidates);
            let fastest = (0..times.len()).min_by_key(|&at| times[at]).unwrap_or(0);
            candidates[fastest]
        })
    }

    /// The shortest of a few times that each takes for a share of rows and a panel.
    fn timed(candidates: &[Self]) -> Vec<Duration> {
        /// Numbers that a sum of the tile adds up: a layer's width, as a rule.
        const DEPTH: usize = 384;
        /// Repetitions, in turn, so that what else the processor does meets all of them.
        const TIMES: usize = 8;
        let (left, right) = (vec![1.0; SHARE * DEPTH], vec![1.0; DEPTH * PANEL]);
        let sides = |&engine| (Rows::new(engine, &left, DEPTH), Panels::new(engine, &right, PANEL));
        let sides: Vec<(Rows, Panels)> = candidates.iter().map(sides).collect();
        let mut shortest = vec![Duration::MAX; candidates.len()];
        for _ in 0..TIMES {
            for (shortest, (left, right)) in shortest.iter_mut().zip(&sides) {
                let start = Instant::now();
                left.share(0, right, &mut [MaybeUninit::uninit(); SHARE * PANEL]);
                *shortest = start.elapsed().min(*shortest);
            }
        }
        shortest
    }

    /// All that this processor has, the newest instructions last.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        for isa in Isa::available() {
            if isa.0 == Kind::Amx {
                all.push(Self { isa, rounds: has_pairs(isa), products: Products::Tiles });
                continue;
            }
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
            (Products::Tiles, _) => "amx-bf16",
            (Products::Paired, _) => "avx512-bf16",
            (_, true) => "avx512-bf16, widened",
            _ => self.isa.name(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_pairs(isa: Isa) -> bool {
    isa.wide() && is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_pairs(_: Isa) -> bool {
    false
}

/// Pairs of a sum of `depth` products: whole blocks.
fn padded(depth: usize) -> usize {
    depth.div_ceil(2).next_multiple_of(BLOCK)
}

/// The left side of a product, `[rows, depth]`.
#[derive(Debug)]
pub struct Rows {
    engine: Engine,
    count: usize,
    depth: usize,
    /// `[rows, pairs]`, of the numbers that [`Products::numbers`] says; for [`Products::Tiles`] with rows of anything
    /// behind the last, up to a whole tile.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "no other processor's instructions take pairs")
    )]
    pairs: Buffer<u32>,
    /// `[rows, 2 · pairs]` of numbers in 32 bits: of each block the first numbers of its pairs, then the second ones.
    /// Where it is not pairs that are multiplied.
    floats: Buffer<f32>,
}

/// The right side of a product, `[depth, columns]`, in panels of 32 columns.
#[derive(Debug)]
pub struct Panels {
    engine: Engine,
    depth: usize,
    columns: usize,
    /// Panel by panel, pair by pair, two lines each; columns beyond the last are anything.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "no other processor's instructions take pairs")
    )]
    pairs: Buffer<Line<u32, 16>>,
    /// The same as numbers in 32 bits, of each block the first numbers of its pairs, then the second ones; for
    /// [`Products::Floats`] alone.
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

/// The pairs of a row, in the engine's order, and zeros up to the end of the last block.
fn blocks_of_row(engine: Engine, row: &[f32], pairs: &mut [u32]) {
    let (first, rest) = pairs.split_at_mut(row.len().div_ceil(2));
    pairs_of_row(engine, row, first);
    rest.fill(0);
    if engine.products == Products::Paired {
        regroup(engine.isa, pairs);
    }
}

/// Pairs of the numbers of two rows.
fn pairs_of_rows(engine: Engine, lower: &[f32], upper: &[f32], pairs: &mut [u32]) {
    assert!(lower.len() == pairs.len() && upper.len() == pairs.len(), "pairs of rows");
    #[cfg(target_arch = "x86_64")]
    if engine.rounds {
        let whole = pairs.len() / BLOCK * BLOCK;
        // SAFETY: the processor has the instructions, and the slices are as long as that.
        #[expect(unsafe_code, reason = "vector instructions chosen at run time")]
        unsafe {
            x86::pairs_of_rows(lower.as_ptr(), upper.as_ptr(), pairs.as_mut_ptr(), whole);
        }
        rest_of_rows(engine.isa, &lower[whole..], &upper[whole..], &mut pairs[whole..]);
        return;
    }
    rest_of_rows(engine.isa, lower, upper, pairs);
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
    fn rest_of_rows(lower: &[f32], upper: &[f32], pairs: &mut [u32]) {
        let (lower, upper) = (&lower[..pairs.len()], &upper[..pairs.len()]);
        for at in 0..pairs.len() {
            pairs[at] = pair(lower[at], upper[at]);
        }
    }
}

versions! {
    /// The numbers of whole blocks of pairs in 32 bits: the first ones of a block, then the second ones.
    fn widen(pairs: &[u32], floats: &mut [f32]) {
        let pairs = pairs.as_chunks::<BLOCK>().0;
        let floats = &mut floats.as_chunks_mut::<{ 2 * BLOCK }>().0[..pairs.len()];
        for block in 0..pairs.len() {
            for at in 0..BLOCK {
                floats[block][at] = f32::from_bits(pairs[block][at] << 16);
                floats[block][BLOCK + at] = f32::from_bits(pairs[block][at] & 0xffff_0000);
            }
        }
    }
}

versions! {
    /// Makes [`Products::Paired`]'s pairs of whole blocks of neighbours.
    fn regroup(pairs: &mut [u32]) {
        for block in pairs.as_chunks_mut::<BLOCK>().0 {
            let neighbours = *block;
            for at in 0..BLOCK / 2 {
                let (one, next) = (neighbours[2 * at], neighbours[2 * at + 1]);
                block[at] = (one << 16) | (next & 0xffff);
                block[BLOCK / 2 + at] = (one & 0xffff_0000) | (next >> 16);
            }
        }
    }
}

versions! {
    /// One tile of [`Products::Floats`]: `rows` rows by one panel; output rows are `width` apart.
    fn tile_of_floats(
        rows: usize,
        input: &[f32],
        panel: &[Line<f32, 16>],
        output: &mut [MaybeUninit<f32>],
        width: usize,
    ) {
        let depth = panel.len() / 2;
        for half in 0..2 {
            let mut from = 0;
            // As many rows at a time as leave registers for the rest.
            while from + 6 <= rows {
                strip_of_floats::<V, 6>(&input[from * depth..], panel, half, &mut output[from * width..], width);
                from += 6;
            }
            while from < rows {
                strip_of_floats::<V, 1>(&input[from * depth..], panel, half, &mut output[from * width..], width);
                from += 1;
            }
        }
    }
}

/// M rows by one half of a panel.
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
#[expect(clippy::needless_range_loop, reason = "as in `crate::vector`")]
fn strip_of_floats<V: Lanes, const M: usize>(
    input: &[f32],
    panel: &[Line<f32, 16>],
    half: usize,
    output: &mut [MaybeUninit<f32>],
    width: usize,
) {
    let depth = panel.len() / 2;
    let (one, zero) = (V::splat(1.0), V::splat(0.0));
    let mut totals = [zero; M];
    let panel = panel.as_chunks::<{ 4 * BLOCK }>().0;
    for block in 0..panel.len() {
        // Of a known length, so that no index has to be checked below.
        let mut rows = [&[0.0; 2 * BLOCK]; M];
        for row in 0..M {
            rows[row] = &input[row * depth..].as_chunks().0[block];
        }
        let mut sums = [[zero; M]; 2];
        for which in 0..2 {
            for at in which * BLOCK..(which + 1) * BLOCK {
                let line = V::load(&panel[block][2 * at + half].0);
                for row in 0..M {
                    sums[which][row] = V::splat(rows[row][at]).mul_add(line, sums[which][row]);
                }
            }
        }
        for row in 0..M {
            totals[row] = sums[0][row].mul_add(one, sums[1][row]).mul_add(one, totals[row]);
        }
    }
    for row in 0..M {
        let mut numbers = [0.0; 16];
        totals[row].store(&mut numbers);
        output[row * width + half * 16..][..16].write_copy_of_slice(&numbers);
    }
}

/// Transposes a block of pairs.
#[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "only there are instructions for it"))]
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

/// A row, or the zeros that pad a matrix to whole blocks.
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
            for (pairs, row) in pairs.chunks_exact_mut(padded(depth)).zip(values[first * depth..].chunks_exact(depth)) {
                blocks_of_row(engine, row, pairs);
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
        let stride = padded(depth);
        let zeros = vec![0.0; rows];
        Self::each_share(engine, rows, depth, ACROSS, |first, pairs| {
            let width = pairs.len() / stride;
            let mut strip = [[0; ACROSS]; BLOCK];
            for from in (0..stride).step_by(BLOCK) {
                for (at, strip) in strip.iter_mut().enumerate() {
                    let part = |row| &row_or_zeros(values, rows, row, &zeros)[first..first + width];
                    let [lower, upper] = engine.products.numbers(from + at);
                    pairs_of_rows(engine, part(lower), part(upper), &mut strip[..width]);
                }
                for (left, pairs) in pairs.chunks_mut(stride * BLOCK).enumerate() {
                    let mut block = [[0; BLOCK]; BLOCK];
                    for (block, strip) in block.iter_mut().zip(&strip) {
                        block.copy_from_slice(&strip[left * BLOCK..][..BLOCK]);
                    }
                    transpose(engine, &mut block);
                    for (pairs, block) in pairs.chunks_exact_mut(stride).zip(&block) {
                        pairs[from..from + BLOCK].copy_from_slice(block);
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
        let stride = padded(depth);
        if matches!(engine.products, Products::Paired | Products::Tiles) {
            let mut pairs = Buffer::new(rows.next_multiple_of(BLOCK) * stride);
            let shares = pairs[..rows * stride].par_chunks_mut(stride * share).enumerate();
            shares.for_each(|(at, pairs)| fill(at * share, pairs));
            return Self { engine, count: rows, depth, pairs, floats: Buffer::empty() };
        }
        let mut floats = Buffer::new(rows * stride * 2);
        let shares = floats.par_chunks_mut(stride * 2 * share).enumerate();
        shares.for_each_init(
            || Buffer::new(stride * share),
            |pairs, (at, floats)| {
                let pairs = &mut pairs[..floats.len() / 2];
                fill(at * share, pairs);
                widen(engine.isa, pairs, floats);
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
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if self.engine.products == Products::Tiles {
            self.share_of_tiles(first, right, output);
            return;
        }
        let rows = output.len() / right.columns;
        for panel in 0..right.columns.div_ceil(PANEL) {
            let tile = |from, rows, output: &mut [MaybeUninit<f32>], width| {
                self.tile(first + from, rows, right, panel, output, width);
            };
            each_tile(rows, panel, right.columns, output, MaybeUninit::uninit(), tile);
        }
    }

    /// [`Self::share`] by the instruction for tiles.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn share_of_tiles(&self, first: usize, right: &Panels, output: &mut [MaybeUninit<f32>]) {
        use crate::tiles::{self, STRIP};

        let (columns, pairs) = (right.columns, padded(self.depth));
        let mut registers = tiles::Tiles::new();
        let mut whole = [MaybeUninit::uninit(); STRIP * PANEL];
        for (panel, lines) in right.pairs.chunks_exact(2 * pairs).enumerate() {
            let from = panel * PANEL;
            let width = PANEL.min(columns - from);
            for (strip, output) in output.chunks_mut(STRIP * columns).enumerate() {
                let rows = output.len() / columns;
                let height = rows.next_multiple_of(tiles::ROWS);
                let left = &self.pairs[(first + strip * STRIP) * pairs..][..height * pairs];
                if width == PANEL && rows == height {
                    registers.multiply_pairs(left, lines, &mut output[from..], columns);
                    continue;
                }
                registers.multiply_pairs(left, lines, &mut whole, PANEL);
                for (row, numbers) in whole.chunks_exact(PANEL).take(rows).enumerate() {
                    output[row * columns + from..][..width].copy_from_slice(&numbers[..width]);
                }
            }
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
        let pairs = padded(self.depth);
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
                        x86::paired(rows, input.as_ptr(), pairs / BLOCK, lines, output, width);
                    } else {
                        x86::widened(rows, floats().as_ptr(), pairs / BLOCK, lines, output, width);
                    }
                }
            }
            _ => {
                let lines = &right.floats[panel * pairs * 4..][..pairs * 4];
                tile_of_floats(self.engine.isa, rows, floats(), lines, output, width);
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
        let stride = 2 * padded(depth);
        Self::each_group(engine, depth, columns, GROUP, |first, width, lines| {
            let mut across = [0; GROUP * PANEL];
            for pair in 0..padded(depth) {
                let part = |row| &row_or_zeros(values, columns, row, &zeros)[first..first + width];
                let [lower, upper] = engine.products.numbers(pair);
                pairs_of_rows(engine, part(lower), part(upper), &mut across[..width]);
                for (panel, pairs) in lines.chunks_exact_mut(stride).zip(across.as_chunks::<PANEL>().0) {
                    let (left, right) = pairs.split_at(PANEL / 2);
                    panel[2 * pair].0.copy_from_slice(left);
                    panel[2 * pair + 1].0.copy_from_slice(right);
                }
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
        Self::each_group(engine, depth, columns, 1, |first, width, lines| {
            for (at, lines) in lines.chunks_mut(2 * BLOCK).enumerate() {
                let from = at * 2 * BLOCK;
                let to = depth.min(from + 2 * BLOCK);
                for half in 0..2 {
                    let mut block = [[0; BLOCK]; BLOCK];
                    for (column, block) in (half * BLOCK..width).zip(&mut block) {
                        let row = &values[(first + column) * depth..][from..to];
                        blocks_of_row(engine, row, block);
                    }
                    transpose(engine, &mut block);
                    for (lines, block) in lines.chunks_exact_mut(2).zip(block) {
                        lines[half].0 = block;
                    }
                }
            }
        })
    }

    /// Calls `fill(first column, columns, lines)` for every `group` of panels.
    fn each_group(
        engine: Engine,
        depth: usize,
        columns: usize,
        group: usize,
        fill: impl Fn(usize, usize, &mut [Line<u32, 16>]) + Sync,
    ) -> Self {
        let stride = 2 * padded(depth);
        let mut pairs = Buffer::new(columns.div_ceil(PANEL) * stride);
        pairs.par_chunks_mut(group * stride).enumerate().for_each(|(at, lines)| {
            let first = at * group * PANEL;
            fill(first, (group * PANEL).min(columns - first), lines);
        });
        if engine.products != Products::Floats {
            return Self { engine, depth, columns, pairs, floats: Buffer::empty() };
        }
        let mut floats: Buffer<Line<f32, 16>> = Buffer::new(2 * pairs.len());
        floats.par_chunks_mut(2 * stride).zip(pairs.par_chunks(stride)).for_each(|(floats, pairs)| {
            let blocks = floats.chunks_exact_mut(4 * BLOCK).zip(pairs.chunks_exact(2 * BLOCK));
            for (floats, pairs) in blocks {
                for (at, pairs) in pairs.iter().enumerate() {
                    for (lane, pair) in pairs.0.into_iter().enumerate() {
                        floats[at].0[lane] = f32::from_bits(pair << 16);
                        floats[2 * BLOCK + at].0[lane] = f32::from_bits(pair & 0xffff_0000);
                    }
                }
            }
        });
        Self { engine, depth, columns, pairs: Buffer::empty(), floats }
    }
}
