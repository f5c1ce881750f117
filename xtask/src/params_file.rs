//! `params.yaml` changed in place: one value at a time, with every comment and every other byte kept.
//!
//! The file keeps to a small part of YAML, and so do the presets: sections nested by indentation, one `key: value` a
//! line, comments. DVC, which edits the same file for `dvc exp run -S`, may fold a long value into the next line; that
//! is understood too.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Sections whose keys are data, not parameters: a preset replaces them whole.
pub const OPEN_SECTIONS: [&str; 1] = ["base.sha256"];

/// The text of a parameter file, and where its keys are.
#[derive(Debug, Clone)]
pub struct ParamsFile {
    lines: Vec<String>,
}

/// One `key:` line, with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The key with its sections, `train.lr`.
    path: String,
    /// The key alone; a file name, which may hold dots, in an open section.
    name: String,
    /// Spaces before the key.
    indent: usize,
    /// The line of the key and, after it, lines of a folded value.
    lines: Range<usize>,
    /// The value's text; empty for a section.
    value: String,
    /// The comment with its `#`, and the column where it starts.
    comment: Option<(String, usize)>,
    /// Whether deeper keys follow.
    section: bool,
}

/// A value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, `section.key`.
    pub key: String,
    /// The text before.
    pub old: String,
    /// The text now.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} -> {}", self.key, self.old, self.new)
    }
}

/// What a preset or `--set` gives a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The text of one value, as it stands in YAML.
    Scalar(String),
    /// The keys and values of an open section.
    Map(Vec<(String, String)>),
}

impl ParamsFile {
    /// Takes the text apart.
    ///
    /// # Errors
    ///
    /// When a line is not of the form described above; it is named by its number.
    pub fn parse(text: &str) -> Result<Self> {
        let file = Self { lines: text.lines().map(str::to_owned).collect() };
        file.entries()?;
        Ok(file)
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    ///
    /// As [`ParamsFile::parse`]; also when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not what this program can edit", path.display()))
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }

    /// Every key with a value, in the order of the file; an open section is one key.
    ///
    /// # Errors
    ///
    /// As [`ParamsFile::parse`].
    pub fn values(&self) -> Result<Vec<(String, Value)>> {
        let entries = self.entries()?;
        let mut values: Vec<(String, Value)> = Vec::new();
        for entry in &entries {
            if OPEN_SECTIONS.contains(&entry.path.as_str()) {
                let inside = |other: &&Entry| is_inside(other, entry, &entries);
                let pairs = entries.iter().filter(inside).map(|one| (one.name.clone(), one.value.clone()));
                values.push((entry.path.clone(), Value::Map(pairs.collect())));
            } else if !entry.section && !OPEN_SECTIONS.iter().any(|open| below(&entry.path, open)) {
                values.push((entry.path.clone(), Value::Scalar(entry.value.clone())));
            }
        }
        Ok(values)
    }

    /// The text of one value, or nothing where there is no such key.
    pub fn get(&self, key: &str) -> Option<String> {
        let entries = self.entries().ok()?;
        entries.into_iter().find(|entry| entry.path == key && !entry.section).map(|entry| entry.value)
    }

    /// Whether the key or section exists.
    pub fn contains(&self, key: &str) -> bool {
        self.entries().is_ok_and(|entries| entries.iter().any(|entry| entry.path == key))
    }

    /// Replaces one value, or one open section. Nothing if it has that value already.
    ///
    /// # Errors
    ///
    /// When there is no such key, with the keys that there are; when the key is a section.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<Option<Change>> {
        match value {
            Value::Scalar(text) => self.set_scalar(key, text),
            Value::Map(pairs) => self.set_map(key, pairs),
        }
    }

    fn set_scalar(&mut self, key: &str, text: &str) -> Result<Option<Change>> {
        let entries = self.entries()?;
        let Some(entry) = entries.iter().find(|entry| entry.path == key) else {
            bail!("{}", unknown(key, &entries));
        };
        if entry.section || OPEN_SECTIONS.contains(&key) {
            let children = children(key, &entries);
            bail!("{key} is a section; name one of its keys: {}", children.join(", "));
        }
        let new = quoted(text);
        if entry.value == new {
            return Ok(None);
        }
        let change = Change { key: key.to_owned(), old: entry.value.clone(), new: new.clone() };
        let line = entry.line(&new);
        self.lines.splice(entry.lines.clone(), [line]);
        Ok(Some(change))
    }

    fn set_map(&mut self, key: &str, pairs: &[(String, String)]) -> Result<Option<Change>> {
        let entries = self.entries()?;
        if !OPEN_SECTIONS.contains(&key) {
            bail!("{}", unknown(key, &entries));
        }
        let describe = |pairs: &[(String, String)]| {
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        };
        let now = self.values()?.into_iter().find(|(path, _)| path == key);
        let old = match &now {
            Some((_, Value::Map(old))) => old.clone(),
            _ => Vec::new(),
        };
        if now.is_some() && old == pairs {
            return Ok(None);
        }
        let (indent, at, head) = if let Some(entry) = entries.iter().find(|entry| entry.path == key) {
            let end = entries.iter().filter(|other| is_inside(other, entry, &entries)).map(|e| e.lines.end).max();
            let lines = entry.lines.start..end.unwrap_or(entry.lines.end);
            (entry.indent, lines, entry.line(if pairs.is_empty() { "{}" } else { "" }))
        } else {
            // `dvc exp run -S '~base.sha256'` takes the whole section out.
            let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
            let Some(parent) = entries.iter().find(|entry| entry.path == parent) else {
                bail!("{}", unknown(key, &entries));
            };
            let name = key.get(parent.path.len() + 1..).unwrap_or(key);
            let indent = parent.indent + 2;
            let head = format!("{:indent$}{name}:{}", "", if pairs.is_empty() { " {}" } else { "" });
            (indent, parent.lines.end..parent.lines.end, head)
        };
        let indent = indent + 2;
        let rows = pairs.iter().map(|(name, value)| format!("{:indent$}{name}: {}", "", quoted(value)));
        self.lines.splice(at, std::iter::once(head).chain(rows).collect::<Vec<_>>());
        Ok(Some(Change { key: key.to_owned(), old: describe(&old), new: describe(pairs) }))
    }

    fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut sections: Vec<(usize, String)> = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let bare = line.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let indent = line.len() - bare.len();
            let Some((key, rest)) = split_key(bare) else {
                let Some(previous) = entries.last_mut().filter(|entry| entry.value.is_empty() && entry.indent < indent)
                else {
                    bail!("line {}: expected `key: value`, found `{bare}`", number + 1);
                };
                let (value, comment) = split_comment(bare, indent);
                value.clone_into(&mut previous.value);
                previous.comment = comment.or(previous.comment.take());
                previous.lines.end = number + 1;
                continue;
            };
            sections.retain(|(depth, _)| *depth < indent);
            let parent = sections.last().map(|(_, path)| path.as_str());
            let path = parent.map_or_else(|| key.to_owned(), |parent| format!("{parent}.{key}"));
            if let Some(parent) = parent
                && let Some(entry) = entries.iter_mut().find(|entry| entry.path == parent)
            {
                if !entry.value.is_empty() {
                    bail!("line {}: `{key}` is indented below `{parent}`, which has a value", number + 1);
                }
                entry.section = true;
            }
            let (value, comment) = split_comment(rest, line.len() - rest.len());
            sections.push((indent, path.clone()));
            let (name, value, lines) = (key.to_owned(), value.to_owned(), number..number + 1);
            entries.push(Entry { path, name, indent, lines, value, comment, section: false });
        }
        Ok(entries)
    }
}

impl Entry {
    /// The line with another value; the comment stays in its column where there is room.
    fn line(&self, value: &str) -> String {
        let mut line = format!("{:indent$}{}:", "", self.name, indent = self.indent);
        if !value.is_empty() {
            line.push(' ');
            line.push_str(value);
        }
        if let Some((comment, column)) = &self.comment {
            let width = column.saturating_sub(line.chars().count()).max(1);
            line.push_str(&" ".repeat(width));
            line.push_str(comment);
        }
        line
    }
}

/// `key: rest` apart; a colon inside a value has no space after it.
fn split_key(bare: &str) -> Option<(&str, &str)> {
    let (key, rest) = match bare.split_once(": ") {
        Some(pair) => pair,
        None => (bare.strip_suffix(':')?, ""),
    };
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    plain.then_some((key, rest))
}

/// The value and, where there is one, the comment with its column.
fn split_comment(text: &str, column: usize) -> (&str, Option<(String, usize)>) {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if (c == '\'' || c == '"') && text[..at].trim().is_empty() => quote = Some(c),
            None if c == '#' && previous.is_whitespace() => {
                return (text[..at].trim(), Some((text[at..].trim_end().to_owned(), column + at)));
            }
            Some(_) | None => {}
        }
        previous = c;
    }
    (text.trim(), None)
}

/// The text as a YAML value: in quotes where YAML would read something else. Quoted text stays as it is.
fn quoted(text: &str) -> String {
    let text = text.trim();
    let is_quoted = |quote: char| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote);
    if is_quoted('\'') || is_quoted('"') {
        return text.to_owned();
    }
    let special = text.starts_with(|c: char| "!&*?|>@%`'\"#,[]{}".contains(c)) || text.starts_with("- ");
    if text.is_empty() || special || text.contains(": ") || text.ends_with(':') || text.contains(" #") {
        return format!("'{}'", text.replace('\'', "''"));
    }
    text.to_owned()
}

fn below(path: &str, section: &str) -> bool {
    path.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether `other` is a key of the section `entry`: below it by name and, as keys may hold dots, by place.
fn is_inside(other: &Entry, entry: &Entry, entries: &[Entry]) -> bool {
    let end = entries.iter().filter(|next| next.lines.start > entry.lines.start && next.indent <= entry.indent);
    let end = end.map(|next| next.lines.start).min().unwrap_or(usize::MAX);
    below(&other.path, &entry.path) && (entry.lines.end..end).contains(&other.lines.start)
}

fn children(section: &str, entries: &[Entry]) -> Vec<String> {
    entries.iter().filter(|entry| below(&entry.path, section)).map(|entry| entry.path.clone()).collect()
}

fn unknown(key: &str, entries: &[Entry]) -> String {
    let section = key.rsplit_once('.').map_or("", |(section, _)| section);
    let siblings = children(section, entries);
    if siblings.is_empty() {
        let top = entries.iter().filter(|entry| entry.indent == 0).map(|entry| entry.path.as_str());
        return format!("params.yaml has no key {key}; its sections are {}", top.collect::<Vec<_>>().join(", "));
    }
    format!("params.yaml has no key {key}; {section} has {}", siblings.join(", "))
}
