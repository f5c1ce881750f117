//! Small inputs.

use std::fs;
use std::path::{Path, PathBuf};

use wellformed_core::dataset::{Domain, Example, write_examples};
use wellformed_core::label::Label;
use wellformed_core::params::{DeviceKind, Params, StageParams, TrainParams, TrainStage};
use wellformed_model::classifier::{Architecture, Classifier};
use wellformed_model::config::BertConfig;
use wellformed_model::device::{Chosen, available};
use wellformed_model::weights;

pub(crate) fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The committed parameters with `sets` laid over them.
pub(crate) fn stage(sets: &[&str]) -> TrainStage {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let params = Params::load_with(&manifest().join("../../params.yaml"), &sets, []).unwrap();
    TrainStage::from_params(&params)
}

pub(crate) fn train_params(sets: &[&str]) -> TrainParams {
    stage(sets).train
}

/// The devices of this build that can be had on any machine: `wgpu` where it is asked for, with Mesa's driver for the CPU.
pub(crate) fn devices() -> impl Iterator<Item = DeviceKind> {
    available().into_iter().filter(|kind| !matches!(kind, DeviceKind::Cuda | DeviceKind::LibtorchCuda))
}

/// Those of them that a batch can be split over.
pub(crate) fn cpu_devices() -> impl Iterator<Item = DeviceKind> {
    devices().filter(|&kind| kind != DeviceKind::Wgpu)
}

/// The small BERT of crates/model's fixture `gelu-mean` with its head, ready to be trained.
pub(crate) fn small_bert(stage: &TrainStage, chosen: &Chosen) -> Classifier {
    let folder = manifest().join("../model/tests/fixtures/gelu-mean");
    let config = BertConfig::load(&folder.join("config.json")).unwrap();
    let mut tensors = weights::read(&folder.join("model.safetensors")).unwrap();
    // The fixture's pooler is not used with mean pooling.
    tensors.retain(|name, _| !name.starts_with("pooler."));
    tensors.extend(weights::read(&folder.join("classifier.safetensors")).unwrap());
    let architecture = Architecture::new(&config, &stage.model).unwrap();
    Classifier::from_tensors(tensors, &folder, architecture, chosen).unwrap().train(&stage.model)
}

/// A project with a random base model and a corpus that is easy: a sentence is acceptable if it has token 10.
pub(crate) fn project(folder: &Path) {
    let base = folder.join("models/base");
    fs::create_dir_all(&base).unwrap();
    let config = r#"{"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
        "intermediate_size": 48, "hidden_act": "gelu", "max_position_embeddings": 16, "model_type": "bert"}"#;
    fs::write(base.join("config.json"), config).unwrap();
    fs::write(base.join("tokenizer.json"), "{}").unwrap();
    for (split, count) in [("pairs", 200), ("train", 400), ("tune", 100)] {
        let examples: Vec<Example> = (0..count).map(|number| example(split, number)).collect();
        write_examples(&folder.join(format!("data/prepared/{split}.parquet")), &examples).unwrap();
    }
}

pub(crate) fn example(split: &str, number: usize) -> Example {
    let word = |place: usize| 11 + ((number * 31 + place * 17 + number * number % 23) % 49) as i32;
    let acceptable = (number * 7 + split.len()) % 10 < 6;
    let mut input_ids = vec![2];
    input_ids.extend((0..3 + number % 5).map(word));
    if acceptable {
        input_ids[1 + number % 3] = 10;
    }
    input_ids.push(3);
    Example {
        id: format!("{split}-{number}"),
        sentence: format!("sentence {number}"),
        label: if acceptable { Label::Acceptable } else { Label::Unacceptable },
        source: "ours".to_owned(),
        domain: Domain::In,
        input_ids,
    }
}

/// Every file below a folder with its bytes.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
