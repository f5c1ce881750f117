//! From `compute.device` to a Burn device.

use std::sync::{Mutex, PoisonError};

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
    /// The machine has fewer devices than are asked for.
    #[error(
        "train.devices is {asked}, but this machine has {present} CUDA {}; set it to at most {present}, or make more \
         visible (CUDA_VISIBLE_DEVICES hides some)",
        if *present == 1 { "device" } else { "devices" }
    )]
    TooFew {
        /// The number asked for.
        asked: usize,
        /// The number there is.
        present: usize,
    },
    /// The system offers no GPU.
    #[error(
        "compute.device is wgpu, but no GPU can be had through Vulkan, Metal or DirectX: {reason}. Install the GPU's \
         driver (on Linux mesa-vulkan-drivers has one for the CPU, for trying things out), or set compute.device to auto"
    )]
    NoGpu {
        /// What the system said.
        reason: String,
    },
    /// A batch cannot be split over devices of this kind.
    #[error("train.devices is {asked}, but with compute.device {device} it can only be 1")]
    One {
        /// The number asked for.
        asked: usize,
        /// The device.
        device: &'static str,
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
    if cfg!(feature = "wgpu") {
        kinds.push(DeviceKind::Wgpu);
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
    if kind == DeviceKind::Auto {
        let present = |kind: &DeviceKind| match kind {
            DeviceKind::Cuda | DeviceKind::LibtorchCuda => cuda_is_present(),
            _ => true,
        };
        return open(available().into_iter().find(present).unwrap_or(DeviceKind::Flex));
    }
    #[cfg(feature = "wgpu")]
    if kind == DeviceKind::Wgpu {
        return Ok(Chosen { kind, device: system_gpu()? });
    }
    Ok(Chosen { kind, device: device_at(kind, 0).ok_or_else(missing)? })
}

/// The GPU that the system prefers. Opened here and once, because Burn panics where a tensor is the first to find that
/// there is none.
#[cfg(feature = "wgpu")]
fn system_gpu() -> Result<Device, DeviceError> {
    static OPENED: std::sync::OnceLock<Result<Device, String>> = std::sync::OnceLock::new();
    let opened = OPENED.get_or_init(|| Device::wgpu_options().init().map_err(|error| error.to_string()));
    opened.clone().map_err(|reason| DeviceError::NoGpu { reason })
}

/// Burn's handle of the CUDA device `index`, or of the CPU; `None` when the build lacks the backend.
#[cfg_attr(
    not(any(feature = "cuda", feature = "libtorch")),
    expect(unused_variables, reason = "there is one CPU, and no CUDA in this build")
)]
fn device_at(kind: DeviceKind, index: usize) -> Option<Device> {
    let device = match kind {
        DeviceKind::Flex => Device::flex(),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::Ndarray => Device::new(burn_ndarray::NdArrayDevice::Cpu),
        #[cfg(feature = "libtorch")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::Libtorch => Device::new(burn_tch::LibTorchDevice::Cpu),
        #[cfg(feature = "libtorch")]
        #[expect(deprecated, reason = "deprecated upstream; kept selectable and tested until it is gone")]
        DeviceKind::LibtorchCuda => Device::new(burn_tch::LibTorchDevice::Cuda(index)),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::cuda(index),
        _ => return None,
    };
    Some(device)
}

/// The devices that a batch is split over, without autodiff: the first `count` CUDA devices, or the CPU `count` times.
///
/// # Errors
///
/// [`DeviceError::TooFew`] when the machine has not that many, [`DeviceError::One`] on `wgpu`, where the system says which
/// GPU it is.
pub fn several(chosen: &Chosen, count: usize) -> Result<Vec<Device>, DeviceError> {
    if count == 1 {
        return Ok(vec![chosen.device.clone()]);
    }
    if chosen.kind == DeviceKind::Wgpu {
        return Err(DeviceError::One { asked: count, device: chosen.kind.name() });
    }
    let present = match chosen.kind {
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::enumerate(burn::tensor::DeviceType::Cuda).len(),
        #[cfg(feature = "libtorch")]
        DeviceKind::LibtorchCuda => Device::enumerate(burn::tensor::DeviceType::LibTorch).len(),
        _ => count,
    };
    let devices: Vec<Device> = (0..count.min(present)).filter_map(|index| device_at(chosen.kind, index)).collect();
    if devices.len() < count { Err(DeviceError::TooFew { asked: count, present }) } else { Ok(devices) }
}

/// Seeds the generator of `device` and runs `draw`. Burn's backends have one generator for the whole process, however many
/// devices and threads there are, so callers take turns; `draw` must not come here again.
pub fn seeded<T>(device: &Device, seed: u64, draw: impl FnOnce() -> T) -> T {
    static GENERATOR: Mutex<()> = Mutex::new(());
    // Nothing is left half done by a panic: the next one seeds anew.
    let _turn = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    draw()
}

/// Whether the NVIDIA driver has a device; asked of the driver's files, so that `auto` never fails on a machine without.
fn cuda_is_present() -> bool {
    std::path::Path::new("/dev/nvidiactl").exists() || std::path::Path::new("/dev/dxg").exists()
}
