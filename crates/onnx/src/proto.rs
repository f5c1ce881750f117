//! The messages of ONNX, as far as this project's models use them.
//!
//! Names and field numbers are those of the published schema (`onnx.proto`, IR version 8). The schema is proto2, so
//! scalar fields are optional and repeated numbers are not packed. A tensor's bytes are [`Bytes`]: decoded from a
//! [`Bytes`], for example one over a memory map, they share its memory and nothing is copied.

use bytes::Bytes;
use prost::Message;

/// A model file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the schema.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The program that wrote it.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// What the model does, for people.
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    /// The computation.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// The versions of the operators that the graph uses.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Anything else, as text.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A version of a set of operators.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for the standard operators.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// The version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A key with its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// The value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// A computation: nodes in an order in which they can be computed.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constants and weights.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// What must be given.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What comes out.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of values.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of values.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's name.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// The operator.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// The operator's settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// A setting of an operator.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The value, for [`AttributeProto::FLOAT`].
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// The value, for [`AttributeProto::INT`].
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// The value, for [`AttributeProto::INTS`].
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of the values counts.
    #[prost(int32, optional, tag = "20")]
    pub r#type: Option<i32>,
}

impl AttributeProto {
    /// `AttributeType::FLOAT`.
    pub const FLOAT: i32 = 1;
    /// `AttributeType::INT`.
    pub const INT: i32 = 2;
    /// `AttributeType::INTS`.
    pub const INTS: i32 = 7;
}

/// A tensor with its values.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Length of each dimension.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// One of the constants of this type.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Its name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// The values in row-major order, little-endian.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
}

impl TensorProto {
    /// `DataType::FLOAT`: 32 bits.
    pub const FLOAT: i32 = 1;
    /// `DataType::UINT8`.
    pub const UINT8: i32 = 2;
    /// `DataType::INT8`.
    pub const INT8: i32 = 3;
    /// `DataType::INT64`.
    pub const INT64: i32 = 7;
}

/// The name and type of a graph's input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The value's name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The value's type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type; here always a tensor's.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// The tensor's type; a member of the schema's oneof `value`.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// `TypeProto.Tensor` of the schema.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// One of [`TensorProto`]'s constants.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// The dimensions.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The dimensions of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The dimensions, outermost first.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// `TensorShapeProto.Dimension` of the schema: one of both is given.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// A fixed length.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// The name of a length that is free.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}
