//! Presets: `presets/NAME.yaml`, each a handful of values laid over `params.yaml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::params_file::{Change, ParamsFile, Value};

/// One preset.
#[derive(Debug, Clone)]
pub struct Preset {
    /// The file's name without `.yaml`.
    pub name: String,
    /// What it is for: the file's first comment.
    pub purpose: String,
    values: Vec<(String, Value)>,
}

impl Preset {
    /// Reads `presets/NAME.yaml`.
    ///
    /// # Errors
    ///
    /// When there is no such preset (all are listed), or its file cannot be read.
    pub fn load(root: &Path, name: &str) -> Result<Self> {
        let path = root.join("presets").join(format!("{name}.yaml"));
        if !path.is_file() {
            let known: Vec<String> =
                Self::all(root)?.iter().map(|preset| format!("  {:10} {}", preset.name, preset.purpose)).collect();
            bail!("there is no preset {name}; there are:\n{}", known.join("\n"));
        }
        let file = ParamsFile::read(&path)?;
        let text = file.text();
        let purpose = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned();
        Ok(Self { name: name.to_owned(), purpose, values: file.values()? })
    }

    /// Every preset of the project, by name.
    ///
    /// # Errors
    ///
    /// When the folder or one of its files cannot be read.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let folder = root.join("presets");
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml")
                && let Some(stem) = path.file_stem()
            {
                names.push(stem.to_string_lossy().into_owned());
            }
        }
        names.sort();
        names.iter().map(|name| Self::load(root, name)).collect()
    }

    /// Writes the preset's values into `params`; what changed.
    ///
    /// # Errors
    ///
    /// When the preset names a key that `params.yaml` does not have.
    pub fn apply(&self, params: &mut ParamsFile) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (key, value) in &self.values {
            let change = params.set(key, value).with_context(|| format!("presets/{}.yaml", self.name))?;
            changes.extend(change);
        }
        Ok(changes)
    }

    /// The preset as arguments of `dvc exp run`, in Hydra's grammar: `-S train.lr=5e-4 …`.
    ///
    /// # Errors
    ///
    /// When the preset names a key that `params.yaml` does not have, or a value has a space in it, which would not
    /// survive `$(cargo xtask preset NAME)`.
    pub fn overrides(&self, params: &ParamsFile) -> Result<Vec<String>> {
        self.clone().apply(&mut params.clone())?;
        let mut arguments = Vec::new();
        let mut push = |text: String| -> Result<()> {
            if text.contains(|c: char| c.is_whitespace() || "*?[".contains(c)) {
                bail!("presets/{}.yaml: `{text}` cannot be passed through a shell's $(…)", self.name);
            }
            arguments.extend(["-S".to_owned(), text]);
            Ok(())
        };
        for (key, value) in &self.values {
            match value {
                Value::Scalar(text) => push(format!("{key}={}", hydra(text)))?,
                // Hydra merges maps, so the old one goes first; an empty one it cannot write at all.
                Value::Map(pairs) => {
                    if params.contains(key) {
                        push(format!("~{key}"))?;
                    }
                    if !pairs.is_empty() {
                        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}:{}", hydra(v))).collect();
                        push(format!("+{key}={{{}}}", pairs.join(",")))?;
                    }
                }
            }
        }
        Ok(arguments)
    }
}

/// A value in Hydra's grammar, in single quotes where it needs them.
fn hydra(text: &str) -> String {
    let inner = text.trim_matches(|c| c == '\'' || c == '"');
    let plain = inner.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@+-".contains(c));
    if plain { inner.to_owned() } else { format!("'{}'", inner.replace('\'', "\\'")) }
}

/// Writes presets, then single values, into `root/params.yaml`; what changed. The file is written once, or not at all.
///
/// # Errors
///
/// When a preset or a key is unknown, a `--set` is not `section.key=value`, or the file cannot be read or written.
pub fn apply(root: &Path, presets: &[String], sets: &[String]) -> Result<Vec<Change>> {
    let path = root.join("params.yaml");
    let mut params = ParamsFile::read(&path)?;
    let mut changes = Vec::new();
    for name in presets {
        changes.extend(Preset::load(root, name)?.apply(&mut params)?);
    }
    for given in sets {
        let Some((key, text)) = given.split_once('=') else {
            bail!("--set {given}: expected section.key=value, for example --set train.lr=5e-5");
        };
        let change = params.set(key, &Value::Scalar(text.to_owned())).with_context(|| format!("--set {given}"))?;
        changes.extend(change);
    }
    if !changes.is_empty() {
        fs::write(&path, params.text()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(changes)
}
