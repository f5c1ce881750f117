//! What a person sees while it runs: bars on a terminal, single lines elsewhere. All of it goes to stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line of its own.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A count of bytes; a bar once the total is known.
pub(crate) fn bytes(name: &str, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg} {decimal_bytes} {decimal_bytes_per_sec}"));
    let length = total.map(|total| format!(", {}", size(total))).unwrap_or_default();
    let bar = started(bar, name, &format!("downloading {name}{length}"));
    if let Some(total) = total {
        set_total(&bar, total);
    }
    bar
}

/// From now on it is known how many bytes there are to come.
pub(crate) fn set_total(bar: &ProgressBar, total: u64) {
    bar.set_length(total);
    bar.set_style(style(
        "{msg} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left",
    ));
}

/// Something whose end nobody knows.
pub(crate) fn spinner(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {msg}, {elapsed}"));
    let bar = started(bar, name, name);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn started(bar: ProgressBar, name: &str, line: &str) -> ProgressBar {
    if bar.is_hidden() {
        note(line);
    }
    bar.with_message(name.to_owned())
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this module; should one be wrong, a plain bar will do.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// A number of bytes as people say it.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
