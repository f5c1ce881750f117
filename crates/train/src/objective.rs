//! What is minimised: cross-entropy with label smoothing and class weights.

use burn::tensor::{Tensor, TensorData, activation};
use wellformed_core::label::Label;
use wellformed_core::params::{ClassWeights, TrainParams};

/// Cross-entropy as `torch.nn.CrossEntropyLoss(weight, label_smoothing)` defines it, with two classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    class_weights: [f32; 2],
    label_smoothing: f32,
}

impl Objective {
    /// With the parameters' label smoothing; balanced weights are n / (2 · nₖ) for class k (King and Zeng 2001).
    pub fn new(params: &TrainParams, labels: impl IntoIterator<Item = Label>) -> Self {
        let mut counts = [0.0_f32; 2];
        for label in labels {
            counts[label.index()] += 1.0;
        }
        let class_weights = match params.class_weights {
            ClassWeights::None => [1.0; 2],
            ClassWeights::Balanced => counts.map(|count| (counts[0] + counts[1]) / (2.0 * count.max(1.0))),
        };
        Self { class_weights, label_smoothing: params.label_smoothing as f32 }
    }

    /// The loss, shape `[1]`, of logits `[sentences, 2]`: Σᵢ Σₖ wₖ qᵢₖ (−log pᵢₖ) / Σᵢ w(yᵢ), where q moves
    /// `label_smoothing` of the mass from the true class to both alike.
    pub fn loss(&self, logits: Tensor<2>, labels: &[Label]) -> Tensor<1> {
        self.part_of_loss(logits, labels, labels)
    }

    /// What the sentences with these logits and `labels` contribute to the loss of a batch that has the labels `whole`:
    /// the same sum over i, divided by the weights of the whole batch. Over the parts of a batch it adds up to its loss.
    pub fn part_of_loss(&self, logits: Tensor<2>, labels: &[Label], whole: &[Label]) -> Tensor<1> {
        let [weights, smoothing] = [self.class_weights, [self.label_smoothing / 2.0; 2]];
        let total: f32 = whole.iter().map(|label| weights[label.index()]).sum();
        let targets = labels.iter().flat_map(|label| {
            [0, 1].map(|class| {
                let hard = if class == label.index() { 1.0 - self.label_smoothing } else { 0.0 };
                weights[class] * (hard + smoothing[class]) / total
            })
        });
        let targets = TensorData::new(targets.collect::<Vec<f32>>(), [labels.len(), 2]);
        let targets = Tensor::<2>::from_data(targets, &logits.device());
        (activation::log_softmax(logits, 1) * targets).sum().neg()
    }
}
