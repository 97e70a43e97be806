//! Metrics of aggregator and agents with the operation's times, as files that Prometheus takes in afterwards.
//!
//! Prometheus itself reads the system's clock and cannot be made to go faster. So the operation reads `/metrics` as Prometheus would, and
//! writes OpenMetrics with times, a file for each day: `promtool tsdb create-blocks-from openmetrics` makes a database of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Samples of one span of time, by series.
pub struct Samples {
    folder: PathBuf,
    /// By family: its type, and its series with times and values.
    families: BTreeMap<String, Family>,
    /// When the first sample was taken.
    since: Option<i64>,
}

#[derive(Default)]
struct Family {
    kind: String,
    series: BTreeMap<String, Vec<(i64, String)>>,
}

impl Samples {
    /// Writes to `folder`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder, families: BTreeMap::new(), since: None })
    }

    /// Takes in one answer of `/metrics`, or none: then `up` is 0.
    pub fn take(&mut self, at: i64, job: &str, instance: &str, text: Option<&str>) {
        self.since = Some(self.since.map_or(at, |since| since.min(at)));
        let target = format!("job=\"{job}\",instance=\"{instance}\"");
        self.put("up", "gauge", format!("up{{{target}}}"), at, if text.is_some() { "1" } else { "0" });
        let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.unwrap_or_default().lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                if let Some((name, kind)) = rest.split_once(' ') {
                    kinds.insert(name, kind);
                }
                continue;
            }
            let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, rest.trim_end_matches('}')),
                None => (series, ""),
            };
            let family = family_of(name, &kinds);
            let kind = kinds.get(family).copied().unwrap_or("unknown");
            let comma = if labels.is_empty() { "" } else { "," };
            self.put(family, kind, format!("{name}{{{target}{comma}{labels}}}"), at, value);
        }
    }

    fn put(&mut self, family: &str, kind: &str, series: String, at: i64, value: &str) {
        let family = self.families.entry(family.to_owned()).or_default();
        kind.clone_into(&mut family.kind);
        family.series.entry(series).or_default().push((at, value.to_owned()));
    }

    /// What there is, to be written; begins anew. None where nothing was taken.
    pub fn hand_over(&mut self) -> Option<Batch> {
        let since = self.since.take()?;
        Some(Batch { path: self.folder.join(format!("{since}.om.gz")), families: std::mem::take(&mut self.families) })
    }
}

/// Samples of a span that is over.
pub struct Batch {
    path: PathBuf,
    families: BTreeMap<String, Family>,
}

impl Batch {
    /// Writes the file; takes seconds for a day of a fleet, in which a calendar that goes fast goes on for an hour: so beside everything
    /// else.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(self) -> anyhow::Result<()> {
        let Self { path, families } = self;
        let file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        let mut file = GzEncoder::new(file, Compression::default());
        for (name, family) in families {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# TYPE {name} {}", family.kind);
            for (series, mut samples) in family.series {
                // Answers come in another order than they were asked for when a program is slow.
                samples.sort_by_key(|(at, _)| *at);
                samples.dedup_by_key(|(at, _)| *at);
                for (at, value) in samples {
                    let _ = writeln!(text, "{series} {value} {at}");
                }
            }
            file.write_all(text.as_bytes())?;
        }
        file.write_all(b"# EOF\n")?;
        file.finish().with_context(|| path.display().to_string())?;
        Ok(())
    }
}

/// The family that a sample belongs to: its name without the suffix of its type.
fn family_of<'a>(name: &'a str, kinds: &BTreeMap<&str, &str>) -> &'a str {
    if kinds.contains_key(name) {
        return name;
    }
    let suffixes = ["_total", "_created", "_bucket", "_count", "_sum", "_info"];
    let stem = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix).filter(|stem| kinds.contains_key(stem)));
    stem.unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn samples_come_by_family_with_times_and_say_whose_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut samples = Samples::new(folder.path().to_owned()).unwrap();
        let text = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{kind=\"x\"} 3\n# TYPE c gauge\nc 1.5\n# EOF\n";
        samples.take(160, "hearthwatch-cloud", "cloud", None);
        samples.take(100, "hearthwatch-cloud", "cloud", Some(text));
        samples.hand_over().unwrap().write().unwrap();
        assert!(samples.hand_over().is_none());
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, [folder.path().join("100.om.gz")]);
        let mut read = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&files[0]).unwrap()).read_to_string(&mut read).unwrap();
        let target = "job=\"hearthwatch-cloud\",instance=\"cloud\"";
        assert_eq!(
            read,
            format!(
                "# TYPE a_b counter\na_b_total{{{target},kind=\"x\"}} 3 100\n# TYPE c gauge\nc{{{target}}} 1.5 100\n\
                 # TYPE up gauge\nup{{{target}}} 1 100\nup{{{target}}} 0 160\n# EOF\n"
            )
        );
    }
}
