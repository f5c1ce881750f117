//! Memory that is used again without being cleared.
//!
//! The two sides of a product are rearranged for it and dropped after it, some hundred times in a step of training.
//! Fresh memory would have to be cleared each time, by one thread while the others wait.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::aligned::Line;

/// What a [`Buffer`] may hold.
pub(crate) trait Reusable: Copy + Send + 'static {
    /// What memory is filled with that was not used before.
    const ZERO: Self;

    /// Where the memory of dropped buffers waits.
    fn shelf() -> &'static Mutex<Vec<Vec<Self>>>;
}

macro_rules! reusable {
    ($($kind:ty = $zero:expr),+ $(,)?) => {$(
        impl Reusable for $kind {
            const ZERO: Self = $zero;

            fn shelf() -> &'static Mutex<Vec<Vec<Self>>> {
                static SHELF: Mutex<Vec<Vec<$kind>>> = Mutex::new(Vec::new());
                &SHELF
            }
        }
    )+};
}

reusable!(u32 = 0, f32 = 0.0, Line<u32, 16> = Line([0; 16]), Line<f32, 16> = Line([0.0; 16]));

fn shelf<T: Reusable>() -> MutexGuard<'static, Vec<Vec<T>>> {
    T::shelf().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slice with memory of its own, of which any value may be left over from an earlier use.
#[derive(Debug)]
pub(crate) struct Buffer<T: Reusable> {
    /// At least `length`.
    values: Vec<T>,
    length: usize,
}

impl<T: Reusable> Buffer<T> {
    /// A buffer of this length, whatever it holds. There are never more of them on the shelf than were in use at once.
    pub(crate) fn new(length: usize) -> Self {
        let mut shelf = shelf::<T>();
        // The smallest that is long enough, or else the longest, which is then replaced.
        let place = (0..shelf.len()).min_by_key(|&at| {
            let has = shelf[at].len();
            if has < length { (true, usize::MAX - has) } else { (false, has) }
        });
        let mut values = place.map_or_else(Vec::new, |at| shelf.swap_remove(at));
        drop(shelf);
        if values.len() < length {
            drop(values);
            values = vec![T::ZERO; length];
        }
        Self { values, length }
    }

    /// A buffer of nothing.
    pub(crate) fn empty() -> Self {
        Self { values: Vec::new(), length: 0 }
    }
}

impl<T: Reusable> Drop for Buffer<T> {
    fn drop(&mut self) {
        if !self.values.is_empty() {
            shelf().push(std::mem::take(&mut self.values));
        }
    }
}

impl<T: Reusable> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.length]
    }
}

impl<T: Reusable> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A kind of its own, so that no other test takes from its shelf.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Kind(u8);
    reusable!(Kind = Kind(0));

    #[test]
    fn memory_is_used_again_and_by_the_buffer_that_it_fits_best() {
        let waiting = || shelf::<Kind>().iter().map(Vec::len).collect::<Vec<_>>();
        let mut long = Buffer::<Kind>::new(100);
        let short = Buffer::<Kind>::new(10);
        assert!(long.iter().chain(&*short).all(|value| *value == Kind(0)) && waiting().is_empty());
        long[7] = Kind(3);
        drop(long);
        drop(short);
        assert_eq!(waiting(), [100, 10]);
        let again = Buffer::<Kind>::new(50);
        assert_eq!((again.len(), again[7]), (50, Kind(3)), "the long one, not cleared");
        assert_eq!(waiting(), [10]);
        let longer = Buffer::<Kind>::new(20);
        assert!(longer.len() == 20 && waiting().is_empty(), "the short one was replaced");
    }
}
