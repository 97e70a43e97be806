//! What `/metrics` of every program has in common: the process, the build, the states of the parts, and counters that begin at 0.

mod build;
mod parts;
mod process;
mod text_format;
mod words;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub use build::register_build;
pub use parts::register_parts;
pub use process::register_process;
pub use words::{GaugeByWord, by_word, set};

/// The media type of what [`render`] gives.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub use text_format::{TEXT_FORMAT, negotiate};

/// All of `registry` as text, OpenMetrics format.
#[must_use]
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, registry);
    text
}

/// Writes one gauge without a label, in a collector.
///
/// # Errors
/// The encoder's.
pub fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> std::fmt::Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
}
