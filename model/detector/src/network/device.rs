//! Where the network runs, chosen at run time among the backends this binary was built with.

use burn::tensor::Device;
#[cfg(feature = "cuda")]
use burn::tensor::DeviceType;

/// A backend by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Burn's CPU backend: the default everywhere.
    Flex,
    /// The older CPU backend, kept for parity.
    NdArray,
    /// An NVIDIA GPU.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// The name is none of the known ones.
    #[error("no device is called `{0}`; use `flex`, `ndarray` or `cuda`")]
    Unknown(String),
    /// This binary was built without the backend.
    #[error("this program was built without the `{feature}` backend; build it with `--features {feature}`")]
    NotBuilt {
        /// The Cargo feature that brings it.
        feature: &'static str,
    },
    /// The backend is there, the hardware or its driver is not.
    #[error("no CUDA device was found: is there an NVIDIA GPU, and can libcuda.so.1 be loaded? `flex` runs on the CPU")]
    CudaAbsent,
}

impl DeviceKind {
    /// Reads a backend's name.
    ///
    /// # Errors
    /// [`DeviceError::Unknown`].
    pub fn parse(name: &str) -> Result<Self, DeviceError> {
        match name {
            "flex" | "cpu" => Ok(Self::Flex),
            "ndarray" => Ok(Self::NdArray),
            "cuda" => Ok(Self::Cuda),
            other => Err(DeviceError::Unknown(other.to_owned())),
        }
    }

    /// The name that [`Self::parse`] reads.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Cuda => "cuda",
        }
    }

    /// The tensor library's device, without gradients.
    ///
    /// # Errors
    /// [`DeviceError::NotBuilt`] without the backend's feature, [`DeviceError::CudaAbsent`] without a usable GPU.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Flex => open_flex(),
            Self::NdArray => open_ndarray(),
            Self::Cuda => open_cuda(),
        }
    }

    /// The CPU device of this build: flex, or ndarray where flex was left out.
    ///
    /// # Errors
    /// [`DeviceError::NotBuilt`] when the build holds neither.
    pub fn open_cpu() -> Result<Device, DeviceError> {
        Self::Flex.open().or_else(|error| Self::NdArray.open().map_err(|_| error))
    }
}

#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "the build without the backend has an error to give")]
fn open_flex() -> Result<Device, DeviceError> {
    Ok(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn open_flex() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "flex" })
}

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "kept on purpose as the parity backend of the conformance suite")]
fn open_ndarray() -> Result<Device, DeviceError> {
    Ok(Device::ndarray())
}

#[cfg(not(feature = "ndarray"))]
fn open_ndarray() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "ndarray" })
}

/// Touching a missing GPU panics inside the driver's loader, so the devices are listed first.
#[cfg(feature = "cuda")]
fn open_cuda() -> Result<Device, DeviceError> {
    Device::enumerate(DeviceType::Cuda).into_vec().into_iter().next().ok_or(DeviceError::CudaAbsent)
}

#[cfg(not(feature = "cuda"))]
fn open_cuda() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { feature: "cuda" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for kind in [DeviceKind::Flex, DeviceKind::NdArray, DeviceKind::Cuda] {
            assert_eq!(DeviceKind::parse(kind.as_str()), Ok(kind));
        }
        assert_eq!(DeviceKind::parse("tpu"), Err(DeviceError::Unknown("tpu".to_owned())));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_left_out_of_the_build_says_which_feature_brings_it() {
        assert_eq!(DeviceKind::Cuda.open().err(), Some(DeviceError::NotBuilt { feature: "cuda" }));
    }
}
