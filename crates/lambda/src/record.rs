//! One line of JSON on standard output for each prediction: the seam between predicting and monitoring.
//!
//! What a record holds is [`wellformed_core::record`]'s business; wherever records are to go, something implements
//! [`Recorder`].

use std::io::Write;

use wellformed_core::record::Record;

/// Where records go.
pub trait Recorder {
    /// Takes a record. Must not fail a prediction, and so returns nothing.
    fn record(&mut self, record: Record);
}

/// Records as lines of JSON, with the metrics that `CloudWatch` makes of them.
#[derive(Debug)]
pub struct Lines<W>(pub W);

impl<W: Write> Recorder for Lines<W> {
    fn record(&mut self, record: Record) {
        if let Ok(line) = record.with_metrics().to_line() {
            // One write, so that lines stay whole. Where the log cannot be written there is nobody to tell.
            let _ = self.0.write_all(&line).and_then(|()| self.0.flush());
        }
    }
}
