//! The pages: whole in one file, sound as HTML, legible in both schemes.

use std::collections::BTreeSet;

use crate::support::{Project, SECRET, said};

/// Every page that the binary writes.
fn pages() -> Vec<(&'static str, String)> {
    let project = Project::with_data();
    let dvc = project.dvc();
    let dvc = dvc.to_str().unwrap();
    for arguments in [vec![], vec!["--diff", "--dvc", dvc], vec!["--sweep", "--dvc", dvc]] {
        let output = project.run(&arguments);
        assert!(output.status.success(), "{}", said(&output));
    }
    ["report/index.html", "report/diff.html", "report/sweep.html"].map(|path| (path, project.read(path))).to_vec()
}

/// Attributes of a name, from a page without scripts and styles.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let marker = format!(" {name}=\"");
    page.match_indices(&marker).map(|(at, _)| page[at + marker.len()..].split('"').next().unwrap()).collect()
}

#[test]
fn a_page_loads_nothing_and_says_so_to_the_browser() {
    for (name, page) in pages() {
        for word in ["http://", "https://", "<link", "<iframe", "<img", "@import", "url("] {
            assert!(!page.contains(word), "{name} has {word} in it");
        }
        assert!(attributes(&page, "src").is_empty(), "{name}");
        assert!(page.contains("default-src 'none'"), "{name} has no policy against loading");
    }
}

#[test]
fn every_id_is_unique_every_anchor_leads_somewhere_and_every_label_has_its_field() {
    for (name, page) in pages() {
        let ids = attributes(&page, "id");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: {ids:?}");
        for target in attributes(&page, "href") {
            assert!(unique.contains(target.trim_start_matches('#')), "{name}: {target} leads nowhere");
        }
        for kind in ["for", "aria-labelledby"] {
            for target in attributes(&page, kind) {
                assert!(unique.contains(target), "{name}: {kind}={target} has no counterpart");
            }
        }
    }
}

#[test]
fn elements_are_closed_in_the_order_they_were_opened() {
    const VOID: [&str; 4] = ["meta", "br", "input", "!DOCTYPE"];
    for (name, page) in pages() {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = page.as_str();
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            let tag = rest.split(['>', ' ']).next().unwrap();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "{name}: before {}", &rest[..rest.len().min(60)]);
            } else if !VOID.contains(&tag) {
                open.push(tag);
                if tag == "script" || tag == "style" {
                    rest = &rest[rest.find(&format!("</{tag}>")).unwrap()..];
                }
            }
        }
        assert!(open.is_empty(), "{name}: {open:?} stay open");
    }
}

#[test]
fn a_picture_has_words_and_a_table_and_headings_go_down_step_by_step() {
    for (name, page) in pages() {
        let pictures = page.matches("role=\"img\"").count();
        assert!(pictures > 0, "{name}");
        assert!(attributes(&page, "aria-label").iter().all(|label| !label.is_empty()), "{name}");
        if name != "report/sweep.html" {
            assert_eq!(page.matches("<figure ").count(), page.matches("The numbers</summary>").count(), "{name}");
        }
        assert_eq!(page.matches("<h1>").count(), 1, "{name}");
        let first = |tag: &str| page.find(tag).unwrap_or(usize::MAX);
        assert!(first("<h1") < first("<h2") && first("<h2") < first("<h3"), "{name}");
        for table in page.split("<table").skip(1) {
            assert!(
                table.split("</table>").next().unwrap().contains("scope=\"col\""),
                "{name}: a table without headings"
            );
        }
    }
}

#[test]
fn the_report_has_all_its_parts_and_escapes_what_it_quotes() {
    let (_, page) = pages().remove(0);
    for id in ["score", "training", "decisions", "groups", "wrong", "data", "parameters", "provenance"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "no {id}");
    }
    for id in [
        "loss-by-epoch",
        "mcc-by-epoch",
        "loss-by-step",
        "gradient-by-step",
        "roc",
        "precision-recall",
        "reliability",
        "lengths",
    ] {
        assert!(page.contains(&format!("<figure id=\"{id}\"")), "no {id}");
    }
    assert!(page.contains("<p class=\"big\">0.503</p>"));
    let wrong = page.matches(SECRET).count();
    // 400 sentences at an accuracy that the fixture's metrics state.
    assert_eq!(page.matches("<li data-label").count(), wrong);
    assert!(wrong > 50, "{wrong}");
    assert!(page.contains("&lt;b&gt;hums&lt;/b&gt; &amp;") && !page.contains("<b>hums"), "sentences are text");
    assert!(
        page.contains("<tr class=\"marked\"><th scope=\"row\"><code>model.layers"),
        "a changed parameter is marked"
    );
    assert!(page.contains("(committed: 2)"), "with the value that the commit has");
}

#[test]
fn what_is_missing_is_left_out_and_no_run_at_all_is_an_error() {
    let project = Project::new();
    for path in ["reports/train", "reports/prepare"] {
        std::fs::remove_dir_all(project.path(path)).unwrap();
    }
    std::fs::remove_file(project.path("reports/eval/roc.csv")).unwrap();
    let output = project.run(&[]);
    assert!(output.status.success(), "{}", said(&output));
    let page = project.read("report/index.html");
    assert!(!page.contains("<figure id=\"roc\"") && page.contains("<figure id=\"precision-recall\""));
    assert!(page.contains("no data/eval/wrong.csv"));

    std::fs::remove_dir_all(project.path("reports")).unwrap();
    let output = project.run(&[]);
    assert!(!output.status.success() && said(&output).contains("cargo xtask repro"), "{}", said(&output));
}

#[test]
fn a_run_of_other_parameters_than_params_yaml_is_told_of() {
    let project = Project::new();
    let params = project.read("params.yaml").replace("epochs: 3", "epochs: 9");
    std::fs::write(project.path("params.yaml"), params).unwrap();
    let metrics = project.read("reports/eval/metrics.json");
    std::fs::write(project.path("reports/eval/metrics.json"), metrics.replace("0.5031", "0.9031")).unwrap();
    assert!(project.run(&[]).status.success());
    let page = project.read("report/index.html");
    assert!(page.contains("params.yaml has been changed since this run: train.epochs."), "stale");
    assert!(page.contains("not the ones that dvc.lock records: reports/eval/metrics.json."), "edited");
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn colours_have_the_contrast_that_wcag_asks_for_in_light_and_in_dark() {
    let css = include_str!("../../page/page.css");
    let blocks: Vec<&str> = css.split(":root {").skip(1).map(|block| block.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "light, dark and paper");
    for block in &blocks[..2] {
        let colour = |name: &str| {
            let line = block.lines().find(|line| line.trim().starts_with(&format!("--{name}:"))).unwrap();
            line.split(':').nth(1).unwrap().trim().trim_end_matches(';').to_owned()
        };
        let paper = colour("paper");
        for (name, least) in [("ink", 7.0), ("soft", 4.5), ("a", 4.5), ("b", 4.5), ("star", 4.5), ("focus", 3.0)] {
            let found = contrast(&colour(name), &paper);
            assert!(found >= least, "{name} on paper: {found:.2}, but {least} is needed");
        }
        assert!(contrast(&colour("soft"), &colour("raised")) >= 4.5);
    }
}
