//! What can be wrong with a model.

/// Why a model file was not written, or not accepted. Messages do not name the file, which only the caller knows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a protobuf message.
    #[error("not an ONNX file, or a damaged one: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The bytes hold more than the messages that were read from them.
    #[error(
        "of its {found} bytes, {expected} make up the model; the rest are fields that no model of this project has"
    )]
    Surplus {
        /// Bytes of the file.
        found: usize,
        /// Bytes of what was understood.
        expected: usize,
    },
    /// The metadata do not say what the model is.
    #[error(
        "its metadata must have exactly one entry {}, but have {found}; it was not exported by this project",
        crate::Architecture::KEY
    )]
    NoArchitecture {
        /// How many there are.
        found: usize,
    },
    /// The architecture cannot be.
    #[error("{} in its metadata: {problem}", crate::Architecture::KEY)]
    Architecture {
        /// What is wrong with it.
        problem: String,
    },
    /// Something in the graph is not what the architecture leads to.
    #[error("{what}: found {found}, but the architecture needs {expected}")]
    Differs {
        /// What it is about, such as the name of a node.
        what: String,
        /// What the file has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// A weight is not there.
    #[error("the weight {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// There is a weight that the model has no place for, or it is there twice.
    #[error("the weight {name} is surplus, or there twice")]
    SurplusWeight {
        /// Its name.
        name: String,
    },
}
