//! Pictures, as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};
use wellformed_drift::window::{Histogram, Step};

use crate::words::moment;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 150.0;
const BASE: f64 = 122.0;

/// Two histograms over each other, as shares: the reference is a filled shape, the window a line.
pub(super) fn histograms(title: &str, reference: &Histogram, window: &Histogram) -> Markup {
    let share = |histogram: &Histogram| -> Vec<f64> {
        let total = histogram.counts.iter().sum::<u64>().max(1) as f64;
        histogram.counts.iter().map(|&count| count as f64 / total).collect()
    };
    let (a, b) = (share(reference), share(window));
    let highest = a.iter().chain(&b).fold(0.0_f64, |most, &share| most.max(share)).max(1e-9);
    let step = WIDTH / a.len() as f64;
    let outline = |shares: &[f64]| {
        let mut path = format!("M0 {BASE}");
        for (index, share) in shares.iter().enumerate() {
            let y = BASE - share / highest * (BASE - 12.0);
            // Writing to a String cannot fail.
            let _ = write!(path, "V{y:.1}H{:.1}", (index + 1) as f64 * step);
        }
        path + &format!("V{BASE}")
    };
    let flag = a.len() == 2;
    let label = |value: f64| {
        if value.abs() >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
    };
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (title) ": reference and window" } {
            path class="reference" d=(outline(&a)) {}
            path class="window" d=(outline(&b)) {}
            line class="base" x1="0" y1=(BASE) x2=(WIDTH) y2=(BASE) {}
            @if flag {
                text x=(WIDTH / 4.0) y="140" text-anchor="middle" { "no" }
                text x=(WIDTH * 0.75) y="140" text-anchor="middle" { "yes" }
            } @else {
                text x="0" y="140" { (label(reference.low)) }
                text x=(WIDTH / 2.0) y="140" text-anchor="middle" { (label(f64::midpoint(reference.low, reference.high))) }
                text x=(WIDTH) y="140" text-anchor="end" {
                    (label(reference.high)) @if reference.high > 1.0 { " and more" }
                }
            }
            text class="scale" x=(WIDTH) y="10" text-anchor="end" { (format!("{:.0} %", 100.0 * highest)) }
        }
    }
}

/// A figure of the timeline, with a rule where the reference is.
pub(super) fn timeline(
    title: &str,
    (steps, step_ms): (&BTreeMap<i64, Step>, i64),
    of: impl Fn(&Step) -> Option<f64>,
    usual: Option<f64>,
    top: Option<f64>,
) -> Markup {
    let (Some(&first), Some(&last)) = (steps.keys().next(), steps.keys().last()) else { return html! {} };
    let span = (last - first + step_ms) as f64;
    let points: Vec<(f64, f64)> =
        steps.iter().filter_map(|(start, step)| of(step).map(|value| ((start - first) as f64 / span, value))).collect();
    let highest = top.unwrap_or_else(|| points.iter().fold(1e-9_f64, |most, point| most.max(point.1)));
    let y = |value: f64| BASE - (value / highest).clamp(0.0, 1.0) * (BASE - 14.0);
    let bar = (step_ms as f64 / span * WIDTH).max(1.5);
    // A figure with a fixed top is a share.
    let shown = |value: f64| if top.is_none() { format!("{value:.0}") } else { format!("{:.0} %", 100.0 * value) };
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
            @for (x, value) in &points {
                rect class="step" x=(format!("{:.1}", x * WIDTH)) y=(format!("{:.1}", y(*value)))
                    width=(format!("{:.1}", (bar - 0.8).max(1.0))) height=(format!("{:.1}", BASE - y(*value))) {}
            }
            @if let Some(usual) = usual {
                line class="usual" x1="0" x2=(WIDTH) y1=(format!("{:.1}", y(usual))) y2=(format!("{:.1}", y(usual))) {}
            }
            line class="base" x1="0" y1=(BASE) x2=(WIDTH) y2=(BASE) {}
            text class="scale" x=(WIDTH) y="10" text-anchor="end" { (shown(highest)) }
            text x="0" y="140" { (short(first, step_ms)) }
            text x=(WIDTH) y="140" text-anchor="end" { (short(last + step_ms, step_ms)) }
        }
    }
}

/// To the minute, or to the second where a piece is shorter than that.
fn short(millis: i64, step_ms: i64) -> String {
    let length = if step_ms < 60_000 { 19 } else { 16 };
    moment(millis).get(..length).unwrap_or_default().replace('T', " ")
}
