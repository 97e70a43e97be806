//! The newcomer's command, from outside: a small world on the bundled recordings, run to its table.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hearthwatch_emulator::demo::Report;
use hearthwatch_tests::program;

/// Runs the demo with a few homes into `out`; returns what it said and the folder of the run.
fn demo(out: &Path, seed: &str, homes: &str) -> (Output, PathBuf) {
    demo_with(out, &["--homes", homes, "--seed", seed])
}

fn demo_with(out: &Path, arguments: &[&str]) -> (Output, PathBuf) {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chi-edge/emulator/data");
    let output = Command::new(program("hearthwatch-emulator"))
        .args(arguments)
        .arg("--data")
        .arg(bundled)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    (output, out.join("run-1"))
}

fn report(run: &Path) -> Report {
    serde_json::from_slice(&std::fs::read(run.join("table.json")).unwrap()).unwrap()
}

#[test]
fn a_newcomer_sees_homes_learn_and_the_gate_give_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let (output, run) = demo(folder.path(), "7", "12");
    let (lines, table) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success(), "{lines}");
    assert!(lines.contains("every one stored by the aggregator"), "{lines}");
    assert!(table.contains("Gate, round 1: "), "{table}");
    assert!(table.contains(&format!("everything is in {}", run.canonicalize().unwrap().display())), "{table}");

    let report = report(&run);
    assert_eq!(report.rows.len(), 12);
    assert_eq!(report.rounds.len(), 2);
    for round in &report.rounds {
        // Whichever way it went, it says why; and only what was promoted was released.
        assert_eq!(round.verdict == "Promote", round.released.is_some(), "{round:?}");
        assert!(round.verdict == "Promote" || round.verdict.starts_with("Hold: "), "{round:?}");
        assert!(round.answers > 0, "{round:?}");
    }
    nothing_was_lost(&run);
    every_key_is_private(&run.join("keys"));
}

#[test]
fn homes_train_in_rounds_and_nothing_but_what_training_changed_leaves_them() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--learn", "rounds", "--rounds", "2", "--homes", "12", "--seed", "7"];
    let (output, run) = demo_with(folder.path(), &arguments);
    let (lines, table) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success(), "{lines}");
    for line in ["round 1: ", "round 2: ", "none left its home"] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    assert!(table.contains("Federated round 2: "), "{table}");

    let report = report(&run);
    // The first model is of recordings alone.
    assert_eq!(report.rounds.iter().map(|round| round.answers).collect::<Vec<_>>(), [0]);
    assert_eq!(report.federated.iter().map(|round| round.number).collect::<Vec<_>>(), [1, 2]);
    for round in &report.federated {
        assert!(round.asked > 0 && round.norms.iter().all(|norm| *norm > 0.0), "{round:?}");
        assert_eq!(round.used + round.left_out.len() + round.silent.len(), round.asked, "{round:?}");
        assert_eq!(round.outcome == "promoted", round.released.is_some(), "{round:?}");
        assert_eq!(round.outcome == "promoted", round.reason.is_empty(), "{round:?}");
        assert!(round.evaluated == 0 || round.figures.is_some(), "{round:?}");
    }
    let store = rusqlite::Connection::open(run.join("cloud/aggregator.db")).unwrap();
    let count = |query: &str| store.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT (SELECT count(*) FROM feedback) + (SELECT count(*) FROM announced)"), 0);
    assert_eq!(count("SELECT count(*) FROM rounds"), 2);
    every_key_is_private(&run.join("keys"));
}

/// Each outbox is empty, and the store holds what the homes said, answers and announcements, under one row of numbers: each
/// thing once.
fn nothing_was_lost(run: &Path) {
    let store = rusqlite::Connection::open(run.join("cloud/aggregator.db")).unwrap();
    let mut homes = store
        .prepare(
            "SELECT home, count(*), count(DISTINCT sequence), max(sequence) FROM
                 (SELECT home, sequence FROM feedback UNION ALL SELECT home, sequence FROM announced)
             GROUP BY home",
        )
        .unwrap();
    let rows = homes
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        })
        .unwrap();
    let mut seen = 0;
    for row in rows {
        let (home, count, distinct, last) = row.unwrap();
        assert_eq!((count, distinct), (last, last), "{home}");
        seen += 1;
    }
    assert!(seen > 0);
    let quarantined: i64 = store.query_row("SELECT count(*) FROM quarantine", [], |row| row.get(0)).unwrap();
    assert_eq!(quarantined, 0);
}

fn every_key_is_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            every_key_is_private(&path);
        } else if path.extension().is_some_and(|extension| extension == "key") {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
}

#[test]
#[ignore = "two whole worlds: part of `cargo xtask test --full`"]
fn the_same_seed_gives_the_same_table() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (demo(one.path(), "3", "10").1, demo(other.path(), "3", "10").1);
    assert_eq!(report(&first), report(&second));
    let alarms = |run: &Path| std::fs::read_to_string(run.join("alarms.csv")).unwrap();
    assert_eq!(alarms(&first), alarms(&second));
}

#[test]
#[ignore = "two whole worlds: part of `cargo xtask test --full`"]
fn the_same_seed_gives_the_same_table_in_rounds_too() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let arguments = ["--learn", "rounds", "--rounds", "2", "--homes", "12", "--seed", "3"];
    let (first, second) = (demo_with(one.path(), &arguments).1, demo_with(other.path(), &arguments).1);
    assert_eq!(report(&first), report(&second));
}

#[test]
fn a_folder_without_recordings_is_named_with_what_to_do() {
    let (empty, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = Command::new(program("hearthwatch-emulator"))
        .arg("--data")
        .arg(empty.path())
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(&format!("no recordings in {}", empty.path().display())), "{told}");
}
