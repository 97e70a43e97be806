//! A store of before, in which every word of a home was a row.

use rusqlite::params;
use sha2::{Digest as _, Sha256};

use super::super::{MIGRATIONS, SqliteStore, lineage};
use super::*;
use crate::fixtures::{NOW, home};
use crate::store::Store;

/// What the row of a table was sealed as, before.
const SEALED: [(&str, &str, &str); 2] = [
    ("model", "version", "version, sha256, length, weights_id, run, state, created_at FROM models"),
    (
        "outcome",
        "home || '/' || model_version || '/' || at",
        "home, model_version, at, result, received_at FROM outcomes",
    ),
];

/// A file as the sixth schema left it: the model of version 1 and these outcomes, sealed.
fn before(file: &std::path::Path, outcomes: &[(&str, u64, i64, &str)]) {
    let connection = Connection::open(file).unwrap();
    for script in &MIGRATIONS[..6] {
        connection.execute_batch(script).unwrap();
    }
    connection.pragma_update(None, "user_version", 6).unwrap();
    let model = "INSERT INTO models VALUES (1, 'aa', 7, 'w', '', 'champion', 5)";
    connection.execute(model, []).unwrap();
    for (home, version, at, result) in outcomes {
        let insert = "INSERT INTO outcomes (home, model_version, at, result, received_at) VALUES (?1, ?2, ?3, ?4, ?5)";
        connection.execute(insert, params![home, signed(*version), at, result, NOW]).unwrap();
    }
    let (mut position, mut previous) = (0, [0; 32]);
    for (kind, subject, columns) in SEALED {
        let (columns, table) = columns.split_once(" FROM ").unwrap();
        let select = format!("SELECT CAST({subject} AS TEXT), json_array({columns}) FROM {table}");
        let mut rows = connection.prepare(&select).unwrap();
        let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        for (subject, text) in rows.map(Result::unwrap) {
            let digest = Sha256::digest(text.as_bytes()).to_vec();
            position += 1;
            previous = lineage::line_hash(position, &previous, kind, &subject, &digest);
            let insert = "INSERT INTO lineage (position, kind, subject, digest, hash) VALUES (?1, ?2, ?3, ?4, ?5)";
            connection.execute(insert, params![signed(position), kind, subject, digest, &previous[..]]).unwrap();
        }
    }
}

#[test]
fn a_store_of_before_keeps_the_last_words_and_its_lineage_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store.db");
    let installed = "\"installed\"";
    let back = "{\"rolled_back\":{\"reason\":\"deaf\",\"to\":0}}";
    let stale = "{\"refused\":{\"reason\":\"expired: timestamp\"}}";
    before(
        &file,
        &[
            ("a", 1, NOW - 9, installed),
            ("a", 1, NOW - 5, back),
            ("a", 1, NOW - 2, stale),
            ("b", 1, i64::MAX, installed),
            ("b", 1, 0, back),
            ("b", 1, 1, back),
            ("c", 1, NOW, "{}"),
            ("d", 77, NOW, installed),
        ],
    );
    let store = SqliteStore::open(&file).unwrap();
    let found: Vec<_> = store
        .outcomes(None, 0)
        .unwrap()
        .into_iter()
        .map(|row| (row.home.clone(), row.weighs_on_release(), row.at))
        .collect();
    let expected =
        [(home("a"), false, NOW - 2), (home("a"), true, NOW - 5), (home("b"), true, NOW + CLOCK_AHEAD_SECONDS_MAX)];
    assert_eq!(found, expected);
    assert_eq!(store.verify_lineage().unwrap().findings, []);
    let lines = store.verify_lineage().unwrap().lines;
    drop(store);
    let again = SqliteStore::open(&file).unwrap();
    assert_eq!((again.verify_lineage().unwrap().lines, again.outcomes(None, 0).unwrap().len()), (lines, 3), "once");
}
