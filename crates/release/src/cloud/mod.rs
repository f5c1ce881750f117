//! What a release asks of the cloud: a small trait with typed answers, so that the flow can be followed (and tested)
//! without knowing how AWS is reached. [`aws`] reaches it.

pub mod aws;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use crate::settings::Settings;

/// Why the cloud did not do something.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The thing that was asked about does not exist.
    #[error("{call}: {message}")]
    NotFound {
        /// What was asked.
        call: String,
        /// What the service said.
        message: String,
    },
    /// It is there already, or somebody else changed it in between.
    #[error("{call}: {message} ({code})")]
    Conflict {
        /// What was asked.
        call: String,
        /// The service's code.
        code: String,
        /// What the service said.
        message: String,
    },
    /// The service said no.
    #[error("{call}: {message} ({code})")]
    Refused {
        /// What was asked.
        call: String,
        /// The service's code, such as `AccessDeniedException`.
        code: String,
        /// What the service said.
        message: String,
    },
    /// No service answered.
    #[error("{call}: {message}")]
    Unreachable {
        /// What was asked.
        call: String,
        /// What the program said.
        message: String,
    },
    /// There is no program to ask with.
    #[error("cannot start `{program}`: {problem}; `cargo xtask release` installs it, or name another with --aws")]
    Program {
        /// Its name.
        program: String,
        /// What the system said.
        problem: String,
    },
    /// The answer is not what the service documents.
    #[error("{call}: the answer is not in the expected form: {problem}")]
    Answer {
        /// What was asked.
        call: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What the cloud answers.
pub type Answer<T> = Result<T, CloudError>;

/// A secret, which is never printed.
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl Secret {
    /// Takes a secret.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself, for whoever has to hand it on.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// A version of the function, or `$LATEST`.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// `7`, or `$LATEST`.
    pub version: String,
    /// The image, as `repository@sha256:…`.
    pub image: String,
    /// What it was published with.
    pub description: String,
    /// Changes with every change.
    pub revision: String,
    /// Everything that can be configured.
    pub configuration: Configuration,
}

/// What can be configured of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The function's name.
    pub name: String,
    /// The ARN of its execution role.
    pub role: String,
    /// As Lambda calls it.
    pub architecture: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// In seconds.
    pub timeout_s: u32,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// The log group's name.
    pub log_group: String,
}

impl Configuration {
    /// What deploy.yaml asks for, with the role's ARN.
    pub fn wanted(settings: &Settings, role: String) -> Self {
        let function = &settings.function;
        Self {
            name: function.name.clone(),
            role,
            architecture: function.architecture.name().to_owned(),
            memory_mib: function.memory_mib,
            timeout_s: function.timeout_s,
            environment: function.environment.clone(),
            log_group: settings.logs.group.clone(),
        }
    }
}

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGroup {
    /// Days that entries are kept; `None` for ever.
    pub retention_days: Option<u32>,
}

/// Where an alias sends its callers.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// The version that gets all that `shares` does not give away.
    pub version: String,
    /// Shares of other versions.
    pub shares: BTreeMap<String, f64>,
}

impl Routing {
    /// Everybody to one version.
    pub fn all(version: &str) -> Self {
        Self { version: version.to_owned(), shares: BTreeMap::new() }
    }

    /// A share to another version.
    pub fn split(version: &str, other: &str, share: f64) -> Self {
        Self { version: version.to_owned(), shares: BTreeMap::from([(other.to_owned(), share)]) }
    }

    /// Whether anybody is sent to the version.
    pub fn reaches(&self, version: &str) -> bool {
        self.version == version || self.shares.get(version).is_some_and(|share| *share > 0.0)
    }
}

/// An alias.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// Where it sends its callers.
    pub routing: Routing,
    /// Changes with every change; a change that names an older one is refused.
    pub revision: String,
}

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The version that answered.
    pub version: String,
    /// Lambda's word for a function that failed (`Unhandled`); the HTTP status is 200 all the same.
    pub function_error: Option<String>,
    /// What the function answered.
    pub payload: Value,
}

/// The cloud.
pub trait Cloud {
    /// The account that the credentials belong to: a check that there are any.
    ///
    /// # Errors
    ///
    /// When there are none, or the service cannot be reached.
    fn account(&self) -> Answer<String>;
    /// The URI of a repository, to which a digest or tag is added; `None` when there is no such repository.
    ///
    /// # Errors
    ///
    /// When the service says no or cannot be reached; the same holds for all that follow.
    fn repository(&self, name: &str) -> Answer<Option<String>>;
    /// A password for the registry, for the user `AWS`, good for some hours.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn registry_password(&self) -> Answer<Secret>;
    /// The ARN of a role.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn role(&self, name: &str) -> Answer<Option<String>>;
    /// A log group by its whole name.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn log_group(&self, name: &str) -> Answer<Option<LogGroup>>;
    /// How long a log group keeps its entries.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn set_retention(&self, group: &str, days: u32) -> Answer<()>;
    /// A version of the function, or `$LATEST`; `None` when there is no such function or version.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn function(&self, name: &str, version: &str) -> Answer<Option<Function>>;
    /// Makes the function, and waits until it can be published.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn create_function(&self, configuration: &Configuration, image: &str) -> Answer<()>;
    /// Gives the function another image, and waits until it can be published.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn update_image(&self, name: &str, image: &str, architecture: &str) -> Answer<()>;
    /// Configures the function, and waits until it can be published.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn update_configuration(&self, configuration: &Configuration) -> Answer<()>;
    /// Publishes what `$LATEST` is, if `revision` is still its revision, and waits until the version can be invoked;
    /// its number. When nothing has changed since the last version, Lambda gives that one again.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn publish(&self, name: &str, revision: &str, description: &str) -> Answer<String>;
    /// The alias, if there is one.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn alias(&self, function: &str, name: &str) -> Answer<Option<Alias>>;
    /// Makes the alias.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn create_alias(&self, function: &str, name: &str, version: &str) -> Answer<()>;
    /// Changes where the alias sends its callers, if `revision` is still its revision.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn move_alias(&self, function: &str, name: &str, routing: &Routing, revision: &str) -> Answer<()>;
    /// Removes the alias. That it is not there is no error.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn delete_alias(&self, function: &str, name: &str) -> Answer<()>;
    /// Invokes the function by an alias or a version, and waits for its answer.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn invoke(&self, function: &str, qualifier: &str, payload: &Value) -> Answer<Invocation>;
    /// Invocations that failed since a time, as the cloud counted them, of one version behind an alias. The figures
    /// arrive minutes late.
    #[expect(clippy::missing_errors_doc, reason = "as for all methods")]
    fn errors(&self, function: &str, alias: &str, version: &str, since: SystemTime) -> Answer<f64>;
}
