//! `docs/benchmarks.md`, made of the files in `reports/bench/` and nothing else, so that no figure is copied by hand.

mod cold_start;
mod figures;
mod format;
mod inference;
mod monitoring;
mod release;
mod serving;
mod training;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::figures::Report;
use self::format::{Table, bar, paragraph, ratio};
use super::{machine, write_whole};

/// The page, from the project's root.
pub const PAGE: &str = "docs/benchmarks.md";

/// One subject of the page.
struct Section {
    title: &'static str,
    /// Markdown below the title.
    body: String,
    /// What of it stands in the table at the top.
    headlines: Vec<Headline>,
}

/// A line of the table at the top.
struct Headline {
    what: String,
    ours: String,
    instead: String,
    /// Above 1 in this project's favour.
    ratio: f64,
    /// Measured on a machine that was busy with other things.
    provisional: bool,
}

/// Writes the page.
///
/// # Errors
///
/// When a file of `reports/bench/` is not what its measurement writes, or the page cannot be written.
pub fn write(root: &Path) -> Result<()> {
    write_whole(&root.join(PAGE), &render(root)?)?;
    println!("{PAGE} is written");
    Ok(())
}

/// Holds the page against the files that it is made of.
///
/// # Errors
///
/// When it differs, with the first line that does; or when it cannot be made.
pub fn check(root: &Path) -> Result<()> {
    let wanted = render(root)?;
    let found = fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    if wanted == found {
        return Ok(());
    }
    let lines = wanted.lines().map(Some).chain(std::iter::repeat(None));
    let both = lines.zip(found.lines().map(Some).chain(std::iter::repeat(None)));
    let (number, (wanted, found)) =
        both.enumerate().find(|(_, (wanted, found))| wanted != found).context("they differ in line ends")?;
    bail!(
        "{PAGE} is not what reports/bench/*.json give. Line {} is\n  {}\nand should be\n  {}\nMake it again: cargo xtask \
         bench --write",
        number + 1,
        found.unwrap_or("(the end)"),
        wanted.unwrap_or("(the end)")
    )
}

const HEAD: &str = "\
# Benchmarks

<!-- Made by `cargo xtask bench --write` out of reports/bench/*.json. What is changed here by hand is lost. -->

This project beside what one would run instead: both sides in one run, in turn, on the same machine, doing the same work,
which the measurement checks where it can. **A ratio above 1 is in this project's favour, a ratio below 1 is not**, for
time, memory and size alike. Figures are medians, where there are brackets with the lowest and the highest; MB of memory
are 2²⁰ bytes. A full block of a bar is a ratio of 1.
";

const TAIL: &str = "\
## What is not measured

- Devices other than the processor: no command here runs on a GPU.
- AWS itself: cold starts are those of the image under the same limits on the machine named above, and releases go to
  stand-ins, without the way to a region and the time that a canary waits.
";

/// The page as it should be.
///
/// # Errors
///
/// When a file of `reports/bench/` is not what its measurement writes.
pub fn render(root: &Path) -> Result<String> {
    let mut sections = vec![training::section(root)?];
    sections.push(inference::section(root)?);
    sections.push(serving::section(root)?);
    sections.extend(cold_start::sections(root)?);
    sections.push(monitoring::section(root)?);
    sections.push(release::section(root)?);
    let mut overview = Table::new(&["measured", "ours", "instead", "ratio", ""]);
    for section in &sections {
        for line in &section.headlines {
            let link = format!("[{}](#{}), {}", section.title, anchor(section.title), line.what);
            // What a busy machine gave is not to be quoted.
            let [beside, drawn] = if line.provisional {
                ["provisional".to_owned(), String::new()]
            } else {
                [ratio(line.ratio), bar(line.ratio)]
            };
            overview.row([link, line.ours.clone(), line.instead.clone(), beside, drawn]);
        }
    }
    let mut parts = vec![HEAD.to_owned()];
    parts.extend((!overview.is_empty()).then(|| overview.to_string()));
    parts.extend(sections.iter().map(|section| format!("## {}\n\n{}", section.title, section.body)));
    parts.push(TAIL.to_owned());
    Ok(parts.join("\n"))
}

/// What a heading is linked by.
fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

/// The body of a section whose file is not there.
fn not_measured(title: &'static str, command: &str) -> Section {
    Section { title, body: format!("Not measured yet: `{command}`.\n"), headlines: Vec::new() }
}

/// How to repeat a measurement, and when and where it was made.
fn provenance(report: &Report, command: &str) -> String {
    let machine = report.machine();
    if machine.is_null() {
        return format!("Repeat it with `{command}`. Measured on a machine that was not recorded.\n");
    }
    let known = |key: &str| match &machine[key] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "unknown".to_owned(),
    };
    let mut text = format!(
        "Repeat it with `{command}`. Measured at {} on {} ({} cores, {} GB of memory) with {}, {} and {}, at commit {}.",
        known("time"),
        known("cpu"),
        known("cores"),
        known("memory_gb"),
        known("system"),
        known("kernel"),
        known("rustc"),
        known("commit"),
    );
    if let Some(load) = machine::busy(machine) {
        text += " **The machine was busy with other things** (load ";
        text += &load.to_string();
        text += " before the measurement): these figures are provisional.";
    }
    paragraph(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project(reports: &[(&str, Value)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("reports/bench")).unwrap();
        fs::create_dir_all(folder.path().join("docs")).unwrap();
        for (name, report) in reports {
            fs::write(folder.path().join(format!("reports/bench/{name}.json")), report.to_string()).unwrap();
        }
        folder
    }

    fn spread(median: f64) -> Value {
        json!({ "low": median * 0.9, "median": median, "high": median * 1.1 })
    }

    fn training(ours: f64, theirs: f64) -> Value {
        let side = |speed: f64| json!({ "sentences_per_second": spread(speed), "last_loss": 0.5, "peak_memory_mb": spread(500.0) });
        json!({
            "batch": 32, "epochs": 2, "repeat": 3, "threads": 2, "sentences": 1280, "tokens": 14_000, "longest": 40,
            "padded_batches": 8, "padded_to": 128,
            "versions": { "burn": "0.22.1", "torch": "2.9.0", "transformers": "5.23.0" },
            "shapes": [{
                "shape": "6x384", "weights": "base", "ours": side(ours), "pytorch": side(theirs),
                "pytorch_padded": side(10.0), "ratio": ours / theirs, "ratio_padded": ours / 10.0,
            }],
        })
    }

    fn with_machine(mut report: Value, load: f64) -> Value {
        report["machine"] = json!({
            "cpu": "A processor", "cores": 2, "memory_gb": 25.2, "system": "A system", "kernel": "Linux 6", "load": load,
            "rustc": "rustc 1.95.0", "commit": "0123456789ab", "time": "2026-01-02T03:04:05Z",
        });
        report
    }

    #[test]
    fn without_measurements_the_page_says_how_to_make_them() {
        let page = render(project(&[]).path()).unwrap();
        for command in ["train", "infer", "serve", "cold-start", "monitor", "release"] {
            assert!(page.contains(&format!("Not measured yet: `cargo xtask bench {command}")), "{command}:\n{page}");
        }
    }

    #[test]
    fn where_we_are_behind_the_page_says_so() {
        let page = render(project(&[("train", training(80.0, 100.0))]).path()).unwrap();
        assert!(page.contains("0.80 (behind)"), "{page}");
        let page = render(project(&[("train", training(120.0, 100.0))]).path()).unwrap();
        assert!(page.contains("1.20") && !page.contains("behind"), "{page}");
    }

    #[test]
    fn a_machine_that_was_not_recorded_is_not_made_up() {
        let page = render(project(&[("train", training(1.0, 1.0))]).path()).unwrap();
        assert!(page.contains("Measured on a machine that was not recorded."), "{page}");
        let report = with_machine(training(1.0, 1.0), 0.1);
        let page = render(project(&[("train", report)]).path()).unwrap();
        let words = page.replace('\n', " ");
        assert!(
            words.contains("2026-01-02T03:04:05Z on A processor (2 cores, 25.2 GB of memory) with A system"),
            "{page}"
        );
        assert!(!page.contains("busy"), "{page}");
    }

    #[test]
    fn candidates_that_were_kept_out_are_counted_on_each_side_and_an_unknown_one_is_named() {
        let side = |live: bool| json!({ "live": live, "failed": 2, "calls": 1_050 });
        let times = json!({ "release": spread(10.0), "rollback": spread(2.0) });
        let report = |bad: &str| {
            json!({
                "repeat": 5, "image_bytes": 6_400_000, "seconds_watched": 5, "ours": times, "script": times,
                "versions": { "aws": "1.2.3", "skopeo": "4.5.6" },
                "candidates": [
                    { "candidate": "sound", "ours": side(true), "script": side(true) },
                    { "candidate": "worse", "ours": side(false), "script": side(true) },
                    { "candidate": bad, "ours": side(false), "script": side(false) },
                ],
            })
        };
        let page = render(project(&[("release", report("stale-image"))]).path()).unwrap();
        assert!(
            page.contains("Of 2 candidates that do not belong into service, ours kept out 2, the script 1."),
            "{page}"
        );
        assert!(page.contains("no, 2 of 1,050") && page.contains("yes, 2 of 1,050"), "{page}");
        let error = render(project(&[("release", report("strange"))]).path()).unwrap_err().to_string();
        assert!(error.contains("`strange`") && error.contains("cargo xtask bench release"), "{error}");
    }

    #[test]
    fn figures_of_a_busy_machine_are_called_provisional() {
        let page = render(project(&[("train", with_machine(training(1.0, 1.0), 1.5))]).path()).unwrap();
        let words = page.replace('\n', " ");
        assert!(words.contains("busy with other things** (load 1.5 before"), "{page}");
        assert!(page.lines().any(|line| line.contains("#training") && line.contains("provisional")), "{page}");
    }

    #[test]
    fn a_figure_that_is_missing_is_named_with_its_file_and_the_command() {
        let mut report = training(1.0, 2.0);
        report["shapes"][0]["pytorch"]["sentences_per_second"] = json!({ "median": "fast" });
        let error = format!("{:#}", render(project(&[("train", report)]).path()).unwrap_err());
        for part in ["reports/bench/train.json", "shapes.0.pytorch.sentences_per_second.", "cargo xtask bench train"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_page_that_is_behind_its_files_is_found_out() {
        let folder = project(&[("train", training(80.0, 100.0))]);
        assert!(check(folder.path()).is_err(), "there is no page yet");
        write(folder.path()).unwrap();
        check(folder.path()).unwrap();
        fs::write(folder.path().join("reports/bench/train.json"), training(90.0, 100.0).to_string()).unwrap();
        let error = check(folder.path()).unwrap_err().to_string();
        assert!(error.contains("0.80") && error.contains("0.90") && error.contains("bench --write"), "{error}");
    }
}
