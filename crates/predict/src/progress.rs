//! A bar on a terminal, on stderr; nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::input::Extent;
use crate::pipeline::Summary;

/// How far it is.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar with an end if the input's is known. It draws nothing where stderr is no terminal.
    pub(crate) fn new(extent: Option<Extent>, hidden: bool) -> Self {
        let (length, template) = match extent {
            Some(Extent::Bytes(length) | Extent::Rows(length)) => {
                (Some(length), "[{bar:30}] {percent} %, {msg}, {eta} left")
            }
            None => (None, "{spinner} {msg}, {elapsed}"),
        };
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        // The templates are constants; should one be wrong, a plain bar will do.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(length, target).with_style(style.progress_chars("=> "));
        Self(bar)
    }

    /// So much is done, and the input is read as far as `position`.
    pub(crate) fn show(&self, summary: &Summary, position: u64) {
        let rate = summary.rows() as f64 / summary.elapsed.as_secs_f64().max(1e-9);
        self.0.set_message(format!("{} sentences ({rate:.0}/s)", summary.rows()));
        self.0.set_position(position);
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
