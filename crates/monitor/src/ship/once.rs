//! Whole files of every kind that records can be read from, without a memory.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Options, REFUSED, ensure_installed, notice};
use crate::bulk::Document;
use crate::cluster::Cluster;
use crate::deliver::{Patience, deliver};
use crate::read::{Records, Span};

/// Records that are in memory at once.
const PART: usize = 5000;

/// Sends the records of all files.
///
/// # Errors
///
/// When a file cannot be read, or the cluster does not take what it is sent. The same command can be run again.
pub(super) fn run(options: &Options, cluster: &Cluster) -> Result<ExitCode> {
    let patience = Patience::until(Some(Instant::now() + options.patience));
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} records sent") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    ensure_installed(cluster, &patience, &mut |text| notice(&bar, text))?;
    let mut records = Records::of_files(&options.logs, Span::default());
    let (mut created, mut already_there) = (0, 0);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let part: Vec<Document> = records
            .by_ref()
            .take(PART)
            .map(|record| Ok(Document::of(record?, &options.index)?))
            .collect::<Result<_>>()?;
        if part.is_empty() {
            break;
        }
        let done = deliver(cluster, &part, &patience, &mut |text| notice(&bar, text))?;
        created += done.created;
        already_there += done.already_there;
        for one in done.refused {
            *refused.entry(one.kind).or_default() += 1;
        }
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    println!("{} records sent ({created} new, {already_there} there already)", created + already_there);
    println!("read: {}", records.tally());
    for (kind, count) in &refused {
        println!("refused by the cluster: {count} ({kind}); they are still in the files");
    }
    let whole = refused.is_empty() && records.tally().damaged == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}
