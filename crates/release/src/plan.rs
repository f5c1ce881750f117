//! What a release will do, found out before it does anything: whatever is missing is missing now, not after an image was
//! built.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cloud::{Cloud, Configuration, Function};
use crate::project::Project;
use crate::record::{Judgement, Model, Record, short};
use crate::service::{InService, in_service};
use crate::settings::{DEPLOY, Settings};
use crate::state::State;

/// The command that makes what is missing.
const STACK: &str = "`aws cloudformation deploy` with the stack in infra/ makes it (docs/aws.md)";

/// What a release will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The AWS account.
    pub account: String,
    /// Where the image goes: the repository's URI.
    pub repository: String,
    /// Whether that is a repository of this account, which the release logs in to.
    pub is_ecr: bool,
    /// How the function will be configured.
    pub configuration: Configuration,
    /// The function as it is, if there is one.
    pub function: Option<Function>,
    /// Days that the log is kept now.
    pub retention_days: Option<u32>,
    /// What is in service, if something is. Not asked for when a release is continued.
    pub in_service: Option<InService>,
    /// What the gate says of the candidate. Not asked for when a release is continued that has passed it.
    pub judgement: Option<Judgement>,
    /// The candidate.
    pub model: Model,
}

/// What is asked, and where.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// deploy.yaml.
    pub settings: &'a Settings,
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// The project.
    pub project: &'a dyn Project,
    /// Another registry than the account's own: a repository's name without a tag.
    pub registry: Option<&'a str>,
}

impl Plan {
    /// Finds out everything. `continued` is the release that goes on, if one does.
    ///
    /// # Errors
    ///
    /// When the cloud cannot be asked, something that the stack makes is missing, or the candidate is not current.
    pub fn make(on: Circumstances<'_>, records: &[Record], continued: Option<&Record>) -> Result<Self> {
        let Circumstances { settings, cloud, project, registry } = on;
        let model = project.candidate()?;
        let account = cloud.account().context(
            "nobody is signed in to AWS, or it is out of reach; docs/aws.md says how to set an account up and sign in",
        )?;
        let mut missing = Vec::new();
        let repository = match registry {
            Some(registry) => registry.to_owned(),
            None => cloud.repository(&settings.repository)?.unwrap_or_else(|| {
                missing.push(format!("the ECR repository {}", settings.repository));
                String::new()
            }),
        };
        let role = if settings.function.role.starts_with("arn:") {
            settings.function.role.clone()
        } else {
            cloud.role(&settings.function.role)?.unwrap_or_else(|| {
                missing.push(format!("the role {}", settings.function.role));
                String::new()
            })
        };
        let group = cloud.log_group(&settings.logs.group)?;
        if group.is_none() {
            missing.push(format!("the log group {}", settings.logs.group));
        }
        if !missing.is_empty() {
            bail!(
                "account {account} has not got {}, which {DEPLOY} names; {STACK}, or another name in {DEPLOY} is meant",
                missing.join(", nor ")
            );
        }
        let (service, judgement) = if continued.is_none_or(|record| record.state == State::Begun) {
            let service = in_service(cloud, settings, records)?;
            let judgement = judge(project, service.as_ref())?;
            (service, Some(judgement))
        } else {
            (None, None)
        };
        Ok(Self {
            account,
            repository,
            is_ecr: registry.is_none(),
            configuration: Configuration::wanted(settings, role),
            function: cloud.function(&settings.function.name, "$LATEST")?,
            retention_days: group.and_then(|group| group.retention_days),
            in_service: service,
            judgement,
            model,
        })
    }

    /// The plan in words.
    pub fn text(&self, settings: &Settings, number: u32, region: &str, continued: Option<&Record>) -> String {
        let model = &self.model;
        let mut text = String::new();
        let mut line = |what: &str, is: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{what:11} {is}");
        };
        match continued {
            None => line("release", format!("{number} of commit {}", model.short_commit())),
            Some(record) => {
                line(
                    "release",
                    format!("{number} of commit {}, continued from `{}`", model.short_commit(), record.state.name()),
                );
            }
        }
        line(
            "model",
            format!(
                "bundle {}: MCC {:.3} ({:.3} to {:.3}), in 8 bits {:.3}, accuracy {:.3} on {} sentences of validation",
                model.short_bundle(),
                model.mcc,
                model.mcc_interval[0],
                model.mcc_interval[1],
                model.int8_mcc,
                model.accuracy,
                model.sentences
            ),
        );
        if let Some(judgement) = &self.judgement {
            match &self.in_service {
                None => line("in service", "nothing".to_owned()),
                Some(service) => {
                    let commit = service.model.as_ref().map_or("an unknown commit", |model| short(&model.commit));
                    line("in service", format!("version {} of commit {commit}", service.version));
                }
            }
            let answer = if judgement.passes { "passes" } else { "refuses" };
            line("gate", format!("{answer}: {}", judgement.verdict));
        }
        line("image", format!("{}:{}, at most {} MB", self.repository, model.commit, settings.image.budget_mb));
        let function = &settings.function;
        let what = match &self.function {
            None => "is made".to_owned(),
            Some(now) if now.configuration == self.configuration => "gets the image".to_owned(),
            Some(now) => format!("gets the image and {}", differences(&now.configuration, &self.configuration)),
        };
        line("function", format!("{} in account {}, {region}: {what}", function.name, self.account));
        if self.retention_days != Some(settings.logs.retention_days) {
            line("log", format!("{} keeps entries for {} days", settings.logs.group, settings.logs.retention_days));
        }
        let first = self.judgement.is_some() && self.in_service.is_none();
        line(
            "alias",
            if first {
                format!("{}: everybody, once the version answers rightly by its number", function.alias)
            } else {
                format!(
                    "{}: {} % of the callers for at least {} s and {} right answers, then everybody",
                    function.alias,
                    settings.canary.weight * 100.0,
                    settings.canary.seconds,
                    settings.canary.answers
                )
            },
        );
        text
    }
}

/// What changes, in words.
fn differences(now: &Configuration, wanted: &Configuration) -> String {
    let mut changes = Vec::new();
    if now.memory_mib != wanted.memory_mib {
        changes.push(format!("{} MiB instead of {}", wanted.memory_mib, now.memory_mib));
    }
    if now.timeout_s != wanted.timeout_s {
        changes.push(format!("{} s instead of {}", wanted.timeout_s, now.timeout_s));
    }
    for (what, now, wanted) in [
        ("role", &now.role, &wanted.role),
        ("processor", &now.architecture, &wanted.architecture),
        ("log group", &now.log_group, &wanted.log_group),
    ] {
        if now != wanted {
            changes.push(format!("the {what} {wanted} instead of {now}"));
        }
    }
    if now.environment != wanted.environment {
        let names: Vec<&str> = wanted.environment.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        changes.push(format!("another environment ({names})"));
    }
    changes.join(", ")
}

/// What the gate says.
fn judge(project: &dyn Project, service: Option<&InService>) -> Result<Judgement> {
    project.check_current()?;
    match service {
        None => Ok(Judgement { passes: true, verdict: "nothing is in service".to_owned(), against: None, test: None }),
        Some(InService { model: Some(model), .. }) => project.judge(model),
        Some(InService { version, model: None }) => Ok(Judgement {
            passes: false,
            verdict: format!("version {version} is in service, and nothing says which model that is"),
            against: None,
            test: None,
        }),
    }
}

/// `deploy.yaml` of a project.
///
/// # Errors
///
/// As [`Settings::load`].
pub fn settings(root: &Path) -> Result<Settings> {
    Settings::load(&root.join(DEPLOY))
}
