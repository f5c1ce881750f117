//! `data/raw/corpus.zip`: the corpus, one file whatever its source, so that pulling one file from a DVC remote brings it.
//!
//! CoLA's archive is kept byte for byte. Everything else is packed as `corpus/train.*`, `corpus/validation.*` and
//! `corpus/source.json`; the same input gives the same bytes.

pub mod pack;
pub mod table;

use std::path::Path;

use serde_json::{Value, json};
use url::Url;
use wellformed_core::files::sha256_bytes;
use wellformed_core::params::{DataParams, DataSource, FetchStage, GlueParams, StarterParams, UrlParams};
use wellformed_starter::{Item, Sizes, generate};

use crate::digest::{Digest, Wanted};
use crate::download::Download;
use crate::error::FetchError;
use crate::hub::Repository;
use crate::places::{Places, move_file};
use crate::progress::{note, size};
use crate::web::{Settings, Web};
use pack::{Member, Packed};

/// Brings the corpus; returns the summary line.
pub(crate) fn fetch(stage: &FetchStage, places: &Places, settings: &Settings, web: &Web) -> Result<String, FetchError> {
    let DataParams { cola: archive, glue: hub, starter: sizes, .. } = &stage.data;
    match source(stage)? {
        DataSource::Cola => cola(archive, places, web),
        DataSource::Glue => glue(hub, places, settings, web),
        DataSource::Starter => starter(stage.seed, sizes, places),
        DataSource::File(path) => file(&path, places),
    }
}

pub(crate) fn source(stage: &FetchStage) -> Result<DataSource, FetchError> {
    stage.data.source().map_err(|error| FetchError::input("params.yaml", error.to_string()))
}

/// The official archive.
fn cola(archive: &UrlParams, places: &Places, web: &Web) -> Result<String, FetchError> {
    let digest = Digest::Sha256(archive.sha256.clone());
    if digest.is_of(&places.corpus) {
        return Ok(already(places, "CoLA's archive"));
    }
    let url = Url::parse(&archive.url)
        .map_err(|error| FetchError::input("data.cola.url", format!("{} is not an address: {error}", archive.url)))?;
    let wanted = Wanted {
        digest,
        by: "data.cola.sha256 in params.yaml".to_owned(),
        advice: format!(
            "It was not kept. Whatever answers at {url} is not the archive this project was made with (a login page of \
             the network, perhaps?). If the publisher changed it on purpose, look at it and change data.cola.sha256."
        ),
    };
    let advice = |status, _: Option<&str>| {
        let way_out = "or pull the file from a DVC remote (dvc pull data/raw/corpus.zip)";
        match status {
            404 | 410 => {
                format!("The archive is not (or no longer) there: change data.cola.url in params.yaml, {way_out}.")
            }
            _ => format!(
                "The site, or something in between, does not let us in: change data.cola.url in params.yaml, {way_out}."
            ),
        }
    };
    let name = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or("the archive").to_owned();
    let download = Download { name, url: &url, token: None, wanted: &[wanted], size: None, advice: &advice };
    let finished = web.download(&download, &places.downloads)?;
    move_file(&finished, &places.corpus)?;
    Ok(written(places, "CoLA's archive"))
}

/// GLUE's Parquet files.
fn glue(params: &GlueParams, places: &Places, settings: &Settings, web: &Web) -> Result<String, FetchError> {
    let what = format!("GLUE's cola of {} at {}", params.repository, params.revision);
    let asked = json!({ "source": "glue", "repository": params.repository, "revision": params.revision });
    if pack::is_intact(&places.corpus, &asked) {
        return Ok(already(places, &what));
    }
    let mut repository = Repository::dataset(web, settings, &params.repository, &params.revision)?;
    let mut members = Vec::new();
    for split in ["train", "validation"] {
        let path = format!("cola/{split}-00000-of-00001.parquet");
        let file = repository.look_up(&path)?.ok_or_else(|| {
            let problem = format!(
                "there is no {path} at {}; check data.glue.repository and data.glue.revision in params.yaml",
                repository.revision()
            );
            FetchError::input(&params.repository, problem)
        })?;
        let finished = repository.download(&file, None, &places.downloads)?;
        let bytes = read(&finished)?;
        table::check(&path, table::Form::Parquet, &bytes)?;
        members.push(Member { name: format!("{split}.parquet"), bytes });
        // Already in memory, and about to be packed.
        let _ = std::fs::remove_file(&finished);
    }
    let mut record = asked;
    record["commit"] = json!(repository.revision());
    pack(places, record, members, &what)
}

/// The corpus that the project generates.
fn starter(seed: u64, sizes: &StarterParams, places: &Places) -> Result<String, FetchError> {
    let wanted = Sizes { train_pairs: sizes.train_pairs, validation_pairs: sizes.validation_pairs };
    let corpus =
        generate(seed, wanted).map_err(|error| FetchError::input("data.starter in params.yaml", error.to_string()))?;
    let record = json!({
        "source": "starter",
        "seed": seed,
        "train_pairs": sizes.train_pairs,
        "validation_pairs": sizes.validation_pairs,
    });
    let members = vec![
        Member { name: "train.tsv".to_owned(), bytes: rows(&corpus.train) },
        Member { name: "validation.tsv".to_owned(), bytes: rows(&corpus.validation) },
    ];
    let what = format!(
        "the starter corpus, {} training and {} validation sentences",
        corpus.train.len(),
        corpus.validation.len()
    );
    pack(places, record, members, &what)
}

fn rows(items: &[Item]) -> Vec<u8> {
    let mut text = "sentence\tlabel\tsource\n".to_owned();
    for item in items {
        text.push_str(&item.sentence);
        text.push_str(if item.acceptable { "\t1\t" } else { "\t0\t" });
        text.push_str(item.phenomenon.name());
        text.push('\n');
    }
    text.into_bytes()
}

/// The user's own corpus: a folder with `train.*` and perhaps `validation.*`, or one file, which is the training part.
fn file(path: &Path, places: &Places) -> Result<String, FetchError> {
    let mut members = Vec::new();
    if path.is_dir() {
        for split in ["train", "validation"] {
            if let Some(found) = table::find(path, split)? {
                members.push(member(split, &found)?);
            }
        }
        if !members.first().is_some_and(|member| member.name.starts_with("train.")) {
            let problem =
                "a folder must hold train.tsv, train.csv or train.parquet (and may hold validation.* beside it)";
            return Err(FetchError::input(path.display(), problem));
        }
        let ignored = table::ignored(path)?;
        if !ignored.is_empty() {
            note(&format!(
                "{}: only train.* and validation.* are read; left out: {}",
                path.display(),
                ignored.join(", ")
            ));
        }
    } else if path.is_file() {
        members.push(member("train", path)?);
    } else {
        let problem = "no such file or folder; data.source in params.yaml is file:PATH, from the project's root";
        return Err(FetchError::input(path.display(), problem));
    }
    pack(places, json!({ "source": "file" }), members, &path.display().to_string())
}

fn member(split: &str, path: &Path) -> Result<Member, FetchError> {
    let form = table::Form::of(path)?;
    let bytes = table::check(&path.display().to_string(), form, &read(path)?)?;
    Ok(Member { name: format!("{split}.{}", form.extension()), bytes })
}

/// Packs, unless exactly this is there already.
fn pack(places: &Places, record: Value, members: Vec<Member>, what: &str) -> Result<String, FetchError> {
    let Packed { bytes } = pack::pack(record, members)?;
    if Digest::Sha256(sha256_bytes(&bytes)).is_of(&places.corpus) {
        return Ok(already(places, what));
    }
    pack::write(&places.corpus, &bytes)?;
    Ok(written(places, what))
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    std::fs::read(path).map_err(|error| FetchError::input(path.display(), format!("cannot be read: {error}")))
}

fn already(places: &Places, what: &str) -> String {
    format!("{} is already here: {what}", places.corpus.display())
}

fn written(places: &Places, what: &str) -> String {
    let bytes = std::fs::metadata(&places.corpus).map_or(0, |metadata| metadata.len());
    format!("{}: {what} ({})", places.corpus.display(), size(bytes))
}
