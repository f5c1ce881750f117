//! The environment variables.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use wellformed_core::record::TextPolicy;
use wellformed_infer::{Options, Precision};

/// The folder of the bundle.
pub const BUNDLE: &str = "WELLFORMED_BUNDLE";
/// `fp32` or `int8`.
pub const PRECISION: &str = "WELLFORMED_PRECISION";
/// Threads that predict a list of sentences.
pub const THREADS: &str = "WELLFORMED_THREADS";

/// Lambda gives a function one virtual CPU for this much memory, in MB
/// (AWS Lambda developer guide, "Configure Lambda function memory").
const MEMORY_OF_ONE_CPU: usize = 1769;

/// What the environment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the bundle.
    pub bundle: PathBuf,
    /// How it is opened.
    pub options: Options,
    /// What records may say of sentences: `WELLFORMED_HASH_KEY` and `WELLFORMED_LOG_TEXT`.
    pub texts: TextPolicy,
}

impl Settings {
    /// Reads the settings with `variable`, which returns a variable's value. `executable` is the program's own path:
    /// the bundle may lie beside it. An empty variable counts as one that is not set.
    ///
    /// # Errors
    ///
    /// When a variable has an impossible value, or when there is no bundle in any of the usual places.
    pub fn read(variable: impl Fn(&str) -> Option<String>, executable: Option<&Path>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let precision = match variable(PRECISION) {
            None => None,
            Some(name) => {
                let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
                Some(known.with_context(|| {
                    format!("{PRECISION} is {name:?}, but must be fp32, int8, or not set for the bundle's own default")
                })?)
            }
        };
        let threads = match variable(THREADS) {
            None => default_threads(variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").as_deref()),
            Some(text) => {
                let threads = text.parse().ok().filter(|threads| (1..=64).contains(threads));
                threads.with_context(|| format!("{THREADS} is {text:?}, but must be a number from 1 to 64"))?
            }
        };
        let bundle = match variable(BUNDLE) {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                ensure!(
                    folder.is_dir(),
                    "{BUNDLE} is {}, which is not a folder; it must be a folder with bundle.json in it",
                    folder.display()
                );
                folder
            }
            None => find_bundle(executable, variable("LAMBDA_TASK_ROOT").as_deref())?,
        };
        Ok(Self { bundle, options: Options { precision, threads }, texts: TextPolicy::read(variable)? })
    }
}

/// As many threads as the function's memory buys virtual CPUs, at least one.
fn default_threads(memory: Option<&str>) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let bought = memory.and_then(|megabytes| megabytes.parse::<usize>().ok()).map_or(1, |mb| mb / MEMORY_OF_ONE_CPU);
    bought.clamp(1, cores)
}

fn find_bundle(executable: Option<&Path>, task_root: Option<&str>) -> Result<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    places.extend(executable.and_then(Path::parent).map(|folder| folder.join("bundle")));
    places.extend(task_root.map(|root| Path::new(root).join("bundle")));
    places.push(PathBuf::from("/opt/bundle"));
    places.dedup();
    if let Some(found) = places.iter().find(|place| place.is_dir()) {
        return Ok(found.clone());
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    bail!("there is no bundle: looked for {}; put one there or set {BUNDLE} to its folder", places.join(", "))
}
