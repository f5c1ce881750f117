//! The model as Rust source: what is written, and what is refused. That the source computes what the model does is
//! tested where it is compiled, in examples/without-onnx.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::Path;

use prost::Message;
use wellformed_core::bundle::Precision;
use wellformed_core::files::sha256_bytes;
use wellformed_export::native::{README, SOURCE, WEIGHTS, write};
use wellformed_onnx::proto::ModelProto;
use wellformed_onnx::{Activation, Architecture, Pooling, Weight, initializers, model};

fn small(activation: Activation, pooling: Pooling) -> ModelProto {
    let architecture = Architecture {
        vocabulary: 30,
        embedding: None,
        hidden: 8,
        layers: 2,
        heads: 2,
        inner: 12,
        positions: 10,
        epsilon: 1e-12,
        activation,
        pooling,
        temperature: 1.3,
        precision: Precision::Fp32,
    };
    let weights = initializers(&architecture).into_iter().map(|spec| {
        let values: Vec<f32> = (0..spec.dims.iter().product::<usize>()).map(|at| at as f32 / 64.0).collect();
        (spec.name, Weight::from_f32(spec.dims, &values))
    });
    model(&architecture, weights.collect()).unwrap()
}

/// The files of a folder that was written from a model called `name`.
fn written(folder: &Path, name: &str, model: &ModelProto) -> [Vec<u8>; 3] {
    let (onnx, native) = (folder.join(name), folder.join("native"));
    fs::write(&onnx, model.encode_to_vec()).unwrap();
    write(&onnx, &native).unwrap();
    assert_eq!(fs::read_dir(&native).unwrap().count(), 3);
    [SOURCE, WEIGHTS, README].map(|file| fs::read(native.join(file)).unwrap())
}

#[test]
fn every_kind_of_model_becomes_a_function_of_ids_and_mask() {
    let folder = tempfile::tempdir().unwrap();
    for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu] {
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let model = small(activation, pooling);
            let [source, ..] = written(folder.path(), "model.onnx", &model);
            let source = String::from_utf8(source).unwrap();
            let words = source.split_whitespace().collect::<Vec<_>>().join(" ");
            let signature = "pub fn forward( &self, input_ids: Tensor<2, Int>, attention_mask: Tensor<2, Int>, ) \
                             -> (Tensor<2>, Tensor<2>) {";
            assert!(words.contains(signature), "{source}");
            assert!(source.lines().next().unwrap().contains(&sha256_bytes(&model.encode_to_vec())));
        }
    }
}

#[test]
fn the_same_model_gives_the_same_bytes_wherever_it_lies_and_whatever_it_is_called() {
    let model = small(Activation::Gelu, Pooling::Mean);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = written(folders[0].path(), "model.onnx", &model);
    assert!(one == written(folders[0].path(), "model.onnx", &model), "a second time");
    assert!(one == written(folders[1].path(), "another.name.onnx", &model), "in another place");
    let other = written(folders[1].path(), "model.onnx", &small(Activation::Relu, Pooling::Mean));
    assert!(one[0] != other[0], "the source of another model is another source");
}

#[test]
fn what_is_no_model_is_refused_by_name_and_the_old_folder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let before = written(folder.path(), "model.onnx", &small(Activation::Gelu, Pooling::Mean));
    let refused = |name: &str, bytes: &[u8]| {
        let onnx = folder.path().join(name);
        fs::write(&onnx, bytes).unwrap();
        let error = format!("{:#}", write(&onnx, &folder.path().join("native")).unwrap_err());
        assert!(error.contains(name), "{error}");
        assert!(
            before == [SOURCE, WEIGHTS, README].map(|file| fs::read(folder.path().join("native").join(file)).unwrap())
        );
        fs::remove_file(&onnx).unwrap();
        error
    };

    refused("text.onnx", b"no model at all");
    let mut model = small(Activation::Gelu, Pooling::Mean);
    let bytes = model.encode_to_vec();
    refused("cut.onnx", &bytes[..bytes.len() / 2]);
    let graph = model.graph.as_mut().unwrap();
    graph.node.iter_mut().find(|node| node.op_type() == "Erf").unwrap().op_type = Some("Erfolg".to_owned());
    let error = refused("operator.onnx", &model.encode_to_vec());
    assert!(error.contains("Erfolg"), "{error}");

    let missing = write(&folder.path().join("missing.onnx"), &folder.path().join("native")).unwrap_err();
    assert!(format!("{missing:#}").contains("missing.onnx"), "{missing:#}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing is left lying about: {left:?}");
}
