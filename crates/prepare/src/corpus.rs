//! `data/raw/corpus.zip`: which tables are in it, and what part each of them plays.
//!
//! | in the archive | becomes |
//! |---|---|
//! | `cola_public/raw/in_domain_train.tsv` | training, domain `in` |
//! | `cola_public/raw/in_domain_dev.tsv` | validation, domain `in` |
//! | `cola_public/raw/out_of_domain_dev.tsv` | validation, domain `out` |
//! | `corpus/train.{tsv,csv,parquet}` | training |
//! | `corpus/validation.{tsv,csv,parquet}` | validation, if it is there |
//! | `corpus/source.json` | says whether it is GLUE's |
//!
//! Beside the archive may lie labelled sentences of the user's own, [`extra`](Corpus::extra).
//!
//! A row's own `source` and `domain` count; without them, the source is the file's stem and the domain `in`. GLUE's
//! files have neither: their source is `glue`, and the domain of a validation row follows from its position, because
//! GLUE's validation set is CoLA's two development sets one after the other.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use serde_json::Value;
use wellformed_core::dataset::Domain;
use wellformed_core::label::Label;
use zip::ZipArchive;

use crate::error::{Place, PrepareError};
use crate::extra;
use crate::normal::normal_form;
use crate::table::{self, Findings, Form};

/// CoLA's tables: stem, whether it is for training, domain.
const COLA: [(&str, bool, Domain); 3] = [
    ("in_domain_train", true, Domain::In),
    ("in_domain_dev", false, Domain::In),
    ("out_of_domain_dev", false, Domain::Out),
];
const COLA_FOLDER: &str = "cola_public/raw";
const PACKED_FOLDER: &str = "corpus";
const PACKED_FORMS: [(&str, Form); 3] = [("tsv", Form::Tsv), ("csv", Form::Csv), ("parquet", Form::Parquet)];

/// GLUE's validation set as published: so many in-domain rows, then so many out-of-domain rows.
const GLUE_VALIDATION: [(usize, Domain); 2] = [(527, Domain::In), (516, Domain::Out)];

/// A sentence of the corpus, before tokenisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// The file's stem and the row in it, from 1: `in_domain_dev-17`.
    pub id: String,
    /// As it was read.
    pub text: String,
    /// The judgement.
    pub label: Label,
    /// The publication, or what the corpus says instead.
    pub source: String,
    /// In or out of the training set's domain.
    pub domain: Domain,
    /// What it is compared by, [`normal_form`] of the text.
    pub normal: String,
}

/// A corpus whose rows have passed the checks.
#[derive(Debug, Default)]
pub struct Corpus {
    /// Training rows, in the order of the file.
    pub train: Vec<Sentence>,
    /// Validation rows, if the corpus brings any.
    pub validation: Option<Vec<Sentence>>,
    /// Sentences that are only trained on, never reported on: those of `data/extra/`.
    pub extra: Vec<Sentence>,
    /// Rows with control characters, which are kept: tokenizers of BERT drop such characters.
    pub controls: Vec<Place>,
}

/// Reads the corpus, and the extra sentences in the folder `extra` if there is one, and checks every row.
///
/// # Errors
///
/// [`PrepareError::Input`] when the archive is missing, damaged or holds other files, or something that is no table is
/// among the extra ones; [`PrepareError::Rows`] with all bad rows of all files.
pub fn read(path: &Path, extra: &Path) -> Result<Corpus, PrepareError> {
    let mut archive = Archive::open(path)?;
    let mut findings = Findings::default();
    let mut corpus = if archive.names.iter().any(|name| name.starts_with("cola_public/")) {
        cola(&mut archive, &mut findings)?
    } else {
        packed(&mut archive, &mut findings)?
    };
    corpus.extra = extra::read(extra, &mut findings)?;
    if findings.bad.total > 0 {
        return Err(findings.bad.into());
    }
    corpus.controls = findings.controls;
    Ok(corpus)
}

fn cola(archive: &mut Archive, findings: &mut Findings) -> Result<Corpus, PrepareError> {
    let mut corpus = Corpus::default();
    for (stem, train, domain) in COLA {
        let name = format!("{COLA_FOLDER}/{stem}.tsv");
        let rows = table::read(&name, Form::Cola, &archive.member(&name)?, findings)?;
        let part = if train { &mut corpus.train } else { corpus.validation.get_or_insert_default() };
        part.extend(sentences(stem, stem, rows, |_| domain));
    }
    Ok(corpus)
}

fn packed(archive: &mut Archive, findings: &mut Findings) -> Result<Corpus, PrepareError> {
    let record = format!("{PACKED_FOLDER}/source.json");
    let glue = if archive.names.contains(&record) {
        let record: Value = serde_json::from_slice(&archive.member(&record)?)
            .map_err(|error| PrepareError::input(archive.within(&record), format!("is not JSON: {error}")))?;
        record["source"] == "glue"
    } else {
        false
    };
    let train = packed_part(archive, "train", glue, findings)?.ok_or_else(|| {
        let problem = "it holds neither CoLA's cola_public/raw/*.tsv nor corpus/train.tsv, .csv or .parquet; delete it \
                       and run the fetch stage again";
        PrepareError::input(&archive.path, problem)
    })?;
    let validation = packed_part(archive, "validation", glue, findings)?;
    Ok(Corpus { train, validation, ..Corpus::default() })
}

fn packed_part(
    archive: &mut Archive,
    stem: &str,
    glue: bool,
    findings: &mut Findings,
) -> Result<Option<Vec<Sentence>>, PrepareError> {
    let tables = PACKED_FORMS.map(|(extension, form)| (format!("{PACKED_FOLDER}/{stem}.{extension}"), form));
    let mut tables = tables.into_iter().filter(|(name, _)| archive.names.contains(name));
    let Some((name, form)) = tables.next() else { return Ok(None) };
    if let Some((other, _)) = tables.next() {
        return Err(PrepareError::input(archive.within(&name), format!("beside it lies {other}; which one is it?")));
    }
    let bad_before = findings.bad.total;
    let rows = table::read(&name, form, &archive.member(&name)?, findings)?;
    let whole: usize = GLUE_VALIDATION.iter().map(|(rows, _)| rows).sum();
    let by_position = glue && stem == "validation";
    if by_position && findings.bad.total == bad_before && rows.len() != whole {
        let problem = format!(
            "{} rows, but GLUE's validation set has {whole}, whose first {} are in domain; give a set of another size \
             as your own corpus (data.source: file:PATH), with a column `domain`",
            rows.len(),
            GLUE_VALIDATION[0].0
        );
        return Err(PrepareError::input(archive.within(&name), problem));
    }
    let [(within, _), (_, without)] = GLUE_VALIDATION;
    let domain = |number: usize| if by_position && number > within { without } else { Domain::In };
    Ok(Some(sentences(stem, if glue { "glue" } else { stem }, rows, domain).collect()))
}

/// Rows as sentences that are named after their file, with `source` and `domain` where a row does not say its own.
pub(crate) fn sentences<'a>(
    stem: &'a str,
    source: &'a str,
    rows: Vec<table::Row>,
    domain: impl Fn(usize) -> Domain + 'a,
) -> impl Iterator<Item = Sentence> + 'a {
    rows.into_iter().map(move |row| Sentence {
        id: format!("{stem}-{}", row.number),
        normal: normal_form(&row.sentence),
        text: row.sentence,
        label: row.label,
        source: row.source.unwrap_or_else(|| source.to_owned()),
        domain: row.domain.unwrap_or_else(|| domain(row.number)),
    })
}

/// The archive, with names for messages.
struct Archive {
    path: String,
    names: Vec<String>,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    fn open(path: &Path) -> Result<Self, PrepareError> {
        let name = path.display();
        let file = File::open(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => PrepareError::input(&name, "no such file; run the fetch stage first"),
            _ => PrepareError::input(&name, format!("cannot be read: {error}")),
        })?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            let problem = format!("is no ZIP archive ({error}); delete it and run the fetch stage again");
            PrepareError::input(&name, problem)
        })?;
        // A name that cannot be read is none of those that are looked for.
        let names = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        Ok(Self { path: name.to_string(), names, zip })
    }

    fn member(&mut self, name: &str) -> Result<Vec<u8>, PrepareError> {
        let wrong = |problem: String| PrepareError::input(&self.path, problem);
        let mut file = self.zip.by_name(name).map_err(|error| {
            wrong(format!("{name} cannot be had from it ({error}); delete it and run the fetch stage again"))
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| wrong(format!("{name} in it is damaged: {error}")))?;
        Ok(bytes)
    }

    fn within(&self, name: &str) -> String {
        format!("{}: {name}", self.path)
    }
}
