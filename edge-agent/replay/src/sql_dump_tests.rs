//! Dumps as SQLite, MariaDB and PostgreSQL write them, read.

use super::*;
use crate::fixtures;
use crate::source::{EventRow, Row, Source};

const SQLITE: &str = r#"PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE schema_changes (change_id INTEGER PRIMARY KEY, schema_version INTEGER);
INSERT INTO schema_changes VALUES(1,53);
CREATE TABLE states_meta (metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
INSERT INTO states_meta VALUES(7,'sensor.a');
CREATE TABLE state_attributes (attributes_id INTEGER PRIMARY KEY, hash BIGINT, shared_attrs TEXT);
INSERT INTO state_attributes VALUES(1,11,replace('{"device_class": "temperature",\n "unit_of_measurement": "°C"}','\n',char(10)));
CREATE TABLE "states" (state_id INTEGER PRIMARY KEY, state VARCHAR(255), context_id_bin BLOB, last_updated_ts FLOAT, attributes_id INTEGER, metadata_id INTEGER);
INSERT INTO states VALUES(1,'21.5',X'00FF',600.0,1,7);
INSERT INTO states VALUES(2,'it''s',NULL,1200.5,1,7);
CREATE INDEX ix ON states (last_updated_ts);
COMMIT;
"#;

const MARIADB: &str = r#"-- MariaDB dump 10.19  Distrib 10.6.12-MariaDB, for Linux
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `states_meta`;
CREATE TABLE `states_meta` (
  `metadata_id` bigint(20) NOT NULL AUTO_INCREMENT,
  `entity_id` varchar(255) DEFAULT NULL,
  PRIMARY KEY (`metadata_id`),
  UNIQUE KEY `ix` (`entity_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
LOCK TABLES `states_meta` WRITE;
INSERT INTO `states_meta` VALUES (7,'sensor.a');
UNLOCK TABLES;
CREATE TABLE `state_attributes` (`attributes_id` bigint(20), `hash` bigint, `shared_attrs` longtext);
INSERT INTO `state_attributes` VALUES (1,11,'{\"device_class\": \"temperature\", \"unit_of_measurement\": \"°C\"}');
CREATE TABLE `states` (`state_id` bigint(20), `state` varchar(255), `context_id_bin` tinyblob, `last_updated_ts` double, `attributes_id` bigint, `metadata_id` bigint);
INSERT INTO `states` VALUES
(1,'21.5',_binary 'x);\'(',600.0,1,7),
(2,'it\'s',NULL,1200.5,1,7);
"#;

const POSTGRESQL: &str = "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\nCREATE TABLE public.states_meta (\n    metadata_id \
    bigint NOT NULL,\n    entity_id character varying(255)\n);\nCOPY public.state_attributes (attributes_id, hash, shared_attrs) FROM \
    stdin;\n1\t11\t{\"device_class\": \"temperature\", \"unit_of_measurement\": \"°C\"}\n\\.\n\nCOPY public.states (state_id, state, \
    last_updated_ts, attributes_id, metadata_id, context_id_bin) FROM stdin;\n1\t21.5\t600\t1\t7\t\\\\x00ff\n2\tit's\t1200.5\t1\t7\t\\N\n\
    \\.\n\nINSERT INTO public.states_meta (metadata_id, entity_id) VALUES (7, 'sensor.a');\n";

fn rows_of(path: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    let source = Source::open(path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))?;
    let shown = |row: Row<'_>| {
        let EventRow { at, entity_id, device_class, unit, state, .. } = row.unwrap();
        format!("{} {entity_id} [{device_class}] [{unit}] {state}", at.second())
    };
    Ok((fixtures::rows(|each| source.read(each), shown).unwrap(), source.notes()))
}

fn read(dump: &str) -> Result<(Vec<String>, Vec<String>), String> {
    rows_of(fixtures::file(".sql", dump).path())
}

#[test]
fn the_dumps_of_three_databases_are_read_alike() {
    for dump in [SQLITE, MARIADB, POSTGRESQL] {
        let (rows, notes) = read(dump).unwrap();
        assert_eq!(rows, ["600 sensor.a [temperature] [°C] 21.5", "1201 sensor.a [temperature] [°C] it's"], "{dump}");
        assert_eq!(notes, ["read from a dump: 2 states of 1 entity, 0 hours of statistics"]);
    }
}

#[test]
fn a_gzipped_dump_is_read_like_a_plain_one() {
    let packed = fixtures::file(".sql.gz", fixtures::gzip(MARIADB.as_bytes(), flate2::Compression::fast()));
    assert_eq!(rows_of(packed.path()).unwrap(), read(MARIADB).unwrap());
}

#[test]
fn a_dump_that_breaks_off_gives_what_stands_before_the_break_and_says_so() {
    let (rows, notes) = read(&SQLITE[..SQLITE.find("it''s").unwrap()]).unwrap();
    assert_eq!(rows, ["600 sensor.a [temperature] [°C] 21.5"]);
    assert_eq!(notes[1], "the dump breaks off within a statement at line 11: the rest is missing; dump it again");
}

#[test]
fn a_bad_statement_is_counted_and_the_next_is_read() {
    let dump = SQLITE.replace("VALUES(1,'21.5',", "VALUES(1,!'21.5',");
    let (rows, notes) = read(&dump).unwrap();
    assert_eq!(rows, ["1201 sensor.a [temperature] [°C] it's"]);
    assert_eq!(notes[1], "1 statement or row of the dump that cannot be read, passed over (the first at line 10)");
}

#[test]
fn rows_that_a_client_wrote_as_statements_are_known_by_their_looks_and_their_entities_are_guessed() {
    let file = fixtures::file(".sql", "INSERT INTO states VALUES('sensor.a','21.5',1769848200.25);\n");
    let source = Source::open(file.path()).unwrap();
    assert!(!source.tells_kinds());
    assert_eq!(rows_of(file.path()).unwrap().0, ["1769848201 sensor.a [] [] 21.5"]);
}

#[test]
fn a_dump_of_something_else_says_which_tables_to_dump() {
    assert_eq!(
        read("BEGIN TRANSACTION;\nCREATE TABLE songs (title TEXT);\nINSERT INTO songs VALUES('a');\nCOMMIT;\n")
            .unwrap_err(),
        "FILE: is a dump without Home Assistant's tables of states or statistics; dump states, states_meta and state_attributes"
    );
}

#[test]
fn a_dump_of_statistics_alone_is_read() {
    let dump = "BEGIN TRANSACTION;\nCREATE TABLE statistics_meta (id INTEGER, statistic_id TEXT, unit_of_measurement TEXT);\n\
                INSERT INTO statistics_meta VALUES(1,'sensor.a','°C');\nCREATE TABLE statistics (id INTEGER, metadata_id INTEGER, \
                start_ts FLOAT, mean FLOAT);\nINSERT INTO statistics VALUES(1,1,0.0,21.5);\n";
    assert_eq!(read(dump).unwrap().0, ["3600 sensor.a [] [°C] 21.5"]);
}
