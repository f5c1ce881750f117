//! Where and when something was measured: a figure without its machine says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::process::quietly;

/// The machine as it is now, as `machine` in a report has it: processor, cores, memory in GB, system, kernel, compiler,
/// commit, time (UTC), and how busy it is (the mean number of runnable processes over the last minute). What cannot be
/// found out is `null`. Asked before a measurement, so that the measurement itself is not in the load.
pub(super) fn describe(root: &Path) -> Value {
    json!({
        "cpu": cpu(),
        "cores": std::thread::available_parallelism().ok().map(usize::from),
        "memory_gb": memory_gb(),
        "system": system(),
        "kernel": said(Command::new("uname").arg("-sr")),
        "rustc": said(Command::new("rustc").arg("--version")),
        "commit": commit(root),
        "time": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "load": load(),
    })
}

/// The load of a machine that had more to do than half of its cores, as [`describe`] found it: what is measured there is
/// no verdict.
pub(super) fn busy(machine: &Value) -> Option<f64> {
    let (load, cores) = (machine["load"].as_f64()?, machine["cores"].as_f64()?);
    (load > cores / 2.0).then_some(load)
}

/// What a program prints, without white space at the ends; nothing if it cannot be run.
fn said(command: &mut Command) -> Option<String> {
    let (done, text) = quietly(command).ok()?;
    let text = text.trim();
    (done && !text.is_empty()).then(|| text.to_owned())
}

fn cpu() -> Option<String> {
    let listed = fs::read_to_string("/proc/cpuinfo").ok();
    let name = listed.as_deref().and_then(|text| value(text, "model name", ':'));
    name.or_else(|| said(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"])))
}

fn memory_gb() -> Option<f64> {
    let listed = fs::read_to_string("/proc/meminfo").ok();
    let kilobytes = listed.as_deref().and_then(|text| value(text, "MemTotal", ':'));
    let bytes = match kilobytes {
        Some(text) => text.trim_end_matches("kB").trim().parse::<f64>().ok()? * 1024.0,
        None => said(Command::new("sysctl").args(["-n", "hw.memsize"]))?.parse().ok()?,
    };
    Some((bytes / 1e8).round() / 10.0)
}

fn system() -> Option<String> {
    let listed = fs::read_to_string("/etc/os-release").ok();
    let name = listed.as_deref().and_then(|text| value(text, "PRETTY_NAME", '='));
    name.map(|name| name.trim_matches('"').to_owned()).or_else(|| Some(std::env::consts::OS.to_owned()))
}

/// The commit that is checked out; with a plus sign if files that git tracks are changed.
fn commit(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let (done, text) = quietly(Command::new("git").args(arguments).current_dir(root)).ok()?;
        done.then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports/bench"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The value of the first line that has this name before the separator.
fn value(text: &str, name: &str, separator: char) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_name() {
        let text = "MemTotalOther: 1 kB\nMemTotal:       24576 kB\nMemTotal: 2 kB\n";
        assert_eq!(value(text, "MemTotal", ':').as_deref(), Some("24576 kB"));
        assert_eq!(value("PRETTY_NAME=\"A system\"", "PRETTY_NAME", '=').as_deref(), Some("\"A system\""));
        assert_eq!(value(text, "SwapTotal", ':'), None);
    }

    #[test]
    fn a_machine_is_busy_above_half_of_its_cores() {
        assert_eq!(busy(&json!({ "load": 1.01, "cores": 2 })), Some(1.01));
        assert_eq!(busy(&json!({ "load": 1.0, "cores": 2 })), None);
        assert_eq!(busy(&json!({ "load": null, "cores": 2 })), None);
    }

    #[test]
    fn a_machine_has_cores_and_a_time() {
        let machine = describe(&crate::process::root());
        assert!(machine["cores"].as_u64().unwrap() >= 1, "{machine}");
        assert!(machine["time"].as_str().unwrap().ends_with('Z'), "{machine}");
    }
}
