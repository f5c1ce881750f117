//! What is in service: the version that the alias names, and the model in it.

use anyhow::{Context, Result, bail};

use crate::cloud::{Alias, Cloud};
use crate::record::{Model, Record};
use crate::settings::Settings;
use crate::state::State;

/// What is in service.
#[derive(Debug, Clone, PartialEq)]
pub struct InService {
    /// The function's version.
    pub version: String,
    /// The model in it, as far as it is known: from the record of its release, or else from what the version says of
    /// itself (then without metrics).
    pub model: Option<Model>,
}

/// Looks at the alias; `None` when nothing is in service.
///
/// # Errors
///
/// When the cloud cannot be asked, or the alias is split by something that is no release on record.
pub fn in_service(cloud: &dyn Cloud, settings: &Settings, records: &[Record]) -> Result<Option<InService>> {
    let (function, alias) = (&settings.function.name, &settings.function.alias);
    let Some(Alias { routing, .. }) = cloud.alias(function, alias)? else { return Ok(None) };
    if !routing.shares.is_empty() {
        let others: Vec<&str> = routing.shares.keys().map(String::as_str).collect();
        bail!(
            "the alias {alias} of {function} is split between the versions {} and {}, and no release on record did that; \
             `cargo xtask rollback --to VERSION` sends everybody to one of them",
            routing.version,
            others.join(", ")
        );
    }
    let model = model_of(cloud, settings, records, &routing.version)?;
    Ok(Some(InService { version: routing.version, model }))
}

/// The model in a version.
///
/// # Errors
///
/// When the cloud cannot be asked.
pub fn model_of(cloud: &dyn Cloud, settings: &Settings, records: &[Record], version: &str) -> Result<Option<Model>> {
    let known = records.iter().rev().filter(|record| record.function == settings.function.name);
    let mut known = known.filter(|record| record.version.as_deref() == Some(version));
    if let Some(model) = known.find_map(|record| record.model.clone()) {
        return Ok(Some(model));
    }
    let function = cloud.function(&settings.function.name, version)?;
    Ok(function.and_then(|function| described(&function.description)))
}

/// What a version says of itself: at most 256 characters.
pub fn description(number: u32, model: &Model) -> String {
    format!("release {number}, commit {}, bundle {}", model.commit, model.bundle)
}

/// The model of a description, without its metrics.
fn described(text: &str) -> Option<Model> {
    let (_, rest) = text.split_once(", commit ")?;
    let (commit, bundle) = rest.split_once(", bundle ")?;
    let is_digest = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    (is_digest(commit) && is_digest(bundle)).then(|| Model {
        commit: commit.to_owned(),
        bundle: bundle.to_owned(),
        base: String::new(),
        sentences: 0,
        mcc: 0.0,
        mcc_interval: [0.0; 2],
        int8_mcc: 0.0,
        accuracy: 0.0,
    })
}

/// The version that was in service before a version came: that of the newest record that brought it.
///
/// # Errors
///
/// When no record knows.
pub fn before(records: &[Record], function: &str, version: &str) -> Result<String> {
    let brought =
        records.iter().rev().filter(|record| record.function == function && record.state == State::Live).find(
            |record| record.version.as_deref() == Some(version) && record.before != Some(Some(version.to_owned())),
        );
    let record = brought.with_context(|| {
        format!("no record says what was in service before version {version}; name a version with --to VERSION")
    })?;
    record.before.clone().flatten().with_context(|| {
        format!(
            "{} was the first, so there is nothing to go back to; to take the function out of service, remove its alias \
             {} with the `aws` command line",
            record.title(),
            record.alias
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{described, description};
    use crate::record::Model;

    #[test]
    fn what_a_version_says_of_itself_is_short_enough_and_is_read_back() {
        let model = Model {
            commit: "c0ffee".repeat(7)[..40].to_owned(),
            bundle: "ab".repeat(32),
            base: "somewhere".to_owned(),
            sentences: 10,
            mcc: 0.5,
            mcc_interval: [0.4, 0.6],
            int8_mcc: 0.5,
            accuracy: 0.8,
        };
        let text = description(4_000_000_000, &model);
        assert!(text.len() <= 256);
        let read = described(&text).expect("a model");
        assert_eq!((read.commit, read.bundle), (model.commit, model.bundle));
        assert_eq!(described("by hand"), None);
    }
}
