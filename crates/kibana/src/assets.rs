//! The files in `monitoring/` that this crate makes.

use serde_json::{Value, json};

use crate::alert::rules;
use crate::dashboard::{TITLE, panels};
use crate::panel::Source;
use crate::saved_object::{SavedObject, ndjson};
use crate::{classic, lens, verdict};

use wellformed_core::files::sha256_bytes;

/// Who reads the saved objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Kibana, 8.9 or newer.
    Kibana,
    /// OpenSearch Dashboards.
    OpenSearchDashboards,
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kibana => "Kibana",
            Self::OpenSearchDashboards => "OpenSearch Dashboards",
        }
    }
}

/// Data views, panels and the dashboard, in an order in which each points to earlier ones only.
pub fn saved_objects(program: Program) -> Vec<SavedObject> {
    let panels = panels();
    let mut objects: Vec<SavedObject> = match program {
        Program::Kibana => {
            let views = Source::ALL.into_iter().map(lens::data_view);
            views.chain(panels.iter().map(lens::visualization)).collect()
        }
        Program::OpenSearchDashboards => {
            let patterns = Source::ALL.into_iter().map(classic::index_pattern);
            patterns.chain(panels.iter().map(classic::visualization)).collect()
        }
    };
    let dashboard = |description: &str| match program {
        Program::Kibana => lens::dashboard(TITLE, description, &panels),
        Program::OpenSearchDashboards => classic::dashboard(TITLE, description, &panels),
    };
    // The dashboard carries the digest of everything, so that an installation can be told from an older one although
    // the server rewrites what it keeps.
    let about = "How many sentences are judged, how, how surely and how fast, what goes wrong, and whether it drifts.";
    let mut whole = objects.clone();
    whole.push(dashboard(about));
    let digest = sha256_bytes(ndjson(&whole).as_bytes());
    objects.push(dashboard(&format!("{about} {}", definition(&digest))));
    objects
}

/// What the description of an installed dashboard ends in.
fn definition(digest: &str) -> String {
    format!("[definition {}]", &digest[..12])
}

/// The mark of a dashboard's description, `[definition …]`; `None` if it has none.
pub fn mark(dashboard: &Value) -> Option<&str> {
    let description = dashboard["attributes"]["description"].as_str()?;
    description.rfind("[definition ").map(|at| &description[at..])
}

/// Paths below the project's root, and contents.
pub fn files() -> Vec<(&'static str, String)> {
    let rules: Vec<Value> = rules().iter().map(|one| json!({"id": one.id, "rule": one.rule})).collect();
    vec![
        ("monitoring/kibana.ndjson", ndjson(&saved_objects(Program::Kibana))),
        ("monitoring/opensearch-dashboards.ndjson", ndjson(&saved_objects(Program::OpenSearchDashboards))),
        ("monitoring/alert-rules.json", format!("{:#}\n", Value::from(rules))),
        ("monitoring/verdicts-index-template.json", format!("{:#}\n", verdict::index_template())),
    ]
}
