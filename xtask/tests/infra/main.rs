//! The templates of infra/ and DVC's remote on S3, against moto, which stands in for AWS: real HTTP, real signatures, and
//! the policies of the templates enforced for what is done to the bucket. `cargo xtask test` makes the environments.
//!
//! The first test needs neither: it holds what the release role may do against what the crate `release` asks AWS for.
//!
//! What moto does not do is checked by cfn-lint alone (`cargo xtask lint`): its `CloudFormation` makes no bucket policy,
//! no identity provider, no function URL and no alarms, and outside of S3 it does not look at a policy's resources.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod monitoring;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::process::root;

use crate::template::{resources, template};

/// An AWS account of moto's, gone with the value.
struct Account {
    server: Child,
    port: u16,
    folder: TempDir,
}

/// An access key of one of the account's roles, or of its owner.
type Keys = Vec<(&'static str, String)>;

impl Account {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        // Free a moment ago; if somebody else takes it meanwhile, the server ends and the test says so.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let output = fs::File::create(folder.path().join("log")).unwrap();
        let server = Command::new(program("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()
            .expect("no .venv-aws/bin/moto_server: run all of this with `cargo xtask test`");
        let mut account = Self { server, port, folder };
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = account.server.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "moto_server does not listen: {}", account.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        account
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn owner() -> Keys {
        vec![("AWS_ACCESS_KEY_ID", "owner".to_owned()), ("AWS_SECRET_ACCESS_KEY", "of the account".to_owned())]
    }

    /// A program that speaks to this account, with these keys and nothing else of the developer's settings.
    fn command(&self, program: &Path, keys: &Keys) -> Command {
        let mut command = Command::new(program);
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE"]
        {
            command.env_remove(name);
        }
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env(name, self.folder.path().join("empty"));
        }
        command.envs([("AWS_DEFAULT_REGION", "eu-central-1"), ("AWS_REGION", "eu-central-1")]);
        command.envs([("AWS_EC2_METADATA_DISABLED", "true"), ("NO_PROXY", "127.0.0.1"), ("AWS_PAGER", "")]);
        command.env("AWS_ENDPOINT_URL", self.address());
        command.envs(keys.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// Runs the AWS command line as the account's owner; what it answers.
    fn aws(&self, arguments: &[&str]) -> Value {
        let output = self.command(&program("aws"), &Self::owner()).args(arguments).output().unwrap();
        assert!(output.status.success(), "aws {}: {}\n{}", arguments.join(" "), said(&output), self.log());
        if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout).unwrap() }
    }

    /// Makes a stack, or changes it, from a template of infra/.
    fn stack(&self, action: &str, name: &str, template: &str, parameters: &[(&str, &str)]) {
        let body = format!("file://{}", root().join("infra").join(template).display());
        let mut arguments = vec!["cloudformation", action, "--stack-name", name, "--template-body", &body];
        arguments.extend(["--capabilities", "CAPABILITY_NAMED_IAM", "--parameters"]);
        let parameters: Vec<Value> =
            parameters.iter().map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value})).collect();
        let parameters = Value::from(parameters).to_string();
        arguments.push(&parameters);
        self.aws(&arguments);
    }

    /// The foundation's stack, as docs/aws.md makes it, in an account that has GitHub's identity provider; its outputs.
    fn with_foundation(&self) -> BTreeMap<String, String> {
        let provider = self.aws(&[
            "iam",
            "create-open-id-connect-provider",
            "--url",
            "https://token.actions.githubusercontent.com",
            "--client-id-list",
            "sts.amazonaws.com",
        ]);
        let provider = provider["OpenIDConnectProviderArn"].as_str().unwrap();
        let parameters = [("GitHubRepository", "octo@123/judge@456"), ("GitHubOidcProviderArn", provider)];
        self.stack("create-stack", "wellformed", "foundation.yaml", &parameters);
        self.outputs("wellformed")
    }

    fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let stacks = self.aws(&["cloudformation", "describe-stacks", "--stack-name", stack]);
        let outputs = stacks["Stacks"][0]["Outputs"].as_array().unwrap();
        let text = |output: &Value, key: &str| output[key].as_str().unwrap().to_owned();
        outputs.iter().map(|output| (text(output, "OutputKey"), text(output, "OutputValue"))).collect()
    }

    /// What a job of GitHub Actions gets for its token: an hour's keys of a role.
    fn assume(&self, role: &str) -> Keys {
        let arguments = ["sts", "assume-role-with-web-identity", "--role-session-name", "test", "--role-arn", role];
        // moto does not read the token; which tokens a role takes is checked on its trust policy.
        let token = ["--web-identity-token", "eyJhbGciOiJub25lIn0.e30.e30"];
        let answer = self.aws(&[arguments.as_slice(), &token].concat());
        let key = |name: &str| answer["Credentials"][name].as_str().unwrap().to_owned();
        vec![
            ("AWS_ACCESS_KEY_ID", key("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY", key("SecretAccessKey")),
            ("AWS_SESSION_TOKEN", key("SessionToken")),
        ]
    }

    /// From here on, nobody may do anything without a policy that says so.
    fn enforce_policies(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = "POST /moto-api/reset-auth HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n0").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(r#""status": "ok""#), "{answer}");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn program(name: &str) -> PathBuf {
    root().join(".venv-aws/bin").join(name)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.envs(["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"].map(|name| (name, "Test")));
    command.envs(["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"].map(|name| (name, "test@example.org")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {}: {}", arguments.join(" "), said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What the registry asks for when an image is pushed, its digest is read back, and Lambda is told to fetch it.
const PUSHES: [&str; 7] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// The IAM actions behind a command of the AWS command line.
fn actions(service: &str, operation: &str) -> Vec<String> {
    match (service, operation) {
        // Allowed to everybody.
        ("sts", "get-caller-identity") => vec![],
        ("ecr", "get-login-password") => vec!["ecr:GetAuthorizationToken".to_owned()],
        ("lambda", "invoke") => vec!["lambda:InvokeFunction".to_owned()],
        ("lambda", "wait") => ["lambda:GetFunction", "lambda:GetFunctionConfiguration"].map(str::to_owned).into(),
        ("s3", "cp") => ["s3:GetObject", "s3:ListBucket"].map(str::to_owned).into(),
        _ => {
            let words = operation.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
            vec![format!("{}:{}", service.trim_end_matches("api"), words.collect::<String>())]
        }
    }
}

#[test]
fn the_release_role_may_do_what_a_release_asks_for_and_nothing_else() {
    let mut asked: BTreeSet<String> = PUSHES.map(str::to_owned).into();
    // Comes with making a function that has a role.
    asked.insert("iam:PassRole".to_owned());
    for file in ["cloud/aws.rs", "store/bucket.rs"] {
        let code = fs::read_to_string(root().join("crates/release/src").join(file)).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap();
        for call in ["Call::new([\"", "ask_with(\"", "ask_with::<Value>(\""] {
            for (at, _) in code.match_indices(call) {
                let words: Vec<&str> = code[at + call.len()..].splitn(4, '"').collect();
                // In `change` the operation is a variable; its callers are below.
                if words[1] == ", " {
                    asked.extend(actions(words[0], words[2]));
                }
            }
        }
        let change = "self.change(\"";
        for (at, _) in code.match_indices(change) {
            asked.extend(actions("lambda", code[at + change.len()..].split('"').next().unwrap()));
        }
    }
    assert!(asked.len() > 20, "the calls are no longer found: {asked:?}");

    let template = fs::read_to_string(root().join("infra/foundation.yaml")).unwrap();
    let policy = |name: &str| {
        let start = template.find(&format!("\n  {name}:\n")).unwrap();
        let body = &template[start + 4..];
        // Up to the next resource: a line that begins with two spaces and a capital.
        let end =
            body.match_indices("\n  ").find(|(at, _)| body[at + 3..].starts_with(|c: char| c.is_ascii_uppercase()));
        &body[..end.map_or(body.len(), |(at, _)| at)]
    };
    let mut allowed = BTreeSet::new();
    for name in ["ReleasePolicy", "ReadDataPolicy"] {
        for line in policy(name).lines() {
            let entry = line.trim().trim_start_matches("- ").trim_start_matches("Action: ");
            if let Some((service, action)) = entry.split_once(':')
                && action.starts_with(|c: char| c.is_ascii_uppercase())
                && action.chars().all(|c| c.is_ascii_alphabetic())
                && service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            {
                allowed.insert(entry.to_owned());
            }
        }
    }
    let missing: Vec<_> = asked.difference(&allowed).collect();
    assert!(missing.is_empty(), "a release asks for {missing:?}, which infra/foundation.yaml does not allow");
    // DVC asks where a bucket is.
    let spare: Vec<_> = allowed.difference(&asked).filter(|action| *action != "s3:GetBucketLocation").collect();
    assert!(spare.is_empty(), "infra/foundation.yaml allows {spare:?}, which no release asks for");
}

#[test]
fn lambda_may_fetch_an_image_for_the_function_of_its_repository_only() {
    let repositories = resources(&template("foundation.yaml"), "AWS::ECR::Repository");
    let function = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${FunctionName}";
    for (repository, sources) in [
        ("Repository", json!([function, format!("{function}:*")])),
        ("ForwarderRepository", json!(format!("{function}-forwarder"))),
    ] {
        let [statement] = repositories[repository]["RepositoryPolicyText"]["Statement"].as_array().unwrap().as_slice()
        else {
            panic!("{repository} lets somebody else in as well")
        };
        assert_eq!(statement["Principal"], json!({"Service": "lambda.amazonaws.com"}), "{repository}");
        assert_eq!(statement["Condition"], json!({"ArnLike": {"aws:SourceArn": sources}}), "{repository}");
    }
}

#[test]
#[ignore = "needs .venv-aws; `cargo xtask test` runs it"]
fn the_foundation_is_made_changed_and_removed_and_what_cannot_be_made_again_stays() {
    let account = Account::open();
    let outputs = account.with_foundation();

    let repositories = account.aws(&["ecr", "describe-repositories", "--repository-names", "wellformed"]);
    let repository = &repositories["repositories"][0];
    assert_eq!(repository["imageTagMutability"], "IMMUTABLE", "{repository}");
    assert_eq!(repository["repositoryUri"], outputs["RepositoryUri"].as_str());

    assert!(outputs["ForwarderRepositoryUri"].ends_with("/wellformed-forwarder"));

    let group = outputs["LogGroupName"].as_str();
    let groups = account.aws(&["logs", "describe-log-groups", "--log-group-name-prefix", group]);
    assert_eq!(groups["logGroups"][0]["retentionInDays"], 30, "a log is not kept forever: {groups}");

    let bucket = outputs["BucketName"].as_str();
    let encryption = account.aws(&["s3api", "get-bucket-encryption", "--bucket", bucket]);
    let rule = &encryption["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"];
    assert_eq!(rule["SSEAlgorithm"], "AES256", "{encryption}");

    // Which tokens open which role: only these subjects, and only for AWS.
    let main = "repo:octo@123/judge@456:ref:refs/heads/main";
    let subjects = [
        ("ReleaseRoleArn", json!("repo:octo@123/judge@456:environment:production")),
        ("DataReadRoleArn", json!(["repo:octo@123/judge@456:pull_request", main])),
        ("DataWriteRoleArn", json!(main)),
    ];
    for (output, subject) in subjects {
        let name = outputs[output].rsplit('/').next().unwrap();
        let role = account.aws(&["iam", "get-role", "--role-name", name]);
        let statements = role["Role"]["AssumeRolePolicyDocument"]["Statement"].as_array().unwrap();
        let [statement] = statements.as_slice() else { panic!("{name} has more than one way in: {role}") };
        assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity", "{name}");
        let wanted = json!({"StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": subject,
        }});
        assert_eq!(statement["Condition"], wanted, "{name}");
    }

    // The function may write into its own log.
    let policy = account.aws(&["iam", "get-role-policy", "--role-name", "wellformed-function", "--policy-name", "log"]);
    let policy = policy["PolicyDocument"].to_string();
    assert!(policy.contains("log-group:/aws/lambda/wellformed:*"), "{policy}");
    assert!(!policy.contains("CreateLogGroup") && policy.matches("Resource").count() == 1, "{policy}");

    // The service's stack comes after the first release. moto has no function URLs in CloudFormation.
    account.stack("create-stack", "wellformed-service", "service.yaml", &[("UrlAuthentication", "off")]);
    let topic = account.outputs("wellformed-service").remove("AlarmTopicArn").unwrap();
    assert!(topic.ends_with(":wellformed-live-alarms"), "{topic}");

    let parameters = [("GitHubRepository", "octo@123/judge@456"), ("LogRetentionDays", "90")];
    let provider =
        ("GitHubOidcProviderArn", "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com");
    account.stack("update-stack", "wellformed", "foundation.yaml", &[parameters.as_slice(), &[provider]].concat());
    assert_eq!(account.outputs("wellformed")["BucketName"], bucket, "a change keeps the bucket");

    account.aws(&["cloudformation", "delete-stack", "--stack-name", "wellformed-service"]);
    assert_eq!(account.aws(&["sns", "list-topics"])["Topics"], json!([]));
    // CloudFormation takes a policy from its roles before it removes them; moto has to be helped.
    for role in ["wellformed-release", "wellformed-data-read", "wellformed-data-write"] {
        let attached = account.aws(&["iam", "list-attached-role-policies", "--role-name", role]);
        for policy in attached["AttachedPolicies"].as_array().unwrap() {
            let arn = policy["PolicyArn"].as_str().unwrap();
            account.aws(&["iam", "detach-role-policy", "--role-name", role, "--policy-arn", arn]);
        }
    }
    account.aws(&["cloudformation", "delete-stack", "--stack-name", "wellformed"]);
    let roles = account.aws(&["iam", "list-roles"]);
    assert_eq!(roles["Roles"], json!([]));
    let buckets = account.aws(&["s3api", "list-buckets"]);
    assert_eq!(buckets["Buckets"][0]["Name"], bucket, "data and models outlive the stack");
    let repositories = account.aws(&["ecr", "describe-repositories"]);
    let left = repositories["repositories"].as_array().unwrap().iter();
    let left: BTreeSet<&str> = left.map(|it| it["repositoryName"].as_str().unwrap()).collect();
    assert_eq!(left, ["wellformed", "wellformed-forwarder"].into(), "images outlive the stack");
}

/// A project under DVC, small, with the remote that docs/aws.md sets up.
struct Project<'a> {
    folder: TempDir,
    account: &'a Account,
}

impl<'a> Project<'a> {
    fn new(account: &'a Account, bucket: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap(), account };
        git(project.path(), &["init", "--quiet", "--initial-branch", "main"]);
        let nobody = Vec::new();
        project.dvc(&["init", "--quiet"], &nobody);
        project.dvc(&["remote", "add", "--default", "store", &format!("s3://{bucket}/dvc")], &nobody);
        project
    }

    fn clone_without_data(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["clone", "--quiet", self.path().to_str().unwrap(), "."]);
        Self { folder, account: self.account }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn try_dvc(&self, arguments: &[&str], keys: &Keys) -> Output {
        let mut command = self.account.command(&root().join(".venv/bin/dvc"), keys);
        let output = command.args(arguments).env("DVC_NO_ANALYTICS", "1").current_dir(self.path()).output();
        output.expect("no .venv/bin/dvc: run `cargo xtask setup`, or all of this with `cargo xtask test`")
    }

    /// Runs DVC, which must be refused by the bucket, not fail for another reason.
    fn dvc_is_refused(&self, arguments: &[&str], keys: &Keys, by: &str) {
        let output = self.try_dvc(arguments, keys);
        let said = said(&output);
        let denied =
            ["AccessDenied", "Access Denied", "InvalidAccessKeyId", "Forbidden"].iter().any(|word| said.contains(word));
        assert!(!output.status.success() && denied, "{by}: dvc {}: {said}", arguments.join(" "));
    }

    fn dvc(&self, arguments: &[&str], keys: &Keys) {
        let output = self.try_dvc(arguments, keys);
        assert!(output.status.success(), "dvc {}: {}\n{}", arguments.join(" "), said(&output), self.account.log());
    }

    fn add(&self, paths: &[&str], message: &str) {
        self.dvc(&[&["add", "--quiet"], paths].concat(), &Vec::new());
        git(self.path(), &["add", "--all"]);
        git(self.path(), &["commit", "--quiet", "--message", message]);
    }
}

#[test]
#[ignore = "needs .venv and .venv-aws; `cargo xtask test` runs it"]
fn the_bucket_carries_the_data_to_a_machine_that_has_none_and_a_role_may_do_no_more_than_its_part() {
    let account = Account::open();
    let outputs = account.with_foundation();
    let bucket = outputs["BucketName"].as_str();
    let [reader, writer, releaser] =
        ["DataReadRoleArn", "DataWriteRoleArn", "ReleaseRoleArn"].map(|role| account.assume(&outputs[role]));
    account.enforce_policies();

    // A folder and a file that is too large to go up in one piece.
    let project = Project::new(&account, bucket);
    let large: Vec<u8> =
        (0..60_000_000_u32).map(|at| u8::try_from((at.wrapping_mul(2_654_435_761)) >> 24).unwrap()).collect();
    let files: [(&str, &[u8]); 3] = [
        ("bundle/model.onnx", &large),
        ("bundle/bundle.json", b"{\"format\": 1}\n"),
        ("corpus.tsv", b"The tea was cold.\t1\n"),
    ];
    fs::create_dir(project.path().join("bundle")).unwrap();
    for (name, bytes) in files {
        fs::write(project.path().join(name), bytes).unwrap();
    }
    project.add(&["bundle", "corpus.tsv"], "data");

    project.dvc_is_refused(&["push"], &reader, "data-read");
    project.dvc_is_refused(&["push"], &releaser, "release");
    project.dvc(&["push"], &writer);

    let clone = project.clone_without_data();
    fs::remove_dir_all(project.path().join(".dvc/cache")).unwrap();
    assert!(!clone.path().join("corpus.tsv").exists() && !clone.path().join(".dvc/cache").exists());
    clone.dvc_is_refused(&["pull"], &Account::owner(), "keys that nobody knows");
    for (name, keys) in [("data-read", &reader), ("release", &releaser)] {
        let clone = project.clone_without_data();
        clone.dvc(&["pull"], keys);
        for (file, bytes) in files {
            let pulled = fs::read(clone.path().join(file)).unwrap();
            assert!(pulled == bytes, "{file} came back otherwise to {name}: {} bytes", pulled.len());
        }
    }

    // What is there cannot be deleted from a workflow, and records of releases are the releases' alone.
    let object = |path: &str| format!("s3://{bucket}/{path}");
    let s3 = |keys: &Keys, arguments: &[&str]| {
        let output = account.command(&program("aws"), keys).arg("s3").args(arguments).output().unwrap();
        assert!(output.status.success() || said(&output).contains("AccessDenied"), "{}", said(&output));
        output.status.success()
    };
    let record = project.path().join("record.json");
    fs::write(&record, "{}").unwrap();
    let record = record.to_str().unwrap();
    assert!(s3(&releaser, &["cp", record, &object("releases/1.json")]), "a release writes its record");
    assert!(s3(&reader, &["cp", &object("releases/1.json"), "-"]), "which everybody with a role may read");
    for (name, keys) in [("data-read", &reader), ("data-write", &writer)] {
        assert!(!s3(keys, &["cp", record, &object("releases/2.json")]), "{name} has written a release's record");
        assert!(!s3(keys, &["rm", &object("releases/1.json")]), "{name} has removed a release's record");
    }
    for (name, keys) in [("data-read", &reader), ("data-write", &writer), ("release", &releaser)] {
        assert!(!s3(keys, &["rm", "--recursive", &object("dvc")]), "{name} has removed data");
    }
    project.clone_without_data().dvc(&["pull"], &reader);
}
