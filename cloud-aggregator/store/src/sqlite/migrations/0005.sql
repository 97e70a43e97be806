-- What homes said of alarms before anybody answered them; an answer is held against the first announcement of its alarm.
CREATE TABLE announced (
    home TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    alarm TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    window BLOB NOT NULL,
    digest BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (home, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX announced_alarm ON announced (home, alarm);
CREATE INDEX announced_received ON announced (home, received_at);

-- When a home announced for the first time: its agent is new enough from then on.
ALTER TABLE homes ADD COLUMN announces_since INTEGER;

-- 1: admitted within the daily grace of what was not announced.
ALTER TABLE feedback ADD COLUMN grace INTEGER NOT NULL DEFAULT 0;
-- The line of the audit log by which an operator let it out of quarantine.
ALTER TABLE feedback ADD COLUMN lift INTEGER;

-- The whole payload of what may be let out again, and what an operator made of it.
ALTER TABLE quarantine ADD COLUMN payload BLOB;
ALTER TABLE quarantine ADD COLUMN settled TEXT;
ALTER TABLE quarantine ADD COLUMN settled_by TEXT;
ALTER TABLE quarantine ADD COLUMN settled_at INTEGER;
CREATE INDEX quarantine_key ON quarantine (home, sequence);
