//! The commit in the manifest.

use std::fs;
use std::path::Path;
use std::process::Command;

use wellformed_export::git::commit;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_commit_is_the_projects_own_and_changes_of_code_or_parameters_show() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path();
    assert_eq!(commit(project), None, "no repository");
    git(project, &["init", "--quiet"]);
    assert_eq!(commit(project), None, "no commit");
    for name in ["params.yaml", "dvc.lock"] {
        fs::write(project.join(name), "seed: 1\n").unwrap();
    }
    git(project, &["add", "."]);
    git(project, &["commit", "--quiet", "--message", "first"]);
    let head = git(project, &["rev-parse", "HEAD"]);
    let found = commit(project).unwrap();
    assert_eq!((found.name.as_str(), found.uncommitted), (head.as_str(), false));

    fs::write(project.join("dvc.lock"), "written by the run itself\n").unwrap();
    assert!(!commit(project).unwrap().uncommitted);
    fs::create_dir_all(project.join("crates/new")).unwrap();
    fs::write(project.join("crates/new/lib.rs"), "").unwrap();
    assert!(commit(project).unwrap().uncommitted, "a new source file");
    fs::remove_dir_all(project.join("crates")).unwrap();
    fs::write(project.join("params.yaml"), "seed: 2\n").unwrap();
    assert!(commit(project).unwrap().uncommitted, "another parameter");

    let inner = project.join("elsewhere/wellformed");
    fs::create_dir_all(&inner).unwrap();
    assert_eq!(commit(&inner), None, "another project's repository");
}
