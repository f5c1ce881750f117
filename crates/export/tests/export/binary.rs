//! The binary.

use std::process::Command;

use wellformed_core::params::Pooling;
use wellformed_model::config::Activation;

use crate::support::Project;

#[test]
fn it_sums_up_on_stdout_and_fails_with_one_message() {
    let project = Project::new(Activation::Gelu, Pooling::Cls);
    let export = |sets: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_export"));
        command.current_dir(project.root());
        for set in [&["compute.device=flex", "prepare.max_length=24", "export.max_mcc_drop=1"], sets].concat() {
            command.args(["--set", set]);
        }
        command.output().unwrap()
    };
    let output = export(&[]);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stdout.starts_with("fp32: MCC ") && stdout.contains("\nmodels/bundle: "), "{stdout}");
    assert_eq!(stderr, "comparing with the checkpoint: 120 sentences on flex\n", "no bar without a terminal");

    let output = export(&["export.max_logit_diff=1e-12"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: the fp32 file differs from the checkpoint"));

    // No run is known to have made this checkpoint, so the bundle has one of its own; the failure has none.
    let runs = std::fs::read_dir(project.root().join("runs")).unwrap();
    let runs: Vec<_> = runs.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let told = std::fs::read_to_string(runs[0].join("run.json")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["status"], &told["artifacts"][0]["name"]), (&"finished".into(), &"wellformed".into()));

    let output = export(&["export.precision=fp16"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("fp16") && stderr.contains("int8"), "{stderr}");
}
