//! What is minimised: cross-entropy with label smoothing, class weights, and perhaps a teacher.

use burn::tensor::{Tensor, TensorData, activation};
use wellformed_core::label::Label;
use wellformed_core::params::{ClassWeights, TrainParams};

/// What a sentence's logits are to come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// What is right.
    pub label: Label,
    /// The teacher's probability of *acceptable*, where there is one.
    pub taught: Option<f32>,
}

impl From<Label> for Target {
    fn from(label: Label) -> Self {
        Self { label, taught: None }
    }
}

/// Cross-entropy as `torch.nn.CrossEntropyLoss(weight, label_smoothing)` defines it, with two classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    class_weights: [f32; 2],
    label_smoothing: f32,
    teacher_weight: f32,
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
        Self {
            class_weights,
            label_smoothing: params.label_smoothing as f32,
            teacher_weight: params.teacher_weight as f32,
        }
    }

    /// The loss, shape `[1]`, of logits `[sentences, 2]`: Σᵢ Σₖ wₖ qᵢₖ (−log pᵢₖ) / Σᵢ w(yᵢ), where q moves
    /// `label_smoothing` of the mass from the true class to both alike. Where a sentence has been taught, `teacher_weight`
    /// of q is the teacher's distribution.
    pub fn loss(&self, logits: Tensor<2>, targets: &[Target]) -> Tensor<1> {
        self.part_of_loss(logits, targets, targets)
    }

    /// What the sentences with these logits and `targets` contribute to the loss of a batch that has the targets `whole`:
    /// the same sum over i, divided by the weights of the whole batch. Over the parts of a batch it adds up to its loss.
    pub fn part_of_loss(&self, logits: Tensor<2>, targets: &[Target], whole: &[Target]) -> Tensor<1> {
        let [weights, smoothing] = [self.class_weights, [self.label_smoothing / 2.0; 2]];
        let total: f32 = whole.iter().map(|target| weights[target.label.index()]).sum();
        let wanted = targets.iter().flat_map(|Target { label, taught }| {
            [0, 1].map(|class| {
                let hard = if class == label.index() { 1.0 - self.label_smoothing } else { 0.0 };
                let own = hard + smoothing[class];
                let wanted = taught.map_or(own, |acceptable| {
                    let teachers = if class == 1 { acceptable } else { 1.0 - acceptable };
                    own + self.teacher_weight * (teachers - own)
                });
                weights[class] * wanted / total
            })
        });
        let targets = TensorData::new(wanted.collect::<Vec<f32>>(), [targets.len(), 2]);
        let targets = Tensor::<2>::from_data(targets, &logits.device());
        (activation::log_softmax(logits, 1) * targets).sum().neg()
    }
}
