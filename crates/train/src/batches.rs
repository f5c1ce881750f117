//! Which sentences go together, and in which order.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use wellformed_core::params::TrainParams;

use crate::derived_seed;

/// Batches in which sentences are sorted by length at a time. More save padding on the devices that pad, fewer leave
/// more of the order to chance.
const WINDOW: usize = 50;

/// The batches of one epoch as indices of sentences, a function of `seed` and `epoch` alone.
///
/// Shuffled; then sorted by length within windows of fifty batches, so that a batch holds sentences of like length;
/// then the batches are shuffled. Every sentence comes once, unless `limit_train_batches` cuts the epoch short;
/// `overfit_batches` gives the same first batches in every epoch.
pub fn of_epoch(lengths: &[usize], params: &TrainParams, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let epoch = if params.overfit_batches > 0 { 0 } else { epoch };
    let mut random = ChaCha8Rng::seed_from_u64(derived_seed(seed, "batches", epoch as u64));
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.shuffle(&mut random);
    for window in order.chunks_mut(params.batch_size * WINDOW) {
        // A stable sort: sentences of one length stay shuffled.
        window.sort_by_key(|&index| lengths[index]);
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(params.batch_size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut random);
    batches.truncate(count(lengths.len(), params));
    batches
}

/// How many batches an epoch has.
pub fn count(sentences: usize, params: &TrainParams) -> usize {
    let mut count = sentences.div_ceil(params.batch_size);
    for limit in [params.limit_train_batches, params.overfit_batches] {
        if limit > 0 {
            count = count.min(limit);
        }
    }
    count
}
