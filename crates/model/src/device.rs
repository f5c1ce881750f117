//! From `compute.device` to a Burn device.

use burn::tensor::Device;
use wellformed_core::params::{ComputeParams, DeviceKind};

/// A device that this build and this machine offer.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Which one it is; never [`DeviceKind::Auto`].
    pub kind: DeviceKind,
    /// Burn's handle, without autodiff.
    pub device: Device,
}

/// The device asked for is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The build lacks the backend.
    #[error(
        "compute.device is {device}, but this build has only {available}; build with --features {device} \
         (with `cargo xtask repro`: WELLFORMED_FEATURES={device} cargo xtask repro)"
    )]
    NotBuilt {
        /// The device asked for.
        device: &'static str,
        /// The devices that the build has.
        available: String,
    },
    /// The thread pool had already been started with another size.
    #[error("compute.threads is {threads}, but the thread pool could not be set up: {reason}")]
    Threads {
        /// The number asked for.
        threads: usize,
        /// What the pool said.
        reason: String,
    },
}

/// The devices compiled into this build, best first as `auto` tries them.
pub fn available() -> Vec<DeviceKind> {
    let mut kinds = Vec::new();
    if cfg!(feature = "cuda") {
        kinds.push(DeviceKind::Cuda);
    }
    if cfg!(feature = "libtorch") {
        kinds.push(DeviceKind::LibtorchCuda);
    }
    kinds.push(DeviceKind::Flex);
    if cfg!(feature = "libtorch") {
        kinds.push(DeviceKind::Libtorch);
    }
    if cfg!(feature = "ndarray") {
        kinds.push(DeviceKind::Ndarray);
    }
    kinds
}

/// Opens the device of the parameters and sizes the CPU thread pool.
///
/// # Errors
///
/// [`DeviceError::NotBuilt`] says which feature to turn on.
pub fn choose(compute: &ComputeParams) -> Result<Chosen, DeviceError> {
    if compute.threads > 0 {
        // The pool can be sized once, and asking for its size starts it: so size first, compare after.
        let sized = rayon::ThreadPoolBuilder::new().num_threads(compute.threads).build_global();
        if let Err(error) = sized
            && rayon::current_num_threads() != compute.threads
        {
            return Err(DeviceError::Threads { threads: compute.threads, reason: error.to_string() });
        }
    }
    open(compute.device)
}

/// Opens a device.
///
/// # Errors
///
/// As [`choose`].
pub fn open(kind: DeviceKind) -> Result<Chosen, DeviceError> {
    let missing = || DeviceError::NotBuilt {
        device: kind.name(),
        available: available().iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "),
    };
    let device = match kind {
        DeviceKind::Auto => {
            let present = |kind: &DeviceKind| match kind {
                DeviceKind::Cuda | DeviceKind::LibtorchCuda => cuda_is_present(),
                _ => true,
            };
            let best = available().into_iter().find(present).unwrap_or(DeviceKind::Flex);
            return open(best);
        }
        DeviceKind::Flex => Device::flex(),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::Ndarray => Device::new(burn_ndarray::NdArrayDevice::Cpu),
        #[cfg(feature = "libtorch")]
        DeviceKind::Libtorch => Device::new(burn_tch::LibTorchDevice::Cpu),
        #[cfg(feature = "libtorch")]
        DeviceKind::LibtorchCuda => Device::new(burn_tch::LibTorchDevice::Cuda(0)),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::cuda(0),
        #[allow(unreachable_patterns, reason = "every device may be in the build")]
        _ => return Err(missing()),
    };
    Ok(Chosen { kind, device })
}

/// Whether the NVIDIA driver has a device; asked of the driver's files, so that `auto` never fails on a machine without.
fn cuda_is_present() -> bool {
    std::path::Path::new("/dev/nvidiactl").exists() || std::path::Path::new("/dev/dxg").exists()
}
