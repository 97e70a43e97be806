//! Migrations only go forward: none that was ever shipped is changed, and a store of every age opens with all of its rows.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::copy::{contents, names};
use super::{MIGRATIONS, SCHEMA, SqliteStore};

/// SHA-256 of each migration that is closed. One that is still open is not here: its line comes with its release.
const CLOSED: [&str; 13] = [
    "bb3fad87fb7fe5639498f483204cf948e7c946b80b7f4ff84749786d6d26000b",
    "8002420cdccc6475618bb354edb507d021067688f7934b4bdd7c16a24de0d339",
    "3542d463d915dabc06b70ca087ebe24d5d5483f186d646aad213a1f8360caa45",
    "fa69a2e7a1eabe35e86754f08b09ae520530dae9e55576c0d18266323f45cbed",
    "d63e939a97498186c6e7d10e93de66de39b28080f87709fe556968bc5e923dfd",
    "ccbe671aa6df1ae88c09915d41a6cb73ec44f18b6cd994bda16ca487303191b7",
    "129f5fedb8c1f9b7cd90822af84d083b638265c8ef33db966bd631c7e51d2589",
    "973adc91416094e86cec6d5628521987bb8c120661a0473e8f1911f643fcda6e",
    "af430c7727b2257a30cce5213b5ef4c3b640f393c1bbccd9d4abd9070039ad4a",
    "9ac854320f242c486393bec21b7c7d77a76dca2abfe93aa608075c134988869c",
    "3ad44e5e7a408c3e240d3a950504b11b91da3a0db39998a7ba6dd80f8949b8fb",
    "1c4e2aa2718c40e36d27e8e3eddc7b6a15d27a82c2ccc4558b770959ccb9d4c8",
    "f3ed1b0fed5ad735389dcfbf9b5822c728de538d89476bdf9365890b2c9d9222",
];

#[test]
fn no_migration_that_was_shipped_is_changed() {
    for (number, (script, written)) in MIGRATIONS.iter().zip(CLOSED).enumerate() {
        let now = hex::encode(Sha256::digest(script.as_bytes()));
        assert_eq!(now, written, "migration {:04} was changed: write a new one instead", number + 1);
    }
}

/// One row in `table`, each value of its column's type.
fn fill(connection: &Connection, table: &str) {
    let mut read = connection.prepare(&format!("SELECT name, type FROM pragma_table_info('{table}')")).unwrap();
    let columns = read.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let value = |(name, kind): (String, String)| match (name.as_str(), kind.as_str()) {
        ("home", _) => Value::Text("some-home".to_owned()),
        ("result", _) => Value::Text("\"installed\"".to_owned()),
        ("one" | "weighs", _) => Value::Integer(1),
        ("id", "INTEGER") if table == "reputation" => Value::Integer(0),
        (_, "TEXT") => Value::Text("{}".to_owned()),
        (_, "BLOB") => Value::Blob(vec![7; 32]),
        (_, "REAL") => Value::Real(0.5),
        _ => Value::Integer(3),
    };
    let values: Vec<Value> = columns.map(|column| value(column.unwrap())).collect();
    let marks = vec!["?"; values.len()].join(", ");
    // Rows that triggers made already stay as they are.
    connection.execute(&format!("INSERT OR IGNORE INTO {table} VALUES ({marks})"), params_from_iter(values)).unwrap();
}

/// Sums, which later migrations make of the rows themselves, and the chain, which opening begins.
const MADE_ANEW: [&str; 6] = ["totals", "answers_of_home", "answer_days", "outcome_kinds", "newest_orders", "lineage"];

/// A table of results that opening moves on into `outcomes`.
const MOVED: &str = "outcomes_before";

fn tables(connection: &Connection) -> Vec<String> {
    names(connection, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap()
}

#[test]
fn a_store_of_every_age_opens_with_every_row_and_ends_at_the_newest_schema() {
    for age in 1..=MIGRATIONS.len() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("store.db");
        let connection = Connection::open(&file).unwrap();
        for script in &MIGRATIONS[..age] {
            connection.execute_batch(script).unwrap();
        }
        connection.pragma_update(None, "user_version", u32::try_from(age).unwrap()).unwrap();
        // A line that follows from nothing would be taken for the chain's end.
        for table in tables(&connection).iter().filter(|table| !MADE_ANEW.contains(&table.as_str())) {
            fill(&connection, table);
        }
        let count = |table: &String| {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u64>(0)).unwrap()
        };
        let before: BTreeMap<String, u64> =
            tables(&connection).iter().map(|table| (table.clone(), count(table))).collect();
        drop(connection);
        let made_anew = |table: &String| MADE_ANEW.contains(&table.as_str());
        assert!(before.iter().all(|(table, rows)| *rows > 0 || made_anew(table)), "{age}: {before:?}");
        drop(SqliteStore::open(&file).unwrap_or_else(|error| panic!("of age {age}: {error}")));
        let after = contents(&file).unwrap();
        assert_eq!(after.schema, SCHEMA, "of age {age}");
        for (table, rows) in before.iter().filter(|(table, _)| !made_anew(table)) {
            let now = if table == MOVED { "outcomes" } else { table };
            assert!(after.tables[now] >= *rows, "{table} of age {age}: {} of {rows}", after.tables[now]);
        }
    }
}
