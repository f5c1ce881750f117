//! `dvc plots` without a network: a page that has Vega inside.
//!
//! DVC's own page loads Vega from the web each time it is opened. Here Vega's bundles come once, as packages of npm at
//! versions and digests that are written below, and go into a page of ours that DVC fills in. The setting that names
//! the page is this machine's (`.dvc/config.local`), so that where npm cannot be reached DVC's own page goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::environment::Environment;
use crate::process::quietly;

/// A package, its file that a browser runs, and the digest of the package as npm writes it.
struct Script {
    package: &'static str,
    file: &'static str,
    integrity: &'static str,
}

/// What the specifications of DVC 3 are written for: Vega 5 and Vega-Lite 5.
const SCRIPTS: [Script; 3] = [
    Script {
        package: "vega@5.33.1",
        file: "package/build/vega.min.js",
        integrity: "sha512-1fArfVDUqVbb5z8n+/nVQb+VNBzx8svY6CrsyTK4Ujm4yrd9I1auoKxBAPXLCavY1LcrbHUskQbGUP8gXOzyQw==",
    },
    Script {
        package: "vega-lite@5.23.0",
        file: "package/build/vega-lite.min.js",
        integrity: "sha512-l4J6+AWE3DIjvovEoHl2LdtCUkfm4zs8Xxx7INwZEAv+XVb6kR6vIN1gt3t2gN2gs/y4DYTs/RPoTeYAuEg6mA==",
    },
    Script {
        package: "vega-embed@6.29.0",
        file: "package/build/vega-embed.min.js",
        integrity: "sha512-PmlshTLtLFLgWtF/b23T1OwX53AugJ9RZ3qPE2c01VFAbgt3/GSNI/etzA/GzdrkceXFma+FDHNXUppKuM0U6Q==",
    },
];

/// The page, with a place for the scripts; `{plot_divs}` and `{refresh_tag}` are DVC's.
const PAGE: &str = include_str!("plots.html");
const PLACE: &str = "<!-- scripts -->";

/// Where the finished page lies, from `.dvc`.
const FINISHED: &str = "page/offline.html";

/// Makes the page unless it is there and current, and tells DVC of it. Where npm is missing or cannot be reached, says
/// so and leaves things as they are.
///
/// # Errors
///
/// When a package is not the one that is expected, or a file cannot be written.
pub fn make_offline(root: &Path, environment: &Environment) -> Result<()> {
    let page = root.join(".dvc").join(FINISHED);
    let head = format!("<!-- {} -->", SCRIPTS.map(|script| script.package).join(" "));
    let shell = PAGE.split(PLACE).next().unwrap_or_default();
    if fs::read_to_string(&page).is_ok_and(|text| text.contains(&head) && text.starts_with(shell)) {
        return set(root, environment);
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    match fetch(folder.path())? {
        Ok(files) => {
            let mut scripts = head;
            for file in files {
                let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
                scripts += &inline(&text)?;
            }
            let whole = PAGE.replace(PLACE, &scripts);
            fs::create_dir_all(page.parent().unwrap_or(root)).context("cannot make .dvc/page")?;
            fs::write(&page, whole).with_context(|| format!("cannot write {}", page.display()))?;
            eprintln!("`dvc plots show` works offline now: .dvc/{FINISHED}");
            set(root, environment)
        }
        Err(reason) => {
            eprintln!("`dvc plots show` will load Vega from the web: {reason}");
            Ok(())
        }
    }
}

fn set(root: &Path, environment: &Environment) -> Result<()> {
    let mut dvc = environment.program("dvc");
    dvc.args(["config", "--local", "plots.html_template", FINISHED]).current_dir(root);
    let (done, said) = quietly(&mut dvc)?;
    if !done {
        bail!("dvc could not be told of the page for plots:\n{said}");
    }
    Ok(())
}

/// The scripts' files, or why npm did not bring them.
fn fetch(folder: &Path) -> Result<Result<Vec<PathBuf>, String>> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json", "--silent", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=20000"]);
    npm.args(SCRIPTS.map(|script| script.package)).current_dir(folder);
    let Ok(output) = npm.output() else { return Ok(Err("npm is not installed".to_owned())) };
    if !output.status.success() {
        return Ok(Err("npm cannot reach its registry".to_owned()));
    }
    let packed: Value = serde_json::from_slice(&output.stdout).context("`npm pack --json` did not print JSON")?;
    let mut files = Vec::new();
    for script in &SCRIPTS {
        let entry = packed.as_array().into_iter().flatten().find(|entry| entry["id"] == script.package);
        let entry = entry.with_context(|| format!("npm did not pack {}", script.package))?;
        let found = entry["integrity"].as_str().unwrap_or("nothing");
        if found != script.integrity {
            bail!(
                "{} from npm has the digest {found}, but must have {}; it is not the package that this project knows",
                script.package,
                script.integrity
            );
        }
        let archive = entry["filename"].as_str().context("npm did not say where the package is")?;
        let mut tar = Command::new("tar");
        let (unpacked, said) = quietly(tar.args(["-xzf", archive, script.file]).current_dir(folder))?;
        if !unpacked {
            bail!("{archive} cannot be unpacked:\n{said}");
        }
        files.push(folder.join(script.file));
    }
    Ok(Ok(files))
}

/// A script as an element of a page that DVC fills in.
fn inline(text: &str) -> Result<String> {
    // Either would end the script, or be taken for a place to fill in.
    for trap in ["</script", "{plot_divs}", "{refresh_tag}", "{scripts}"] {
        if text.contains(trap) {
            bail!("a script has `{trap}` in it, so it cannot stand in a page");
        }
    }
    Ok(format!("\n<script>\n{text}\n</script>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_places_that_dvc_fills_and_loads_nothing() {
        assert_eq!(PAGE.matches(PLACE).count(), 1);
        assert_eq!(PAGE.matches("{plot_divs}").count(), 1);
        assert_eq!(PAGE.matches("{refresh_tag}").count(), 1);
        // This one would be filled with scripts from the web.
        assert!(!PAGE.contains("{scripts}"));
        assert!(!PAGE.contains("http"), "the page names an address");
    }

    #[test]
    fn a_script_that_would_break_the_page_is_refused() {
        assert!(inline("let a = 1;").unwrap().contains("<script>\nlet a = 1;\n</script>"));
        assert!(inline("document.write('</script>')").is_err());
        assert!(inline("f`{plot_divs}`").is_err());
    }
}
