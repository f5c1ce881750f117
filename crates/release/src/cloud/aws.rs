//! AWS, by its own command line, `aws`. It brings what a release should not do itself: finding credentials (profiles,
//! single sign-on, roles of a machine or a workflow), signing, repeating, waiting. `AWS_ENDPOINT_URL` is honoured.
//!
//! What is asked goes in by files, never by arguments, where it could be seen in a process list.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{Alias, Answer, Cloud, CloudError, Configuration, Function, Invocation, LogGroup, Routing, Secret};

/// The command line, and the region that it is told.
#[derive(Debug, Clone)]
pub struct Aws {
    program: PathBuf,
    region: String,
}

/// What `aws` is asked: service, operation, more arguments.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    arguments: Vec<OsString>,
}

impl Call {
    pub(crate) fn new<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self { arguments: arguments.into_iter().map(Into::into).collect() }
    }

    pub(crate) fn with<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// `aws lambda get-alias`: enough to know what was asked.
    fn name(&self) -> String {
        let words: Vec<_> = self.arguments.iter().take(2).map(|word| word.to_string_lossy().into_owned()).collect();
        format!("aws {}", words.join(" "))
    }
}

impl Aws {
    /// The program, with the region of the environment or else this one.
    pub fn new(program: &Path, region: &str) -> Self {
        let given = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| std::env::var(name).ok());
        let region = given.filter(|region| !region.is_empty()).unwrap_or_else(|| region.to_owned());
        Self { program: program.to_owned(), region }
    }

    /// The region that is used.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Runs the command; what it printed.
    pub(crate) fn run(&self, call: &Call) -> Answer<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.args(&call.arguments).args(["--output", "json"]).stdin(Stdio::null());
        // The two generations of the command line read one of them each.
        command.env("AWS_REGION", &self.region).env("AWS_DEFAULT_REGION", &self.region);
        command.env("AWS_PAGER", "").env("AWS_CLI_AUTO_PROMPT", "off");
        let output = command.output().map_err(|error| CloudError::Program {
            program: self.program.display().to_string(),
            problem: error.to_string(),
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(problem(call.name(), &String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs the command; its answer, typed.
    pub(crate) fn ask<T: DeserializeOwned>(&self, call: &Call) -> Answer<T> {
        let bytes = self.run(call)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| CloudError::Answer { call: call.name(), problem: error.to_string() })
    }

    /// As [`Aws::ask`], for an operation with the input in a file.
    fn ask_with<T: DeserializeOwned>(&self, service: &str, operation: &str, input: &Value) -> Answer<T> {
        let call = Call::new([service, operation]);
        let file = temporary(&call, input.to_string().as_bytes())?;
        self.ask(&call.with([OsString::from("--cli-input-json"), from_file("file://", file.path())]))
    }

    /// Changes the function, and waits until the change is done, if it is not done at once.
    fn change(&self, operation: &str, waiter: &str, input: &Value) -> Answer<()> {
        let status: Status = self.ask_with("lambda", operation, input)?;
        if status.is_settled() {
            return Ok(());
        }
        self.wait(waiter, input["FunctionName"].as_str().unwrap_or_default(), &[])
    }

    fn wait(&self, waiter: &str, name: &str, more: &[&str]) -> Answer<()> {
        self.run(&Call::new(["lambda", "wait", waiter, "--function-name", name]).with(more)).map(|_| ())
    }
}

fn from_file(scheme: &str, path: &Path) -> OsString {
    let mut value = OsString::from(scheme);
    value.push(path);
    value
}

/// A file that only this user can read and that goes when it is no longer needed.
fn temporary(call: &Call, content: &[u8]) -> Answer<NamedTempFile> {
    let make = || -> std::io::Result<NamedTempFile> {
        let mut file = NamedTempFile::new()?;
        file.write_all(content)?;
        file.flush()?;
        Ok(file)
    };
    make().map_err(|error| CloudError::Program { program: call.name(), problem: format!("no temporary file: {error}") })
}

/// What the command line's message means. Service errors read `An error occurred (CODE) when calling the OPERATION
/// operation: MESSAGE`.
fn problem(call: String, said: &str) -> CloudError {
    let said = said.trim();
    let message = said.lines().last().unwrap_or("it failed without a message").trim().to_owned();
    let Some((code, rest)) = said.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(')')) else {
        return CloudError::Unreachable { call, message };
    };
    let message = rest.split_once("operation: ").map_or(message, |(_, text)| text.trim().to_owned());
    match code {
        "ResourceNotFoundException" | "NoSuchEntity" | "RepositoryNotFoundException" | "NoSuchKey" | "404" => {
            CloudError::NotFound { call, message }
        }
        "PreconditionFailedException"
        | "PreconditionFailed"
        | "ResourceConflictException"
        | "412"
        | "ConditionalRequestConflict" => CloudError::Conflict { call, code: code.to_owned(), message },
        _ => CloudError::Refused { call, code: code.to_owned(), message },
    }
}

/// Nothing where there is nothing.
pub(crate) fn found<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CloudError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    account: String,
}

#[derive(Deserialize)]
struct Repositories {
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    repository_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleAnswer {
    role: Role,
}

#[derive(Deserialize)]
struct Role {
    #[serde(rename = "Arn")]
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogGroups {
    log_groups: Vec<LogGroupAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogGroupAnswer {
    log_group_name: String,
    retention_in_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionAnswer {
    configuration: ConfigurationAnswer,
    code: Code,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    image_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigurationAnswer {
    function_name: String,
    version: String,
    role: String,
    #[serde(default)]
    description: String,
    // Some stand-ins for AWS have none.
    #[serde(default)]
    revision_id: String,
    memory_size: u32,
    timeout: u32,
    #[serde(default)]
    architectures: Vec<String>,
    environment: Option<Environment>,
    logging_config: Option<LoggingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_group: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    version: String,
    #[serde(flatten)]
    status: Status,
}

/// How far a change of a function has come. Images take a while to be made ready.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    state: Option<String>,
    last_update_status: Option<String>,
}

impl Status {
    fn is_settled(&self) -> bool {
        self.state.as_deref() == Some("Active") && self.last_update_status.as_deref() == Some("Successful")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AliasAnswer {
    function_version: String,
    revision_id: String,
    routing_config: Option<RoutingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingConfig {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invoked {
    executed_version: Option<String>,
    function_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    datapoints: Vec<Datapoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datapoint {
    sum: f64,
}

fn settings_of(configuration: &Configuration) -> Value {
    json!({
        "FunctionName": configuration.name,
        "Role": configuration.role,
        "MemorySize": configuration.memory_mib,
        "Timeout": configuration.timeout_s,
        "Environment": {"Variables": configuration.environment},
        "LoggingConfig": {"LogGroup": configuration.log_group},
    })
}

impl Cloud for Aws {
    fn account(&self) -> Answer<String> {
        self.ask::<Identity>(&Call::new(["sts", "get-caller-identity"])).map(|identity| identity.account)
    }

    fn repository(&self, name: &str) -> Answer<Option<String>> {
        let call = Call::new(["ecr", "describe-repositories", "--repository-names", name]);
        let answer = found(self.ask::<Repositories>(&call))?;
        Ok(answer.and_then(|answer| answer.repositories.into_iter().next()).map(|one| one.repository_uri))
    }

    fn registry_password(&self) -> Answer<Secret> {
        let bytes = self.run(&Call::new(["ecr", "get-login-password"]))?;
        Ok(Secret::new(String::from_utf8_lossy(&bytes).trim()))
    }

    fn role(&self, name: &str) -> Answer<Option<String>> {
        let answer = found(self.ask::<RoleAnswer>(&Call::new(["iam", "get-role", "--role-name", name])))?;
        Ok(answer.map(|answer| answer.role.arn))
    }

    fn log_group(&self, name: &str) -> Answer<Option<LogGroup>> {
        let call = Call::new(["logs", "describe-log-groups", "--log-group-name-prefix", name]);
        let groups = self.ask::<LogGroups>(&call)?.log_groups;
        let group = groups.into_iter().find(|group| group.log_group_name == name);
        Ok(group.map(|group| LogGroup { retention_days: group.retention_in_days }))
    }

    fn set_retention(&self, group: &str, days: u32) -> Answer<()> {
        let days = days.to_string();
        let call = Call::new(["logs", "put-retention-policy", "--log-group-name", group, "--retention-in-days", &days]);
        self.run(&call).map(|_| ())
    }

    fn function(&self, name: &str, version: &str) -> Answer<Option<Function>> {
        let call = Call::new(["lambda", "get-function", "--function-name", name, "--qualifier", version]);
        let Some(FunctionAnswer { configuration, code }) = found(self.ask::<FunctionAnswer>(&call))? else {
            return Ok(None);
        };
        Ok(Some(Function {
            version: configuration.version,
            image: code.image_uri.unwrap_or_default(),
            description: configuration.description,
            revision: configuration.revision_id,
            configuration: Configuration {
                log_group: configuration
                    .logging_config
                    .and_then(|logging| logging.log_group)
                    .unwrap_or_else(|| format!("/aws/lambda/{}", configuration.function_name)),
                name: configuration.function_name,
                role: configuration.role,
                architecture: configuration.architectures.into_iter().next().unwrap_or_else(|| "x86_64".to_owned()),
                memory_mib: configuration.memory_size,
                timeout_s: configuration.timeout,
                environment: configuration.environment.map(|one| one.variables).unwrap_or_default(),
            },
        }))
    }

    fn create_function(&self, configuration: &Configuration, image: &str) -> Answer<()> {
        let mut input = settings_of(configuration);
        input["PackageType"] = json!("Image");
        input["Code"] = json!({"ImageUri": image});
        input["Architectures"] = json!([configuration.architecture]);
        self.change("create-function", "function-active-v2", &input)
    }

    fn update_image(&self, name: &str, image: &str, architecture: &str) -> Answer<()> {
        let input = json!({"FunctionName": name, "ImageUri": image, "Architectures": [architecture]});
        self.change("update-function-code", "function-updated-v2", &input)
    }

    fn update_configuration(&self, configuration: &Configuration) -> Answer<()> {
        self.change("update-function-configuration", "function-updated-v2", &settings_of(configuration))
    }

    fn publish(&self, name: &str, revision: &str, description: &str) -> Answer<String> {
        let mut input = json!({"FunctionName": name, "Description": description});
        if !revision.is_empty() {
            input["RevisionId"] = json!(revision);
        }
        let published: Published = self.ask_with("lambda", "publish-version", &input)?;
        if !published.status.is_settled() {
            self.wait("published-version-active", name, &["--qualifier", &published.version])?;
        }
        Ok(published.version)
    }

    fn alias(&self, function: &str, name: &str) -> Answer<Option<Alias>> {
        let call = Call::new(["lambda", "get-alias", "--function-name", function, "--name", name]);
        let answer = found(self.ask::<AliasAnswer>(&call))?;
        Ok(answer.map(|answer| Alias {
            routing: Routing {
                version: answer.function_version,
                shares: answer.routing_config.map(|one| one.additional_version_weights).unwrap_or_default(),
            },
            revision: answer.revision_id,
        }))
    }

    fn create_alias(&self, function: &str, name: &str, version: &str) -> Answer<()> {
        let input = json!({"FunctionName": function, "Name": name, "FunctionVersion": version});
        self.ask_with::<Value>("lambda", "create-alias", &input).map(|_| ())
    }

    fn move_alias(&self, function: &str, name: &str, routing: &Routing, revision: &str) -> Answer<()> {
        let input = json!({
            "FunctionName": function,
            "Name": name,
            "FunctionVersion": routing.version,
            "RoutingConfig": {"AdditionalVersionWeights": routing.shares},
            "RevisionId": revision,
        });
        self.ask_with::<Value>("lambda", "update-alias", &input).map(|_| ())
    }

    fn delete_alias(&self, function: &str, name: &str) -> Answer<()> {
        let call = Call::new(["lambda", "delete-alias", "--function-name", function, "--name", name]);
        found(self.run(&call)).map(|_| ())
    }

    fn invoke(&self, function: &str, qualifier: &str, payload: &Value) -> Answer<Invocation> {
        let call = Call::new(["lambda", "invoke", "--function-name", function, "--qualifier", qualifier]);
        let question = temporary(&call, payload.to_string().as_bytes())?;
        let answer = temporary(&call, b"")?;
        let call = call.with([OsString::from("--payload"), from_file("fileb://", question.path())]);
        let invoked: Invoked = self.ask(&call.clone().with([answer.path()]))?;
        let malformed = |problem: String| CloudError::Answer { call: call.name(), problem };
        let bytes = std::fs::read(answer.path()).map_err(|error| malformed(error.to_string()))?;
        Ok(Invocation {
            version: invoked.executed_version.unwrap_or_else(|| qualifier.to_owned()),
            function_error: invoked.function_error,
            payload: serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?,
        })
    }

    fn errors(&self, function: &str, alias: &str, version: &str, since: SystemTime) -> Answer<f64> {
        let input = json!({
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [
                {"Name": "FunctionName", "Value": function},
                {"Name": "Resource", "Value": format!("{function}:{alias}")},
                {"Name": "ExecutedVersion", "Value": version},
            ],
            "StartTime": humantime::format_rfc3339_seconds(since).to_string(),
            "EndTime": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            "Period": 60,
            "Statistics": ["Sum"],
        });
        let statistics: Statistics = self.ask_with("cloudwatch", "get-metric-statistics", &input)?;
        Ok(statistics.datapoints.iter().map(|point| point.sum).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::{CloudError, problem};

    #[test]
    fn the_command_lines_messages_are_told_apart() {
        // As printed by awscli 1.46.3 against moto 5.2.5.
        let said = "\nAn error occurred (ResourceNotFoundException) when calling the GetFunction operation: Function \
                    not found: arn:aws:lambda:eu-central-1:123456789012:function:x\n";
        let error = problem("aws lambda get-function".to_owned(), said);
        assert!(matches!(error, CloudError::NotFound { .. }), "{error}");
        let said = "\nAn error occurred (PreconditionFailed) when calling the PutObject operation: At least one of the \
                    pre-conditions you specified did not hold\n";
        assert!(matches!(problem(String::new(), said), CloudError::Conflict { .. }));
        let said = "\nCould not connect to the endpoint URL: \"http://127.0.0.1:9/\"\n";
        let error = problem("aws sts get-caller-identity".to_owned(), said);
        assert!(matches!(error, CloudError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
    }
}
