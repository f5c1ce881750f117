//! Results that are written in blocks, on all threads, into memory that nobody has cleared before.
//!
//! `vec![0.0; n]` is cleared by the one thread that makes it, while the others wait for the work that comes after it.

use std::mem::MaybeUninit;
use std::ptr;

use rayon::prelude::*;

/// Numbers of which `write` writes a block of `block` at a time, on some thread, given what stands beside the block in
/// `beside`; and what `write` says of each block.
///
/// `write` gives back the block that it was given, as what it is now: all of it written, which
/// [`MaybeUninit::write`] and `write_copy_of_slice` are the ways to.
///
/// # Panics
///
/// When `beside` is not as long as there are blocks, or `write` gives back anything else than its whole block.
pub fn written<I, R, W>(length: usize, block: usize, beside: I, write: W) -> (Vec<f32>, Vec<R>)
where
    I: IndexedParallelIterator,
    R: Send,
    W: for<'a> Fn(&'a mut [MaybeUninit<f32>], I::Item) -> (&'a mut [f32], R) + Sync,
{
    assert_eq!(beside.len(), length.div_ceil(block), "one beside each block");
    let mut values = Vec::with_capacity(length);
    let blocks = values.spare_capacity_mut()[..length].par_chunks_mut(block);
    let said = blocks
        .zip(beside)
        .map(|(unwritten, beside)| {
            let place = ptr::from_mut(unwritten);
            let (written, said) = write(unwritten, beside);
            let same = ptr::addr_eq(ptr::from_mut(written), place) && written.len() == place.len();
            assert!(same, "a block is given back whole");
            said
        })
        .collect();
    // SAFETY: the capacity is that long, and of every part of it there was a slice of numbers a moment ago.
    #[expect(unsafe_code, reason = "memory that is written once need not be cleared before")]
    unsafe {
        values.set_len(length);
    }
    (values, said)
}

/// Zeros, written on all threads.
pub fn zeros(length: usize) -> Vec<f32> {
    /// As much as is worth another thread's attention.
    const BLOCK: usize = 1 << 14;
    static ZEROS: [f32; BLOCK] = [0.0; BLOCK];
    let beside = rayon::iter::repeat_n((), length.div_ceil(BLOCK));
    written(length, BLOCK, beside, |unwritten, ()| (unwritten.write_copy_of_slice(&ZEROS[..unwritten.len()]), ())).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_written_with_what_stands_beside_it_and_says_something() {
        let source: Vec<f32> = (0..10).map(|number| number as f32).collect();
        let (values, lengths) = written(source.len(), 4, source.par_chunks(4), |unwritten, source| {
            let block = unwritten.write_copy_of_slice(source);
            block[0] = -1.0;
            let length = block.len();
            (block, length)
        });
        assert_eq!(values, [-1.0, 1.0, 2.0, 3.0, -1.0, 5.0, 6.0, 7.0, -1.0, 9.0]);
        assert_eq!(lengths, [4, 4, 2]);
        let nothing: [f32; 0] = [];
        assert!(
            written(0, 4, nothing.par_chunks(4), |unwritten, _| (unwritten.write_copy_of_slice(&[]), ())).0.is_empty()
        );
        assert!(zeros(40_000).iter().all(|&zero| zero == 0.0) && zeros(40_000).len() == 40_000);
    }

    #[test]
    #[should_panic(expected = "a block is given back whole")]
    fn a_part_of_a_block_is_not_taken_for_all_of_it() {
        written(8, 4, rayon::iter::repeat_n((), 2), |unwritten, ()| {
            (unwritten[..3].write_copy_of_slice(&[0.0; 3]), ())
        });
    }

    #[test]
    #[should_panic(expected = "a block is given back whole")]
    fn other_numbers_are_not_taken_for_a_block() {
        written(8, 4, rayon::iter::repeat_n((), 2), |_, ()| (Box::leak(Box::new([0.0; 4])).as_mut_slice(), ()));
    }

    #[test]
    #[should_panic(expected = "one beside each block")]
    fn no_block_is_left_out() {
        written(9, 4, rayon::iter::repeat_n((), 2), |unwritten, ()| {
            let length = unwritten.len();
            (unwritten.write_copy_of_slice(&vec![0.0; length]), ())
        });
    }
}
