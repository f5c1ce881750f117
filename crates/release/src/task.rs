//! What the binary does: opens everything that a release works with, and lets it flow.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wellformed_core::bundle::Precision;

use crate::checkout::Checkout;
use crate::cloud::Cloud as _;
use crate::cloud::aws::Aws;
use crate::container::Containers;
use crate::flow::{self, Ending, Tools, Wishes};
use crate::list::table;
use crate::plan::settings;
use crate::settings::Settings;
use crate::store::{self, Store};
use crate::voice::Voice;

/// Where the project lies, and which programs are asked.
#[derive(Debug, Clone)]
pub struct Place {
    /// The project's root folder.
    pub root: PathBuf,
    /// The AWS command line.
    pub aws: PathBuf,
    /// DVC.
    pub dvc: PathBuf,
    /// GTO.
    pub gto: PathBuf,
}

/// What a person wants of a release.
#[derive(Debug, Clone, Default)]
pub struct DeployWishes {
    /// How it flows.
    pub flow: Wishes,
    /// An image that was built before: an OCI layout.
    pub image: Option<PathBuf>,
}

/// The variable that chooses the precision of the function.
const PRECISION: &str = "WELLFORMED_PRECISION";

/// Everything, opened.
struct Opened {
    settings: Settings,
    aws: Aws,
    store: Box<dyn Store>,
    checkout: Checkout,
    images: Containers,
    voice: Voice,
}

impl Opened {
    fn new(place: &Place, image: Option<&Path>) -> Result<Self> {
        let settings = settings(&place.root)?;
        let aws = Aws::new(&place.aws, &settings.region);
        let store = store::open(&place.root, &settings.records, &aws)?;
        let precision = match settings.function.environment.get(PRECISION).map(String::as_str) {
            None => None,
            Some("fp32") => Some(Precision::Fp32),
            Some("int8") => Some(Precision::Int8),
            Some(other) => bail!("{PRECISION} in deploy.yaml is `{other}`, but must be fp32 or int8"),
        };
        let checkout = Checkout {
            root: place.root.clone(),
            dvc: place.dvc.clone(),
            gto: place.gto.clone(),
            precision,
            confidence: settings.gate.confidence,
        };
        let images = Containers {
            built: image.map(Path::to_owned),
            precision,
            tolerance: settings.probe.tolerance,
            memory_mib: settings.function.memory_mib,
        };
        Ok(Self { settings, aws, store, checkout, images, voice: Voice::aloud() })
    }

    fn tools<'a>(&'a self, root: &'a Path) -> Tools<'a> {
        Tools {
            settings: &self.settings,
            cloud: &self.aws,
            images: &self.images,
            store: self.store.as_ref(),
            project: &self.checkout,
            root,
            voice: &self.voice,
            region: self.aws.region(),
        }
    }
}

/// Releases what is in the working tree.
///
/// # Errors
///
/// As [`flow::release`].
pub fn deploy(place: &Place, wishes: &DeployWishes) -> Result<Ending> {
    let opened = Opened::new(place, wishes.image.as_deref())?;
    flow::release(opened.tools(&place.root), &wishes.flow)
}

/// Goes back.
///
/// # Errors
///
/// As [`flow::rollback`].
pub fn rollback(place: &Place, to: Option<&str>) -> Result<Ending> {
    let opened = Opened::new(place, None)?;
    flow::rollback(opened.tools(&place.root), to)
}

/// What was released, as a table or as JSON.
///
/// # Errors
///
/// When the records cannot be read. That the cloud cannot be asked only leaves out what is in service.
pub fn list(place: &Place, json: bool) -> Result<String> {
    let opened = Opened::new(place, None)?;
    let records = opened.store.list()?;
    if json {
        return serde_json::to_string_pretty(&records).context("records are JSON");
    }
    let function = &opened.settings.function;
    let alias = opened.aws.alias(&function.name, &function.alias);
    let mut text = String::new();
    let version = match alias {
        Ok(alias) => alias.map(|alias| alias.routing.version),
        Err(error) => {
            text = format!("what is in service is not known: {error}\n");
            None
        }
    };
    Ok(text + &table(&records, version.as_deref()))
}

impl Ending {
    /// The exit code that `--help` describes.
    pub fn code(&self) -> u8 {
        match self {
            Self::Live(_) | Self::Nothing(_) => 0,
            Self::Failed(_) => 1,
            Self::Refused(_) => 3,
            Self::Undone(_) => 4,
        }
    }

    /// One line that says how it ended.
    pub fn summary(&self) -> String {
        let problem = |record: &crate::record::Record| record.problem.clone().unwrap_or_default();
        match self {
            Self::Live(record) => format!(
                "{}: {} of {} is version {}",
                record.title(),
                record.alias,
                record.function,
                record.version.as_deref().unwrap_or("?")
            ),
            Self::Refused(record) => format!("{}: refused by the gate. {}", record.title(), problem(record)),
            Self::Failed(record) => {
                format!("{}: failed, and what is in service did not change. {}", record.title(), problem(record))
            }
            Self::Undone(record) => format!(
                "{}: undone, {} is {}. {}",
                record.title(),
                record.alias,
                record
                    .before
                    .clone()
                    .flatten()
                    .map_or_else(|| "gone as before".to_owned(), |version| format!("version {version} as before")),
                problem(record)
            ),
            Self::Nothing(text) => text.trim_end().to_owned(),
        }
    }
}
