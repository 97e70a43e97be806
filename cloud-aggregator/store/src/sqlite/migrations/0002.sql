-- What homes took back. The home's own number makes a withdrawal that comes again the same one.
CREATE TABLE withdrawals (
    home TEXT NOT NULL,
    id INTEGER NOT NULL,
    asked_at INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (home, id)
) STRICT, WITHOUT ROWID;
