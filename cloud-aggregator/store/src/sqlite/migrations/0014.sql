-- What an answer is filtered by, beside its verdict and its time: copies of what its payload says. Rows of before are filled when the store opens.
ALTER TABLE feedback ADD COLUMN device_class TEXT;
ALTER TABLE feedback ADD COLUMN model_version INTEGER;
ALTER TABLE feedback ADD COLUMN origin TEXT;
ALTER TABLE feedback ADD COLUMN raised_at INTEGER;
ALTER TABLE feedback ADD COLUMN answered_at INTEGER;
ALTER TABLE feedback ADD COLUMN score REAL;
ALTER TABLE feedback ADD COLUMN threshold REAL;
-- One index for each way to ask, newest first; what stands behind the time is filtered without a look at the rows, which have kilobytes.
CREATE INDEX feedback_newest ON feedback
    (received_at, home, sequence, verdict, device_class, model_version, origin, raised_at, answered_at, score, threshold);
CREATE INDEX feedback_class ON feedback (device_class, received_at, home, sequence, verdict, model_version, origin);
CREATE INDEX feedback_model ON feedback (model_version, received_at, home, sequence, verdict, device_class, origin);
CREATE INDEX announced_newest ON announced (received_at, home, model_version);

-- Operators' words for homes: a group, a place, a kind of device.
CREATE TABLE home_tags (
    home TEXT NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (home, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX home_tags_tag ON home_tags (tag, home);

-- How far the audit log was sent to each webhook.
CREATE TABLE webhooks (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Answers to requests that had an Idempotency-Key, for a day. `status` 0: the request is being done.
CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT;
CREATE INDEX idempotency_at ON idempotency (at);

-- What a token may do of what its role may: `noun:verb`, separated by blanks; NULL stands for all of it.
ALTER TABLE tokens ADD COLUMN scopes TEXT;

-- Who is logged in. A session stands for a token (`token`), or for a person of the identity provider (`subject`).
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    holder TEXT NOT NULL,
    subject TEXT,
    token BLOB,
    role TEXT NOT NULL,
    purpose TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_ends ON sessions (ends_at);

-- Calls that a second person has to approve.
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    subject TEXT,
    role TEXT NOT NULL,
    method TEXT NOT NULL,
    place TEXT NOT NULL,
    body BLOB NOT NULL,
    would TEXT NOT NULL,
    state TEXT NOT NULL,
    decided_at INTEGER,
    decided_by TEXT,
    answer_status INTEGER,
    answer TEXT
) STRICT;
CREATE INDEX approvals_state ON approvals (state, id);
