//! The command line.

use crate::support::{Project, said};

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let project = Project::new();
    for arguments in [
        &["--check", "--diff"][..],
        &["--sweep", "--diff"],
        &["--md", "a.md"],
        &["--by", "tune.mcc"],
        &["--check", "--html", "a.html"],
    ] {
        let output = project.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn help_names_every_page() {
    let said = said(&Project::new().run(&["--help"]));
    for word in ["report/index.html", "report/diff.html", "report/sweep.html", "MODEL_CARD.md", "Exit codes"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn the_same_run_gives_the_same_page() {
    let project = Project::with_data();
    assert!(project.run(&[]).status.success());
    let first = project.read("report/index.html");
    assert!(project.run(&["--html", "report/again.html"]).status.success());
    assert!(first == project.read("report/again.html"));
}
