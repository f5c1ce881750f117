//! How stages find each other's runs.

use std::fs;

use wellformed_track::{Journal, Outcome};

use crate::support::{journal, run_folders};

#[test]
fn a_stage_finds_the_run_that_made_its_checkpoint_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (mine, copy, other) = (path("a", "weights"), path("b", "weights"), path("c", "other weights"));
    let journal = journal(folder.path(), &[]);
    journal.remember(&mine, "ab12cd34");
    assert_eq!(journal.run_of(&copy).as_deref(), Some("ab12cd34"), "the same bytes in another place");
    assert_eq!(journal.run_of(&other), None);
    assert_eq!(journal.run_of(&folder.path().join("missing")), None);
    journal.remember(&mine, "zz99zz99");
    assert_eq!(journal.run_of(&mine).as_deref(), Some("zz99zz99"), "trained again: the newest run");
    journal.remember(&mine, "../../etc");
    assert_eq!(journal.run_of(&mine), None, "an id becomes part of a path");
}

#[test]
fn the_sinks_of_params_yaml_are_written_and_no_others() {
    for (sinks, files, wandb) in
        [("[files, wandb]", true, true), ("[files]", true, false), ("[wandb]", false, true), ("[]", false, false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path(), &[&format!("track.sinks={sinks}")]);
        journal.start("train", "ab12cd34", None).finish(Outcome::Finished);
        let weights = folder.path().join("weights");
        fs::write(&weights, "weights").unwrap();
        journal.remember(&weights, "ab12cd34");
        assert_eq!(folder.path().join("runs/ab12cd34/run.json").exists(), files, "{sinks}");
        assert_eq!(folder.path().join("wandb").exists(), wandb, "{sinks}");
        assert_eq!(journal.run_of(&weights).is_some(), files || wandb, "{sinks}");
        if wandb {
            assert!(run_folders(folder.path())[0].join("run-ab12cd34.wandb").is_file());
        }
    }
    let tracker = Journal::off().start("train", "ab12cd34", None);
    tracker.finish(Outcome::Finished);
}

#[test]
fn a_folder_that_cannot_be_written_breaks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("runs"), "a file where a folder should be").unwrap();
    fs::write(folder.path().join("wandb"), "likewise").unwrap();
    let journal = journal(folder.path(), &[]);
    let tracker = journal.start("train", "ab12cd34", None);
    tracker.scalars(1, &[("train/loss", 0.5)]);
    tracker.finish(Outcome::Finished);
    let weights = folder.path().join("weights");
    fs::write(&weights, "weights").unwrap();
    journal.remember(&weights, "ab12cd34");
}
