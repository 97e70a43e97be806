//! `replay` on recorders that stand on a server: a real PostgreSQL and a real MariaDB, with Home Assistant's tables, read by a user
//! who may do nothing but read. What comes out is byte for byte what the same rows give from an SQLite file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-01-05, a Monday, in Unix seconds.
const BEGIN: i64 = 1_767_571_200;
const DAYS: i64 = 21;

/// Home Assistant's tables, as far as a replay reads them, in words that all three databases understand, and their rows.
fn recorder(float: &str, text: &str) -> String {
    let mut sql = format!(
        "CREATE TABLE states_meta (metadata_id BIGINT PRIMARY KEY, entity_id VARCHAR(255));\n\
         CREATE TABLE state_attributes (attributes_id BIGINT PRIMARY KEY, hash BIGINT, shared_attrs {text});\n\
         CREATE TABLE states (state_id BIGINT PRIMARY KEY, entity_id CHAR(1), state VARCHAR(255), attributes CHAR(1),\n\
         last_changed_ts {float}, last_updated_ts {float}, old_state_id BIGINT, attributes_id BIGINT, metadata_id BIGINT);\n\
         CREATE TABLE statistics_meta (id BIGINT PRIMARY KEY, statistic_id VARCHAR(255), unit_of_measurement VARCHAR(255));\n\
         CREATE TABLE statistics (id BIGINT PRIMARY KEY, metadata_id BIGINT, start_ts {float}, mean {float}, min {float}, \
         max {float}, state {float}, sum {float});\n\
         INSERT INTO states_meta VALUES (1, 'sensor.cellar'), (2, 'binary_sensor.cellar_leak');\n\
         INSERT INTO state_attributes VALUES \
         (1, 1, '{{\"device_class\":\"temperature\",\"unit_of_measurement\":\"°C\",\"state_class\":\"measurement\"}}'), \
         (2, 2, '{{\"device_class\":\"moisture\"}}');\n\
         INSERT INTO statistics_meta VALUES (1, 'sensor.cellar', '°C');\n"
    );
    for hour in 0..72 {
        let start = BEGIN - (72 - hour) * 3_600;
        let _ = writeln!(sql, "INSERT INTO statistics VALUES ({hour}, 1, {start}, 14.1, 13.8, 14.4, NULL, NULL);");
    }
    let mut number = 0;
    let mut row = |at: f64, meta: i64, state: &str| {
        number += 1;
        let value = if state.is_empty() { "NULL".to_owned() } else { format!("'{state}'") };
        format!("({number}, NULL, {value}, NULL, NULL, {at:.3}, NULL, {meta}, {meta})")
    };
    let mut rows = vec![row(BEGIN as f64, 2, "off")];
    for step in 0..DAYS * 144 {
        let at = BEGIN + step * 600;
        let wave = (step as f64 / 144.0 * std::f64::consts::TAU).sin();
        let odd = ((step * 7_919) % 1_009) as f64 / 5_045.0;
        let failed = step > (DAYS - 1) * 144 + 60;
        let state = match step {
            700 => "unavailable".to_owned(),
            701 => String::new(),
            _ => format!("{:.2}", 14.0 + wave + odd + if failed { 9.0 } else { 0.0 }),
        };
        rows.push(row(at as f64 + 0.25, 1, &state));
        if step == (DAYS - 2) * 144 {
            rows.push(row(at as f64 + 300.5, 2, "on"));
            rows.push(row(at as f64 + 500.5, 2, "off"));
        }
    }
    for some in rows.chunks(500) {
        let _ = writeln!(sql, "INSERT INTO states VALUES {};", some.join(",\n"));
    }
    sql
}

/// Replays `events`: alarms and scores.
fn replayed(events: &str, out: &Path) -> (String, String) {
    let mut command = Command::new(hearthwatch_tests::program("hearthwatch-edge"));
    let done = command.args(["replay", "--model", "routine", "--events", events, "--out"]).arg(out).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    (read("alarms.csv"), read("scores.csv"))
}

/// What the same rows give from an SQLite file.
fn from_sqlite(dir: &Path) -> (String, String) {
    let file = dir.join("home-assistant_v2.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch(&recorder("REAL", "TEXT")).unwrap();
    let result = replayed(file.to_str().unwrap(), &dir.join("sqlite"));
    assert!(result.0.contains("binary_sensor.cellar_leak: water detected"), "{}", result.0);
    assert!(result.0.contains("sensor.cellar"), "{}", result.0);
    result
}

/// A program of the machine, wherever Debian puts it; said loudly and none where it is missing.
fn found(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let there = places.iter().map(|place| place.join(name)).find(|file| file.is_file());
    if there.is_none() {
        let sentence = format!("{name} is not installed, so NOTHING about this database is tested");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}");
        eprintln!("\n!!! {sentence} !!!\n");
    }
    there
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    String::from_utf8_lossy(&Command::new("id").arg("-u").output().unwrap().stdout).trim() == "0"
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn until_up(what: &str, mut is_up: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_up() {
        assert!(Instant::now() < deadline, "{what} does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_recorder_on_postgresql_gives_what_the_same_rows_give_from_a_file() {
    let mut places: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|dir| dir.path().join("bin"))
        .collect();
    places.sort();
    let (Some(initdb), Some(postgres)) = (found("initdb", &places), found("postgres", &places)) else { return };
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("pg");
    // PostgreSQL refuses to run as root.
    let as_user = |program: &Path| {
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    };
    if is_root() {
        std::fs::create_dir(&data).unwrap();
        assert!(succeeds(Command::new("chmod").arg("755").arg(dir.path())));
        assert!(succeeds(Command::new("chown").arg("postgres").arg(&data)));
    }
    assert!(succeeds(as_user(&initdb).args(["-U", "owner", "--auth", "trust", "-E", "UTF8", "-D"]).arg(&data)));
    std::fs::write(
        data.join("pg_hba.conf"),
        "host all owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    let port = hearthwatch_tests::free_address().port();
    let mut command = as_user(&postgres);
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let owner = format!("postgresql://owner@127.0.0.1:{port}/postgres");
    until_up("PostgreSQL", || succeeds(Command::new("psql").args([&owner, "-c", "SELECT 1"])));
    let sql = recorder("DOUBLE PRECISION", "TEXT")
        + "CREATE USER reader PASSWORD 's3cret'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;";
    std::fs::write(dir.path().join("home.sql"), sql).unwrap();
    let load = Command::new("psql")
        .args([&owner, "-q", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(dir.path().join("home.sql"))
        .output();
    let load = load.unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    let url = format!("postgresql+psycopg2://reader:s3cret@127.0.0.1:{port}/postgres");
    assert_eq!(replayed(&url, &dir.path().join("out")), from_sqlite(dir.path()));
}

#[test]
fn a_recorder_on_mariadb_gives_what_the_same_rows_give_from_a_file() {
    let places = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let (Some(install), Some(mariadbd)) = (found("mariadb-install-db", &places), found("mariadbd", &places)) else {
        return;
    };
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("maria");
    let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let user = format!("--user={}", user.trim());
    let datadir = format!("--datadir={}", data.display());
    let made = Command::new(install)
        .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &user, &datadir])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = hearthwatch_tests::free_address().port();
    let mut command = Command::new(mariadbd);
    command.args(["--no-defaults", &user, &datadir, "--bind-address=127.0.0.1", &format!("--port={port}")]);
    command.arg(format!("--socket={}", dir.path().join("s").display()));
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let client = || {
        let mut client = Command::new("mariadb");
        client.args([
            "--no-defaults",
            "-h127.0.0.1",
            &format!("-P{port}"),
            "-uroot",
            "--default-character-set=utf8mb4",
        ]);
        client
    };
    until_up("MariaDB", || succeeds(client().args(["-e", "SELECT 1"])));
    let sql = "CREATE DATABASE home CHARACTER SET utf8mb4; USE home;\n".to_owned()
        + &recorder("DOUBLE", "LONGTEXT")
        + "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 's3cret'; GRANT SELECT ON home.* TO reader@'127.0.0.1';";
    std::fs::write(dir.path().join("home.sql"), sql).unwrap();
    let file = std::fs::File::open(dir.path().join("home.sql")).unwrap();
    let load = client().stdin(file).output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    let url = format!("mysql+pymysql://reader:s3cret@127.0.0.1:{port}/home?charset=utf8mb4");
    assert_eq!(replayed(&url, &dir.path().join("out")), from_sqlite(dir.path()));
}
