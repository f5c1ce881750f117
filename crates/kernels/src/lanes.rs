//! Sixteen numbers side by side, in whatever registers there are.
//!
//! Most loops of this crate are left to the compiler. The sums of attention are not: it keeps sixteen of them in
//! sixteen registers.

/// Numbers side by side.
pub(crate) const LANES: usize = 16;

/// Sixteen numbers, and whether the instructions that go with them have multiply-add as one.
pub(crate) trait Lanes: Copy {
    /// Whether multiply-add is one instruction.
    const FMA: bool;

    /// All the same.
    fn splat(x: f32) -> Self;
    /// From memory.
    fn load(from: &[f32; LANES]) -> Self;
    /// Into memory.
    fn store(self, to: &mut [f32; LANES]);
    /// `self · b + c`
    fn mul_add(self, b: Self, c: Self) -> Self;
}

/// Plain Rust.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
impl Lanes for Portable {
    const FMA: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    fn load(from: &[f32; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let mut sum = c;
        for lane in 0..LANES {
            sum.0[lane] = mac::<Self>(self.0[lane], b.0[lane], sum.0[lane]);
        }
        sum
    }
}

/// a · b + c
#[inline(always)]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
pub(crate) fn mac<V: Lanes>(a: f32, b: f32, c: f32) -> f32 {
    if V::FMA { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions chosen at run time")]
#[expect(clippy::inline_always, reason = "has to take on the instructions of its caller")]
pub(crate) mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Lanes};

    /// One register of AVX-512. Only functions that are compiled for it may name this type.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Wide(__m512);

    // SAFETY of every block below: `versions!` names the types only inside functions that are called when the
    // processor has the instructions; loads and stores are of whole arrays.
    impl Lanes for Wide {
        const FMA: bool = true;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_set1_ps(x) })
        }

        #[inline(always)]
        fn load(from: &[f32; LANES]) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_loadu_ps(from.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, to: &mut [f32; LANES]) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
        }
    }

    /// Two registers of AVX2. Only functions that are compiled for it may name this type.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Pair(__m256, __m256);

    impl Lanes for Pair {
        const FMA: bool = true;

        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            let x = unsafe { _mm256_set1_ps(x) };
            Self(x, x)
        }

        #[inline(always)]
        fn load(from: &[f32; LANES]) -> Self {
            // SAFETY: see above.
            unsafe { Self(_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f32; LANES]) {
            // SAFETY: see above.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), self.0);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), self.1);
            }
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: see above.
            unsafe { Self(_mm256_fmadd_ps(self.0, b.0, c.0), _mm256_fmadd_ps(self.1, b.1, c.1)) }
        }
    }
}
