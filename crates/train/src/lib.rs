//! The stage `train`: the base model fine-tuned, and the best epoch on *tune* kept as the checkpoint.
//!
//! | module | |
//! |---|---|
//! | [`training`] | the loop: epochs, steps, early stopping, what is kept |
//! | [`batches`] | which sentences go together, and in which order |
//! | [`objective`] | cross-entropy with label smoothing, class weights, and perhaps a teacher |
//! | [`teacher`] | what a bigger model says of the training data |
//! | [`optimizer`] | `AdamW` with decay groups, layer-wise learning rates and gradient clipping |
//! | [`parallel`] | a step's gradient, from one device or several |
//! | [`schedule`] | the learning rate over a run |
//! | [`history`] | what is written about a run: `reports/train/` |
//! | [`state`] | what an interrupted run goes on from: `models/train-state/` |
//! | `tracking` | what is told of a run while it goes on |
//! | [`stage`] | files in, files out |
//!
//! Nothing random is kept between steps: batch order and dropout are functions of the seed and of the epoch or step.
//! So a resumed run needs only weights and moments to end exactly as an uninterrupted one, and the same seed and
//! device give the same bytes.

pub mod batches;
pub mod history;
pub mod objective;
pub mod optimizer;
pub mod parallel;
mod progress;
pub mod schedule;
pub mod stage;
pub mod state;
pub mod teacher;
mod tracking;
pub mod training;

/// A seed for one purpose out of the run's seed: `SplitMix64` (Steele, Lea and Flood 2014) of both.
pub fn derived_seed(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut word = seed
        .wrapping_add(wellformed_model::stable_hash(purpose))
        .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
