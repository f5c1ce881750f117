//! Verdicts in the cluster, where the dashboard shows them.

use anyhow::{Result, bail};
use url::form_urlencoded::byte_serialize;
use wellformed_core::record::Timestamp;
use wellformed_drift::{Area, Report, Verdict};
use wellformed_kibana::verdict::{self, Conclusion, Finding};

use crate::cluster::Cluster;
use wellformed_verdict::words::moment;

/// The verdict as the dashboard expects it.
pub(crate) fn document(report: &Report, bundle: &str, now: Timestamp) -> verdict::Verdict {
    let finding = |reason: &wellformed_drift::Reason| {
        let signal = report.signals.iter().find(|one| reason.area == Area::Drift && one.signal.name() == reason.code);
        Finding {
            signal: reason.code.clone(),
            verdict: conclusion(reason.verdict),
            test: signal.map(|one| one.test.to_owned()),
            statistic: signal.map(|one| one.statistic),
            p_value: signal.map(|one| one.p_adjusted),
            reason: reason.text.clone(),
        }
    };
    let mcc = report.performance.as_ref().map(|performance| performance.estimated.mcc);
    verdict::Verdict {
        timestamp: now.to_string(),
        verdict: conclusion(report.verdict),
        window_start: report.from_ms.map_or_else(|| now.to_string(), moment),
        // The first moment after the window.
        window_end: report.to_ms.map_or_else(|| now.to_string(), |to| moment(to + 1)),
        records: report.predictions,
        signals: report.signals.len() as u64,
        findings: report.reasons.iter().filter(|one| one.verdict >= Verdict::Warn).map(finding).collect(),
        service: None,
        bundle: bundle.to_owned(),
        estimated_mcc: mcc.map(|mcc| mcc.value),
        estimated_mcc_low: mcc.map(|mcc| mcc.low),
        estimated_mcc_high: mcc.map(|mcc| mcc.high),
    }
}

/// Puts the verdict into its index. The same window again replaces its verdict.
///
/// # Errors
///
/// When the cluster cannot be reached or does not take it.
pub(crate) fn keep(cluster: &Cluster, document: &verdict::Verdict) -> Result<()> {
    let id: String = byte_serialize(document.id().as_bytes()).collect();
    let body = serde_json::to_vec(document)?;
    let answer = cluster.ask("PUT", &format!("{}/_doc/{id}", verdict::INDEX), Some(&body))?;
    if !answer.is_success() {
        bail!(
            "{} does not take the verdict: {} (HTTP status {}); `monitor install` makes its index",
            cluster.url(),
            answer.error_type().unwrap_or_else(|| "no reason given".to_owned()),
            answer.status
        );
    }
    Ok(())
}

fn conclusion(verdict: Verdict) -> Conclusion {
    match verdict {
        Verdict::Ok => Conclusion::Ok,
        Verdict::InsufficientData => Conclusion::InsufficientData,
        Verdict::Warn => Conclusion::Warn,
        Verdict::Alert => Conclusion::Alert,
    }
}
