-- Times are Unix seconds. Hashes are 32-byte blobs where they are looked up, hex text where they name a file.
CREATE TABLE homes (
    home TEXT PRIMARY KEY,
    enrolled_at INTEGER NOT NULL,
    revoked_at INTEGER,
    through INTEGER NOT NULL DEFAULT 0,
    -- When a gap behind `through` was first seen.
    gap_since INTEGER,
    records INTEGER NOT NULL DEFAULT 0,
    online INTEGER,
    agent_version TEXT,
    model_version INTEGER,
    entities INTEGER,
    outbox INTEGER,
    heard_at INTEGER
) STRICT, WITHOUT ROWID;

-- A rowid table: payloads of several kilobytes would make a clustered key's pages overflow.
CREATE TABLE feedback (
    home TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    verdict TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX feedback_key ON feedback (home, sequence);
CREATE INDEX feedback_received ON feedback (home, received_at);

-- Records that were refused but could be told apart: a receipt must cover them too.
CREATE TABLE refused (
    home TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (home, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    topic TEXT NOT NULL,
    home TEXT,
    sequence INTEGER,
    prefix BLOB NOT NULL,
    length INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    homes INTEGER NOT NULL,
    watermark INTEGER NOT NULL,
    corpus TEXT NOT NULL,
    lineage TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    snapshot TEXT NOT NULL,
    trigger TEXT NOT NULL,
    config TEXT NOT NULL,
    champion INTEGER,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    challenger TEXT,
    report TEXT,
    failure TEXT
) STRICT;

CREATE TABLE models (
    version INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    weights_id TEXT NOT NULL,
    run TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX models_run ON models (run) WHERE run <> '';
CREATE UNIQUE INDEX models_champion ON models (state) WHERE state = 'champion';

CREATE TABLE releases (
    model_version INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    length INTEGER NOT NULL,
    report_sha256 TEXT NOT NULL,
    released_at INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT;

-- An agent may say the same end twice (QoS 1): the key makes it one.
CREATE TABLE outcomes (
    home TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    result TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (home, model_version, at)
) STRICT;

CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE audit (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
