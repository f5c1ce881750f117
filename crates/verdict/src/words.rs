//! A report in words.

use std::fmt::Write as _;

use wellformed_core::record::Timestamp;
use wellformed_drift::Report;

/// The report in a few lines for a terminal or a log.
pub fn in_words(report: &Report) -> String {
    let mut text = format!("{}: {}\n", report.verdict, headline(report));
    for reason in &report.reasons {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:18}{}", reason.verdict.to_string(), reason.text);
    }
    if let Some(performance) = &report.performance {
        let (mcc, usual) = (&performance.estimated.mcc, &performance.reference_estimated.mcc);
        let _ = write!(
            text,
            "MCC without labels, if the probabilities are calibrated: {:.3} ({:.3} to {:.3}); on the reference {:.3}",
            mcc.value, mcc.low, mcc.high, usual.value
        );
        let measured = performance.reference_measured.as_ref();
        let _ = match measured {
            Some(measured) => writeln!(text, ", where it really is {:.3}", measured.mcc.value),
            None => writeln!(text),
        };
    }
    if let Some([median, p95, p99]) = report.service.latency_ms {
        let _ = writeln!(
            text,
            "latency {median:.1} ms, 95 % below {p95:.1} ms, 99 % below {p99:.1} ms; defects {:.2} %, refused {:.2} %",
            100.0 * report.service.defect_share,
            100.0 * report.service.refused_share
        );
    }
    text
}

/// How much was judged, and against what.
pub fn headline(report: &Report) -> String {
    let span = match (report.from_ms, report.to_ms) {
        (Some(from), Some(to)) => format!(", {} to {}", moment(from), moment(to)),
        _ => String::new(),
    };
    format!(
        "{} predictions of {} records{span}, {} sentences judged against {} of the reference",
        report.predictions, report.records, report.counted, report.reference_sentences
    )
}

/// A moment as people read it, in UTC.
pub fn moment(millis: i64) -> String {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or(0)).to_string()
}
