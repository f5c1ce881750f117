//! The environment variables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::tempdir;
use wellformed_infer::Precision;
use wellformed_lambda::settings::Settings;

fn read(variables: &[(&str, &str)], executable: Option<&Path>) -> Result<Settings, String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let read = Settings::read(|name| variables.get(name).map(ToString::to_string), executable);
    read.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_bundle_is_looked_for_beside_the_program_then_in_the_task_root() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let executable = path("program/bootstrap");
    let root = path("task");
    let settings = |given: &[(&str, &str)]| read(given, Some(&executable));
    let task = [("LAMBDA_TASK_ROOT", root.to_str().unwrap())];

    let error = settings(&task).unwrap_err();
    for place in ["program/bundle", "task/bundle", "/opt/bundle", "WELLFORMED_BUNDLE"] {
        assert!(error.contains(place), "{error}");
    }
    fs::create_dir_all(path("task/bundle")).unwrap();
    assert_eq!(settings(&task).unwrap().bundle, path("task/bundle"));
    fs::create_dir_all(path("program/bundle")).unwrap();
    assert_eq!(settings(&task).unwrap().bundle, path("program/bundle"));
    fs::create_dir_all(path("mine")).unwrap();
    let mine = path("mine");
    let given = settings(&[("WELLFORMED_BUNDLE", mine.to_str().unwrap())]).unwrap();
    assert_eq!(given.bundle, mine);
}

#[test]
fn a_bundle_that_is_named_has_to_be_there() {
    let error = read(&[("WELLFORMED_BUNDLE", "/no/such/bundle")], None).unwrap_err();
    assert!(error.contains("/no/such/bundle") && error.contains("bundle.json"), "{error}");
}

#[test]
fn precision_and_threads_are_checked() {
    let folder = tempdir().unwrap();
    let bundle = ("WELLFORMED_BUNDLE", folder.path().to_str().unwrap());
    let options = |name, value| read(&[bundle, (name, value)], None).map(|settings| settings.options);
    assert_eq!(options("WELLFORMED_PRECISION", "int8").unwrap().precision, Some(Precision::Int8));
    assert_eq!(options("WELLFORMED_PRECISION", "").unwrap().precision, None, "empty is not set");
    let error = options("WELLFORMED_PRECISION", "fp16").unwrap_err();
    assert!(error.contains("\"fp16\"") && error.contains("fp32, int8"), "{error}");
    assert_eq!(options("WELLFORMED_THREADS", "3").unwrap().threads, 3);
    for wrong in ["0", "65", "two", "-1"] {
        let error = options("WELLFORMED_THREADS", wrong).unwrap_err();
        assert!(error.contains(wrong) && error.contains("from 1 to 64"), "{error}");
    }
}

#[test]
fn threads_follow_the_memory_that_the_function_has() {
    let folder = tempdir().unwrap();
    let bundle = ("WELLFORMED_BUNDLE", folder.path().to_str().unwrap());
    let cores = std::thread::available_parallelism().unwrap().get();
    let threads = |mb| read(&[bundle, ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", mb)], None).unwrap().options.threads;
    for (memory, bought) in [("128", 1), ("1769", 1), ("3537", 1), ("3538", 2), ("10240", 5)] {
        assert_eq!(threads(memory), bought.min(cores), "{memory} MB");
    }
    assert_eq!(read(&[bundle], None).unwrap().options.threads, 1);
}
