//! Where predictions leave the server for whoever watches the model.

use wellformed_infer::Prediction;

use crate::observe::Context;

/// Is told of every prediction that is about to be answered, in the order of the request's sentences.
///
/// It is called on the thread that answers: it must not block. It sees no sentence, so that it cannot keep one.
pub trait Recorder: Send + Sync + 'static {
    /// A sentence of the request in `context` was predicted.
    fn record(&self, context: &Context, prediction: &Prediction);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _context: &Context, _prediction: &Prediction) {}
}
