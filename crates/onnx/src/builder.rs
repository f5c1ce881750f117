//! Nodes and constants, one after the other.
//!
//! A node's only output has the node's name, so that a graph reads like the code that built it.

use bytes::Bytes;

use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// A graph on its way.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Builder {
    /// Adds an operation; gives the name of its output, which is the node's.
    pub(crate) fn node(
        &mut self,
        name: impl Into<String>,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        let name = name.into();
        self.nodes.push(node(name.clone(), operator, inputs, vec![name.clone()], attributes));
        name
    }

    /// Adds an operation with several outputs, each named after the node and its own suffix.
    pub(crate) fn node_of_many<const N: usize>(
        &mut self,
        name: &str,
        operator: &str,
        inputs: &[&str],
        suffixes: [&str; N],
        attributes: Vec<AttributeProto>,
    ) -> [String; N] {
        let outputs = suffixes.map(|suffix| format!("{name}.{suffix}"));
        self.nodes.push(node(name.to_owned(), operator, inputs, outputs.to_vec(), attributes));
        outputs
    }

    /// A constant number.
    pub(crate) fn float(&mut self, name: &str, value: f32) -> String {
        self.constant(name, TensorProto::FLOAT, vec![], value.to_le_bytes().to_vec())
    }

    /// A constant number of 8 bits.
    pub(crate) fn byte(&mut self, name: &str, value: u8) -> String {
        self.constant(name, TensorProto::UINT8, vec![], vec![value])
    }

    /// A constant index, without a dimension.
    pub(crate) fn index(&mut self, name: &str, value: i64) -> String {
        self.constant(name, TensorProto::INT64, vec![], value.to_le_bytes().to_vec())
    }

    /// A constant list of integers: axes, or a shape.
    pub(crate) fn integers(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, TensorProto::INT64, vec![values.len() as i64], bytes)
    }

    /// The same constant may be asked for again.
    fn constant(&mut self, name: &str, data_type: i32, dims: Vec<i64>, bytes: Vec<u8>) -> String {
        let name = format!("constant.{name}");
        let constant = TensorProto {
            dims,
            data_type: Some(data_type),
            name: Some(name.clone()),
            raw_data: Some(Bytes::from(bytes)),
        };
        if !self.constants.contains(&constant) {
            self.constants.push(constant);
        }
        name
    }

    /// The graph.
    pub(crate) fn finish(self, name: &str, input: Vec<ValueInfoProto>, output: Vec<ValueInfoProto>) -> GraphProto {
        GraphProto { node: self.nodes, name: Some(name.to_owned()), initializer: self.constants, input, output }
    }
}

fn node(
    name: String,
    operator: &str,
    inputs: &[&str],
    output: Vec<String>,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output,
        name: Some(name),
        op_type: Some(operator.to_owned()),
        attribute,
    }
}

/// An attribute that is an integer.
pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(AttributeProto::INT),
        ..AttributeProto::default()
    }
}

/// An attribute that is a number.
pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        f: Some(value),
        r#type: Some(AttributeProto::FLOAT),
        ..AttributeProto::default()
    }
}

/// An attribute that is a list of integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.to_vec(),
        r#type: Some(AttributeProto::INTS),
        ..AttributeProto::default()
    }
}

/// A dimension of an input or output.
pub(crate) enum Dim {
    Free(&'static str),
    Fixed(i64),
}

/// An input or output.
pub(crate) fn value(name: &str, elem_type: i32, dims: &[Dim]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| match *dim {
        Dim::Free(name) => DimensionProto { dim_value: None, dim_param: Some(name.to_owned()) },
        Dim::Fixed(length) => DimensionProto { dim_value: Some(length), dim_param: None },
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    let tensor_type = TensorTypeProto { elem_type: Some(elem_type), shape: Some(shape) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
