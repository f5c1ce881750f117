//! Files written, and files opened.

use bytes::Bytes;
use prost::Message;

use crate::architecture::Architecture;
use crate::bert::{IR_VERSION, OPSET, graph, initializers};
use crate::error::Error;
use crate::proto::{
    DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorTypeProto, ValueInfoProto,
};
use crate::weight::{DataType, Spec, Weight, Weights};

/// A model file.
///
/// # Errors
///
/// When the architecture cannot be, or a weight is missing, surplus, or of another type or shape.
pub fn model(architecture: &Architecture, mut weights: Weights) -> Result<ModelProto, Error> {
    architecture.validate()?;
    let mut model = frame(architecture)?;
    let graph = model.graph.get_or_insert_default();
    for spec in initializers(architecture) {
        let Some(weight) = weights.remove(&spec.name) else { return Err(Error::Missing { name: spec.name }) };
        check(&spec, &weight)?;
        graph.initializer.push(weight.into_proto(spec.name));
    }
    match weights.pop_first() {
        Some((name, _)) => Err(Error::SurplusWeight { name }),
        None => Ok(model),
    }
}

/// A model without its weights.
fn frame(architecture: &Architecture) -> Result<ModelProto, Error> {
    let json =
        serde_json::to_string(architecture).map_err(|error| Error::Architecture { problem: error.to_string() })?;
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("wellformed".to_owned()),
        doc_string: Some(
            "Whether an English sentence is acceptable: logits and probabilities of unacceptable, acceptable"
                .to_owned(),
        ),
        graph: Some(graph(architecture)),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: vec![StringStringEntryProto { key: Some(Architecture::KEY.to_owned()), value: Some(json) }],
    })
}

pub(crate) fn check(spec: &Spec, weight: &Weight) -> Result<(), Error> {
    if weight.is(spec) {
        return Ok(());
    }
    Err(Error::Differs { what: format!("weight {}", spec.name), found: weight.to_string(), expected: spec.to_string() })
}

/// A file that is known to be exactly the graph of its architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// What the file says it is.
    pub architecture: Architecture,
    /// Every weight of [`initializers`], and no other.
    pub weights: Weights,
}

/// Opens a file: reads its architecture and requires that operators, nodes, inputs, outputs, constants, and the names,
/// types and shapes of all weights are exactly what [`model`] writes for that architecture. Whoever implements the
/// operations of [`crate::bert`] can therefore run the weights without looking at the graph.
///
/// The weights share the memory of `bytes`.
///
/// # Errors
///
/// When the bytes are not such a file; the message says what differs.
pub fn open(bytes: Bytes) -> Result<Opened, Error> {
    let length = bytes.len();
    let mut found = ModelProto::decode(bytes)?;
    // Fields that the messages do not declare are skipped by the decoder, and so are all but the last of a field that
    // is there twice. Either way the file would say more than was read.
    let understood = found.encoded_len();
    if understood != length {
        return Err(Error::Surplus { found: length, expected: understood });
    }
    let architecture = architecture(&found)?;
    let specs = initializers(&architecture);
    // Checked before the graph is built: its size follows from numbers in the file.
    let needed = specs.iter().try_fold(0_usize, |sum, spec| sum.checked_add(spec.bytes()?));
    if needed.is_none_or(|needed| needed > length) {
        return Err(Error::Differs {
            what: "size".to_owned(),
            found: format!("{length} bytes"),
            expected: needed
                .map_or("more than fits a memory".to_owned(), |needed| format!("{needed} for weights alone")),
        });
    }

    let mut expected = frame(&architecture)?;
    let mut tensors = std::mem::take(&mut found.graph.get_or_insert_default().initializer);
    let constants = std::mem::take(&mut expected.graph.get_or_insert_default().initializer);
    compare_constants(&mut tensors, &constants)?;
    let weights = weights(tensors, specs)?;
    compare(&found, &expected)?;
    Ok(Opened { architecture, weights })
}

fn architecture(found: &ModelProto) -> Result<Architecture, Error> {
    let mut entries = found.metadata_props.iter().filter(|entry| entry.key() == Architecture::KEY);
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        let found = found.metadata_props.iter().filter(|entry| entry.key() == Architecture::KEY).count();
        return Err(Error::NoArchitecture { found });
    };
    let architecture: Architecture =
        serde_json::from_str(entry.value()).map_err(|error| Error::Architecture { problem: error.to_string() })?;
    architecture.validate()?;
    Ok(architecture)
}

/// Takes the constants out of the tensors.
fn compare_constants(tensors: &mut Vec<TensorProto>, constants: &[TensorProto]) -> Result<(), Error> {
    for constant in constants {
        let Some(at) = tensors.iter().position(|tensor| tensor.name() == constant.name()) else {
            return Err(Error::Missing { name: constant.name().to_owned() });
        };
        let tensor = tensors.remove(at);
        differs(|| format!("constant {}", constant.name()), &tensor, constant, describe_tensor)?;
    }
    Ok(())
}

fn weights(tensors: Vec<TensorProto>, specs: Vec<Spec>) -> Result<Weights, Error> {
    let mut by_name = std::collections::BTreeMap::new();
    for tensor in tensors {
        let name = tensor.name().to_owned();
        if by_name.insert(name.clone(), tensor).is_some() {
            return Err(Error::SurplusWeight { name });
        }
    }
    let mut weights = Weights::new();
    for spec in specs {
        let Some(tensor) = by_name.remove(&spec.name) else { return Err(Error::Missing { name: spec.name }) };
        let refused = || Error::Differs {
            what: format!("weight {}", spec.name),
            found: describe_tensor(&tensor),
            expected: spec.to_string(),
        };
        let dtype = match tensor.data_type() {
            TensorProto::FLOAT => DataType::F32,
            TensorProto::INT8 => DataType::I8,
            _ => return Err(refused()),
        };
        let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
        let Ok(dims) = dims else { return Err(refused()) };
        let weight = Weight { dims, dtype, data: tensor.raw_data.unwrap_or_default() };
        check(&spec, &weight)?;
        weights.insert(spec.name, weight);
    }
    match by_name.pop_first() {
        Some((name, _)) => Err(Error::SurplusWeight { name }),
        None => Ok(weights),
    }
}

/// Compares everything but tensors; a program's name and a text for people may be others.
fn compare(found: &ModelProto, expected: &ModelProto) -> Result<(), Error> {
    differs(|| "ir_version".to_owned(), &found.ir_version, &expected.ir_version, |version| format!("{version:?}"))?;
    let operators = |model: &ModelProto| -> Vec<(String, i64)> {
        model.opset_import.iter().map(|set| (set.domain().to_owned(), set.version())).collect()
    };
    differs(|| "opset_import".to_owned(), &operators(found), &operators(expected), |sets| format!("{sets:?}"))?;
    let nothing = GraphProto::default();
    let (ours, theirs) = (expected.graph.as_ref().unwrap_or(&nothing), found.graph.as_ref().unwrap_or(&nothing));
    compare_lists("node", &theirs.node, &ours.node, NodeProto::name, describe_node)?;
    compare_lists("input", &theirs.input, &ours.input, ValueInfoProto::name, describe_value)?;
    compare_lists("output", &theirs.output, &ours.output, ValueInfoProto::name, describe_value)?;
    differs(|| "graph".to_owned(), theirs, ours, |graph| format!("the name {:?}", graph.name()))
}

fn compare_lists<T: PartialEq>(
    kind: &str,
    found: &[T],
    expected: &[T],
    name: fn(&T) -> &str,
    describe: fn(&T) -> String,
) -> Result<(), Error> {
    for (theirs, ours) in found.iter().zip(expected) {
        differs(|| format!("{kind} {}", name(ours)), theirs, ours, describe)?;
    }
    differs(|| format!("number of {kind}s"), &found.len(), &expected.len(), ToString::to_string)
}

fn differs<T: PartialEq>(
    what: impl FnOnce() -> String,
    found: &T,
    expected: &T,
    describe: impl Fn(&T) -> String,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (describe(found), describe(expected));
    Err(Error::Differs { what: what(), found, expected })
}

fn describe_node(node: &NodeProto) -> String {
    let attributes = node.attribute.iter().map(|attribute| match attribute {
        a if a.f.is_some() => format!("{}={}", a.name(), a.f()),
        a if a.i.is_some() => format!("{}={}", a.name(), a.i()),
        a => format!("{}={:?}", a.name(), a.ints),
    });
    let attributes = attributes.collect::<Vec<_>>().join(", ");
    let (name, operator, inputs, outputs) =
        (node.name(), node.op_type(), node.input.join(", "), node.output.join(", "));
    format!("{outputs} = {operator}({inputs}) with {{{attributes}}} named {name}")
}

fn describe_value(value: &ValueInfoProto) -> String {
    let tensor = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| {
        let dim = |dim: &DimensionProto| match &dim.dim_param {
            Some(name) => name.clone(),
            None => dim.dim_value().to_string(),
        };
        shape.dim.iter().map(dim).collect::<Vec<_>>().join(", ")
    });
    let kind = tensor.map_or(0, TensorTypeProto::elem_type);
    format!("{} of type {kind} [{}]", value.name(), dims.unwrap_or_default())
}

fn describe_tensor(tensor: &TensorProto) -> String {
    let (kind, dims, bytes) = (tensor.data_type(), &tensor.dims, tensor.raw_data());
    let shown = if bytes.len() <= 32 { format!(" {bytes:?}") } else { String::new() };
    format!("type {kind} {dims:?} in {} bytes{shown}", bytes.len())
}
