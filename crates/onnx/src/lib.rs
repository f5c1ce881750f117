//! ONNX files of this project's models: written, and opened with proof.
//!
//! ```
//! use prost::Message;
//! use wellformed_core::bundle::Precision;
//! use wellformed_onnx::{Activation, Architecture, DataType, Pooling, Weight, initializers, model, open};
//!
//! let architecture = Architecture {
//!     vocabulary: 10, embedding: None, hidden: 4, layers: 1, heads: 2, inner: 8, positions: 6, epsilon: 1e-12,
//!     activation: Activation::Gelu, pooling: Pooling::Mean, temperature: 1.5, precision: Precision::Fp32,
//! };
//! let zeros = initializers(&architecture).into_iter().map(|spec| {
//!     let values = vec![0.0; spec.dims.iter().product()];
//!     (spec.name, Weight::from_f32(spec.dims, &values))
//! });
//! let file = model(&architecture, zeros.collect())?.encode_to_vec();
//! assert_eq!(open(file.into())?.architecture, architecture);
//! # Ok::<(), wellformed_onnx::Error>(())
//! ```
//!
//! * [`proto`]: the messages of the published schema.
//! * [`bert`]: the graph of an [`Architecture`], operation by operation, and the weights that it needs.
//! * [`model`], [`open`]: a file, there and back. `open` rebuilds the graph from the architecture and accepts nothing
//!   else, so an engine may run its own kernels on the weights.
//! * [`quantize`]: the weights of the int8 file.

pub mod bert;
pub mod proto;

mod architecture;
mod builder;
mod error;
mod model;
mod quantization;
mod weight;

pub use architecture::{Activation, Architecture, Pooling};
pub use bert::{graph, initializers};
pub use error::Error;
pub use model::{Opened, model, open};
pub use quantization::quantize;
pub use weight::{DataType, Spec, Weight, Weights};
