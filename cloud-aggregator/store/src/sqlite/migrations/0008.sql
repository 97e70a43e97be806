-- One word of each home and release counts: the last about the release itself (weighs = 1), and beside it the last about the way
-- to it, a mirror or its metadata (weighs = 0). The rows of before are moved when the store is opened, in sight of the lineage.
ALTER TABLE outcomes RENAME TO outcomes_before;
CREATE TABLE outcomes (
    home TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    weighs INTEGER NOT NULL,
    at INTEGER NOT NULL,
    stage TEXT,
    result TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (home, model_version, weighs)
) STRICT, WITHOUT ROWID;

-- Each home has a ring of its own in quarantine: how many rows and payloads it holds, and which are the oldest.
CREATE INDEX quarantine_home ON quarantine (home, id);
CREATE INDEX quarantine_payload ON quarantine (home, id) WHERE payload IS NOT NULL;
