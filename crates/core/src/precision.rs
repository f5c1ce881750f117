//! The numbers that a model computes with.

use serde::{Deserialize, Serialize};

/// The numbers that a model file holds its matrices in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floating point.
    Fp32,
    /// 8-bit integers with a scale for each output channel.
    Int8,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fp32, Self::Int8];

    /// The name in parameters, on command lines and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Int8 => "int8",
        }
    }
}
