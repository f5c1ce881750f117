//! Vectors that start at a cache line, so that no load of a full register crosses one.

/// A cache line of numbers.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line<T, const N: usize>(pub(crate) [T; N]);

/// 16 numbers of 32 bits.
pub(crate) type LineF32 = Line<f32, 16>;
/// 64 numbers of 8 bits.
pub(crate) type LineI8 = Line<i8, 64>;
/// 32 numbers of 16 bits.
pub(crate) type LineI16 = Line<i16, 32>;
