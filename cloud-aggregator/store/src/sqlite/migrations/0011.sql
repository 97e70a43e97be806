-- What homes' deltas were like over the rounds; `way` is a sketch (2 KB) of their common direction.
CREATE TABLE standings (
    home TEXT PRIMARY KEY,
    rounds INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    copied INTEGER NOT NULL,
    alike TEXT,
    cosine REAL,
    suspicion REAL NOT NULL,
    latest INTEGER NOT NULL,
    way BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What all standings have in common: one row.
CREATE TABLE reputation (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    seed BLOB NOT NULL,
    rounds INTEGER NOT NULL,
    before BLOB
) STRICT;
