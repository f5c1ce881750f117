//! Releases: their time, and what becomes of candidates that are no good.

use std::path::Path;

use anyhow::{Result, bail};

use super::figures::{Figures, Report};
use super::format::{Table, count, figure, paragraph, ratio};
use super::{Headline, Section, not_measured, provenance};

const COMMAND: &str = "cargo xtask bench release";

/// A candidate in words; `true` if it belongs into service.
fn candidate(name: &str) -> Result<(&'static str, bool)> {
    Ok(match name {
        "sound" => ("a better model", true),
        "worse" => ("a worse model", false),
        "stale-image" => ("the image of the candidate before", false),
        "crashes-at-once" => ("crashes when it is asked", false),
        "crashes-later" => ("crashes from the third answer on", false),
        other => bail!("reports/bench/release.json: there is no candidate `{other}`; measure again: {COMMAND}"),
    })
}

/// How a release of a candidate ended.
fn ending(side: &Figures<'_>) -> Result<String> {
    let live = side.flag("live")?;
    let [failed, calls] = [side.number("failed")?, side.number("calls")?];
    Ok(format!("{}, {} of {}", if live { "yes" } else { "no" }, count(failed), count(calls)))
}

pub(super) fn section(root: &Path) -> Result<Section> {
    let title = "Release";
    let Some(report) = Report::read(root, "release", COMMAND)? else { return Ok(not_measured(title, COMMAND)) };
    let all = report.figures();
    let [ours, script] = [all.at("ours"), all.at("script")];
    let about = format!(
        "From an image that is built to a new version of the function that has everybody, and back again, beside a \
         script that pushes the image, gives it to the function and moves the alias \
         ([bench/release.sh](../bench/release.sh), aws-cli {}, skopeo {}). Both release against [moto](https://docs.getmoto.org) and a \
         registry, which are no farther than this machine, with a program in front that runs the pushed images; the \
         image is small ({} MB), and the canary does not wait (`canary.seconds: 0`); runs of each side: {}. So the ratio is of what is done \
         besides: the gate, the image's verification, the trial by number, the canary's answers, the record, the tags.",
        all.text("versions.aws")?,
        all.text("versions.skopeo")?,
        figure(all.number("image_bytes")? / 1e6),
        count(all.number("repeat")?),
    );
    let mut times = Table::new(&["", "ours", "script", "ratio"]);
    let mut headlines = Vec::new();
    for (task, what) in [("release", "a release, s"), ("rollback", "a rollback, s")] {
        let [mine, theirs] = [ours.median(task)?, script.median(task)?];
        times.row([what.to_owned(), ours.spread(task)?, script.spread(task)?, ratio(theirs / mine)]);
        headlines.push(Headline {
            what: format!("a {task}"),
            ours: format!("{} s", figure(mine)),
            instead: format!("script: {}", figure(theirs)),
            ratio: theirs / mine,
            provisional: report.provisional(),
        });
    }
    let what_it_buys = format!(
        "What that time buys. One caller asks through the alias ten times a second, or as often as there are answers, \
         from the beginning of the release until {} s after its end; of each candidate: whether it was in service then, \
         and how many of the caller's calls had failed.",
        count(all.number("seconds_watched")?),
    );
    let mut candidates =
        Table::new(&["candidate", "ours: in service, failed calls", "script: in service, failed calls"]);
    let (mut bad, mut kept_out) = (0, [0, 0]);
    for one in all.list("candidates")? {
        let (name, belongs) = candidate(one.text("candidate")?)?;
        let sides = [one.at("ours"), one.at("script")];
        let [mine, theirs] = [ending(&sides[0])?, ending(&sides[1])?];
        candidates.row([name.to_owned(), mine, theirs]);
        if belongs {
            continue;
        }
        bad += 1;
        for (kept_out, side) in kept_out.iter_mut().zip(&sides) {
            *kept_out += i32::from(!side.flag("live")?);
        }
    }
    let [mine, theirs] = kept_out;
    let sum =
        format!("Of {bad} candidates that do not belong into service, ours kept out {mine}, the script {theirs}.");
    let body = [
        paragraph(&about),
        times.to_string(),
        paragraph(&what_it_buys),
        candidates.to_string(),
        paragraph(&sum),
        provenance(&report, COMMAND),
    ]
    .join("\n");
    Ok(Section { title, body, headlines })
}
