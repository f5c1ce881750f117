//! How long an image takes from nothing to its first answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sandbox::{Enforced, Limits, Prepared};

/// Several starts of one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColdStart {
    /// Milliseconds from the start of the process to its asking for an event, start by start.
    pub init_ms: Vec<f64>,
    /// Milliseconds from the start of the process to the answer to its first event, start by start.
    pub first_answer_ms: Vec<f64>,
    /// Milliseconds of a later event, the median of ten in each start.
    pub warm_ms: Vec<f64>,
    /// The most memory that the process held in any start, in MB (2²⁰ bytes); `None` where the machine does not say.
    pub peak_memory_mb: Option<f64>,
    /// What it was given.
    pub limits: Limits,
    /// What of it was enforced.
    pub enforced: Enforced,
}

impl ColdStart {
    /// The median of [`ColdStart::first_answer_ms`].
    pub fn median_ms(&self) -> f64 {
        median(&self.first_answer_ms)
    }
}

/// Starts an image `starts` times with these `variables`, one after another, and asks each time `payload`, and then ten
/// times more. `watch` is told of every start.
///
/// The container is made beforehand; what counts is the program in it, from being let go to its answer's arrival.
///
/// # Errors
///
/// When a start or an answer fails.
pub fn cold_start(
    prepared: &Prepared,
    limits: Limits,
    variables: &BTreeMap<String, String>,
    payload: &[u8],
    starts: usize,
    watch: &mut dyn FnMut(f64),
) -> Result<ColdStart, Error> {
    let (mut init_ms, mut first_answer_ms, mut warm_ms) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak: Option<u64> = None;
    let mut enforced = Enforced { memory: false, cpus: false, read_only: false };
    for _ in 0..starts.max(1) {
        let mut sandbox = prepared.start(limits, variables)?;
        let mut ask = || {
            let answer = sandbox.invoke(payload)?;
            match answer.function_error {
                None => Ok(answer.duration),
                Some(error) => Err(Error::Invalid(format!(
                    "the image answered its event with the function error {error}: {}",
                    String::from_utf8_lossy(&answer.payload)
                ))),
            }
        };
        let first = ask()?;
        let mut later = Vec::new();
        for _ in 0..10 {
            later.push(milliseconds(ask()?));
        }
        let init = sandbox.init();
        init_ms.push(milliseconds(init));
        first_answer_ms.push(milliseconds(init + first));
        warm_ms.push(median(&later));
        peak = peak.max(sandbox.peak_memory());
        enforced = sandbox.enforced();
        watch(milliseconds(init + first));
        sandbox.shutdown();
    }
    let peak_memory_mb = peak.map(|bytes| bytes as f64 / f64::from(1 << 20));
    Ok(ColdStart { init_ms, first_answer_ms, warm_ms, peak_memory_mb, limits, enforced })
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(upper), 0) => f64::midpoint(sorted[middle - 1], *upper),
        (Some(only), _) => *only,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_of_figures_is_between_the_middle_two() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 9.0]), median(&[])), (2.0, 3.0, 0.0));
    }
}
