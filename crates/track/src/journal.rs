//! Which sinks params.yaml asks for, where they write, and which run a checkpoint came from.
//!
//! Stages are processes of their own, so the run's id has to be handed on. It cannot lie in the checkpoint: an id is new
//! for every training, and two trainings with the same result would then differ for DVC. So it is written beside the
//! runs, `runs/checkpoints/DIGEST.json`, under the digest of the checkpoint's weights. A later stage that finds its
//! checkpoint there joins that run; one that does not, as on another machine, starts a run of its own.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellformed_core::files::{read_json, sha256_file, write_json};
use wellformed_core::params::{Params, SinkKind, TrackParams, WandbMode};

use crate::files::Files;
use crate::sink::{Run, Sink};
use crate::tracker::Tracker;
use crate::wandb::{Live, Settings, Wandb};

/// Where runs are written.
#[derive(Debug, Clone)]
pub struct Journal {
    track: Option<TrackParams>,
    config: Value,
    /// The stage's project.
    project: PathBuf,
    /// Where `runs/` and `wandb/` are.
    root: PathBuf,
}

/// `runs/checkpoints/DIGEST.json`.
#[derive(Serialize, Deserialize)]
struct Origin {
    run: String,
}

impl Journal {
    /// As params.yaml says. A queued experiment of DVC runs in a copy of the project that is removed afterwards, and
    /// `DVC_ROOT` names the project itself: its runs are written there.
    pub fn in_project(project: &Path, params: &Params) -> Self {
        let root = env::var_os("DVC_ROOT").map_or_else(|| project.to_owned(), PathBuf::from);
        Self::new(project, &root, params)
    }

    /// As [`Journal::in_project`], with `runs/` and `wandb/` below `root`.
    pub fn new(project: &Path, root: &Path, params: &Params) -> Self {
        Self {
            track: Some(params.track.clone()),
            config: serde_json::to_value(params).unwrap_or_default(),
            project: project.to_owned(),
            root: root.to_owned(),
        }
    }

    /// A journal that nothing is written into.
    pub fn off() -> Self {
        Self { track: None, config: Value::Null, project: PathBuf::new(), root: PathBuf::new() }
    }

    /// Starts a part of a run, or goes on with one: `resumed_after` optimiser steps of it are done and kept.
    pub fn start(&self, job: &str, id: &str, resumed_after: Option<u64>) -> Tracker {
        let mut run = Run::new(id, job, self.config.clone());
        run.root.clone_from(&self.project);
        run.resumed_after = resumed_after;
        // What DVC calls an experiment is a better name than one that W&B makes up.
        run.name = env::var("DVC_EXP_NAME").unwrap_or_default();
        Tracker::start(run, self.sinks())
    }

    fn sinks(&self) -> Vec<Box<dyn Sink>> {
        let Some(track) = &self.track else { return Vec::new() };
        let sink = |kind: &SinkKind| -> Box<dyn Sink> {
            match kind {
                SinkKind::Files => Box::new(Files::new(&self.root.join("runs"))),
                SinkKind::Wandb => Box::new(Wandb::new(Settings {
                    folder: self.root.join("wandb"),
                    project: track.wandb.project.clone(),
                    entity: track.wandb.entity.clone(),
                    sentences: track.wandb.sentences,
                    live: (track.wandb.mode == WandbMode::Online).then(|| Live::in_project(&self.root)),
                })),
            }
        };
        track.sinks.iter().map(sink).collect()
    }

    fn origin(&self, weights: &Path) -> Result<PathBuf> {
        let digest = sha256_file(weights)?;
        Ok(self.root.join("runs/checkpoints").join(format!("{digest}.json")))
    }

    /// Notes which run made a checkpoint, given its weights. That it cannot is told and breaks nothing.
    pub fn remember(&self, weights: &Path, id: &str) {
        if self.sinks().is_empty() {
            return;
        }
        let write = || write_json(&self.origin(weights)?, &Origin { run: id.to_owned() });
        if let Err(error) = write() {
            eprintln!("warning: later stages will not find the run {id}: {error:#}");
        }
    }

    /// The run that made a checkpoint, given its weights.
    pub fn run_of(&self, weights: &Path) -> Option<String> {
        self.track.as_ref()?;
        let origin: Origin = read_json(&self.origin(weights).ok()?).ok()?;
        let is_id = (1..=64).contains(&origin.run.len()) && origin.run.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then_some(origin.run)
    }
}
