//! The two answers of the model.

use serde::{Deserialize, Serialize};

/// What a linguist said of a sentence; the class index of the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Class 0.
    Unacceptable,
    /// Class 1.
    Acceptable,
}

impl Label {
    /// Both labels, in class order.
    pub const ALL: [Self; 2] = [Self::Unacceptable, Self::Acceptable];

    /// The class index: 0 or 1.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The label of a class index.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// The name in reports and in the bundle.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unacceptable => "unacceptable",
            Self::Acceptable => "acceptable",
        }
    }
}
