//! A stand-in for `cubecl-llvm` that compiles nothing.
//!
//! `cubecl-cuda` always links its LLVM backend, whose build script downloads an LLVM archive; a closed build machine
//! cannot do that, and we do not use it: the feature `cuda-cpp` of `cubecl` sends kernels as CUDA C++ to NVRTC. So this
//! crate offers the names that `cubecl-cuda` mentions, and a compiler that says no.

pub mod nvptx {
    //! Names of the NVPTX target.

    pub mod ptx_version {
        //! The PTX version.

        /// Never made: NVRTC writes its own version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(());

        impl PtxVersion {
            /// None for any driver.
            #[must_use]
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl core::fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("none")
            }
        }
    }
}

pub mod shared {
    //! What both GPU targets share.

    pub mod lowered_features {
        //! What the LLVM backend would take away from a device's features.

        use cubecl_core::ir::DeviceProperties;

        /// A GPU target.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Called only when the LLVM backend was chosen; leaves everything as it is, since compiling will fail anyway.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_runtime::compiler::{CompilationError, Compiler};
use cubecl_runtime::kernel::BufferIOAttr;

/// What to compile for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// NVIDIA's GPUs.
    #[default]
    Nvptx,
}

/// The options that `cubecl-cuda` sets.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Another vendor's architecture.
    pub arch: Option<()>,
    /// The architecture.
    pub sm_arch: Option<cubecl_core::ir::nvidia::SmArch>,
    /// The PTX version.
    pub ptx_version: Option<nvptx::ptx_version::PtxVersion>,
    /// How scalars are passed.
    pub grid_constants: bool,
    /// Keeps struct update syntax meaningful for callers that name every other field.
    pub rest: (),
}

/// Never made.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// PTX text.
    pub ptx: Vec<core::ffi::c_char>,
    /// The kernel's name.
    pub entrypoint: String,
    /// For logs.
    pub ir: String,
    /// Bytes.
    pub shared_memory_size: usize,
    /// How each buffer is used.
    pub io: Vec<BufferIOAttr>,
}

/// Never made.
#[derive(Clone)]
#[non_exhaustive]
pub enum PlironArtifact {
    /// PTX.
    NvptxCode(NvptxModule),
}

impl core::fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self::NvptxCode(module) = self;
        f.write_str(&module.ir)
    }
}

/// Compiles nothing.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What for.
    pub target: LlvmTarget,
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn buffer_io(repr: &Self::Representation) -> Option<Vec<BufferIOAttr>> {
        let PlironArtifact::NvptxCode(module) = repr;
        Some(module.io.clone())
    }

    fn compile(
        &mut self,
        _kernel: KernelDefinition,
        _options: &Self::CompilationOptions,
    ) -> Result<Self::Representation, CompilationError> {
        Err(CompilationError::Generic {
            reason: "built without LLVM: turn on the feature `cuda-cpp` of cubecl".to_owned(),
            backtrace: BackTrace::capture(),
        })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
