//! A program run to its end, with its time and the most memory it had.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::describe;

/// How often the memory of a running program is looked at. The kernel keeps the highest value, so only what a program
/// grows by in its very last moments is missed.
const INTERVAL: Duration = Duration::from_millis(10);

/// What a program did.
#[derive(Debug)]
pub(super) struct Finished {
    /// What it printed.
    pub(super) stdout: String,
    /// From its start to its end, in seconds.
    pub(super) seconds: f64,
    /// The most memory it had (resident set), in MB of 2²⁰ bytes; `None` where there is no `/proc`.
    pub(super) peak_memory_mb: Option<f64>,
}

/// Runs a program that must end with one of these exit codes. What it says on standard error is shown if it does not.
///
/// # Errors
///
/// When it cannot be started, or ends in another way.
pub(super) fn finished(command: &mut Command, codes: &[i32]) -> Result<Finished> {
    let began = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("cannot start `{}`", describe(command)))?;
    let status = format!("/proc/{}/status", child.id());
    let over = AtomicBool::new(false);
    let (output, seconds, peak) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = None;
            while !over.load(Ordering::Relaxed) {
                peak = fs::read_to_string(&status).ok().as_deref().and_then(peak_kilobytes).max(peak);
                std::thread::sleep(INTERVAL);
            }
            peak
        });
        let output = child.wait_with_output();
        let seconds = began.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        (output, seconds, watch.join().unwrap_or(None))
    });
    let output = output.with_context(|| format!("cannot wait for `{}`", describe(command)))?;
    if !output.status.code().is_some_and(|code| codes.contains(&code)) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}:\n{said}", describe(command), output.status);
    }
    let stdout = String::from_utf8(output.stdout);
    let stdout = stdout.with_context(|| format!("`{}` printed what is not UTF-8", describe(command)))?;
    Ok(Finished { stdout, seconds, peak_memory_mb: peak.map(|kilobytes| kilobytes as f64 / 1024.0) })
}

/// `VmHWM` of `/proc/PID/status`.
fn peak_kilobytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_mark_is_read() {
        assert_eq!(peak_kilobytes("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    7316 kB\nVmRSS:\t 5 kB\n"), Some(7316));
        assert_eq!(peak_kilobytes("Name:\tx\n"), None);
    }

    #[test]
    fn memory_that_was_given_back_still_counts() {
        // The shell holds 64 MB in a variable, and then lets go of it.
        let script = "a=$(head -c 67108864 /dev/zero | tr '\\0' 'x'); a=; sleep 0.2; echo done";
        let finished = finished(Command::new("sh").args(["-c", script]), &[0]).unwrap();
        assert_eq!(finished.stdout, "done\n");
        if let Some(peak) = finished.peak_memory_mb {
            assert!(peak > 64.0, "{peak} MB");
        }
    }

    #[test]
    fn an_exit_code_that_was_not_expected_is_an_error_with_what_was_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo reason >&2; exit 10"]);
        assert!(finished(&mut command, &[0, 10]).is_ok());
        let error = finished(&mut command, &[0]).unwrap_err().to_string();
        assert!(error.contains("reason") && error.contains("10"), "{error}");
    }
}
