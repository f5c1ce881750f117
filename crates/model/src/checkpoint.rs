//! A fine-tuned classifier on disk: `models/checkpoint/`.
//!
//! | file | what is in it |
//! |---|---|
//! | `model.safetensors` | all weights, under the names of transformers' class for the family (`bert.…`, `classifier.…`), in PyTorch's layout |
//! | `config.json` | the encoder's configuration, as transformers reads it |
//! | `classifier.json` | [`Architecture`] and how the checkpoint came about ([`Origin`]) |
//! | `tokenizer.json` | the base model's tokenizer, byte for byte |

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use wellformed_core::files::{read_json, write_json};

use crate::batch::{Batch, by_length};
use crate::classifier::{Architecture, Classifier};
use crate::device::Chosen;
use crate::weights;

/// How a checkpoint came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The epoch that was the best, counted from 1.
    pub epoch: usize,
    /// The metric on `tune` that it was chosen by.
    pub selected_by: String,
    /// Its value.
    pub score: f64,
    /// `params.yaml`'s seed.
    pub seed: u64,
    /// The device that it was trained on.
    pub device: String,
    /// SHA-256 of the base model's weights; `None` for a random base.
    pub base_sha256: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    architecture: Architecture,
    max_length: usize,
    origin: Origin,
}

/// A classifier ready to predict.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The model.
    pub classifier: Classifier,
    /// Longest sequence in the data that it was trained on, in tokens.
    pub max_length: usize,
    /// How it came about.
    pub origin: Origin,
}

impl Checkpoint {
    /// Reads a checkpoint's folder onto a device.
    ///
    /// # Errors
    ///
    /// When a file is missing or damaged, or weights and architecture do not fit; the message names file and tensor.
    pub fn load(folder: &Path, chosen: &Chosen) -> Result<Self> {
        let description: Description = read_json(&folder.join("classifier.json"))
            .with_context(|| format!("{} is not a checkpoint; run the train stage first", folder.display()))?;
        let path = folder.join("model.safetensors");
        let names = description.architecture.file_names();
        let ours = |(name, tensor): (String, _)| Some((names.ours(&name)?, tensor));
        let tensors = weights::read(&path)?.into_iter().filter_map(ours).collect();
        let classifier = Classifier::from_tensors(tensors, &path, description.architecture, chosen)?;
        Ok(Self { classifier, max_length: description.max_length, origin: description.origin })
    }

    /// Writes the checkpoint into `folder`, with the base model's tokenizer. The folder must exist; write into a
    /// temporary one and rename it.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn save(&self, folder: &Path, tokenizer: &Path) -> Result<()> {
        let names = self.classifier.architecture.file_names();
        let tensors = self.classifier.tensors()?.into_iter().map(|(name, tensor)| (names.theirs(&name), tensor));
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        weights::write(&folder.join("model.safetensors"), &tensors.collect(), metadata)?;
        write_json(&folder.join("config.json"), &self.classifier.architecture.encoder)?;
        let description = Description {
            architecture: self.classifier.architecture.clone(),
            max_length: self.max_length,
            origin: self.origin.clone(),
        };
        write_json(&folder.join("classifier.json"), &description)?;
        let copy = folder.join("tokenizer.json");
        std::fs::copy(tokenizer, &copy)
            .with_context(|| format!("cannot copy {} to {}", tokenizer.display(), copy.display()))?;
        Ok(())
    }

    /// Logits (unacceptable, acceptable) of tokenised sentences, in their order; `progress` hears how many sentences
    /// each batch had.
    ///
    /// # Errors
    ///
    /// When the logits cannot be read from the device.
    pub fn logits(
        &self,
        sentences: &[&[i32]],
        batch_size: usize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<[f32; 2]>> {
        predict(&self.classifier, sentences, batch_size, progress)
    }
}

/// Logits of tokenised sentences, in batches of like length.
///
/// # Errors
///
/// When the logits cannot be read from the device.
pub fn predict(
    classifier: &Classifier,
    sentences: &[&[i32]],
    batch_size: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<[f32; 2]>> {
    let lengths: Vec<usize> = sentences.iter().map(|sentence| sentence.len()).collect();
    let mut logits = vec![[0.0; 2]; sentences.len()];
    for indices in by_length(&lengths, batch_size) {
        let batch = Batch::new(indices.iter().map(|&index| sentences[index]));
        for (&index, pair) in indices.iter().zip(classifier.logits(&batch)?) {
            logits[index] = pair;
        }
        progress(indices.len());
    }
    Ok(logits)
}
