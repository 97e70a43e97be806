-- The newest offer of each home: whether it takes part in rounds, as it was signed.
CREATE TABLE offers (
    home TEXT PRIMARY KEY,
    willing INTEGER NOT NULL,
    classes TEXT NOT NULL,
    signed BLOB NOT NULL,
    at INTEGER NOT NULL,
    heard_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rounds of federated training. Files are named by the hex SHA-256 of their bytes.
CREATE TABLE rounds (
    number INTEGER PRIMARY KEY,
    stage TEXT NOT NULL,
    series INTEGER NOT NULL,
    place INTEGER NOT NULL,
    champion INTEGER,
    base TEXT NOT NULL,
    control_base TEXT NOT NULL,
    settings TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    evaluate_deadline INTEGER,
    aggregate TEXT,
    candidate TEXT,
    control TEXT,
    report TEXT,
    outcome TEXT,
    kept INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    run TEXT,
    ended_at INTEGER,
    row_version INTEGER NOT NULL
) STRICT;
CREATE INDEX rounds_open ON rounds (number) WHERE stage <> 'ended';

CREATE TABLE round_homes (
    round INTEGER NOT NULL,
    home TEXT NOT NULL,
    work TEXT NOT NULL,
    nonce BLOB NOT NULL,
    signed BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    answer BLOB,
    digest BLOB,
    bytes INTEGER NOT NULL DEFAULT 0,
    norm REAL,
    similarity REAL,
    at INTEGER,
    PRIMARY KEY (round, home)
) STRICT, WITHOUT ROWID;
CREATE INDEX round_homes_newest ON round_homes (home, round DESC);

-- What homes send in a round, in parts, until the round has ended: then only the digests above stay.
CREATE TABLE round_parts (
    round INTEGER NOT NULL,
    home TEXT NOT NULL,
    part INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (round, home, part)
) STRICT, WITHOUT ROWID;
