//! The process, under the names that Prometheus's own client libraries use, without a prefix.

use std::fmt;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use crate::gauge;

/// In what the kernel counts processor time for user space: 100 a second on every architecture that this is built for.
const TICKS_PER_SECOND: f64 = 100.0;
const KIB: i64 = 1024;

/// When somebody first asked, which programs do when they start; the same for whoever asks later.
static STARTED: LazyLock<f64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));

/// Adds start time, and on Linux resident memory, processor time and open files of this process. `registry` must have no prefix.
pub fn register_process(registry: &mut Registry) {
    registry.register_collector(Box::new(Process { started: *STARTED }));
}

#[derive(Debug)]
struct Process {
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        gauge(&mut encoder, "process_start_time_seconds", "When the process started, Unix seconds", self.started)?;
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).ok();
        if let Some(bytes) = read("status").and_then(|status| resident_bytes(&status)) {
            gauge(&mut encoder, "process_resident_memory_bytes", "Memory in RAM", bytes as f64)?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            gauge(&mut encoder, "process_open_fds", "Open files and connections", open.count() as f64)?;
        }
        if let Some(most) = read("limits").and_then(|limits| most_open(&limits)) {
            gauge(&mut encoder, "process_max_fds", "Most files and connections that may be open", most)?;
        }
        if let Some(spent) = read("stat").and_then(|stat| processor_seconds(&stat)) {
            let (help, spent) = ("Processor time spent by the program and for it", ConstCounter::new(spent));
            spent.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, spent.metric_type())?)?;
        }
        Ok(())
    }
}

/// From `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(KIB)
}

/// From `/proc/self/stat`. The second field is the program's name in brackets, which may hold spaces and brackets.
fn processor_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// From `/proc/self/limits`: the soft limit, which is the one that counts; none if there is no limit.
fn most_open(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read_as_the_kernel_writes_them() {
        assert_eq!(resident_bytes("VmHWM:\t 9000 kB\nVmRSS:\t    1234 kB\n"), Some(1234 * 1024));
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 123 456 78";
        assert_eq!(processor_seconds(stat), Some(3.0));
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288   files\n";
        assert_eq!(most_open(limits), Some(1024.0));
    }

    #[test]
    fn a_file_of_another_form_gives_nothing() {
        assert_eq!((resident_bytes("VmRSS: much"), processor_seconds("42"), most_open("")), (None, None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_measured_under_the_usual_names() {
        let mut registry = Registry::default();
        register_process(&mut registry);
        let text = crate::render(&registry);
        let names = ["start_time_seconds", "resident_memory_bytes", "open_fds", "cpu_seconds_total"];
        for name in names {
            let sample = format!("\nprocess_{name} ");
            assert!(text.contains(&sample), "{name} is missing:\n{text}");
        }
    }
}
