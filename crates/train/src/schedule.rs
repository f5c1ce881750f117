//! The learning rate over a run.

use wellformed_core::params::{Schedule, TrainParams};

/// The learning rate of every optimiser step, relative to its peak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    shape: Schedule,
    peak: f64,
    warmup: usize,
    total: usize,
}

impl LearningRate {
    /// Of a run of `total` optimiser steps; `warmup_ratio` of them, rounded up, warm up.
    pub fn new(params: &TrainParams, total: usize) -> Self {
        let warmup = (params.warmup_ratio * total as f64).ceil() as usize;
        Self { shape: params.schedule, peak: params.lr, warmup, total }
    }

    /// The learning rate of optimiser step `step`, counted from 0. It rises from `peak / warmup` to `peak`, and no
    /// step is wasted at zero: neither the first nor the last.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        // From 0 at the first step after the warm-up to just below 1 at the last.
        let done = (step - self.warmup) as f64 / (self.total - self.warmup).max(1) as f64;
        let factor = match self.shape {
            Schedule::Linear => 1.0 - done,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::Constant => 1.0,
        };
        self.peak * factor.max(0.0)
    }
}
