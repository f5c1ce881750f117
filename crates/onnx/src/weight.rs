//! A model's weights.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::proto::TensorProto;

/// The type of a weight's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit floating point.
    F32,
    /// 8-bit integers with a sign.
    I8,
}

impl DataType {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::I8 => 1,
        }
    }

    /// The number in the schema.
    pub(crate) fn onnx(self) -> i32 {
        match self {
            Self::F32 => TensorProto::FLOAT,
            Self::I8 => TensorProto::INT8,
        }
    }
}

/// What a weight must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name in the file.
    pub name: String,
    /// The type of its numbers.
    pub dtype: DataType,
    /// Length of each dimension.
    pub dims: Vec<usize>,
}

impl Spec {
    /// Size of the values in bytes; `None` when no machine could hold it.
    pub fn bytes(&self) -> Option<usize> {
        self.dims.iter().try_fold(self.dtype.size(), |bytes, &dim| bytes.checked_mul(dim))
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}{:?}", self.dtype, self.dims)
    }
}

/// A weight: its values as they lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Length of each dimension.
    pub dims: Vec<usize>,
    /// The type of the numbers.
    pub dtype: DataType,
    /// The values in row-major order, little-endian; of an opened file, a part of its memory. Not aligned.
    pub data: Bytes,
}

/// Weights by name.
pub type Weights = BTreeMap<String, Weight>;

impl Weight {
    /// A weight of 32-bit floats, in row-major order.
    ///
    /// # Panics
    ///
    /// When there are not as many values as the dimensions say.
    pub fn from_f32(dims: Vec<usize>, values: &[f32]) -> Self {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "values of a tensor {dims:?}");
        Self { dims, dtype: DataType::F32, data: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    /// A weight of 8-bit integers, in row-major order.
    ///
    /// # Panics
    ///
    /// When there are not as many values as the dimensions say.
    pub fn from_i8(dims: Vec<usize>, values: &[i8]) -> Self {
        assert_eq!(dims.iter().product::<usize>(), values.len(), "values of a tensor {dims:?}");
        Self { dims, dtype: DataType::I8, data: values.iter().map(|&value| value.cast_unsigned()).collect() }
    }

    /// The values of [`DataType::F32`]; empty for another type.
    pub fn f32_values(&self) -> Vec<f32> {
        match self.dtype {
            DataType::F32 => {
                let (chunks, _) = self.data.as_chunks::<4>();
                chunks.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
            }
            DataType::I8 => Vec::new(),
        }
    }

    /// The values of [`DataType::I8`]; empty for another type.
    pub fn i8_values(&self) -> Vec<i8> {
        match self.dtype {
            DataType::I8 => self.data.iter().map(|&byte| byte.cast_signed()).collect(),
            DataType::F32 => Vec::new(),
        }
    }

    pub(crate) fn is(&self, spec: &Spec) -> bool {
        self.dims == spec.dims && self.dtype == spec.dtype && Some(self.data.len()) == spec.bytes()
    }

    pub(crate) fn into_proto(self, name: String) -> TensorProto {
        TensorProto {
            dims: self.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: Some(self.dtype.onnx()),
            name: Some(name),
            raw_data: Some(self.data),
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}{:?} in {} bytes", self.dtype, self.dims, self.data.len())
    }
}
