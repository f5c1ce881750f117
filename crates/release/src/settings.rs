//! `deploy.yaml`: where the model is put into service, and how carefully. Every key has to be known and possible.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use figment::Figment;
use figment::providers::{Format, Yaml};
use serde::{Deserialize, Serialize};

/// The file's name.
pub const DEPLOY: &str = "deploy.yaml";

/// The retention times that `CloudWatch` Logs knows, in days (API reference, `PutRetentionPolicy`).
const RETENTION: &[u32] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// `deploy.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The AWS region. `AWS_REGION` or `AWS_DEFAULT_REGION` go before it.
    pub region: String,
    /// The ECR repository's name.
    pub repository: String,
    /// Where records of releases are kept: a folder of the project, or `s3://bucket/prefix`.
    pub records: String,
    /// The Lambda function.
    pub function: Function,
    /// Its log.
    pub logs: Logs,
    /// The image.
    pub image: Image,
    /// When a candidate is good enough.
    pub gate: Gate,
    /// What is asked of a version before, while and after it goes into service.
    pub probe: Probe,
    /// How a version gets its first users.
    pub canary: Canary,
}

/// The Lambda function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The alias that callers use. It names the version in service.
    pub alias: String,
    /// The execution role: its name, or its ARN.
    pub role: String,
    /// The processor.
    pub architecture: Architecture,
    /// Memory in MiB. 1769 MiB come with a whole virtual CPU.
    pub memory_mib: u32,
    /// The longest time of an invocation, in seconds.
    pub timeout_s: u32,
    /// Environment variables. They are readable for everybody who may see the function: no secrets here.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// The processor of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// x86-64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// As Lambda calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// As images call it.
    pub fn platform(self) -> &'static str {
        match self {
            Self::X86_64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }
}

/// The function's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The log group's name.
    pub group: String,
    /// Days that log entries are kept.
    pub retention_days: u32,
}

/// The image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Most bytes of the compressed image, in MB (1,000,000 bytes).
    pub budget_mb: f64,
}

/// When a candidate is good enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// How sure the paired test has to be that the candidate is better: 0.95 asks for p < 0.05.
    pub confidence: f64,
}

/// What is asked of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Sentences; the expected answers are those of the bundle on the machine that releases.
    pub sentences: Vec<String>,
    /// How far a probability may be from the expected one. Processors round differently.
    pub tolerance: f64,
}

/// How a version gets its first users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The share of invocations that the new version gets at first, above 0 and below 1.
    pub weight: f64,
    /// Right answers of the new version, through the alias, before it gets everything.
    pub answers: u32,
    /// Seconds that the split lasts at least. Below 180, `CloudWatch` has no figures of the callers yet.
    pub seconds: u64,
}

impl Settings {
    /// Reads and checks the file.
    ///
    /// # Errors
    ///
    /// When it is missing, or a key is unknown, missing, of the wrong type or impossible; the message names the key.
    pub fn load(path: &Path) -> Result<Self> {
        ensure!(path.is_file(), "there is no {}; it says where the model is put into service", path.display());
        let settings: Self = Figment::from(Yaml::file_exact(path))
            .extract()
            .with_context(|| format!("{} is not in the expected form", path.display()))?;
        settings.check().with_context(|| format!("{} cannot be right", path.display()))?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let word = |key: &str, value: &str, longest: usize, more: &str| {
            let fits = value.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
            ensure!(
                !value.is_empty() && value.len() <= longest && fits,
                "{key} is `{value}`, but must be 1 to {longest} letters, digits or any of `{more}`"
            );
            Ok(())
        };
        word("region", &self.region, 30, "-")?;
        word("repository", &self.repository, 256, "-_./")?;
        word("function.name", &self.function.name, 64, "-_")?;
        word("function.alias", &self.function.alias, 128, "-_")?;
        ensure!(
            !self.function.alias.chars().all(|c| c.is_ascii_digit()),
            "function.alias is `{}`, but a number is a version's name; take a word, such as `live`",
            self.function.alias
        );
        word("function.role", &self.function.role, 512, "-_./:+=,@")?;
        word("logs.group", &self.logs.group, 512, "-_./#")?;
        let within = |key: &str, value: u32, low: u32, high: u32, unit: &str| {
            ensure!((low..=high).contains(&value), "{key} is {value}, but must be {low} to {high} {unit}");
            Ok(())
        };
        within("function.memory_mib", self.function.memory_mib, 128, 10_240, "MiB")?;
        within("function.timeout_s", self.function.timeout_s, 1, 900, "seconds")?;
        within("canary.answers", self.canary.answers, 1, 10_000, "answers")?;
        for name in self.function.environment.keys() {
            let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
            ensure!(
                starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "function.environment has `{name}`, but a name is a letter and then letters, digits or `_`"
            );
            ensure!(
                !name.starts_with("AWS_") && !name.starts_with("LAMBDA_"),
                "function.environment has `{name}`, which Lambda sets itself"
            );
        }
        if !RETENTION.contains(&self.logs.retention_days) {
            bail!(
                "logs.retention_days is {}, but CloudWatch Logs knows only {}",
                self.logs.retention_days,
                RETENTION.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
            );
        }
        let open = |key: &str, value: f64, low: f64, high: f64| {
            ensure!(value > low && value < high, "{key} is {value}, but must be above {low} and below {high}");
            Ok(())
        };
        open("image.budget_mb", self.image.budget_mb, 0.0, 10_000.0)?;
        open("gate.confidence", self.gate.confidence, 0.0, 1.0)?;
        open("probe.tolerance", self.probe.tolerance, 0.0, 0.5)?;
        open("canary.weight", self.canary.weight, 0.0, 1.0)?;
        let sentences = &self.probe.sentences;
        ensure!(
            (1..=256).contains(&sentences.len()) && sentences.iter().all(|one| !one.trim().is_empty()),
            "probe.sentences must be 1 to 256 sentences, none of them empty"
        );
        ensure!(!self.records.trim().is_empty(), "records is empty, but must be a folder or s3://bucket/prefix");
        Ok(())
    }
}
