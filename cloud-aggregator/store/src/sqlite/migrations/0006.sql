-- The last answer to each alarm: a home that lost its memory says again, without the window, what it cannot know to be here.
-- Answers stored before this table was made are not in it.
CREATE TABLE answered (
    home TEXT NOT NULL,
    alarm TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    answered_at INTEGER NOT NULL,
    -- When the home took the answer back.
    withdrawn_at INTEGER,
    PRIMARY KEY (home, alarm)
) STRICT, WITHOUT ROWID;
CREATE INDEX answered_sequence ON answered (home, sequence);

-- Numbers under which an answer came once more that was stored under another.
CREATE TABLE repeated (
    home TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    original INTEGER NOT NULL,
    PRIMARY KEY (home, sequence)
) STRICT, WITHOUT ROWID;
