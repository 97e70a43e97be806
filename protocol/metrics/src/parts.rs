//! The states of the parts, as `/healthz` has them.

use std::fmt;
use std::sync::Arc;

use hearthwatch_supervision::{Board, State};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use strum::VariantNames;

#[derive(Debug)]
struct Parts(Arc<Board>);

/// Adds `part_state`: for each part and each state 1 if the part is in it, else 0. Looked at when it is asked for.
pub fn register_parts(registry: &mut Registry, board: &Arc<Board>) {
    registry.register_collector(Box::new(Parts(Arc::clone(board))));
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let report = self.0.look();
        if report.parts.is_empty() {
            return Ok(());
        }
        // With its full stop, which the registry adds to those of other metrics only.
        let help = "1 if the part is in the state, else 0.";
        let mut family = encoder.encode_descriptor("part_state", help, None, MetricType::Gauge)?;
        for part in report.parts {
            for state in State::VARIANTS {
                let labels = [("part", part.part), ("state", *state)];
                ConstGauge::new(i64::from(*state == part.state.as_str())).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_supervision::{Condition, Grade};

    use super::*;

    #[test]
    fn each_part_is_in_one_state_and_in_no_other() {
        let (board, mut registry) = (Arc::<Board>::default(), Registry::with_prefix("x"));
        register_parts(&mut registry, &board);
        assert_eq!(crate::render(&registry), "# EOF\n", "no part yet");
        board.probe("disk", Grade::Optional, || Condition::Unable);
        let text = crate::render(&registry);
        assert!(text.contains("x_part_state{part=\"disk\",state=\"unable\"} 1\n"), "{text}");
        let zeros = text.lines().filter(|line| line.ends_with(" 0")).count();
        assert_eq!(zeros, State::VARIANTS.len() - 1);
    }
}
