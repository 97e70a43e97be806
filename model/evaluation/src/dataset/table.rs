//! Plain delimited text: what every set's files are, give or take the delimiter and the quotes.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::DatasetError;

/// A file of delimited lines. No set quotes its delimiter, so a line splits where the delimiter stands.
pub(super) struct Table<'a> {
    file: &'a str,
    columns: Vec<&'a str>,
    lines: std::str::Lines<'a>,
    line: usize,
    delimiter: char,
}

/// One line's cells.
pub(super) struct Row<'a> {
    file: &'a str,
    line: usize,
    cells: Vec<&'a str>,
}

impl<'a> Table<'a> {
    /// Opens a file whose first line names the columns.
    pub fn with_header(file: &'a str, bytes: &'a [u8], delimiter: char) -> Result<Self, DatasetError> {
        let mut table = Self::without_header(file, bytes, delimiter)?;
        table.columns = table.lines.next().map(|line| split(line, delimiter)).unwrap_or_default();
        table.line = 1;
        Ok(table)
    }

    /// Opens a file that starts with data.
    pub fn without_header(file: &'a str, bytes: &'a [u8], delimiter: char) -> Result<Self, DatasetError> {
        let text = std::str::from_utf8(bytes).map_err(|error| DatasetError::Cell {
            file: file.to_owned(),
            line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
            text: "(bytes)".to_owned(),
            expected: "UTF-8 text",
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { file, columns: Vec::new(), lines: text.lines(), line: 0, delimiter })
    }

    /// The names in the first line.
    pub fn columns(&self) -> &[&'a str] {
        &self.columns
    }

    /// Where the column of this name stands.
    pub fn column(&self, name: &str) -> Result<usize, DatasetError> {
        self.columns
            .iter()
            .position(|column| *column == name)
            .ok_or_else(|| DatasetError::ColumnMissing { file: self.file.to_owned(), column: name.to_owned() })
    }
}

impl<'a> Iterator for Table<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        loop {
            let line = self.lines.next()?;
            self.line += 1;
            if !line.trim().is_empty() {
                return Some(Row { file: self.file, line: self.line, cells: split(line, self.delimiter) });
            }
        }
    }
}

impl<'a> Row<'a> {
    /// The cell's text; empty beyond the line's end.
    pub fn text(&self, column: usize) -> &'a str {
        self.cells.get(column).copied().unwrap_or("")
    }

    /// The number of cells.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// A number, or `None` for an empty cell.
    pub fn number(&self, column: usize) -> Result<Option<f64>, DatasetError> {
        match self.text(column) {
            "" | "NA" | "NaN" | "nan" => Ok(None),
            text => text.parse().map(Some).map_err(|_| self.fault(column, "a number")),
        }
    }

    /// Whole seconds since 1970.
    pub fn unix(&self, column: usize) -> Result<i64, DatasetError> {
        self.text(column).parse().map_err(|_| self.fault(column, "Unix seconds"))
    }

    /// A naive date and time of this format, read as the zone's wall clock.
    pub fn local(&self, column: usize, format: &str, zone: &TimeZone) -> Result<i64, DatasetError> {
        let fault = || self.fault(column, "a date and time");
        let civil = DateTime::strptime(format, self.text(column)).map_err(|_| fault())?;
        Ok(zone.to_zoned(civil).map_err(|_| fault())?.timestamp().as_second())
    }

    /// A date and time that carries its offset.
    pub fn offset_time(&self, column: usize, format: &str) -> Result<i64, DatasetError> {
        jiff::Timestamp::strptime(format, self.text(column))
            .map(jiff::Timestamp::as_second)
            .map_err(|_| self.fault(column, "a date and time with an offset"))
    }

    /// The error for a cell that does not read.
    pub fn fault(&self, column: usize, expected: &'static str) -> DatasetError {
        DatasetError::Cell {
            file: self.file.to_owned(),
            line: self.line,
            text: self.text(column).chars().take(40).collect(),
            expected,
        }
    }
}

/// A zone of the bundled database.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the sets name zones of the bundled database")
}

fn split(line: &str, delimiter: char) -> Vec<&str> {
    line.split(delimiter).map(|cell| cell.trim().trim_matches('"').trim()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_does_not_read_is_named_with_its_line() {
        let mut table = Table::with_header("a.csv", b"x,y\n1,2\n\n3,oops\n", ',').unwrap();
        let y = table.column("y").unwrap();
        assert_eq!(table.next().unwrap().number(y), Ok(Some(2.0)));
        assert_eq!(
            table.next().unwrap().number(y),
            Err(DatasetError::Cell { file: "a.csv".into(), line: 4, text: "oops".into(), expected: "a number" })
        );
    }

    #[test]
    fn quoted_and_padded_cells_are_plain_numbers() {
        let mut table = Table::without_header("a.csv", b"\"  60\";\" 7.5e+00\";", ';').unwrap();
        let row = table.next().unwrap();
        assert_eq!(row.number(0), Ok(Some(60.0)));
        assert_eq!(row.number(1), Ok(Some(7.5)));
        assert_eq!(row.number(2), Ok(None));
    }

    #[test]
    fn a_missing_column_is_named() {
        let table = Table::with_header("a.csv", b"x,y\n", ',').unwrap();
        assert_eq!(table.column("z"), Err(DatasetError::ColumnMissing { file: "a.csv".into(), column: "z".into() }));
    }
}
