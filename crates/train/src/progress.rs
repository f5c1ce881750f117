//! The progress bar of a run: on a terminal a bar with loss, MCC and time left; elsewhere one line an epoch.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::history::Epoch;

/// A bar over the sentences that the teacher judges.
pub(crate) fn sentences(count: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("teacher [{bar:30}] {pos}/{len} sentences  {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count as u64).with_style(style.progress_chars("=> "))
}

/// One bar over all steps of a run.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// What every line begins with.
    name: String,
    epochs: usize,
    loss: f64,
    mcc: Option<f64>,
}

impl Progress {
    pub(crate) fn new(name: &str, batches: usize, done: usize, epochs: usize) -> Self {
        let template = "{prefix} [{bar:30}] {pos}/{len} batches  {msg}  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        // indicatif draws on standard error and stays silent when that is no terminal.
        let bar = ProgressBar::new(batches as u64).with_position(done as u64).with_style(style.progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(500));
        bar.reset_eta();
        Self { bar, name: name.to_owned(), epochs, loss: f64::NAN, mcc: None }
    }

    pub(crate) fn epoch(&self, epoch: usize) {
        self.bar.set_prefix(format!("{}epoch {epoch}/{}", self.name, self.epochs));
    }

    pub(crate) fn batch(&mut self) {
        self.bar.inc(1);
    }

    /// The newest loss; smoothed, because that of a single batch jumps.
    pub(crate) fn loss(&mut self, loss: f64) {
        self.loss = if self.loss.is_nan() { loss } else { 0.9 * self.loss + 0.1 * loss };
        self.message();
    }

    pub(crate) fn epoch_is_over(&mut self, epoch: &Epoch, sentences_per_second: f64, is_best: bool) {
        self.mcc = Some(epoch.tune_mcc);
        self.message();
        let best = if is_best { ", the best so far" } else { "" };
        self.line(&format!(
            "{}epoch {}/{}: loss {:.4}, on tune loss {:.4}, accuracy {:.3}, MCC {:.3}{best} ({sentences_per_second:.0} sentences/s)",
            self.name, epoch.epoch, self.epochs, epoch.train_loss, epoch.tune_loss, epoch.tune_accuracy, epoch.tune_mcc
        ));
    }

    /// A line above the bar, or on its own when there is no terminal.
    pub(crate) fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn message(&self) {
        let mcc = self.mcc.map_or_else(String::new, |mcc| format!(", tune MCC {mcc:.3}"));
        self.bar.set_message(format!("loss {:.4}{mcc}", self.loss));
    }
}
