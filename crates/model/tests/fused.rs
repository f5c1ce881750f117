//! The fused encoder gives the outputs and the gradients of the one that is composed of tensor operations.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use wellformed_core::params::{DeviceKind, ModelParams, Pooling, TrainPrecision};
use wellformed_model::batch::Batch;
use wellformed_model::classifier::{Architecture, Classifier, Mode};
use wellformed_model::config::{Activation, BertConfig};
use wellformed_model::device::open;
use wellformed_model::follow_path;
use wellformed_model::names::ParameterPath;

/// A narrow or a wide embedding, and positions that start further down.
const ELECTRA: &str = r#""model_type": "electra", "embedding_size": 10"#;
const WIDE_ELECTRA: &str = r#""model_type": "electra", "embedding_size": 36"#;
const ROBERTA: &str = r#""model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1"#;

fn config_of(family: &str) -> BertConfig {
    let text = format!(
        r#"{{"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 40, "hidden_act": "gelu", "max_position_embeddings": 12, "initializer_range": 0.2,
        {family}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn config(activation: Activation) -> BertConfig {
    let text = r#"{"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 40, "hidden_act": "gelu", "max_position_embeddings": 12, "initializer_range": 0.2}"#;
    BertConfig { hidden_act: activation, ..serde_json::from_str(text).unwrap() }
}

fn params(pooling: Pooling, dropout: f64) -> ModelParams {
    ModelParams {
        pooling,
        layers: 0,
        freeze_embeddings: false,
        freeze_layers: 0,
        hidden_dropout: dropout,
        attention_dropout: dropout,
        classifier_dropout: 0.0,
    }
}

fn classifier(activation: Activation, params: &ModelParams, fused: bool) -> Classifier {
    classifier_of(&config(activation), params, fused)
}

fn classifier_of(config: &BertConfig, params: &ModelParams, fused: bool) -> Classifier {
    let architecture = Architecture::new(config, params).unwrap();
    let classifier = Classifier::random(architecture, 7, &open(DeviceKind::Flex).unwrap());
    Classifier { fused, ..classifier }
}

fn batch() -> Batch {
    let sentences: [&[i32]; 4] = [&[2, 5, 6, 3], &[2, 3], &[2, 7, 5, 9, 10, 11, 3], &[2, 40, 3]];
    Batch::new(sentences)
}

struct Collect {
    path: ParameterPath,
    grads: GradientsParams,
    values: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Collect {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.grads.remove::<D>(param.id) {
            let values = gradient.into_data().try_into_vec::<f32>().unwrap();
            self.values.insert(self.path.name(Pooling::Mean).0, values);
        }
    }
}

/// The loss Σ cᵢ logitᵢ and every gradient by it.
fn gradients(classifier: &Classifier, mode: Mode) -> (f32, BTreeMap<String, Vec<f32>>) {
    let logits = classifier.forward(&batch(), mode);
    let weights = Tensor::<2>::from_data([[1.0, -0.5], [0.3, 0.8], [-1.2, 0.4], [0.7, 0.1]], &logits.device());
    let loss = (logits * weights).sum();
    let value = loss.clone().into_scalar::<f32>();
    let grads = GradientsParams::from_grads(loss.backward(), &classifier.weights);
    let mut collect = Collect { path: ParameterPath::default(), grads, values: BTreeMap::new() };
    classifier.weights.visit(&mut collect);
    (value, collect.values)
}

/// Holds both paths against each other; `parameters` of them have gradients.
fn fused_is_composed(config: &BertConfig, pooling: Pooling, parameters: usize) {
    let what = format!("{} with {:?} and {pooling:?}", config.model_type, config.hidden_act);
    let params = params(pooling, 0.0);
    let mode = Mode::Training { seed: 1, precision: TrainPrecision::Fp32 };
    let (loss, fused) = gradients(&classifier_of(config, &params, true).train(&params), mode);
    let (composed_loss, composed) = gradients(&classifier_of(config, &params, false).train(&params), mode);
    assert!((loss - composed_loss).abs() < 1e-4, "{what}: {loss} and {composed_loss}");
    assert_eq!(fused.keys().collect::<Vec<_>>(), composed.keys().collect::<Vec<_>>());
    assert_eq!(fused.len(), parameters, "{what}");
    for (name, expected) in &composed {
        let scale = expected.iter().fold(1e-2_f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in fused[name].iter().zip(expected) {
            let difference = (found - expected).abs() / scale;
            assert!(difference < 2e-4, "{what}, {name}: {found} and {expected}");
        }
    }
}

#[test]
fn outputs_and_every_gradient_are_those_of_the_composed_encoder() {
    for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu] {
        for pooling in [Pooling::Mean, Pooling::Cls] {
            fused_is_composed(&config(activation), pooling, 5 + 2 * 16 + 4);
        }
    }
}

#[test]
fn projected_embeddings_and_shifted_positions_have_the_gradients_of_the_composed_encoder() {
    for pooling in [Pooling::Mean, Pooling::Cls] {
        fused_is_composed(&config_of(ELECTRA), pooling, 7 + 2 * 16 + 4);
        fused_is_composed(&config_of(WIDE_ELECTRA), pooling, 7 + 2 * 16 + 4);
        fused_is_composed(&config_of(ROBERTA), pooling, 5 + 2 * 16 + 4);
    }
}

#[test]
fn rows_of_the_position_table_before_the_first_token_get_no_gradient() {
    let params = params(Pooling::Mean, 0.0);
    for fused in [true, false] {
        let classifier = classifier_of(&config_of(ROBERTA), &params, fused).train(&params);
        let (_, gradients) = gradients(&classifier, Mode::Training { seed: 1, precision: TrainPrecision::Fp32 });
        let rows: Vec<&[f32]> = gradients["embeddings.position_embeddings.weight"].chunks_exact(24).collect();
        // The longest of the four sentences has 7 tokens.
        for (row, gradient) in rows.iter().enumerate() {
            assert_eq!(gradient.iter().any(|&x| x != 0.0), (2..9).contains(&row), "row {row}, fused: {fused}");
        }
    }
}

#[test]
fn gradients_with_dropout_are_the_slopes_of_the_loss() {
    slopes_with_dropout(true);
    slopes_with_dropout(false);
}

fn slopes_with_dropout(fused: bool) {
    // With a fixed seed the masks are fixed, so the loss is a smooth function and its slope can be measured.
    let params = params(Pooling::Mean, 0.3);
    let mode = Mode::Training { seed: 5, precision: TrainPrecision::Fp32 };
    let start = classifier(Activation::Gelu, &params, fused);
    let (_, gradients) = gradients(&start.clone().train(&params), mode);
    let tensors = start.tensors().unwrap();
    let chosen = open(DeviceKind::Flex).unwrap();
    let loss = |name: &str, place: usize, change: f32| {
        let mut moved = tensors.clone();
        moved.get_mut(name).unwrap().values[place] += change;
        let moved = Classifier::from_tensors(moved, "test".as_ref(), start.architecture.clone(), &chosen).unwrap();
        self::gradients(&Classifier { fused, ..moved }.train(&params), mode).0
    };
    // Vectors only: their layout is the same in Burn and in a file.
    for name in [
        "encoder.layer.0.attention.self.value.bias",
        "encoder.layer.0.attention.output.LayerNorm.weight",
        "encoder.layer.1.intermediate.dense.bias",
        "encoder.layer.0.output.dense.bias",
        "embeddings.LayerNorm.bias",
    ] {
        let slopes = &gradients[name];
        let place = (0..slopes.len()).max_by(|&a, &b| slopes[a].abs().total_cmp(&slopes[b].abs())).unwrap();
        let step = 2e-2;
        let measured = (loss(name, place, step) - loss(name, place, -step)) / (2.0 * step);
        let expected = slopes[place];
        assert!((measured - expected).abs() < 0.02 * expected.abs() + 2e-3, "{name}: {measured} and {expected}");
    }
}

#[test]
fn dropout_is_a_function_of_the_seed_and_off_at_inference() {
    let params = params(Pooling::Mean, 0.3);
    let with_seed = |seed| Mode::Training { seed, precision: TrainPrecision::Fp32 };
    for fused in [true, false] {
        let classifier = classifier(Activation::Gelu, &params, fused).train(&params);
        let logits = |mode| classifier.forward(&batch(), mode).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(logits(with_seed(1)), logits(with_seed(1)), "fused: {fused}");
        assert_ne!(logits(with_seed(1)), logits(with_seed(2)), "fused: {fused}");
        assert_ne!(logits(with_seed(1)), logits(Mode::Inference), "fused: {fused}");
    }
}

#[test]
fn a_wider_rectangle_of_padding_changes_nothing() {
    let params = params(Pooling::Mean, 0.0);
    for family in [&config(Activation::Gelu), &config_of(ROBERTA)] {
        let narrow = classifier_of(family, &params, false);
        let wide = Classifier { width_step: 8, ..narrow.clone() }.train(&params);
        let ((loss, expected), (found, gradients)) =
            (gradients(&narrow.train(&params), Mode::Inference), gradients(&wide, Mode::Inference));
        assert!((loss - found).abs() < 1e-5, "{loss} {found}");
        for (name, values) in &expected {
            for (one, other) in values.iter().zip(&gradients[name]) {
                assert!((one - other).abs() < 1e-5, "{name}: {one} {other}");
            }
        }
    }
}

#[test]
fn a_frozen_layer_gets_no_gradient_and_the_rest_the_same_as_before() {
    let free = params(Pooling::Mean, 0.0);
    let frozen = ModelParams { freeze_embeddings: true, freeze_layers: 1, ..free.clone() };
    for fused in [true, false] {
        let gradients_of = |params| {
            gradients(
                &classifier(Activation::Gelu, params, fused).train(params),
                Mode::Training { seed: 1, precision: TrainPrecision::Fp32 },
            )
            .1
        };
        let (free, frozen) = (gradients_of(&free), gradients_of(&frozen));
        assert!(!frozen.keys().any(|name| name.starts_with("embeddings.") || name.starts_with("encoder.layer.0.")));
        assert_eq!(frozen.len(), 16 + 4, "fused: {fused}");
        for (name, values) in frozen {
            assert_eq!(values, free[&name], "{name}, fused: {fused}");
        }
    }
}
