//! The way in: [`Predictor`].

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use wellformed_core::bundle::{Manifest, Precision, SIGNALS, TOKENIZER};
use wellformed_metrics::probability;
use wellformed_signals::Reference;

use crate::bundle::Bundle;
use crate::engine::{Engine, Workspace};
use crate::error::Error;
use crate::prediction::{Explanation, Perturbation, Prediction, Timing, Tokens, Word};
use crate::tokenizer::Tokenizer;

/// Tokens that are run through the layers together: enough that a layer's weights are read seldom, few enough that
/// what a layer works on stays in the processor's cache.
const BATCH_TOKENS: usize = 96;

/// Tokens below which a batch is not split further between threads.
const SPLIT_TOKENS: usize = 12;

/// How a bundle is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Which of the bundle's models; `None` takes the bundle's own default.
    pub precision: Option<Precision>,
    /// Threads that predict; 0 means one per core. One sentence by itself is always predicted by one thread.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { precision: None, threads: 1 }
    }
}

/// An opened bundle. Predictions take `&self` from any number of threads.
#[derive(Debug)]
pub struct Predictor {
    bundle: Bundle,
    precision: Precision,
    tokenizer: Tokenizer,
    engine: Engine,
    /// What sentences are measured against, where the bundle has it.
    reference: Option<Reference>,
    /// `None` for one thread: the caller's.
    pool: Option<ThreadPool>,
    /// Memory to work in that nobody uses at the moment.
    workspaces: Mutex<Vec<Workspace>>,
}

impl Predictor {
    /// Opens a bundle: checks the manifest, the sizes of all files, the digests of those that it uses, that the model is
    /// the graph that the engine implements, and that model and tokenizer belong together. A model that it does not use
    /// may be missing. [`crate::verify`] checks that all files are there, and their digests.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged, or not the one that the manifest means; the message names it.
    pub fn open(folder: &Path, options: &Options) -> Result<Self, Error> {
        let bundle = Bundle::open(folder)?;
        let precision = options.precision.unwrap_or(bundle.manifest.default_precision);
        // Half the time goes into the tokenizer's vocabulary, half into the model's digest.
        let (tokenizer, engine) = thread::scope(|scope| {
            let tokenizer = scope.spawn(|| open_tokenizer(&bundle));
            let engine = open_engine(&bundle, precision);
            (tokenizer.join(), engine)
        });
        let tokenizer = tokenizer.map_err(|_| bundle.damaged(TOKENIZER, "reading it failed"))??;
        let engine = engine?;
        let reference = open_reference(&bundle, tokenizer.vocabulary())?;
        let rows = engine.architecture().vocabulary;
        if tokenizer.vocabulary() > rows {
            let problem = format!(
                "its vocabulary has {} entries, but {} has embeddings for {rows}; they are of different models",
                tokenizer.vocabulary(),
                precision.file()
            );
            return Err(bundle.damaged(TOKENIZER, problem));
        }
        let threads =
            if options.threads == 0 { thread::available_parallelism().map_or(1, usize::from) } else { options.threads };
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("predict-{index}"));
        let pool = (threads > 1).then(|| pool.build()).transpose();
        let pool = pool.map_err(|error| Error::Threads { threads, problem: error.to_string() })?;
        Ok(Self { bundle, precision, tokenizer, engine, reference, pool, workspaces: Mutex::default() })
    }

    /// The bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.bundle.manifest
    }

    /// The bundle's name: the digest that its manifest carries.
    pub fn digest(&self) -> &str {
        &self.bundle.manifest.digest
    }

    /// Which of the bundle's models predicts.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Threads that predict.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// The processor's instructions that predict, for logs: `avx512-vnni`, `avx2` or `portable`.
    pub fn instructions(&self) -> &'static str {
        self.engine.isa().name()
    }

    /// From text to token ids. Reads no more of the text than the model takes.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    pub fn tokenize(&self, sentence: &str) -> Result<Tokens, Error> {
        self.tokenizer.tokenize(sentence)
    }

    /// The text of each token of the vocabulary, by its id. A later piece of a word starts with `##`, as `WordPiece` writes
    /// it, whatever the vocabulary's own way.
    pub fn vocabulary(&self) -> Vec<String> {
        self.tokenizer.texts()
    }

    /// Predictions for tokenised sentences, in their order.
    pub fn run(&self, sentences: &[Tokens]) -> Vec<Prediction> {
        let began = Instant::now();
        let ids: Vec<&[u32]> = sentences.iter().map(|tokens| tokens.ids.as_slice()).collect();
        let logits = self.logits(&ids);
        let inference = began.elapsed();
        let predictions = sentences.iter().zip(logits);
        predictions.map(|(tokens, logits)| self.prediction(tokens, logits, inference)).collect()
    }

    /// The verdict on one sentence.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`].
    pub fn predict(&self, sentence: &str) -> Result<Prediction, Error> {
        let tokens = self.tokenize(sentence)?;
        let began = Instant::now();
        let logits = self.with_workspace(|workspace| self.engine.logits(&[&tokens.ids], workspace));
        Ok(self.prediction(&tokens, logits[0], began.elapsed()))
    }

    /// The verdicts on many sentences, in their order. A sentence that cannot be predicted gives its own error and
    /// stops no other.
    pub fn predict_all<S: AsRef<str> + Sync>(&self, sentences: &[S]) -> Vec<Result<Prediction, Error>> {
        let tokenize = |sentence: &S| self.tokenize(sentence.as_ref());
        let mut tokens: Vec<Result<Tokens, Error>> = match &self.pool {
            Some(pool) => pool.install(|| sentences.par_iter().with_min_len(16).map(tokenize).collect()),
            None => sentences.iter().map(tokenize).collect(),
        };
        let good: Vec<Tokens> = tokens
            .iter_mut()
            .filter_map(|tokens| tokens.as_mut().ok())
            .map(|tokens| Tokens { ids: std::mem::take(&mut tokens.ids), ..*tokens })
            .collect();
        let mut predictions = self.run(&good).into_iter();
        // As many predictions as good sentences, in the same order.
        tokens.into_iter().filter_map(|tokens| tokens.map(|_| predictions.next()).transpose()).collect()
    }

    /// The verdict, and what each word contributes to it: every word is left out (or masked) in turn, and all the
    /// sentences that come of it are predicted in one batch.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`]; [`Error::NoMask`] for [`Perturbation::Mask`] when the vocabulary has no `[MASK]`.
    pub fn explain(&self, sentence: &str, perturbation: Perturbation) -> Result<Explanation, Error> {
        let (tokens, spans) = self.tokenizer.words(sentence)?;
        let mask = match perturbation {
            Perturbation::Omit => None,
            Perturbation::Mask => Some(self.tokenizer.mask().ok_or(Error::NoMask)?),
        };
        let without = |span: &crate::tokenizer::Span| -> Vec<u32> {
            let keep = tokens.ids.iter().enumerate();
            keep.filter_map(|(at, &id)| if span.tokens.contains(&at) { mask } else { Some(id) }).collect()
        };
        let mut variants = vec![tokens.ids.clone()];
        variants.extend(spans.iter().map(without));
        let began = Instant::now();
        let variants: Vec<&[u32]> = variants.iter().map(Vec::as_slice).collect();
        let logits = self.logits(&variants);
        let prediction = self.prediction(&tokens, logits[0], began.elapsed());
        let temperature = self.manifest().calibration.temperature;
        let word = |(span, logits): (&crate::tokenizer::Span, &[f32; 2])| Word {
            text: sentence[span.start..span.end].to_owned(),
            start: span.start,
            end: span.end,
            weight: prediction.probabilities[1] - probability(*logits, temperature),
        };
        let words = spans.iter().zip(&logits[1..]).map(word).collect();
        Ok(Explanation { prediction, perturbation, words })
    }

    fn prediction(&self, tokens: &Tokens, logits: [f32; 2], inference: Duration) -> Prediction {
        let calibration = &self.manifest().calibration;
        let acceptable = probability(logits, calibration.temperature);
        Prediction {
            label: calibration.label(acceptable),
            probabilities: [1.0 - acceptable, acceptable],
            logits,
            tokens: tokens.ids.len(),
            truncated: tokens.truncated,
            unknown_tokens: tokens.unknown,
            signals: self.reference.as_ref().and_then(|reference| reference.signals(&tokens.ids)),
            timing: Timing { tokenization: tokens.time, inference },
        }
    }

    /// Logits of many sentences, in their order.
    fn logits(&self, sentences: &[&[u32]]) -> Vec<[f32; 2]> {
        let tokens: usize = sentences.iter().map(|sentence| sentence.len()).sum();
        let most = tokens.div_ceil(self.threads()).clamp(SPLIT_TOKENS, BATCH_TOKENS);
        let mut batches: Vec<&[&[u32]]> = Vec::new();
        let mut rest = sentences;
        while !rest.is_empty() {
            let mut size = 0;
            let count = rest
                .iter()
                .take_while(|sentence| {
                    size += sentence.len();
                    size <= most
                })
                .count()
                .max(1);
            let (batch, after) = rest.split_at(count);
            batches.push(batch);
            rest = after;
        }
        let run = |batch: &&[&[u32]]| self.with_workspace(|workspace| self.engine.logits(batch, workspace));
        match self.pool.as_ref().filter(|_| batches.len() > 1) {
            Some(pool) => pool.install(|| batches.par_iter().with_max_len(1).flat_map_iter(run).collect()),
            None => batches.iter().flat_map(run).collect(),
        }
    }

    fn with_workspace<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let free = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = free().pop().unwrap_or_default();
        let result = work(&mut workspace);
        free().push(workspace);
        result
    }
}

fn open_tokenizer(bundle: &Bundle) -> Result<Tokenizer, Error> {
    let bytes = bundle.file(TOKENIZER)?;
    Tokenizer::new(&bytes, bundle.manifest.max_length).map_err(|problem| bundle.damaged(TOKENIZER, problem))
}

fn open_engine(bundle: &Bundle, precision: Precision) -> Result<Engine, Error> {
    let name = precision.file();
    let opened = wellformed_onnx::open(bundle.file(name)?).map_err(|error| bundle.damaged(name, error))?;
    let (architecture, manifest) = (&opened.architecture, &bundle.manifest);
    let facts = [
        ("precision", architecture.precision.name().to_owned(), precision.name().to_owned()),
        ("vocabulary", architecture.vocabulary.to_string(), manifest.vocabulary.to_string()),
        ("longest sequence", architecture.positions.to_string(), manifest.max_length.to_string()),
        ("temperature", architecture.temperature.to_string(), manifest.calibration.temperature.to_string()),
    ];
    for (what, found, expected) in facts {
        if found != expected {
            return Err(bundle.damaged(name, format!("its {what} is {found}, but bundle.json says {expected}")));
        }
    }
    Ok(Engine::new(opened))
}

/// `None` where the bundle brings none, as of a small training set.
fn open_reference(bundle: &Bundle, vocabulary: usize) -> Result<Option<Reference>, Error> {
    if !bundle.manifest.files.contains_key(SIGNALS) {
        return Ok(None);
    }
    let reference: Reference =
        serde_json::from_slice(&bundle.file(SIGNALS)?).map_err(|problem| bundle.damaged(SIGNALS, problem))?;
    if reference.vocabulary() != vocabulary {
        let problem = format!(
            "it is about a vocabulary of {} tokens, but {TOKENIZER} has {vocabulary}; they are of different models",
            reference.vocabulary()
        );
        return Err(bundle.damaged(SIGNALS, problem));
    }
    Ok(Some(reference))
}
