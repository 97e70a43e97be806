//! Recorder databases on a server, PostgreSQL or MariaDB: the tables that a replay needs are copied into an SQLite file of its own,
//! within one read-only transaction, and read from there as any recorder database is. Nothing is written on the server.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use rusqlite::Connection as Local;
use sqlx::{
    AssertSqlSafe, ColumnIndex, Connection as _, Database, Decode, Executor, IntoArguments, MySql, Postgres, Row as _,
    Type,
};
use url::Url;

use super::backup::Unpacked;
use super::error::ReplayError;
use super::recorder_db::RecorderDb;

/// What is copied of each table: columns with the type that SQLite keeps them in. Columns that the server's schema lacks are left out.
const TABLES: [(&str, &[(&str, &str)]); 5] = [
    (
        "states",
        &[
            ("state_id", "INTEGER PRIMARY KEY"),
            ("metadata_id", "INTEGER"),
            ("entity_id", "TEXT"),
            ("state", "TEXT"),
            ("last_updated_ts", "REAL"),
            ("last_updated", "TEXT"),
            ("attributes_id", "INTEGER"),
            ("attributes", "TEXT"),
        ],
    ),
    ("states_meta", &[("metadata_id", "INTEGER PRIMARY KEY"), ("entity_id", "TEXT")]),
    ("state_attributes", &[("attributes_id", "INTEGER PRIMARY KEY"), ("shared_attrs", "TEXT")]),
    (
        "statistics",
        &[
            ("id", "INTEGER PRIMARY KEY"),
            ("metadata_id", "INTEGER"),
            ("start_ts", "REAL"),
            ("start", "TEXT"),
            ("mean", "REAL"),
            ("min", "REAL"),
            ("max", "REAL"),
            ("state", "REAL"),
            ("sum", "REAL"),
        ],
    ),
    ("statistics_meta", &[("id", "INTEGER PRIMARY KEY"), ("statistic_id", "TEXT"), ("unit_of_measurement", "TEXT")]),
];

/// What a terminal shows while rows are copied.
const COPYING: &str = "{spinner} {human_pos} rows copied from the server, {elapsed}";

/// The kind of database server, from the scheme of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    MySql,
}

/// The address of a recorder on a server, as `--events` or Home Assistant's own `db_url` has it.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteDb {
    kind: Kind,
    url: Url,
}

impl fmt::Debug for RemoteDb {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteDb").field(&self.shown()).finish()
    }
}

impl RemoteDb {
    /// Reads an address such as `postgresql://user:password@host/database` or `mysql+pymysql://…?charset=utf8mb4`; none for what is
    /// the name of a file.
    ///
    /// # Errors
    /// [`ReplayError::Format`], which does not quote it, for a server's address that cannot be understood.
    pub fn parse(events: &Path) -> Result<Option<Self>, ReplayError> {
        let Some((scheme, rest)) = events.to_str().and_then(|text| text.split_once("://")) else { return Ok(None) };
        // Home Assistant names the Python driver too; it means nothing here.
        let kind = match scheme.split('+').next() {
            Some("postgresql" | "postgres") => Kind::Postgres,
            Some("mysql" | "mariadb") => Kind::MySql,
            _ => return Ok(None),
        };
        let scheme = if kind == Kind::Postgres { "postgresql" } else { "mysql" };
        let unusable = || {
            ReplayError::Format {
            path: PathBuf::from(format!("{scheme}://…")),
            what: "is no address of a database; write USER:PASSWORD@HOST:PORT/DATABASE behind it, and what is neither letter nor digit \
                   in user and password as %XX (@ is %40, # is %23, / is %2F)"
                .into(),
        }
        };
        let mut url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| unusable())?;
        if url.fragment().is_some() {
            return Err(unusable());
        }
        // Options of Python's drivers mean nothing here, but for those of TLS and the socket.
        let kept = |name: &str| match name {
            "unix_socket" => Some("socket".to_owned()),
            name => name.starts_with("ssl").then(|| name.to_owned()),
        };
        let kept: Vec<(String, String)> =
            url.query_pairs().filter_map(|(name, value)| Some((kept(&name)?, value.into_owned()))).collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        // What mysql's own programs read; those of PostgreSQL are read by its client.
        if kind == Kind::MySql
            && url.password().is_none()
            && let Ok(password) = std::env::var("MYSQL_PWD")
        {
            url.set_password(Some(&password)).map_err(|()| unusable())?;
        }
        Ok(Some(Self { kind, url }))
    }

    /// The address as it may be shown: without user and password.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        let mut url = self.url.clone();
        // An address without a host has none of the two either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        PathBuf::from(url.as_str())
    }

    /// Copies the recorder and opens the copy; on a terminal the rows are counted.
    ///
    /// # Errors
    /// [`ReplayError::Server`] when the server cannot be reached or refuses; [`ReplayError::Format`] when it holds no recorder.
    pub fn open(&self) -> Result<RecorderDb, ReplayError> {
        let copy = Unpacked::new()?;
        let path = self.shown();
        let database = |source| ReplayError::Database { path: path.clone(), source };
        let mut local = Local::open(copy.database()).map_err(database)?;
        // It lives as long as this run does.
        local.pragma_update(None, "journal_mode", "OFF").map_err(database)?;
        local.pragma_update(None, "synchronous", "OFF").map_err(database)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ReplayError::read(&path))?;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let progress = ProgressBar::new_spinner()
            .with_style(ProgressStyle::with_template(COPYING).unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let copied = runtime.block_on(async {
            match self.kind {
                Kind::Postgres => {
                    let mut server = sqlx::PgConnection::connect(self.url.as_str()).await?;
                    server.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                    copy_from::<Postgres>(&mut server, &POSTGRES, &mut local, &progress).await
                }
                Kind::MySql => {
                    let mut server = sqlx::MySqlConnection::connect(self.url.as_str()).await?;
                    server.execute("START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT").await?;
                    copy_from::<MySql>(&mut server, &MYSQL, &mut local, &progress).await
                }
            }
        });
        progress.finish_and_clear();
        copied.map_err(|error| match error {
            CopyError::Server(source) => ReplayError::Server { path: path.clone(), source },
            CopyError::Local(source) => database(source),
        })?;
        drop(local);
        RecorderDb::open(&path, Some(copy)).map_err(|error| match error {
            ReplayError::Format { path, .. } => ReplayError::Format {
                path,
                what: "holds no table of Home Assistant's states; give the database that db_url names in configuration.yaml".into(),
            },
            other => other,
        })
    }
}

/// Why the rows could not be copied.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Server(#[from] sqlx::Error),
    #[error(transparent)]
    Local(#[from] rusqlite::Error),
}

/// Where the SQL of two servers differs.
struct Dialect {
    columns: &'static str,
    quote: char,
    as_text: &'static str,
}

const POSTGRES: Dialect = Dialect {
    columns: "SELECT table_name::text, column_name::text FROM information_schema.columns \
              WHERE table_schema = ANY (current_schemas(false)::text[])",
    quote: '"',
    as_text: "text",
};

const MYSQL: Dialect = Dialect {
    columns: "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) FROM information_schema.columns \
              WHERE table_schema = DATABASE()",
    quote: '`',
    as_text: "CHAR",
};

async fn copy_from<DB: Database>(
    server: &mut DB::Connection,
    dialect: &Dialect,
    local: &mut Local,
    progress: &ProgressBar,
) -> Result<(), CopyError>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'r> Option<String>: Decode<'r, DB> + Type<DB>,
    for<'r> String: Decode<'r, DB> + Type<DB>,
    DB::Arguments: IntoArguments<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let mut there: HashMap<String, Vec<String>> = HashMap::new();
    let mut rows = sqlx::query(dialect.columns).fetch(&mut *server);
    while let Some(row) = rows.try_next().await? {
        there
            .entry(row.try_get::<String, _>(0)?.to_lowercase())
            .or_default()
            .push(row.try_get::<String, _>(1)?.to_lowercase());
    }
    drop(rows);
    for (table, columns) in TABLES {
        let Some(known) = there.get(table) else { continue };
        let columns: Vec<_> = columns.iter().filter(|(name, _)| known.iter().any(|column| column == name)).collect();
        if columns.is_empty() {
            continue;
        }
        let list = |each: &dyn Fn(&str, &str) -> String| {
            columns.iter().map(|(name, kind)| each(name, kind)).collect::<Vec<_>>().join(", ")
        };
        let (quote, as_text) = (dialect.quote, dialect.as_text);
        let wanted = list(&|name, _| format!("CAST({quote}{name}{quote} AS {as_text})"));
        let query = format!("SELECT {wanted} FROM {quote}{table}{quote}");
        let transaction = local.transaction()?;
        transaction
            .execute_batch(&format!("CREATE TABLE {table} ({})", list(&|name, kind| format!("\"{name}\" {kind}"))))?;
        {
            let places = list(&|_, _| "?".to_owned());
            let mut insert = transaction.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES ({places})"))?;
            let mut rows = sqlx::query(AssertSqlSafe(query)).fetch(&mut *server);
            while let Some(row) = rows.try_next().await? {
                for place in 0..columns.len() {
                    insert.raw_bind_parameter(place + 1, row.try_get::<Option<String>, _>(place)?)?;
                }
                insert.raw_execute()?;
                progress.inc(1);
            }
        }
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        RemoteDb::parse(Path::new(text)).unwrap().map(|db| db.shown().display().to_string())
    }

    #[test]
    fn addresses_of_servers_are_told_from_files_and_shown_without_secrets() {
        let pymysql = "mysql+pymysql://ha:hunter2@core-mariadb/homeassistant?charset=utf8mb4";
        assert_eq!(shown(pymysql).as_deref(), Some("mysql://core-mariadb/homeassistant"));
        let postgres = "postgresql://ha:hunter2@db:5433/ha";
        assert_eq!(shown(postgres).as_deref(), Some("postgresql://db:5433/ha"));
        assert!(!format!("{:?}", RemoteDb::parse(Path::new(postgres)).unwrap()).contains("hunter2"));
        for file in ["home-assistant_v2.db", "/data/home.csv", "sqlite:////config/home-assistant_v2.db", "c:\\a.csv"] {
            assert_eq!(shown(file), None, "{file}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for text in
            ["postgresql://ha:hunter#2@db/ha", "mysql://ha:hunter2@db:port/ha", "postgresql://ha:hunter2@/x:y@z:/"]
        {
            let error = RemoteDb::parse(Path::new(text)).unwrap_err().to_string();
            assert!(error.contains("is no address of a database") && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_named_without_the_password() {
        let db = RemoteDb::parse(Path::new("postgresql://ha:hunter2@127.0.0.1:1/ha")).unwrap().unwrap();
        let error = db.open().unwrap_err().to_string();
        assert!(error.starts_with("postgresql://127.0.0.1:1/ha: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
