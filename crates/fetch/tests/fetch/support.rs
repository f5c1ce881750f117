//! A project in a temporary folder, and small things to fetch. All sentences are this project's own.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::files::sha256_bytes;
use wellformed_core::params::{FetchStage, Params};
use wellformed_fetch::{FetchError, Part, Patience, Places, Settings, fetch};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The committed parameters, for tests to change with `--set`.
pub(crate) fn params() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../params.yaml")
}

pub(crate) struct Project {
    folder: TempDir,
    pub(crate) places: Places,
    pub(crate) settings: Settings,
}

impl Project {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::in_project(folder.path());
        let patience = Patience { attempts: 4, pause: Duration::from_millis(5), silence: Duration::from_millis(400) };
        // Nobody listens on port 9 of loopback: what is not told of a hub must not ask one.
        let settings = Settings { hub: "http://127.0.0.1:9".to_owned(), token: None, patience };
        Self { folder, places, settings }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file in the project and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn fetch(&self, parts: &[Part], sets: &[String]) -> Result<String, FetchError> {
        let stage: FetchStage = Params::load_stage(&params(), sets).unwrap();
        fetch(&stage, parts, &self.places, &self.settings).map(|lines| lines.join("\n"))
    }

    pub(crate) fn data(&self, sets: &[String]) -> Result<String, FetchError> {
        self.fetch(&[Part::Data], sets)
    }

    pub(crate) fn base(&self, sets: &[String]) -> Result<String, FetchError> {
        self.fetch(&[Part::Base], sets)
    }

    pub(crate) fn corpus(&self) -> Vec<u8> {
        fs::read(&self.places.corpus).unwrap()
    }

    /// A file of the packed corpus.
    pub(crate) fn member(&self, name: &str) -> Vec<u8> {
        let mut archive = ZipArchive::new(File::open(&self.places.corpus).unwrap()).unwrap();
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The names in the packed corpus, in order.
    pub(crate) fn members(&self) -> Vec<String> {
        let archive = ZipArchive::new(File::open(&self.places.corpus).unwrap()).unwrap();
        archive.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    /// A file of the base model.
    pub(crate) fn base_file(&self, name: &str) -> Vec<u8> {
        fs::read(self.places.base.join(name)).unwrap()
    }

    /// The names in the base model's folder, sorted.
    pub(crate) fn base_files(&self) -> Vec<String> {
        names(&self.places.base)
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_slice(&self.base_file("source.json")).unwrap()
    }

    /// What lies in the download folder, the lock aside.
    pub(crate) fn downloads(&self) -> Vec<String> {
        names(&self.places.downloads).into_iter().filter(|name| name != "lock").collect()
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `--set` arguments.
pub(crate) fn sets(sets: &[&str]) -> Vec<String> {
    sets.iter().map(ToString::to_string).collect()
}

/// A stand-in for CoLA's archive, in its layout.
pub(crate) fn cola_archive() -> Vec<u8> {
    let rows = (0..200).map(|number| format!("gj04\t1\t\tThe {number} keys to the cabinet are on the table."));
    let rows = rows.collect::<Vec<_>>().join("\n");
    zip(&[
        ("cola_public/README", b"Sentences of the tests' own."),
        ("cola_public/raw/in_domain_train.tsv", rows.as_bytes()),
        ("cola_public/raw/in_domain_dev.tsv", b"gj04\t0\t*\tThe keys is on the table.\n"),
        ("cola_public/raw/out_of_domain_dev.tsv", b"xy01\t1\t\tKeys open doors."),
    ])
}

pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The files of a tiny BERT; the weights are any bytes, `fetch` does not look into them.
pub(crate) struct Model {
    pub(crate) config: Vec<u8>,
    pub(crate) vocabulary: Vec<u8>,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) weights: Vec<u8>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            config: br#"{"model_type": "bert", "hidden_size": 8}"#.to_vec(),
            vocabulary: b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n".to_vec(),
            tokenizer: br#"{"version": "1.0"}"#.to_vec(),
            weights: (0..300_000_u32)
                .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
                .collect(),
        }
    }

    /// `base.sha256` of the three files that matter.
    pub(crate) fn digests(&self) -> String {
        format!(
            "base.sha256={{config.json: '{}', tokenizer.json: '{}', model.safetensors: '{}'}}",
            sha256_bytes(&self.config),
            sha256_bytes(&self.tokenizer),
            sha256_bytes(&self.weights)
        )
    }
}
