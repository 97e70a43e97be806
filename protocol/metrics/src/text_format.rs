//! Prometheus' text format 0.0.4, for whoever does not ask for OpenMetrics: `curl`, `promtool check metrics`, older collectors.
//!
//! The samples are the same; families of counters and infos go by the names of their samples, and what the older format does not know
//! (units, the end mark) is left away.

use super::OPEN_METRICS;

/// The media type of the text format.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The media type and the body for a caller who accepts `accept` (the header's value); `open_metrics` is what [`super::render`] gave.
#[must_use]
pub fn negotiate(accept: Option<&str>, open_metrics: String) -> (&'static str, String) {
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        (OPEN_METRICS, open_metrics)
    } else {
        (TEXT_FORMAT, text_format(&open_metrics))
    }
}

fn text_format(open_metrics: &str) -> String {
    let kind_of = |name: &str| {
        let begin = format!("# TYPE {name} ");
        open_metrics.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_default()
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some(word @ ("HELP" | "TYPE")), Some(name), rest) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let (end, kind) = match kind_of(name) {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            kind => ("", kind),
        };
        let rest = if word == "TYPE" { kind } else { rest.unwrap_or_default() };
        text.push_str(&format!("# {word} {name}{end} {rest}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "# HELP a_bytes Things.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{k=\"x\"} 3\n\
        # HELP b Build.\n# TYPE b info\nb_info{version=\"1\"} 1\n# HELP c Gauge.\n# TYPE c gauge\nc 1.5\n# EOF\n";

    #[test]
    fn whoever_does_not_ask_for_open_metrics_gets_the_text_format() {
        let (kind, text) = negotiate(Some("*/*"), OPEN.to_owned());
        assert_eq!(kind, TEXT_FORMAT);
        assert_eq!(
            text,
            "# HELP a_bytes_total Things.\n# TYPE a_bytes_total counter\na_bytes_total{k=\"x\"} 3\n\
             # HELP b_info Build.\n# TYPE b_info gauge\nb_info{version=\"1\"} 1\n# HELP c Gauge.\n# TYPE c gauge\nc 1.5\n"
        );
        assert_eq!(negotiate(None, OPEN.to_owned()).0, TEXT_FORMAT);
    }

    #[test]
    fn prometheus_itself_asks_for_open_metrics_and_gets_it_unchanged() {
        let asked = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(negotiate(Some(asked), OPEN.to_owned()), (OPEN_METRICS, OPEN.to_owned()));
    }
}
