//! `cargo xtask bench`: our throughput beside what a user would run instead, measured in the same run.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::{BENCH, Environment};
use crate::process::describe;

/// One epoch of a training run, as the yardstick reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// From 0.
    pub epoch: u64,
    /// Wall-clock time of the training part, in seconds.
    pub seconds: f64,
    /// Sentences trained on in a second.
    pub sentences_per_second: f64,
    /// Matthews correlation coefficient on GLUE's validation set after the epoch.
    pub mcc: f64,
}

impl Epoch {
    /// Reads one line of `bench/torch_train.py`.
    ///
    /// # Errors
    ///
    /// When the line is not a JSON object with the four fields.
    pub fn parse(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        let number = |key: &str| value[key].as_f64().with_context(|| format!("no number `{key}` in {line}"));
        Ok(Self {
            epoch: value["epoch"].as_u64().with_context(|| format!("no whole number `epoch` in {line}"))?,
            seconds: number("seconds")?,
            sentences_per_second: number("sentences_per_second")?,
            mcc: number("mcc")?,
        })
    }
}

/// Runs `bench/torch_train.py` in its own environment; one record an epoch.
///
/// # Errors
///
/// When the environment cannot be made, or the script fails or prints something else.
pub fn yardstick(root: &Path, arguments: &[String]) -> Result<Vec<Epoch>> {
    let environment = Environment::ensure(root, BENCH)?;
    let mut command = environment.python();
    command.arg("bench/torch_train.py").args(arguments).current_dir(root).stdout(Stdio::piped());
    eprintln!("$ {}", describe(&command));
    let output = command.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.context("cannot start the environment's Python")?;
    if !output.status.success() {
        bail!("bench/torch_train.py failed; its own message is above");
    }
    String::from_utf8_lossy(&output.stdout).lines().map(Epoch::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_read_from_the_yardsticks_line() {
        let line = r#"{"epoch": 1, "train_loss": 0.5, "seconds": 12.5, "sentences_per_second": 684.1, "mcc": 0.25}"#;
        let expected = Epoch { epoch: 1, seconds: 12.5, sentences_per_second: 684.1, mcc: 0.25 };
        assert_eq!(Epoch::parse(line).unwrap(), expected);
    }

    #[test]
    fn a_line_without_a_figure_is_refused_by_name() {
        let error = Epoch::parse(r#"{"epoch": 1, "seconds": 2.0, "mcc": 0.1}"#).unwrap_err().to_string();
        assert!(error.contains("sentences_per_second"), "{error}");
    }
}
