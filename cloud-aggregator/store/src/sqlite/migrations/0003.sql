-- How a release goes out: one row for each version that was ever let out in waves.
CREATE TABLE rollouts (
    model_version INTEGER PRIMARY KEY,
    previous INTEGER,
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    forced INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER NOT NULL,
    paused_at INTEGER,
    paused_seconds INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER,
    reason TEXT NOT NULL DEFAULT ''
) STRICT;

-- The signed bytes are kept as they were sent; the columns beside them are for looking up.
CREATE TABLE assignments (
    home TEXT NOT NULL,
    generation INTEGER NOT NULL,
    model_version INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    signed BLOB NOT NULL,
    PRIMARY KEY (home, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX assignments_version ON assignments (model_version, home);

-- The newest one of each home, as it came; it is verified when it is read.
CREATE TABLE manifests (
    home TEXT PRIMARY KEY,
    signed BLOB NOT NULL,
    heard_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Homes whose answers are kept and not learned from, with the reason; lifting one leaves the row.
CREATE TABLE exclusions (
    home TEXT NOT NULL,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    lifted_by TEXT,
    lifted_at INTEGER,
    PRIMARY KEY (home, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX feedback_when ON feedback (received_at, home, verdict);
