//! The model: an encoder of BERT's kind, pooling, and two logits.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::module::{Initializer, Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};
use wellformed_core::family::HeadActivation;
use wellformed_core::params::{DeviceKind, ModelParams, Pooling, TrainPrecision};

use crate::batch::Batch;
use crate::composed;
use crate::config::BertConfig;
use crate::device::{self, Chosen};
use crate::follow_path;
use crate::fused;
use crate::names::{FileNames, ParameterPath, is_of_another_task, stable_hash};
use crate::weights::{self, Named, Tensors, WeightsError};

/// [`Classifier::width_step`] on GPUs.
const GPU_WIDTH_STEP: usize = 8;

/// What a classifier is made of; kept beside its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The encoder, with as many layers as are kept.
    pub encoder: BertConfig,
    /// How one vector is made of a sequence.
    pub pooling: Pooling,
    /// Dropout of hidden states and embeddings while training.
    pub hidden_dropout: f64,
    /// Dropout of attention weights while training.
    pub attention_dropout: f64,
    /// Dropout before the classifier while training.
    pub classifier_dropout: f64,
}

impl Architecture {
    /// A base model's encoder under the parameters' head, cut to `params.layers` layers.
    ///
    /// # Errors
    ///
    /// When the parameters ask for more layers than there are.
    pub fn new(base: &BertConfig, params: &ModelParams) -> Result<Self> {
        let available = base.num_hidden_layers;
        let layers = if params.layers == 0 { available } else { params.layers };
        ensure!(
            layers <= available,
            "model.layers is {layers}, but the base model has {available} layers; use 0 for all or at most {available}"
        );
        ensure!(
            params.freeze_layers <= layers,
            "model.freeze_layers is {}, but only {layers} layers are kept (model.layers)",
            params.freeze_layers
        );
        Ok(Self {
            encoder: BertConfig { num_hidden_layers: layers, ..base.clone() },
            pooling: params.pooling,
            hidden_dropout: params.hidden_dropout,
            attention_dropout: params.attention_dropout,
            classifier_dropout: params.classifier_dropout,
        })
    }

    /// The names of this classifier's tensors in files.
    pub fn file_names(&self) -> FileNames {
        FileNames { family: self.encoder.model_type, pooling: self.pooling }
    }

    /// What follows the dense layer between pooling and classifier.
    pub fn head_activation(&self) -> HeadActivation {
        match self.pooling {
            Pooling::Mean => HeadActivation::Gelu,
            Pooling::Cls => self.encoder.model_type.first_token_head().activation,
        }
    }

    /// Whether that dense layer comes with the base model; if not, it starts from new values.
    pub fn has_pretrained_head(&self) -> bool {
        self.pooling == Pooling::Cls && self.encoder.model_type.first_token_head().is_pretrained
    }
}

/// Word, position and token type embeddings, summed, normalised and, if they are narrower than the hidden states,
/// projected.
#[derive(Module, Debug)]
pub struct Embeddings {
    /// `[vocabulary, embedding]`
    pub word: Embedding,
    /// `[positions, embedding]`
    pub position: Embedding,
    /// `[types, embedding]`; only row 0 is used, CoLA has one sentence at a time.
    pub token_type: Embedding,
    /// Over the sum.
    pub norm: LayerNorm,
    /// `[embedding, hidden]`, where embeddings have a width of their own.
    pub projection: Option<Linear>,
}

/// One encoder layer: self-attention and feed-forward, each followed by add and layer norm.
#[derive(Module, Debug)]
pub struct Layer {
    /// `[hidden, hidden]`
    pub query: Linear,
    /// `[hidden, hidden]`
    pub key: Linear,
    /// `[hidden, hidden]`
    pub value: Linear,
    /// `[hidden, hidden]`
    pub attention_output: Linear,
    /// After attention.
    pub attention_norm: LayerNorm,
    /// `[hidden, intermediate]`
    pub intermediate: Linear,
    /// `[intermediate, hidden]`
    pub output: Linear,
    /// After feed-forward.
    pub output_norm: LayerNorm,
}

/// The trainable parameters.
#[derive(Module, Debug)]
pub struct Weights {
    /// Tokens to vectors.
    pub embeddings: Embeddings,
    /// The encoder, lowest layer first.
    pub layers: Vec<Layer>,
    /// The dense layer between pooling and classifier, `[hidden, hidden]`.
    pub dense: Linear,
    /// `[hidden, 2]`
    pub classifier: Linear,
}

/// Weights with what is needed to run them.
#[derive(Debug, Clone)]
pub struct Classifier {
    /// The trainable parameters.
    pub weights: Weights,
    /// What they are parameters of.
    pub architecture: Architecture,
    /// The device that they are on.
    pub kind: DeviceKind,
    /// Run the encoder through [`crate::fused`]; set on the `flex` device.
    pub fused: bool,
    /// Where batches are padded, their width is rounded up to a multiple of this many tokens. A GPU compiles
    /// and tunes its kernels for every shape it meets, so there the fewer shapes, the better.
    pub width_step: usize,
}

/// Whether a forward pass drops activations, and with which randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No dropout.
    Inference,
    /// Dropout; the same seed drops the same activations again.
    Training {
        /// Of this step.
        seed: u64,
        /// Of the encoder's matrix products. Where the encoder is fused they add up and give 32 bits whatever they take;
        /// elsewhere what they give is rounded as well.
        precision: TrainPrecision,
    },
}

impl Classifier {
    /// Builds the classifier on a base model's weights; what the base has not (the head) is drawn from
    /// N(0, `initializer_range`) with `seed`, the same on every device.
    ///
    /// `base` is the folder that `fetch` wrote; without a weights file the whole model is drawn.
    ///
    /// # Errors
    ///
    /// A tensor that is missing, surplus or of another shape is named.
    pub fn from_base(base: &Path, architecture: Architecture, seed: u64, chosen: &Chosen) -> Result<Self> {
        let fresh = Self::random(architecture, seed, chosen);
        let Some(path) = weights::find(base) else { return Ok(fresh) };
        let names = fresh.architecture.file_names();
        let ours = |(name, tensor): (String, Named)| Some((names.ours(&name)?, tensor));
        let tensors = weights::read(&path)?.into_iter().filter_map(ours).collect();
        let kept = fresh.architecture.encoder.num_hidden_layers;
        let has_pretrained_head = fresh.architecture.has_pretrained_head();
        // Heads of other tasks, the pooler when it is not used, and the layers that are cut off are no mistake.
        let ignored = |name: &str| {
            let layer = name.strip_prefix("encoder.layer.").and_then(|rest| rest.split('.').next()?.parse().ok());
            layer.is_some_and(|layer: usize| layer >= kept)
                || (name.starts_with("pooler.") && !has_pretrained_head)
                || is_of_another_task(name)
                || name == "embeddings.position_ids"
        };
        let new = |name: &str| {
            name.starts_with("classifier.")
                || name.starts_with("head.")
                || (name.starts_with("pooler.") && !has_pretrained_head)
        };
        fresh.with_tensors(tensors, &path, ignored, new)
    }

    /// Builds the classifier from all of its tensors, as [`Classifier::tensors`] gives them.
    ///
    /// # Errors
    ///
    /// A tensor that is missing, surplus or of another shape is named.
    pub fn from_tensors(tensors: Tensors, path: &Path, architecture: Architecture, chosen: &Chosen) -> Result<Self> {
        Self::random(architecture, 0, chosen).with_tensors(tensors, path, |_| false, |_| false)
    }

    /// A classifier whose every weight is drawn anew: matrices and tables from N(0, `initializer_range`), biases 0,
    /// layer norms 1 and 0. Each tensor has a random stream of its own, so the values depend on nothing but the seed,
    /// the tensor's name and its shape.
    pub fn random(architecture: Architecture, seed: u64, chosen: &Chosen) -> Self {
        let device = &chosen.device;
        let encoder = &architecture.encoder;
        let (hidden, inner) = (encoder.hidden_size, encoder.intermediate_size);
        // Drawn below, from streams of their own: Burn's generator is the whole process's, and is left alone.
        let zeros = Initializer::Zeros;
        let linear = |from, to| LinearConfig::new(from, to).with_initializer(zeros.clone()).init(device);
        let norm_of = |width| LayerNormConfig::new(width).with_epsilon(encoder.layer_norm_eps).init(device);
        let norm = || norm_of(hidden);
        let width = encoder.embedding_width();
        let table = |rows| EmbeddingConfig::new(rows, width).with_initializer(zeros.clone()).init(device);
        let weights = Weights {
            embeddings: Embeddings {
                word: table(encoder.vocab_size),
                position: table(encoder.max_position_embeddings),
                token_type: table(encoder.type_vocab_size),
                norm: norm_of(width),
                projection: encoder.has_projection().then(|| linear(width, hidden)),
            },
            layers: (0..encoder.num_hidden_layers)
                .map(|_| Layer {
                    query: linear(hidden, hidden),
                    key: linear(hidden, hidden),
                    value: linear(hidden, hidden),
                    attention_output: linear(hidden, hidden),
                    attention_norm: norm(),
                    intermediate: linear(hidden, inner),
                    output: linear(inner, hidden),
                    output_norm: norm(),
                })
                .collect(),
            dense: linear(hidden, hidden),
            classifier: linear(hidden, 2),
        };
        let mut draw = Draw { path: ParameterPath::default(), seed, range: encoder.initializer_range };
        let weights = weights.map(&mut draw);
        let width_step = match chosen.kind {
            DeviceKind::Cuda | DeviceKind::LibtorchCuda | DeviceKind::Wgpu => GPU_WIDTH_STEP,
            _ => 1,
        };
        Self { weights, architecture, kind: chosen.kind, fused: chosen.kind == DeviceKind::Flex, width_step }
    }

    fn with_tensors(
        self,
        tensors: Tensors,
        file: &Path,
        ignored: impl Fn(&str) -> bool,
        new: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut names = Names::of(&self);
        names.expected.retain(|name| !new(name) || tensors.contains_key(name));
        let missing: Vec<_> = names.expected.iter().filter(|name| !tensors.contains_key(*name)).cloned().collect();
        let surplus: Vec<_> =
            tensors.keys().filter(|name| !names.expected.contains(*name) && !ignored(name)).cloned().collect();
        if !missing.is_empty() || !surplus.is_empty() {
            return Err(WeightsError::Names { path: file.to_owned(), missing, surplus }.into());
        }
        let Self { weights, architecture, kind, fused, width_step } = self;
        let mut fill =
            Fill { path: ParameterPath::default(), pooling: architecture.pooling, tensors, file, error: None };
        let weights = weights.map(&mut fill);
        match fill.error {
            Some(error) => Err(error.into()),
            None => Ok(Self { weights, architecture, kind, fused, width_step }),
        }
    }

    /// All tensors under this project's names ([`crate::names`]), in PyTorch's layout. `head.dense` is the dense layer
    /// after mean pooling, `pooler.dense` that after `cls`.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be read from its device.
    pub fn tensors(&self) -> Result<Tensors> {
        let mut gather = Gather {
            path: ParameterPath::default(),
            pooling: self.architecture.pooling,
            tensors: Tensors::new(),
            error: None,
        };
        self.weights.visit(&mut gather);
        gather.error.map_or(Ok(gather.tensors), Err)
    }

    /// The device that the weights are on.
    pub fn device(&self) -> Device {
        self.weights.classifier.weight.val().device()
    }

    /// The classifier on its device with autodiff, its frozen parameters without gradients.
    #[must_use]
    pub fn train(self, params: &ModelParams) -> Self {
        let mut weights = self.weights.train();
        if params.freeze_embeddings {
            weights.embeddings = weights.embeddings.no_grad();
        }
        weights.layers = weights
            .layers
            .into_iter()
            .enumerate()
            .map(|(index, layer)| if index < params.freeze_layers { layer.no_grad() } else { layer })
            .collect();
        Self { weights, ..self }
    }

    /// How many parameters have gradients, and how many there are.
    pub fn parameter_counts(&self) -> (usize, usize) {
        let mut counts = Counts::default();
        self.weights.visit(&mut counts);
        (counts.trained, counts.all)
    }

    /// The classifier on its device without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { weights: self.weights.valid(), architecture: self.architecture.clone(), ..*self }
    }

    /// Logits of shape `[sentences, 2]`: unacceptable, acceptable.
    pub fn forward(&self, batch: &Batch, mode: Mode) -> Tensor<2> {
        if self.fused {
            // Its masks are computed from the seed; only the head draws random numbers.
            let pooled = fused::pooled(self, batch, mode);
            return self.seeded(mode, || self.head(pooled, mode));
        }
        self.seeded(mode, || self.head(self.pool(self.encode(batch, mode), batch), mode))
    }

    /// Runs what may draw random numbers, from the mode's seed.
    fn seeded<T>(&self, mode: Mode, draw: impl FnOnce() -> T) -> T {
        let Architecture { hidden_dropout, attention_dropout, classifier_dropout, .. } = self.architecture;
        let drops = hidden_dropout > 0.0 || attention_dropout > 0.0 || classifier_dropout > 0.0;
        match mode {
            Mode::Training { seed, .. } if drops => device::seeded(&self.device(), seed, draw),
            _ => draw(),
        }
    }

    /// Logits without dropout, on the host.
    ///
    /// # Errors
    ///
    /// When the logits cannot be read from the device.
    pub fn logits(&self, batch: &Batch) -> Result<Vec<[f32; 2]>> {
        let values = weights::named(self.forward(batch, Mode::Inference).into_data())?.values;
        Ok(values.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
    }

    /// The last hidden states `[sentences, width, hidden]` of padded sentences, in tensor operations: the reference that
    /// [`crate::fused`] is held against, and the path of every other device.
    fn encode(&self, batch: &Batch, mode: Mode) -> Tensor<3> {
        let encoder = &self.architecture.encoder;
        let (rows, longest) = (batch.len(), batch.longest());
        let width = longest.next_multiple_of(self.width_step).min(encoder.positions()).max(longest);
        let device = self.device();
        let (ids, is_padding) = batch.padded(width, encoder.padding() as i32);
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, width]), &device);
        let is_padding = Tensor::<2, Bool>::from_data(TensorData::new(is_padding, [rows, width]), &device);
        let dropout = Drop::of(mode, self.architecture.hidden_dropout);

        let embeddings = &self.weights.embeddings;
        let first = encoder.first_position() as i64;
        let positions = Tensor::<1, Int>::arange(first..first + width as i64, &device).unsqueeze::<2>();
        let types = Tensor::<2, Int>::zeros([1, 1], &device);
        let sum = embeddings.word.forward(ids)
            + embeddings.position.forward(positions)
            + embeddings.token_type.forward(types);
        let embedded = dropout.apply(embeddings.norm.forward(sum));
        let hidden = match &embeddings.projection {
            Some(projection) => projection.forward(embedded),
            None => embedded,
        };
        let dropouts = (self.architecture.hidden_dropout, self.architecture.attention_dropout);
        // So much that the softmax of a score at padding is 0.
        let padding = is_padding.reshape([rows, 1, 1, width]).float().mul_scalar(-1.0e9);
        let pass = composed::Pass::new(padding, encoder, dropouts, mode);
        let size = encoder.hidden_size;
        let mut hidden = hidden.reshape([rows * width, size]);
        for layer in &self.weights.layers {
            hidden = composed::forward(layer, hidden, &pass, self.kind);
        }
        hidden.reshape([rows, width, size])
    }

    /// `[sentences, hidden]`
    fn pool(&self, hidden: Tensor<3>, batch: &Batch) -> Tensor<2> {
        let [rows, width, size] = hidden.dims();
        match self.architecture.pooling {
            Pooling::Cls => hidden.narrow(1, 0, 1).reshape([rows, size]),
            Pooling::Mean => {
                let weights = batch.lengths().flat_map(|length| {
                    (0..width).map(move |column| if column < length { 1.0 / length as f32 } else { 0.0 })
                });
                let weights = TensorData::new(weights.collect::<Vec<f32>>(), [rows, 1, width]);
                Tensor::<3>::from_data(weights, &self.device()).matmul(hidden).reshape([rows, size])
            }
        }
    }

    /// From the pooled vectors `[sentences, hidden]` to logits `[sentences, 2]`.
    fn head(&self, pooled: Tensor<2>, mode: Mode) -> Tensor<2> {
        let dropout = Drop::of(mode, self.architecture.classifier_dropout);
        // A head of two new layers drops before each of them, as the families that have one do in transformers.
        let has_two_new = self.architecture.pooling == Pooling::Cls && !self.architecture.has_pretrained_head();
        let pooled = if has_two_new { dropout.apply(pooled) } else { pooled };
        let dense = self.weights.dense.forward(pooled);
        let active = match self.architecture.head_activation() {
            HeadActivation::Tanh => dense.tanh(),
            // The flex device has an exact derivative of its own.
            HeadActivation::Gelu if self.fused => activation::gelu(dense),
            HeadActivation::Gelu => dense.clone() * composed::normal_distribution(dense),
        };
        self.weights.classifier.forward(dropout.apply(active))
    }
}

/// Dropout that is off at inference.
struct Drop(Option<Dropout>);

impl Drop {
    fn of(mode: Mode, probability: f64) -> Self {
        let on = mode != Mode::Inference && probability > 0.0;
        Self(on.then(|| DropoutConfig::new(probability).init()))
    }

    fn apply<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<D> {
        match &self.0 {
            Some(dropout) => dropout.forward(tensor),
            None => tensor,
        }
    }
}

struct Names {
    path: ParameterPath,
    pooling: Pooling,
    expected: BTreeSet<String>,
}

impl Names {
    fn of(classifier: &Classifier) -> Self {
        let pooling = classifier.architecture.pooling;
        let mut names = Self { path: ParameterPath::default(), pooling, expected: BTreeSet::new() };
        classifier.weights.visit(&mut names);
        names
    }
}

impl ModuleVisitor for Names {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.expected.insert(self.path.name(self.pooling).0);
    }
}

#[derive(Default)]
struct Counts {
    trained: usize,
    all: usize,
}

impl ModuleVisitor for Counts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let count = tensor.shape().num_elements();
        self.all += count;
        if tensor.is_require_grad() {
            self.trained += count;
        }
    }
}

struct Gather {
    path: ParameterPath,
    pooling: Pooling,
    tensors: Tensors,
    error: Option<anyhow::Error>,
}

impl ModuleVisitor for Gather {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (name, transposed) = self.path.name(self.pooling);
        match weights::named(param.val().into_data()).with_context(|| format!("tensor {name}")) {
            Ok(tensor) => {
                self.tensors.insert(name, if transposed { tensor.transposed() } else { tensor });
            }
            Err(error) => self.error = Some(error),
        }
    }
}

struct Fill<'a> {
    path: ParameterPath,
    pooling: Pooling,
    tensors: Tensors,
    file: &'a Path,
    error: Option<WeightsError>,
}

impl ModuleMapper for Fill<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, transposed) = self.path.name(self.pooling);
        let Some(tensor) = self.tensors.remove(&name) else { return param };
        let tensor = if transposed && tensor.shape.len() == 2 { tensor.transposed() } else { tensor };
        let expected = param.val().dims().to_vec();
        if tensor.shape != expected {
            let turn = |shape: Vec<usize>| if transposed { shape.into_iter().rev().collect() } else { shape };
            let (found, expected) = (turn(tensor.shape), turn(expected));
            self.error.get_or_insert(WeightsError::Shape { path: self.file.to_owned(), name, found, expected });
            return param;
        }
        let device = param.val().device();
        param.map(|_| Tensor::from_data(tensor.into_data(), &device))
    }
}

struct Draw {
    path: ParameterPath,
    seed: u64,
    range: f64,
}

impl ModuleMapper for Draw {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, _) = self.path.name(Pooling::Mean);
        let tensor = param.val();
        let device = tensor.device();
        let shape = tensor.dims().to_vec();
        let count = shape.iter().product();
        let values = if D == 2 {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ stable_hash(&name));
            // The range is a configuration value checked to be finite; a normal distribution of it always exists.
            let normal = Normal::new(0.0, self.range.max(0.0)).ok();
            (0..count).map(|_| normal.map_or(0.0, |normal| normal.sample(&mut random) as f32)).collect()
        } else {
            vec![if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 }; count]
        };
        let drawn = Named { shape, values };
        param.map(|_| Tensor::from_data(drawn.into_data(), &device))
    }
}
