//! Why an artifact was refused: one variant for each check.

/// Reasons for refusing a model artifact, in the order in which the checks run.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ArtifactError {
    /// Longer than any honest artifact; nothing of it was read.
    #[error("the artifact has {length} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not a well-formed safetensors container.
    #[error("the artifact is not a well-formed safetensors file: {0}")]
    Structure(String),
    /// The container carries no manifest.
    #[error("the artifact carries no `manifest` in its metadata")]
    ManifestMissing,
    /// The manifest does not read as one.
    #[error("the artifact's manifest is malformed: {0}")]
    Manifest(String),
    /// Written by another version of the format.
    #[error("the artifact has format {found}, this program reads {expected}")]
    Format {
        /// What the manifest says.
        found: String,
        /// What this program reads.
        expected: String,
    },
    /// Another network than the one this program can run.
    #[error("the artifact's architecture is {found}, this program runs {expected}")]
    Architecture {
        /// What the manifest says.
        found: String,
        /// What this program runs.
        expected: String,
    },
    /// Trained on other features than this program computes.
    #[error("the artifact was trained on feature schema {found}, this program computes {expected}")]
    FeatureSchema {
        /// What the manifest says.
        found: u32,
        /// What this program computes.
        expected: u32,
    },
    /// Its device classes are numbered otherwise.
    #[error("the artifact numbers device class {index} `{found}`, this program calls it `{expected}`")]
    Classes {
        /// Position in the list.
        index: usize,
        /// What the manifest says.
        found: String,
        /// What this program says.
        expected: String,
    },
    /// A calibration curve that cannot be used.
    #[error("the artifact's {which} calibration is unusable: {fault}")]
    Calibration {
        /// `network` or `routine`, as the manifest calls the baseline detector.
        which: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// The tensors are not exactly the expected ones.
    #[error("the artifact's tensors differ from the expected: missing {missing:?}, unexpected {unexpected:?}")]
    Tensors {
        /// Names that should be there.
        missing: Vec<String>,
        /// Names that should not.
        unexpected: Vec<String>,
    },
    /// A tensor of another number type.
    #[error("tensor `{name}` holds {found}, not F32")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its number type.
        found: String,
    },
    /// A tensor of another shape.
    #[error("tensor `{name}` has shape {found:?}, not {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
    /// A tensor with a NaN or an infinity in it.
    #[error("tensor `{name}` holds a value that is not finite")]
    NotFinite {
        /// The tensor.
        name: String,
    },
    /// The network does not reproduce the outputs its maker recorded.
    #[error("golden case {case}, output {output}: got {got}, the maker recorded {recorded}")]
    Golden {
        /// Which recorded window, from 0.
        case: usize,
        /// Which of its outputs: 0 to 4 are quantiles, 5 is the logit.
        output: usize,
        /// What this machine computed.
        got: f32,
        /// What the file says.
        recorded: f32,
    },
    /// The tensor library panicked while the network was built or tried.
    #[error("the tensor library gave up on the artifact: {0}")]
    Panicked(String),
}
