//! The encoder (BERT, ELECTRA or `RoBERTa`) and the classifier in Burn: weights in, logits out.
//!
//! * [`config`] reads a base model's `config.json`.
//! * [`weights`] reads safetensors and PyTorch files, and names every tensor that is missing or surplus.
//! * [`classifier`] is the model: any BERT-family encoder, pooling, two logits.
//! * [`fused`] is the fast path on Burn's `flex` device: one autodiff operation an encoder layer, no padding.
//! * `composed` is a layer as one autodiff operation on every other device, made of tensor operations.
//! * [`device`] turns `compute.device` into a Burn device, or says which feature the build lacks.
//! * [`checkpoint`] keeps a fine-tuned classifier together with its configuration and tokenizer.
//!
//! Every other crate that needs Burn (train, eval, export) goes through this one.

pub mod batch;
pub mod checkpoint;
pub mod classifier;
mod composed;
pub mod config;
pub mod device;
pub mod fused;
pub mod names;
pub mod weights;

pub use names::stable_hash;
