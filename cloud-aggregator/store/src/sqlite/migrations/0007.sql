-- Every retraining that was asked for, from the asking to its end.
CREATE TABLE run_requests (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    trigger TEXT NOT NULL,
    by TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    attempts INTEGER NOT NULL,
    -- The run that it became.
    run TEXT,
    reason TEXT
) STRICT;
CREATE INDEX run_requests_open ON run_requests (position) WHERE ended_at IS NULL;
