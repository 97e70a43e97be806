//! Databases of both ages, made here, read alike.

use tempfile::NamedTempFile;

use super::*;
use crate::fixtures;
use crate::source::Source;

/// The columns of schema 7 (December 2018) that are read, and one that is not.
const OF_2018: &str = "CREATE TABLE states (state_id INTEGER PRIMARY KEY, domain VARCHAR(64), entity_id VARCHAR(255),
    state VARCHAR(255), attributes TEXT, last_changed DATETIME, last_updated DATETIME);";
/// Schema 53 (2026.11): the columns of old are still there, empty.
const OF_2026: &str = "CREATE TABLE states_meta (metadata_id INTEGER PRIMARY KEY, entity_id VARCHAR(255));
    CREATE TABLE state_attributes (attributes_id INTEGER PRIMARY KEY, hash BIGINT, shared_attrs TEXT);
    CREATE TABLE states (state_id INTEGER PRIMARY KEY, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0),
        last_changed CHAR(0), last_changed_ts FLOAT, last_reported_ts FLOAT, last_updated CHAR(0), last_updated_ts FLOAT,
        attributes_id INTEGER, metadata_id INTEGER);
    CREATE INDEX ix_states_last_updated_ts ON states (last_updated_ts);";

fn database(statements: &[&str]) -> NamedTempFile {
    let file = NamedTempFile::with_suffix(".db").unwrap();
    let connection = Connection::open(file.path()).unwrap();
    for statement in statements {
        connection.execute_batch(statement).unwrap();
    }
    connection.close().unwrap();
    file
}

fn rows_of(path: &Path) -> Vec<String> {
    let source = Source::open(path).unwrap();
    let shown = |row: Row<'_>| {
        let EventRow { at, entity_id, device_class, unit, state, line, .. } = row.unwrap();
        format!("{line} {} {entity_id} [{device_class}] [{unit}] [{state}]", at.second())
    };
    fixtures::rows(|each| source.read(each), shown).unwrap()
}

#[test]
fn the_tables_of_2018_are_read_in_the_order_of_time() {
    let file = database(&[
        OF_2018,
        r#"INSERT INTO states VALUES
            (1, 'sensor', 'sensor.a', '21.5', '{"unit_of_measurement": "°C"}', NULL, '1970-01-01 00:20:00.000000'),
            (2, 'sensor', 'sensor.a', '21.0', '{"unit_of_measurement": "°C"}', NULL, '1970-01-01 00:10:00.500000'),
            (3, 'binary_sensor', 'binary_sensor.b', 'on', '{"device_class": "motion"}', NULL, '1970-01-01 00:30:00');"#,
    ]);
    assert_eq!(
        rows_of(file.path()),
        ["2 601 sensor.a [] [°C] [21.0]", "1 1200 sensor.a [] [°C] [21.5]", "3 1800 binary_sensor.b [motion] [] [on]"]
    );
}

#[test]
fn the_tables_of_2026_share_ids_and_attributes_between_rows() {
    let file = database(&[
        OF_2026,
        r#"INSERT INTO states_meta VALUES (7, 'sensor.a'), (8, 'light.b');
           INSERT INTO state_attributes VALUES
               (1, 11, '{"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}'),
               (2, 12, '{"device_class": null, "supported_color_modes": ["onoff"]}');
           INSERT INTO states (state_id, state, last_updated_ts, attributes_id, metadata_id) VALUES
               (1, '21.5', 600.0, 1, 7), (2, 'on', 601.25, 2, 8), (3, NULL, 1200.0, NULL, 7), (4, '22', 1800.0, 1, 7),
               (5, 'lost', 1900.0, 1, 99), (6, 'lost', NULL, 1, 7);"#,
    ]);
    assert_eq!(
        rows_of(file.path()),
        [
            "1 600 sensor.a [temperature] [°C] [21.5]",
            "2 602 light.b [] [] [on]",
            "3 1200 sensor.a [temperature] [°C] []",
            "4 1800 sensor.a [temperature] [°C] [22]",
        ]
    );
}

#[test]
fn a_database_in_the_middle_of_its_migration_yields_rows_of_both_ages_in_order() {
    let file = database(&[
        OF_2026,
        r#"INSERT INTO states_meta VALUES (7, 'sensor.a');
           INSERT INTO states (state_id, state, last_updated_ts, metadata_id) VALUES (2, '2', 1200.0, 7);
           INSERT INTO states (state_id, entity_id, attributes, state, last_updated) VALUES
               (1, 'sensor.a', '{"unit_of_measurement": "W"}', '1', '1970-01-01 00:10:00');"#,
    ]);
    assert_eq!(rows_of(file.path()), ["1 600 sensor.a [] [W] [1]", "2 1200 sensor.a [] [W] [2]"]);
}

#[test]
fn a_gzipped_database_is_read_like_a_plain_one_and_neither_is_touched() {
    let file = database(&[OF_2018, "INSERT INTO states VALUES (1, 's', 'sensor.a', '1', '{}', NULL, '1970-01-01');"]);
    let before = std::fs::read(file.path()).unwrap();
    let packed = fixtures::file(".db.gz", fixtures::gzip(&before, flate2::Compression::fast()));
    assert_eq!(rows_of(packed.path()), rows_of(file.path()));
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
}

/// A database whose only state stands in its journal, and who holds that open.
fn journaled() -> (NamedTempFile, Connection) {
    let file = database(&[OF_2018]);
    let writer = Connection::open(file.path()).unwrap();
    writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;").unwrap();
    let state = "INSERT INTO states VALUES (1, 's', 'sensor.a', '1', '{}', NULL, '1970-01-01 00:10:00');";
    writer.execute_batch(state).unwrap();
    (file, writer)
}

#[test]
fn a_running_home_assistants_last_states_are_read_from_its_journal() {
    let (file, _writer) = journaled();
    assert_eq!(rows_of(file.path()), ["1 600 sensor.a [] [] [1]"]);
}

#[test]
fn a_database_of_something_else_says_which_file_to_give() {
    let file = database(&["CREATE TABLE songs (title TEXT);"]);
    let error = Source::open(file.path()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}: is an SQLite database without Home Assistant's table of states; give home-assistant_v2.db from the \
             configuration folder",
            file.path().display()
        )
    );
}

#[test]
fn attributes_that_python_wrote_with_nan_and_text_that_is_not_utf_8_are_read() {
    let file = database(&[
        OF_2018,
        r#"INSERT INTO states VALUES
            (1, 'sensor', 'sensor.a', '21', '{"unit_of_measurement": "°C", "slope": NaN}', NULL, '1970-01-01 00:10:00');"#,
        "INSERT INTO states VALUES (2, 's', 'sensor.a', CAST(x'FF' AS TEXT), '{}', NULL, '1970-01-01 00:20:00');",
    ]);
    assert_eq!(rows_of(file.path()), ["1 600 sensor.a [] [°C] [21]", "2 1200 sensor.a [] [] [\u{fffd}]"]);
}

#[test]
fn a_journal_without_its_index_is_read_from_a_copy_where_the_folder_may_not_be_written() {
    let (file, _writer) = journaled();
    let mut beside = file.path().as_os_str().to_owned();
    beside.push("-wal");
    let copy = copied(file.path(), &[("-wal", PathBuf::from(beside))]).unwrap();
    let connection = open(&copy.database(), Mode::Own).unwrap();
    let count: i64 = connection.query_row("SELECT count(*) FROM states", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn statistics_stand_for_the_time_before_an_entitys_first_state() {
    let file = database(&[
        OF_2026,
        r#"CREATE TABLE statistics_meta (id INTEGER PRIMARY KEY, statistic_id TEXT, source TEXT, unit_of_measurement TEXT);
           CREATE TABLE statistics (id INTEGER PRIMARY KEY, metadata_id INTEGER, start_ts FLOAT, mean FLOAT, state FLOAT, sum FLOAT);
           INSERT INTO statistics_meta VALUES (1, 'sensor.a', 'recorder', '°C'), (2, 'sensor.meter', 'recorder', 'kWh'),
               (3, 'energy:price', 'energy', 'EUR'), (4, 'sensor.b', 'recorder', '°F');
           INSERT INTO statistics VALUES (1, 1, 0, 20.5, NULL, NULL), (2, 1, 7200, 21.5, NULL, NULL), (3, 2, 0, NULL, 801, 3),
               (4, 2, 3600, NULL, NULL, 4), (5, 3, 0, 1, NULL, NULL), (6, 4, 0, 70, NULL, NULL);
           INSERT INTO states_meta VALUES (7, 'sensor.a'), (8, 'sensor.b');
           INSERT INTO state_attributes VALUES (1, 11, '{"device_class": "temperature", "unit_of_measurement": "°C"}');
           INSERT INTO states (state_id, state, last_updated_ts, attributes_id, metadata_id) VALUES
               (1, '22', 4000.0, 1, 7), (2, '21', 8000.0, 1, 8);"#,
    ]);
    assert_eq!(
        rows_of(file.path()),
        [
            "1 3600 sensor.a [temperature] [°C] [20.5]",
            "3 3600 sensor.meter [] [kWh] [801]",
            "6 3600 sensor.b [temperature] [°F] [70]",
            "1 4000 sensor.a [temperature] [°C] [22]",
            "4 7200 sensor.meter [] [kWh] [4]",
            "2 8000 sensor.b [temperature] [°C] [21]",
        ]
    );
}

#[test]
fn a_database_that_was_cut_short_says_which_share_is_missing() {
    let file = database(&[OF_2018]);
    let writer = Connection::open(file.path()).unwrap();
    for number in 1..=2000 {
        writer
            .execute("INSERT INTO states VALUES (?1, 's', 'sensor.a', '1', '{}', NULL, '2026-01-01')", [number])
            .unwrap();
    }
    writer.close().unwrap();
    let bytes = std::fs::read(file.path()).unwrap();
    std::fs::write(file.path(), &bytes[..3000]).unwrap();
    let error = Source::open(file.path()).unwrap_err().to_string();
    assert!(
        error.contains("is cut short: ") && error.ends_with("% of the database are missing at its end; copy it again"),
        "{error}"
    );
    std::fs::write(file.path(), &bytes[..bytes.len() / 4096 / 2 * 4096]).unwrap();
    let mut source = Source::open(file.path()).unwrap();
    assert!(source.read(&mut |_| Ok(())).is_err() && source.salvage());
    source.read(&mut |_| Ok(())).unwrap();
    let note = &source.notes()[0];
    let cut = "the database is cut short: 5";
    assert!(
        note.starts_with(cut)
            && note.ends_with("% of it are missing at its end, and what they held with them; copy it again"),
        "{note}"
    );
}

#[test]
fn around_a_damaged_page_the_rest_is_read() {
    let file = database(&[OF_2018]);
    let writer = Connection::open(file.path()).unwrap();
    for number in 1..=2000 {
        let values = (number, format!("2026-01-01 {:02}:{:02}:00", number / 60 % 24, number % 60));
        writer.execute("INSERT INTO states VALUES (?1, 's', 'sensor.a', '1', '{}', NULL, ?2)", values).unwrap();
    }
    writer.close().unwrap();
    let mut bytes = std::fs::read(file.path()).unwrap();
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xee);
    std::fs::write(file.path(), &bytes).unwrap();
    let mut source = Source::open(file.path()).unwrap();
    assert!(source.read(&mut |_| Ok(())).is_err());
    assert!(source.salvage());
    let gaps = fixtures::rows(|each| source.read(each), |row| row.unwrap().state.is_empty()).unwrap();
    assert_eq!(gaps.iter().filter(|gap| **gap).count(), 1, "the hour that stood on the page is a gap");
    assert!((1500..2000).contains(&gaps.len()), "{}", gaps.len());
    assert_eq!(source.notes(), ["the database is damaged: what can be read was, except for 1 place of it"]);
    assert!(!source.salvage());
}
