//! `deploy.yaml`.

use std::fs;
use std::path::Path;

use wellformed_release::settings::Settings;

const COMMITTED: &str = include_str!("../../../../deploy.yaml");

pub(crate) fn committed() -> Settings {
    load(COMMITTED).unwrap()
}

fn load(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deploy.yaml");
    fs::write(&path, text).unwrap();
    Settings::load(&path).map_err(|error| format!("{error:#}"))
}

#[test]
fn the_committed_file_is_right() {
    let settings = committed();
    assert_eq!(settings.function.alias, "live");
    assert_eq!(settings.function.architecture.name(), "x86_64");
}

#[test]
fn what_cannot_be_is_refused_with_the_key_and_what_would_be_right() {
    for (from, to, said) in [
        ("  alias: live", "  alias: 7", "alias"),
        ("  alias: live", "  alias: \"7\"", "a number is a version's name"),
        ("  memory_mib: 512", "  memory_mib: 64", "function.memory_mib is 64, but must be 128 to 10240"),
        ("  memory_mib: 512", "  memory: 512", "memory"),
        ("  timeout_s: 15", "  timeout_s: soon", "timeout_s"),
        ("  environment: {}", "  environment: {AWS_REGION: x}", "AWS_REGION"),
        ("  retention_days: 30", "  retention_days: 31", "logs.retention_days is 31"),
        ("  weight: 0.2", "  weight: 1", "canary.weight is 1, but must be above 0 and below 1"),
        ("  architecture: x86_64", "  architecture: x86", "x86"),
        ("region: eu-central-1", "region: \"\"", "region"),
    ] {
        let text = COMMITTED.replacen(from, to, 1);
        assert_ne!(text, COMMITTED, "{from} is not in the file");
        let error = load(&text).unwrap_err();
        assert!(error.contains(said) && error.contains("deploy.yaml"), "{to}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Settings::load(Path::new("nowhere/deploy.yaml")).unwrap_err();
    assert!(error.to_string().contains("nowhere/deploy.yaml"), "{error}");
}
