//! Files opened, whole and damaged.

use bytes::Bytes;
use prost::Message;
use wellformed_core::bundle::Precision;
use wellformed_onnx::proto::{ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use wellformed_onnx::{Architecture, Error, open};

use crate::support::{built, file, kinds, small, weights};

fn refused(model: &ModelProto) -> String {
    open(model.encode_to_vec().into()).unwrap_err().to_string()
}

fn changed(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut model = built(&small());
    change(&mut model);
    refused(&model)
}

fn node<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    model.graph.as_mut().unwrap().node.iter_mut().find(|node| node.name() == name).unwrap()
}

fn tensor<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    model.graph.as_mut().unwrap().initializer.iter_mut().find(|tensor| tensor.name() == name).unwrap()
}

fn metadata(model: &mut ModelProto) -> &mut String {
    model.metadata_props[0].value.as_mut().unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    for (kind, architecture) in kinds() {
        let opened = open(file(&architecture).into()).unwrap();
        assert_eq!(opened.architecture, architecture, "{kind}");
        assert_eq!(opened.weights, weights(&architecture), "{kind}");
    }
}

#[test]
fn weights_share_the_memory_of_the_file() {
    let bytes = Bytes::from(file(&small()));
    let memory = bytes.as_ptr_range();
    let opened = open(bytes.clone()).unwrap();
    for (name, weight) in &opened.weights {
        let place = weight.data.as_ptr_range();
        assert!(memory.start <= place.start && place.end <= memory.end, "{name} was copied");
    }
}

#[test]
fn a_file_cut_at_any_byte_is_an_error_and_no_panic() {
    let whole = file(&Architecture { precision: Precision::Int8, layers: 1, vocabulary: 4, ..small() });
    for length in 0..whole.len() {
        assert!(open(Bytes::copy_from_slice(&whole[..length])).is_err(), "cut at {length} of {}", whole.len());
    }
}

#[test]
fn a_byte_changed_outside_of_weights_and_texts_is_an_error_and_never_a_panic() {
    let architecture = Architecture { layers: 1, vocabulary: 4, hidden: 4, inner: 4, positions: 4, ..small() };
    let whole = file(&architecture);
    let original = open(whole.clone().into()).unwrap();
    for at in 0..whole.len() {
        for mask in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= mask;
            // What may differ without an error are the values of weights, numbers that the architecture leaves free,
            // and texts for people; the file is still of one piece.
            if let Ok(opened) = open(damaged.into()) {
                let shapes = |opened: &wellformed_onnx::Opened| -> Vec<(String, Vec<usize>)> {
                    opened.weights.iter().map(|(name, weight)| (name.clone(), weight.dims.clone())).collect()
                };
                assert_eq!(shapes(&opened), shapes(&original), "byte {at} ^ {mask:#x}");
            }
        }
    }
}

#[test]
fn a_length_beyond_the_end_is_an_error() {
    // Field 7, length-delimited, of 2^62 bytes, of which there are none.
    let bytes = [0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    assert!(matches!(open(Bytes::copy_from_slice(&bytes)), Err(Error::Protobuf(_))));
}

#[test]
fn something_else_than_a_model_is_an_error() {
    for bytes in [&b""[..], b"PK\x03\x04", b"{\"format\": 1}", &[0xff; 64], &vec![0x0b; 100_000]] {
        assert!(open(Bytes::copy_from_slice(bytes)).is_err());
    }
}

#[test]
fn a_changed_graph_is_refused_and_the_node_named() {
    let swapped = changed(|model| node(model, "layers.1.scores").input.swap(0, 1));
    assert_eq!(
        swapped,
        "node layers.1.scores: found layers.1.scores = MatMul(layers.1.key, layers.1.query) with {} named \
         layers.1.scores, but the architecture needs layers.1.scores = MatMul(layers.1.query, layers.1.key) with {} \
         named layers.1.scores"
    );
    let operator = changed(|model| node(model, "pooling").op_type = Some("Mul".to_owned()));
    assert!(operator.starts_with("node pooling: found pooling = Mul("), "{operator}");
    let attribute = changed(|model| node(model, "embeddings.norm").attribute[1].f = Some(1e-5));
    assert!(attribute.contains("epsilon=0.00001") && attribute.contains("epsilon=0.000000000001"), "{attribute}");
    let surplus = changed(|model| {
        let again = node(model, "pooling").clone();
        model.graph.as_mut().unwrap().node.push(again);
    });
    assert!(surplus.starts_with("number of nodes: found "), "{surplus}");
}

#[test]
fn changed_inputs_outputs_and_operators_are_refused() {
    let output = changed(|model| model.graph.as_mut().unwrap().output.swap(0, 1));
    assert!(output.starts_with("output logits: found probabilities of type 1 [batch, 2]"), "{output}");
    let input = changed(|model| model.graph.as_mut().unwrap().input[0].name = Some("ids".to_owned()));
    assert!(input.starts_with("input input_ids: found ids of type 7 [batch, sequence]"), "{input}");
    let opset = changed(|model| model.opset_import[0].version = Some(18));
    assert!(opset.starts_with("opset_import: "), "{opset}");
    let version = changed(|model| model.ir_version = Some(3));
    assert!(version.starts_with("ir_version: "), "{version}");
    let empty = changed(|model| model.graph = None);
    assert!(empty.starts_with("size: found "), "{empty}");
}

#[test]
fn a_changed_constant_is_refused_by_name() {
    let constant = changed(|model| {
        tensor(model, "constant.temperature").raw_data = Some(Bytes::copy_from_slice(&2.0_f32.to_le_bytes()));
    });
    assert!(constant.starts_with("constant constant.temperature: found type 1 [] in 4 bytes"), "{constant}");
}

#[test]
fn changed_weights_are_refused_by_name() {
    let dims = changed(|model| tensor(model, "layers.0.inner.weight").dims.swap(0, 1));
    assert_eq!(
        dims,
        "weight layers.0.inner.weight: found F32[24, 16] in 1536 bytes, but the architecture needs F32[16, 24]"
    );
    let negative = changed(|model| tensor(model, "head.bias").dims = vec![-1]);
    assert!(negative.starts_with("weight head.bias: found type 1 [-1]"), "{negative}");
    let kind = changed(|model| tensor(model, "head.bias").data_type = Some(10));
    assert!(kind.starts_with("weight head.bias: found type 10 [16]"), "{kind}");
    let short = changed(|model| {
        let bias = tensor(model, "head.bias");
        bias.raw_data = Some(bias.raw_data.as_ref().unwrap().slice(4..));
    });
    assert!(short.starts_with("weight head.bias: found F32[16] in 60 bytes"), "{short}");
    let renamed = changed(|model| tensor(model, "head.bias").name = Some("tail.bias".to_owned()));
    assert_eq!(renamed, "the weight head.bias is missing");
    let twice = changed(|model| {
        let again = tensor(model, "head.bias").clone();
        model.graph.as_mut().unwrap().initializer.push(again);
    });
    assert_eq!(twice, "the weight head.bias is surplus, or there twice");
}

#[test]
fn an_architecture_that_does_not_fit_the_file_is_refused() {
    let more_layers = changed(|model| *metadata(model) = metadata(model).replace("\"layers\":2", "\"layers\":3"));
    assert_eq!(more_layers, "the weight layers.2.qkv.weight is missing");
    let vast = changed(|model| *metadata(model) = metadata(model).replace("\"layers\":2", "\"layers\":1024"));
    assert!(vast.starts_with("size: found "), "{vast}");
    let absurd = changed(|model| {
        *metadata(model) = metadata(model).replace("\"vocabulary\":40", "\"vocabulary\":18446744073709551615");
    });
    assert!(absurd.contains("vocabulary is 18446744073709551615, but must be from 1 to "), "{absurd}");
    let activation = changed(|model| *metadata(model) = metadata(model).replace("\"gelu\"", "\"swish\""));
    assert!(activation.contains("unknown variant `swish`"), "{activation}");
    let unknown = changed(|model| *metadata(model) = metadata(model).replace('{', "{\"rope\":true,"));
    assert!(unknown.contains("unknown field `rope`"), "{unknown}");
    let cls = changed(|model| *metadata(model) = metadata(model).replace("\"mean\"", "\"cls\""));
    assert!(cls.contains("is missing") || cls.contains("node"), "{cls}");
}

#[test]
fn a_model_that_does_not_say_what_it_is_is_refused() {
    let none = changed(|model| model.metadata_props.clear());
    assert!(none.contains("exactly one entry wellformed.architecture, but have 0"), "{none}");
    let two = changed(|model| {
        let again = model.metadata_props[0].clone();
        model.metadata_props.push(again);
    });
    assert!(two.contains("but have 2"), "{two}");
    let entry = StringStringEntryProto { key: Some("note".to_owned()), value: Some("mine".to_owned()) };
    let mut noted = built(&small());
    noted.metadata_props.push(entry);
    assert!(open(noted.encode_to_vec().into()).is_ok(), "other metadata change nothing");
}

#[test]
fn fields_that_the_schema_has_and_these_models_have_not_are_refused() {
    let whole = file(&small());
    // Field 20 of a model, training_info, and field 5, model_version.
    for more in [&[0xa2, 0x01, 0x00][..], &[0x28, 0x07]] {
        let bytes = [whole.as_slice(), more].concat();
        let error = open(bytes.into()).unwrap_err();
        assert_eq!(error, Error::Surplus { found: whole.len() + more.len(), expected: whole.len() });
    }
}
