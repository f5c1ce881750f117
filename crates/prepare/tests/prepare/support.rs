//! A project in a temporary folder, with a corpus and a tokenizer.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use wellformed_core::dataset::{Example, Split, read_examples};
use wellformed_core::files::read_json;
use wellformed_core::params::{PrepareParams, PrepareStage};
use wellformed_prepare::{Places, PrepareError, prepare};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What Hugging Face's tokenizers made: a tokenizer, and cases.
pub(crate) fn fixture() -> Value {
    read_json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokens.json")).unwrap()
}

/// Seed 1, 128 tokens, a fifth for tune, a tenth for validation.
pub(crate) fn stage() -> PrepareStage {
    PrepareStage {
        seed: 1,
        prepare: PrepareParams {
            max_length: 128,
            tune_fraction: 0.2,
            validation_fraction: 0.1,
            grammar_pairs: 2,
            construction_pairs: 0,
            faulty_copies: 2,
        },
    }
}

pub(crate) struct Project {
    folder: TempDir,
    pub(crate) places: Places,
}

impl Project {
    /// A project with this corpus, a list of file names and contents.
    pub(crate) fn new<B: AsRef<[u8]>>(corpus: &[(&str, B)]) -> Self {
        let folder = TempDir::new().unwrap();
        let places = Places::in_project(folder.path());
        let project = Self { folder, places };
        project.put_tokenizer(&fixture()["tokenizer"]);
        project.put_corpus(corpus);
        project
    }

    /// A project whose corpus is one own file for training.
    pub(crate) fn own(train: &str) -> Self {
        Self::new(&[("corpus/train.tsv", train)])
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn put_tokenizer(&self, tokenizer: &Value) {
        fs::create_dir_all(self.places.tokenizer.parent().unwrap()).unwrap();
        fs::write(&self.places.tokenizer, tokenizer.to_string()).unwrap();
    }

    pub(crate) fn put_corpus<B: AsRef<[u8]>>(&self, corpus: &[(&str, B)]) {
        fs::create_dir_all(self.places.corpus.parent().unwrap()).unwrap();
        let mut archive = ZipWriter::new(File::create(&self.places.corpus).unwrap());
        for (name, bytes) in corpus {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes.as_ref()).unwrap();
        }
        archive.finish().unwrap();
    }

    pub(crate) fn prepare(&self, stage: &PrepareStage) -> Result<Vec<String>, PrepareError> {
        prepare(stage, &self.places)
    }

    /// What the stage says when it refuses.
    pub(crate) fn refusal(&self) -> String {
        let error = self.prepare(&stage()).unwrap_err().to_string();
        assert!(!self.places.prepared.exists() && !self.places.reports.exists(), "something was written: {error}");
        error
    }

    pub(crate) fn read(&self, split: Split) -> Vec<Example> {
        read_examples(&self.places.prepared.join(format!("{}.parquet", split.name()))).unwrap()
    }

    pub(crate) fn ids(&self, split: Split) -> Vec<String> {
        self.read(split).into_iter().map(|example| example.id).collect()
    }

    pub(crate) fn metrics(&self) -> Value {
        read_json(&self.places.reports.join("metrics.json")).unwrap()
    }

    pub(crate) fn report(&self, name: &str) -> String {
        fs::read_to_string(self.places.reports.join(name)).unwrap()
    }

    /// Every file that the stage has written, with its bytes.
    pub(crate) fn outputs(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for folder in [&self.places.prepared, &self.places.reports] {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            files.extend(entries.map(|path| {
                let bytes = fs::read(&path).unwrap();
                (path.strip_prefix(self.root()).unwrap().to_owned(), bytes)
            }));
        }
        files.sort();
        files
    }
}

/// Rows of an own file: so many of each label, all different.
pub(crate) fn table(acceptable: usize, unacceptable: usize) -> String {
    let mut text = "sentence\tlabel\n".to_owned();
    for n in 0..acceptable {
        text += &format!("The cat sleeps on mat {n}.\t1\n");
    }
    for n in 0..unacceptable {
        text += &format!("The cats sleeps on mat {n}.\t0\n");
    }
    text
}

/// An archive laid out as CoLA's, with sentences of our own: `(source, label, how many)` for the training file.
pub(crate) fn cola(strata: &[(&str, u8, usize)]) -> Vec<(&'static str, String)> {
    let mut train = String::new();
    for (source, label, count) in strata {
        for n in 0..*count {
            let mark = if *label == 0 { "*" } else { "" };
            train += &format!("{source}\t{label}\t{mark}\tThe {source} dog {n} barks {label}.\n");
        }
    }
    let within = "aa01\t1\t\tShe \"read\" a book.\naa01\t0\t*\tShe read book a.\n".to_owned();
    let without = "zz09\t0\t*\tRead the was book.\nzz09\t1\t\tThe book was read".to_owned();
    vec![
        ("cola_public/README", "Not read.".to_owned()),
        ("cola_public/raw/in_domain_train.tsv", train),
        ("cola_public/raw/in_domain_dev.tsv", within),
        ("cola_public/raw/out_of_domain_dev.tsv", without),
        ("cola_public/tokenized/in_domain_train.tsv", "not read".to_owned()),
    ]
}
