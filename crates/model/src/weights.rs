//! Named tensors of a pre-trained model, from safetensors or PyTorch files, and back.
//!
//! Names are those in the file without the family's prefix, such as `bert.` ([`crate::names`] has the rest); matrices
//! keep PyTorch's layout (`[out, in]`) here and are turned to Burn's (`[in, out]`) when they enter the model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::{DType, TensorData};
use burn_store::{ModuleStore, PytorchStore, SafetensorsStore, bridge};

use crate::names::without_prefix;

/// One tensor on the host: 32-bit floats in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Named>;

/// The tensors do not fit the model.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The model has parameters that the file lacks, or the file has tensors that the model has no place for.
    #[error("{path}: the weights do not fit config.json{}{}", list("missing", .missing), list("surplus", .surplus))]
    Names {
        /// The file.
        path: PathBuf,
        /// Parameters without a tensor.
        missing: Vec<String>,
        /// Tensors without a parameter.
        surplus: Vec<String>,
    },
    /// A tensor has another shape than config.json says.
    #[error("{path}: tensor {name} has shape {found:?}, but config.json says {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the configuration leads to.
        expected: Vec<usize>,
    },
}

fn list(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
    format!("; {what}: {shown}{more}")
}

/// The weights file of a base model's folder: `model.safetensors` if it is there, else `pytorch_model.bin`; `None`
/// when there is neither, as for a random base.
pub fn find(folder: &Path) -> Option<PathBuf> {
    ["model.safetensors", "pytorch_model.bin"].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Reads every tensor of a safetensors or PyTorch file, as 32-bit floats, under its name without the family's
/// prefix.
///
/// # Errors
///
/// When the file cannot be read, or two tensors get the same name.
pub fn read(path: &Path) -> Result<Tensors> {
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let tensors = if is_safetensors {
        collect(&mut SafetensorsStore::from_file(path))
    } else {
        collect(&mut PytorchStore::from_file(path))
    };
    tensors.with_context(|| format!("cannot read the weights in {}", path.display()))
}

fn collect<S: ModuleStore>(store: &mut S) -> Result<Tensors> {
    let mut tensors = Tensors::new();
    for (name, tensor) in store.get_all_tensors().map_err(|error| anyhow!("{error}"))? {
        let data = bridge::to_data(tensor).map_err(|error| anyhow!("tensor {name}: {error}"))?;
        // position_ids and the like are buffers of integers: not weights.
        if !matches!(data.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
            continue;
        }
        let name = normalised(name);
        if tensors.insert(name.clone(), named(data)?).is_some() {
            bail!("tensor {name} is there twice, with and without the prefix of a family, such as \"bert.\"");
        }
    }
    Ok(tensors)
}

/// TensorFlow-born checkpoints call a layer norm's weight gamma and its bias beta.
fn normalised(name: &str) -> String {
    let name = without_prefix(name);
    match name.rsplit_once('.') {
        Some((stem, "gamma")) => format!("{stem}.weight"),
        Some((stem, "beta")) => format!("{stem}.bias"),
        _ => name.to_owned(),
    }
}

/// A Burn tensor's data on the host.
///
/// # Errors
///
/// When the data is not of floats.
pub fn named(data: TensorData) -> Result<Named> {
    let data = data.convert_dtype(DType::F32);
    let shape: Vec<usize> = data.shape().iter().copied().collect();
    let values = data.try_into_vec::<f32>().map_err(|error| anyhow!("not a tensor of floats: {error:?}"))?;
    Ok(Named { shape, values })
}

impl Named {
    /// The transpose of a matrix.
    ///
    /// # Panics
    ///
    /// When there are not two dimensions.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let [rows, columns] = self.shape[..] else { panic!("only a matrix has a transpose, not {:?}", self.shape) };
        let mut values = vec![0.0; self.values.len()];
        for row in 0..rows {
            for column in 0..columns {
                values[column * rows + row] = self.values[row * columns + column];
            }
        }
        Self { shape: vec![columns, rows], values }
    }

    /// As Burn's data.
    pub fn into_data(self) -> TensorData {
        TensorData::new(self.values, self.shape)
    }
}

/// Writes tensors as safetensors, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write(path: &Path, tensors: &Tensors, metadata: BTreeMap<String, String>) -> Result<()> {
    let bytes: Vec<(&String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            (name, tensor.shape.clone(), tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes)?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    // One entry at most, so that the order of a hash map cannot show in the bytes.
    let metadata = (!metadata.is_empty()).then(|| metadata.into_iter().collect());
    let serialised = safetensors::serialize(views, metadata)?;
    wellformed_core::files::write_whole(path, |writer| Ok(writer.write_all(&serialised)?))
}
