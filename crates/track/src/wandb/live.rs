//! Upload while the run goes on: `wandb beta sync --live` beside the growing log.
//!
//! The uploader is a program of its own, which training never waits for. A shell starts it and watches a pipe that
//! only the tracked process holds open: when that process finishes the run, or dies, the pipe closes, the uploader has
//! a limited time to send the rest, and then it is stopped with everything that it started.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Arguments: seconds, then the uploader's command line.
const WATCH: &str = r#"
exec 3<&0
limit=$1
shift
"$@" </dev/null &
child=$!
(cat <&3; sleep "$limit"; kill -TERM $child; sleep 3; kill -KILL 0) >/dev/null 2>&1 &
wait $child
"#;

/// How to upload.
#[derive(Debug, Clone)]
pub struct Live {
    /// W&B's command line.
    pub program: PathBuf,
    /// How long the uploader may go on once the run has ended.
    pub limit: Duration,
}

impl Live {
    /// The project's own client, `.venv-wandb/bin/wandb`, or else the one on the path. For the rest it has a minute, or
    /// as many seconds as `WELLFORMED_UPLOAD_SECONDS` says.
    pub fn in_project(root: &Path) -> Self {
        let own = root.join(".venv-wandb/bin/wandb");
        // Not through links: an environment knows itself by the path that it is called by.
        let program = if own.exists() { std::path::absolute(&own).unwrap_or(own) } else { "wandb".into() };
        let seconds = std::env::var("WELLFORMED_UPLOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
        Self { program, limit: Duration::from_secs(seconds) }
    }

    pub(super) fn start(&self, folder: &Path) -> Result<Upload> {
        if std::env::var_os("WANDB_API_KEY").is_none_or(|key| key.is_empty()) {
            bail!("WANDB_API_KEY is not set");
        }
        let found = self.program.components().count() > 1
            || std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|place| place.join(&self.program).is_file()));
        if !found {
            bail!("there is no `wandb` in .venv-wandb or on the path");
        }
        let log = folder.join("logs/upload.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "sh"]).arg(self.limit.as_secs().to_string()).arg(&self.program);
        command.args(["beta", "sync", "--live", "--yes"]).arg(folder);
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        // A group of its own: Ctrl-C for training is not meant for what uploads the rest.
        let child = command.process_group(0).spawn().context("cannot start sh")?;
        Ok(Upload { child, limit: self.limit, log })
    }
}

/// An uploader that is running.
#[derive(Debug)]
pub(super) struct Upload {
    child: Child,
    limit: Duration,
    log: PathBuf,
}

impl Upload {
    /// An error when the uploader has ended while the run goes on.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the uploader has ended ({status}); see {}", self.log.display()),
        }
    }

    /// The log is complete: waits until it is uploaded, within the limit.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        // The shell kills its group a few seconds after the limit, itself included.
        let deadline = Instant::now() + self.limit + Duration::from_secs(10);
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the upload was not completed ({status}); see {}", self.log.display()),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        bail!("the uploader does not end; see {}", self.log.display())
    }
}
