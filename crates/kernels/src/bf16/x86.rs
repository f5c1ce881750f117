//! The vector instructions: rounding to pairs, transposing them, and two of the ways to multiply.
#![expect(unsafe_code, reason = "vector instructions chosen at run time")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_and_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh,
    _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::hint::black_box;
use std::mem::transmute;

use super::BLOCK;
use crate::{PANEL, with_rows};

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
/// The processor has AVX-512 BF16. There are `count` numbers in the lower halves, in the upper halves, and pairs, whole registers of them.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn pairs_of_rows(lower: *const f32, upper: *const f32, pairs: *mut u32, count: usize) {
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
            let (lower, upper) = (_mm512_loadu_ps(lower.add(at)), _mm512_loadu_ps(upper.add(at)));
            let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(upper, lower));
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
/// The processor has AVX-512 BF16. `a` holds `rows` rows of `blocks` blocks of pairs of [`super::Products::Paired`],
/// `b` an aligned panel of as many, `c` `rows` rows of 32 numbers, `stride` apart.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn paired(rows: usize, a: *const u32, blocks: usize, b: *const u32, c: *mut f32, stride: usize) {
    // SAFETY: as above.
    unsafe { with_rows!(rows, tile_paired(a, blocks, b, c, stride)) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn tile_paired<const M: usize>(a: *const u32, blocks: usize, b: *const u32, c: *mut f32, stride: usize) {
    // SAFETY: as for `paired`, with M rows.
    unsafe {
        let apart = blocks * BLOCK;
        let mut totals = [[_mm512_setzero_ps(); 2]; M];
        for block in 0..blocks {
            let (a, b) = (a.add(block * BLOCK), b.add(block * BLOCK * PANEL));
            let firsts = sums_paired::<M>(a, apart, b);
            let seconds = sums_paired::<M>(a.add(BLOCK / 2), apart, b.add(BLOCK / 2 * PANEL));
            add(&mut totals, &firsts, &seconds);
        }
        store(&totals, c, stride);
    }
}

/// The sums of the products of half a block of pairs, from 0 on. Rows of `a` are `apart`.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn sums_paired<const M: usize>(a: *const u32, apart: usize, b: *const u32) -> [[__m512; 2]; M] {
    // SAFETY: as for `paired`, with M rows; both vector types are 64 bytes of any value.
    unsafe {
        let pairs = |vector: __m512i| transmute::<__m512i, __m512bh>(vector);
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        for p in 0..BLOCK / 2 {
            let left = pairs(_mm512_load_si512(b.add(p * PANEL).cast()));
            let right = pairs(_mm512_load_si512(b.add(p * PANEL + 16).cast()));
            for (row, sum) in sums.iter_mut().enumerate() {
                let x = pairs(_mm512_set1_epi32((*a.add(row * apart + p)).cast_signed()));
                sum[0] = _mm512_dpbf16_ps(sum[0], x, left);
                sum[1] = _mm512_dpbf16_ps(sum[1], x, right);
            }
        }
        sums
    }
}

/// # Safety
///
/// The processor has AVX-512. `a` holds `rows` rows of `blocks` blocks of numbers, as [`super::widen`] writes them; `b`
/// an aligned panel of as many blocks of pairs, `c` `rows` rows of 32 numbers, `stride` apart.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn widened(rows: usize, a: *const f32, blocks: usize, b: *const u32, c: *mut f32, stride: usize) {
    // SAFETY: as above.
    unsafe { with_rows!(rows, tile_widened(a, blocks, b, c, stride)) }
}

#[target_feature(enable = "avx512f")]
unsafe fn tile_widened<const M: usize>(a: *const f32, blocks: usize, b: *const u32, c: *mut f32, stride: usize) {
    // SAFETY: as for `widened`, with M rows.
    unsafe {
        let apart = blocks * 2 * BLOCK;
        let mut totals = [[_mm512_setzero_ps(); 2]; M];
        for block in 0..blocks {
            let (a, b) = (a.add(block * 2 * BLOCK), b.add(block * BLOCK * PANEL));
            let firsts = sums_widened::<M, false>(a, apart, b);
            let seconds = sums_widened::<M, true>(a.add(BLOCK), apart, b);
            add(&mut totals, &firsts, &seconds);
        }
        store(&totals, c, stride);
    }
}

/// The sums of the products of the first numbers, or the `SECOND`, of a block of pairs in `b`, from 0 on. Rows of `a`
/// are `apart`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn sums_widened<const M: usize, const SECOND: bool>(
    a: *const f32,
    apart: usize,
    b: *const u32,
) -> [[__m512; 2]; M] {
    // SAFETY: as for `widened`, with M rows.
    unsafe {
        let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        let numbers = |pairs: __m512i| {
            _mm512_castsi512_ps(if SECOND { _mm512_and_si512(pairs, upper) } else { _mm512_slli_epi32::<16>(pairs) })
        };
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        let mut a = a;
        for p in 0..BLOCK {
            let left = numbers(_mm512_load_si512(b.add(p * PANEL).cast()));
            let right = numbers(_mm512_load_si512(b.add(p * PANEL + 16).cast()));
            for (row, sum) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*a.add(row * apart));
                sum[0] = _mm512_fmadd_ps(x, left, sum[0]);
                sum[1] = _mm512_fmadd_ps(x, right, sum[1]);
            }
            // The compiler would load the next number of every row as well before it is used, for which there are
            // too few registers; so it may not know that this is the next one. Twice as fast.
            a = black_box(a.add(1));
        }
        sums
    }
}

/// Adds what a block came to.
#[inline]
#[target_feature(enable = "avx512f")]
fn add<const M: usize>(totals: &mut [[__m512; 2]; M], firsts: &[[__m512; 2]; M], seconds: &[[__m512; 2]; M]) {
    for row in 0..M {
        for half in 0..2 {
            let block = _mm512_add_ps(firsts[row][half], seconds[row][half]);
            totals[row][half] = _mm512_add_ps(totals[row][half], block);
        }
    }
}

/// # Safety
///
/// The processor has AVX-512. `c` holds M rows of 32 numbers, `stride` apart.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn store<const M: usize>(totals: &[[__m512; 2]; M], c: *mut f32, stride: usize) {
    for (row, total) in totals.iter().enumerate() {
        // SAFETY: as above.
        unsafe {
            _mm512_storeu_ps(c.add(row * stride), total[0]);
            _mm512_storeu_ps(c.add(row * stride + 16), total[1]);
        }
    }
}
