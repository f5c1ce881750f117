//! Whether the exported files say what the checkpoint says.

use anyhow::{Result, bail, ensure};
use wellformed_core::bundle::Decision;
use wellformed_core::label::Label;
use wellformed_core::params::ExportParams;
use wellformed_metrics::{Confusion, probability};

/// A validation sentence, and what the three models make of it. Logits are of unacceptable, acceptable.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// As in the prepared data.
    pub id: String,
    /// The linguist's judgement.
    pub label: Label,
    /// The checkpoint's logits, from the prepared token ids.
    pub checkpoint: [f32; 2],
    /// The fp32 file's logits, from the text.
    pub fp32: [f32; 2],
    /// The int8 file's logits, from the text.
    pub int8: [f32; 2],
}

/// How far a model is from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// Largest difference of a logit.
    pub largest: f64,
    /// The sentence that has it.
    pub worst: usize,
    /// The sentences that are decided otherwise.
    pub changed: Vec<usize>,
}

/// Everything that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Parity {
    /// From the checkpoint to the fp32 file.
    pub fp32: Distance,
    /// From the fp32 file to the int8 file.
    pub int8: Distance,
    /// Matthews correlation coefficient of the checkpoint's decisions.
    pub checkpoint_mcc: f64,
    /// Of the fp32 file's.
    pub fp32_mcc: f64,
    /// Of the int8 file's.
    pub int8_mcc: f64,
}

impl Parity {
    /// Compares.
    ///
    /// # Errors
    ///
    /// When a logit is not finite.
    pub fn of(sentences: &[Sentence], decision: &Decision) -> Result<Self> {
        for one in sentences {
            for (model, logits) in [("checkpoint", one.checkpoint), ("fp32 file", one.fp32), ("int8 file", one.int8)] {
                ensure!(
                    logits.iter().all(|logit| logit.is_finite()),
                    "the {model}'s logits for sentence {} are {logits:?}, but must be finite",
                    one.id
                );
            }
        }
        let decided = |logits| decision.label(probability(logits, decision.temperature));
        let mcc = |of: fn(&Sentence) -> [f32; 2]| -> Result<f64> {
            let labels: Vec<bool> = sentences.iter().map(|one| one.label == Label::Acceptable).collect();
            let decisions: Vec<bool> = sentences.iter().map(|one| decided(of(one)) == Label::Acceptable).collect();
            Ok(Confusion::of(&labels, &decisions)?.mcc())
        };
        let distance = |from: fn(&Sentence) -> [f32; 2], to: fn(&Sentence) -> [f32; 2]| {
            let mut distance = Distance { largest: 0.0, worst: 0, changed: Vec::new() };
            for (index, one) in sentences.iter().enumerate() {
                let (from, to) = (from(one), to(one));
                let difference = from.iter().zip(to).map(|(a, b)| (f64::from(*a) - f64::from(b)).abs());
                let difference = difference.fold(0.0, f64::max);
                if difference > distance.largest {
                    (distance.largest, distance.worst) = (difference, index);
                }
                if decided(from) != decided(to) {
                    distance.changed.push(index);
                }
            }
            distance
        };
        Ok(Self {
            fp32: distance(|one| one.checkpoint, |one| one.fp32),
            int8: distance(|one| one.fp32, |one| one.int8),
            checkpoint_mcc: mcc(|one| one.checkpoint)?,
            fp32_mcc: mcc(|one| one.fp32)?,
            int8_mcc: mcc(|one| one.int8)?,
        })
    }

    /// What int8 costs; negative when it is better by chance.
    pub fn mcc_drop(&self) -> f64 {
        self.fp32_mcc - self.int8_mcc
    }

    /// Holds the bounds of the parameters.
    ///
    /// # Errors
    ///
    /// Says which bound is broken, by which sentence, and by how much.
    pub fn check(&self, sentences: &[Sentence], bounds: &ExportParams) -> Result<()> {
        let ExportParams { max_logit_diff, max_mcc_drop, .. } = *bounds;
        if self.fp32.largest > max_logit_diff {
            let Sentence { id, checkpoint, fp32, .. } = &sentences[self.fp32.worst];
            bail!(
                "the fp32 file differs from the checkpoint: sentence {id} of validation has the logits {fp32:?}, but \
                 in the checkpoint {checkpoint:?}, a difference of {:.2e}, and export.max_logit_diff allows {:.2e}",
                self.fp32.largest,
                max_logit_diff
            );
        }
        if let Some(&first) = self.fp32.changed.first() {
            let Sentence { id, checkpoint, fp32, .. } = &sentences[first];
            bail!(
                "the fp32 file decides {} of {} validation sentences otherwise than the checkpoint; the first is {id}, \
                 with the logits {fp32:?} instead of {checkpoint:?}",
                self.fp32.changed.len(),
                sentences.len()
            );
        }
        if self.mcc_drop() > max_mcc_drop {
            let Sentence { id, fp32, int8, .. } = &sentences[self.int8.worst];
            bail!(
                "the int8 file loses {:.4} of MCC on validation (from {:.4} to {:.4}), and export.max_mcc_drop allows \
                 {max_mcc_drop}; it decides {} sentences otherwise, and is farthest from the fp32 file at sentence \
                 {id}, with the logits {int8:?} instead of {fp32:?}",
                self.mcc_drop(),
                self.fp32_mcc,
                self.int8_mcc,
                self.int8.changed.len()
            );
        }
        Ok(())
    }
}
