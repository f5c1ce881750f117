//! What a person sees while a release goes on: a spinner on a terminal, a line for each step everywhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::state::Step;

/// Who tells a person.
#[derive(Debug)]
pub struct Voice {
    bar: ProgressBar,
    quiet: bool,
}

impl Voice {
    /// On standard error.
    pub fn aloud() -> Self {
        Self { bar: ProgressBar::new_spinner(), quiet: false }
    }

    /// Nowhere.
    pub fn silent() -> Self {
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), quiet: true }
    }

    /// A step begins.
    pub fn begin(&self, step: Step) {
        self.bar.set_message(format!("{:9} {} …", step.name(), step.purpose()));
        self.bar.enable_steady_tick(Duration::from_millis(120));
    }

    /// A step goes on.
    pub fn still(&self, step: Step, text: &str) {
        self.bar.set_message(format!("{:9} {text} …", step.name()));
    }

    /// Something is to be said.
    pub fn say(&self, what: &str, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{what:9} {text}"));
        }
    }

    /// Nothing goes on any more.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
