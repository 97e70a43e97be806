//! `scores.csv`: what the detector thought of every entity at every step.

use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};
use hearthwatch_detector::detector::EntityScore;
use hearthwatch_detector::reading::EntityInfo;

use super::moment::rfc3339;

/// Columns of `scores.csv`.
pub const HEADER: [&str; 7] =
    ["timestamp", "entity_id", "score", "threshold", "expected_low", "expected", "expected_high"];

/// Writes `scores.csv` a step at a time. Numbers are the shortest that read back as the same 32-bit float.
#[derive(Debug)]
pub struct ScoresCsv<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> ScoresCsv<W> {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// When `output` cannot be written.
    pub fn new(output: W) -> io::Result<Self> {
        let mut writer = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(output);
        writer.write_record(HEADER)?;
        Ok(Self { writer })
    }

    /// Writes the step that ends at `at` (Unix seconds), its timestamp, one row for each entity. A row in warm-up has no
    /// score, and nothing else either.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn step(&mut self, at: i64, scores: &[EntityScore], infos: &[EntityInfo]) -> io::Result<()> {
        let timestamp = rfc3339(at);
        let number = |value: Option<f32>| {
            value.filter(|value| value.is_finite()).map_or_else(String::new, |value| value.to_string())
        };
        for score in scores {
            let band = score.score.and(score.band);
            self.writer.write_record([
                timestamp.as_str(),
                &infos[score.entity as usize].entity_id,
                &number(score.score),
                &number(score.score.map(|_| score.threshold)),
                &number(band.map(|band| band.low)),
                &number(band.map(|band| band.expected)),
                &number(band.map(|band| band.high)),
            ])?;
        }
        Ok(())
    }

    /// Ends the file and gives its output back.
    ///
    /// # Errors
    /// When the last bytes cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

#[cfg(test)]
mod tests {
    use hearthwatch_detector::class::DeviceClass;
    use hearthwatch_detector::finding::Band;

    use super::*;

    #[test]
    fn a_row_in_warm_up_has_empty_scores() {
        let info = EntityInfo { entity_id: "sensor.a".into(), class: DeviceClass::Temperature, unit: "°C".into() };
        let mut csv = ScoresCsv::new(Vec::new()).unwrap();
        let cold = EntityScore {
            entity: 0,
            at: 600,
            observed: Some(21.0),
            score: None,
            threshold: 3.0,
            band: None,
            rarity: None,
            immediate: false,
        };
        let band = Band { low: 19.5, expected: 20.25, high: 21.0 };
        let warm = EntityScore { at: 1200, score: Some(-0.5), band: Some(band), ..cold.clone() };
        csv.step(600, &[cold], std::slice::from_ref(&info)).unwrap();
        csv.step(1200, &[warm], std::slice::from_ref(&info)).unwrap();
        let text = String::from_utf8(csv.finish().unwrap()).unwrap();
        assert_eq!(
            text,
            "timestamp,entity_id,score,threshold,expected_low,expected,expected_high\n\
             1970-01-01T00:10:00Z,sensor.a,,,,,\n\
             1970-01-01T00:20:00Z,sensor.a,-0.5,3,19.5,20.25,21\n"
        );
    }
}
