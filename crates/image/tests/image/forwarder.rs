//! The forwarder's image: fit, and able to do from an empty file system what it is for, over TLS too.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use wellformed_image::sbom::sbom;
use wellformed_image::{BUNDLE_LABEL, Expectations, Limits, Prepared, Target, verify};

use crate::support::{built_forwarder, lacking, root};

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_forwarder_is_fit_and_what_it_cannot_deliver_it_fails_with() {
    let Some(built) = built_forwarder() else { return };
    let found = verify(&built.image, &Expectations::forwarder()).unwrap();
    for check in &found.checks {
        println!("{}: {}", check.name, check.found);
    }
    let failures: Vec<_> = found.failures().collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(found.cold_start.unwrap().limits.memory_mb, 256);
    assert_eq!(built.image.label("org.opencontainers.image.title"), Some("wellformed-forwarder"));
    assert_eq!(built.image.label(BUNDLE_LABEL), None, "there is no bundle in it");

    // Another program's expectations are not met.
    let other = Expectations { target: Target::Serve, ..Expectations::forwarder() };
    assert!(!verify(&built.image, &other).unwrap().passed());
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_same_commit_gives_the_same_forwarder_without_any_cache() {
    let Some(built) = built_forwarder() else { return };
    let mut request = built.request.clone();
    request.cache = false;
    "test-again".clone_into(&mut request.tag);
    let again = built.builder.build(&request, &mut |_| {}).unwrap();
    assert_eq!(again.digest(), built.image.digest());
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn the_forwarders_bill_of_materials_has_its_libraries_and_no_model() {
    let Some(built) = built_forwarder() else { return };
    let bill = sbom(&root(), &built.image, Target::Forwarder).unwrap();
    let components = bill["components"].as_array().unwrap();
    let has = |name: &str| components.iter().any(|it| it["name"] == name && it["scope"] == "required");
    for name in ["wellformed-monitor", "lambda_runtime", "rustls", "webpki-roots"] {
        assert!(has(name), "{name} is missing");
    }
    assert!(!has("wellformed-infer") && components.iter().all(|it| it["type"] == "library"), "a model is in it");
}

/// A program that is ended with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program that says in its first line of output where it listens.
    fn start(command: &mut Command) -> (Self, String) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line)
    }
}

/// An authority that nobody knows, and a certificate of it for 127.0.0.1, by OpenSSL.
fn certificates(folder: &Path) -> Option<String> {
    fs::write(folder.join("leaf.ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let commands: [Vec<&str>; 3] = [
        [&["req", "-x509"], &key[..], &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test", "-days", "2"]]
            .concat(),
        [&["req"], &key[..], &["-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=search"]].concat(),
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile leaf.ext"
            .split(' ')
            .collect(),
    ];
    for arguments in commands {
        let Ok(output) = Command::new("openssl").args(&arguments).current_dir(folder).output() else {
            return lacking("openssl is not installed (`apt-get install openssl`)");
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(fs::read_to_string(folder.join("ca.pem")).unwrap())
}

/// Where osmem-server lies in the environment that `cargo xtask test` makes.
fn osmem() -> Option<PathBuf> {
    let library = fs::read_dir(root().join(".venv-monitor/lib")).ok().and_then(|mut entries| entries.next()?.ok());
    let program = library.map(|it| it.path().join("site-packages/osmem_server/bin/osmem-server"));
    program.filter(|it| it.is_file()).or_else(|| lacking("there is no .venv-monitor (`cargo xtask test` makes it)"))
}

/// A server that speaks as OpenSearch does, behind TLS with a certificate of an authority of its own.
struct Cluster {
    _server: Running,
    _tls: Running,
    plain: String,
    address: String,
    authority: String,
    _folder: TempDir,
}

impl Cluster {
    fn start() -> Option<Self> {
        let program = osmem()?;
        let folder = tempfile::tempdir().unwrap();
        let authority = certificates(folder.path())?;
        let mut command = Command::new(program);
        let (server, said) = Running::start(command.args(["-addr", "127.0.0.1:0", "-no-stdin-watch", "-no-ja"]));
        let plain = serde_json::from_str::<Value>(&said).unwrap()["url"].as_str().unwrap().to_owned();
        let mut command = Command::new("python3");
        command.arg(root().join("crates/image/tests/image/tls.py")).arg(plain.strip_prefix("http://").unwrap());
        let (tls, port) = Running::start(command.current_dir(folder.path()));
        let address = format!("https://127.0.0.1:{}", port.trim());
        let template = fs::read(root().join("monitoring/opensearch-index-template.json")).unwrap();
        let put = ureq::put(format!("{plain}/_index_template/wellformed-records"));
        put.header("content-type", "application/json").send(&template).unwrap();
        Some(Self { _server: server, _tls: tls, plain, address, authority, _folder: folder })
    }

    fn documents(&self) -> Vec<Value> {
        ureq::post(format!("{}/wellformed-records-*/_refresh", self.plain)).send_empty().unwrap();
        let mut answer = ureq::get(format!("{}/wellformed-records-*/_search?size=100", self.plain)).call().unwrap();
        let found: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        found["hits"]["hits"].as_array().unwrap().clone()
    }
}

#[test]
#[ignore = "builds an image, with buildah, skopeo and runc as root: `cargo xtask test` runs it"]
fn records_arrive_over_tls_once_an_authority_of_ones_own_is_named_in_a_variable() {
    let Some(built) = built_forwarder() else { return };
    let Some(cluster) = Cluster::start() else { return };
    let prepared = Prepared::new(&built.image).unwrap();
    if prepared.engine() == "docker" {
        return lacking("docker's files of variables have no lines in a value").unwrap_or_default();
    }
    // Six kinds of lines of a function's log, four records among them, as moto packs them.
    let payload = fs::read(root().join("crates/monitor/tests/fixtures/subscription-moto.json")).unwrap();
    // The sandbox says that the function's own log is the one in the payload, so another one is named here.
    let mut variables = BTreeMap::from([
        ("ELASTICSEARCH_URL".to_owned(), cluster.address.clone()),
        ("ELASTICSEARCH_API_KEY".to_owned(), "hunter2:hunter2".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME".to_owned(), "/aws/lambda/forwarder".to_owned()),
    ]);
    let limits = Limits { memory_mb: 128, ..Limits::default() };

    let mut sandbox = prepared.start(limits, &variables).unwrap();
    let answer = sandbox.invoke(&payload).unwrap();
    let found = answer.json();
    assert_eq!(found["errorType"], "Forwarder.Undelivered", "{found}");
    assert!(found["errorMessage"].as_str().unwrap().contains("certificate"), "{found}");
    sandbox.shutdown();
    assert_eq!(cluster.documents().len(), 0);

    variables.insert("ELASTICSEARCH_CA".to_owned(), cluster.authority.clone());
    let mut sandbox = prepared.start(limits, &variables).unwrap();
    for (created, already_there) in [(4, 0), (0, 4)] {
        let answer = sandbox.invoke(&payload).unwrap();
        let counts = json!({
            "created": created, "already_there": already_there, "skipped": 5, "damaged": 0, "refused": 0, "repeated": 0,
        });
        assert_eq!((answer.function_error.as_deref(), answer.json()), (None, counts));
        let told = answer.log.join("\n");
        assert!(!told.contains("bakers") && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(cluster.documents().len(), 4);
}
