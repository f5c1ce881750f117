//! A small project under real git and real DVC, with candidates to release: predictions of two runs of which one is
//! better than the other by scipy's word (crates/report/tests/fixtures), and the small bundle of infer's tests.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::bundle::Manifest;
use wellformed_core::files::{read_json, write_json};
use wellformed_image::{BuildRequest, Builder, Image, Target};
use wellformed_release::record::Record;

use crate::stand_in::{REGION, StandIn, root};

const PIPELINE: &str = "\
stages:
  eval:
    cmd: mkdir -p reports/eval && cp made/predictions.parquet made/metrics.json reports/eval/
    deps: [made/predictions.parquet, made/metrics.json]
    outs: [reports/eval/predictions.parquet]
    metrics:
      - reports/eval/metrics.json: {cache: false}
  export:
    cmd: rm -rf models/bundle && mkdir -p models && cp -r made/bundle models/bundle
    deps: [made/bundle]
    outs: [models/bundle]
artifacts:
  wellformed:
    path: models/bundle
    type: model
";

/// Which of the two runs the predictions are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Worse,
    Better,
}

pub(crate) struct Shop {
    folder: TempDir,
    pub(crate) function: String,
    images: TempDir,
}

/// How the release process ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Shop {
    /// An empty project, with what the foundation's stack makes for its function.
    pub(crate) fn open(stand_in: &StandIn, function: &str) -> Self {
        let shop = Self::in_new_folder(function);
        shop.git(&["init", "--quiet", "--initial-branch", "main"]);
        shop.dvc(&["init", "--quiet"]);
        // The records of the tests would make the tree dirty in a project that does not ignore them.
        shop.write(".gitignore", "/releases/\n/target/\n");
        shop.furnish(stand_in);
        shop
    }

    /// This project as it is committed, with the small pipeline in place of its own: images are made by its own
    /// `Dockerfile.lambda`, of its own code.
    pub(crate) fn of_project(stand_in: &StandIn, function: &str) -> Self {
        let shop = Self::in_new_folder(function);
        shop.git(&["clone", "--quiet", root().to_str().unwrap(), "."]);
        fs::remove_file(shop.path().join("dvc.lock")).unwrap();
        shop.furnish(stand_in);
        shop
    }

    fn in_new_folder(function: &str) -> Self {
        let [folder, images] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        Self { folder, function: function.to_owned(), images }
    }

    fn furnish(&self, stand_in: &StandIn) {
        let function = &self.function;
        let deploy = fs::read_to_string(root().join("deploy.yaml")).unwrap();
        let deploy = deploy
            .replace("repository: wellformed ", &format!("repository: {function} "))
            .replace("  name: wellformed\n", &format!("  name: {function}\n"))
            .replace("  role: wellformed-function", &format!("  role: {function}-function"))
            .replace("  group: /aws/lambda/wellformed", &format!("  group: /aws/lambda/{function}"))
            .replace("  seconds: 300", "  seconds: 0");
        self.write("deploy.yaml", &deploy);
        self.write("dvc.yaml", PIPELINE);
        let policy = r#"{"Version": "2012-10-17", "Statement": []}"#;
        for arguments in [
            vec!["ecr", "create-repository", "--repository-name", function, "--image-tag-mutability", "IMMUTABLE"],
            vec![
                "iam",
                "create-role",
                "--role-name",
                &format!("{function}-function"),
                "--assume-role-policy-document",
                policy,
            ],
            vec!["logs", "create-log-group", "--log-group-name", &format!("/aws/lambda/{function}")],
        ] {
            aws(stand_in, &arguments);
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text in deploy.yaml, and commits it.
    pub(crate) fn change_settings(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path().join("deploy.yaml")).unwrap();
        assert!(text.contains(from), "{from} is not in deploy.yaml");
        self.write("deploy.yaml", &text.replacen(from, to, 1));
        self.commit("settings");
    }

    /// Makes a candidate and commits it: a run's predictions, and a bundle that `variation` tells from others.
    pub(crate) fn candidate(&self, run: Run, variation: u32) {
        let name = match run {
            Run::Worse => "before",
            Run::Better => "after",
        };
        let reports = root().join("crates/report/tests/fixtures/runs").join(name).join("reports/eval");
        let made = self.path().join("made");
        fs::create_dir_all(made.join("bundle")).unwrap();
        for file in ["predictions.parquet", "metrics.json"] {
            fs::copy(reports.join(file), made.join(file)).unwrap();
        }
        let bundle = root().join("crates/infer/tests/fixtures/bundle");
        for entry in fs::read_dir(bundle).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), made.join("bundle").join(entry.file_name())).unwrap();
        }
        let path = made.join("bundle/bundle.json");
        let mut manifest: Manifest = read_json(&path).unwrap();
        manifest.metrics.accuracy = f64::from(variation) / 1024.0;
        write_json(&path, &manifest.seal()).unwrap();
        self.dvc(&["repro", "--quiet"]);
        self.commit(&format!("candidate {variation}"));
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        said(Command::new("git").args(arguments).current_dir(self.path()).envs(identity()))
    }

    fn dvc(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(root().join(".venv/bin/dvc"));
        said(command.args(arguments).current_dir(self.path()).env("DVC_NO_ANALYTICS", "1"))
    }

    /// The image of the candidate, as `Dockerfile.lambda` would make it, from a program that was built before.
    pub(crate) fn image(&self) -> PathBuf {
        let commit = self.git(&["rev-parse", "HEAD"]).trim().to_owned();
        let folder = self.images.path().join(&commit);
        if folder.exists() {
            return folder;
        }
        let files = tempfile::tempdir().unwrap();
        let program = files.path().join("bootstrap");
        fs::write(&program, bootstrap()).unwrap();
        let bundle = self.path().join("models/bundle");
        let manifest: Manifest = read_json(&bundle.join("bundle.json")).unwrap();
        let buildah = |arguments: &[&str]| said(Command::new("buildah").args(arguments)).trim().to_owned();
        let container = buildah(&["from", "scratch"]);
        let [program, bundle] = [&program, &bundle].map(|path| path.to_str().unwrap());
        buildah(&["copy", "--quiet", "--chmod", "0555", &container, program, "/var/task/bootstrap"]);
        buildah(&["copy", "--quiet", "--chmod", "0444", &container, bundle, "/opt/bundle"]);
        buildah(&[
            "config",
            "--user",
            "65532:65532",
            "--workingdir",
            "/var/task",
            "--entrypoint",
            r#"["/var/task/bootstrap"]"#,
            "--label",
            &format!("org.opencontainers.image.revision={commit}"),
            "--label",
            &format!("wellformed.bundle.digest={}", manifest.digest),
            &container,
        ]);
        buildah(&[
            "commit",
            "--quiet",
            "--rm",
            "--format",
            "oci",
            "--timestamp",
            "0",
            &container,
            &format!("oci:{}:built", folder.display()),
        ]);
        folder
    }

    fn command(&self, stand_in: &StandIn, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release"));
        let programs = root();
        command.arg("--aws").arg(programs.join(".venv-aws/bin/aws"));
        command.arg("--gto").arg(programs.join(".venv-aws/bin/gto"));
        command.arg("--dvc").arg(programs.join(".venv/bin/dvc"));
        command.args(arguments).current_dir(self.path()).envs(credentials(stand_in)).envs(identity());
        // Images are kept below the project's own target folder.
        command.env_remove("CARGO_TARGET_DIR");
        command.env("DVC_NO_ANALYTICS", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A release of the candidate, with its image, to its end.
    pub(crate) fn release(&self, stand_in: &StandIn, arguments: &[&str]) -> Ended {
        let image = self.image();
        let all = [&["run", "--image", image.to_str().unwrap()], arguments].concat();
        self.run(stand_in, &all)
    }

    /// The same, begun, as the leader of a group of processes.
    pub(crate) fn begin(&self, stand_in: &StandIn, arguments: &[&str]) -> Child {
        let image = self.image();
        let all = [&["run", "--image", image.to_str().unwrap()], arguments].concat();
        self.command(stand_in, &all).process_group(0).spawn().unwrap()
    }

    /// The binary, to its end.
    pub(crate) fn run(&self, stand_in: &StandIn, arguments: &[&str]) -> Ended {
        ended(self.command(stand_in, arguments).output().unwrap())
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(self.path().join("releases")).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let records = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        records.map(|path| read_json(path).unwrap()).collect()
    }

    /// The version that the alias names, and the shares of others.
    pub(crate) fn alias(&self, stand_in: &StandIn) -> (String, Value) {
        let said = aws(stand_in, &["lambda", "get-alias", "--function-name", &self.function, "--name", "live"]);
        let weights = &said["RoutingConfig"]["AdditionalVersionWeights"];
        let weights =
            if weights.as_object().is_some_and(|all| !all.is_empty()) { weights.clone() } else { Value::Null };
        (said["FunctionVersion"].as_str().unwrap().to_owned(), weights)
    }
}

/// AWS's command line; its answer.
pub(crate) fn aws(stand_in: &StandIn, arguments: &[&str]) -> Value {
    let mut command = Command::new(root().join(".venv-aws/bin/aws"));
    let text = said(command.args(arguments).envs(credentials(stand_in)));
    // Some operations answer nothing.
    serde_json::from_str(&text).unwrap_or_default()
}

pub(crate) fn ended(output: Output) -> Ended {
    let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    Ended { code: output.status.code(), said }
}

pub(crate) fn credentials(stand_in: &StandIn) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", stand_in.url.clone()),
        ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
    ]
}

fn identity() -> [(&'static str, &'static str); 4] {
    [
        ("GIT_AUTHOR_NAME", "Test"),
        ("GIT_AUTHOR_EMAIL", "test@example.org"),
        ("GIT_COMMITTER_NAME", "Test"),
        ("GIT_COMMITTER_EMAIL", "test@example.org"),
    ]
}

/// Runs a program, which must succeed; what it printed on standard output.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The program as it ships: that of `$WELLFORMED_BOOTSTRAP`, or that of an image which `Dockerfile.lambda` makes of the
/// commit that the project stands at.
fn bootstrap() -> &'static [u8] {
    static BOOTSTRAP: OnceLock<Vec<u8>> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| {
        if let Some(path) = std::env::var_os("WELLFORMED_BOOTSTRAP") {
            return fs::read(path).unwrap();
        }
        let copy = tempfile::tempdir().unwrap();
        let (from, to) = (root(), copy.path().to_str().unwrap().to_owned());
        said(Command::new("git").args(["clone", "--quiet", from.to_str().unwrap(), &to]));
        let bundle = copy.path().join("models/bundle");
        fs::create_dir_all(&bundle).unwrap();
        for entry in fs::read_dir(root().join("crates/infer/tests/fixtures/bundle")).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), bundle.join(entry.file_name())).unwrap();
        }
        let request = BuildRequest::of_commit(copy.path(), Target::Lambda).unwrap();
        let image: Image = Builder::find().unwrap().build(&request, &mut |_| ()).unwrap();
        image.layout.file("var/task/bootstrap").unwrap()
    })
}
