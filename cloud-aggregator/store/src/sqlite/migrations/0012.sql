-- Whether a home can mask what it sends; offers from before say nothing of it.
ALTER TABLE offers ADD COLUMN masks INTEGER NOT NULL DEFAULT 0;

-- Groups of a round whose deltas are masked, until the round has ended: the server's side of the protocol, and the sum of each.
CREATE TABLE round_groups (
    round INTEGER NOT NULL,
    number INTEGER NOT NULL,
    state BLOB NOT NULL,
    sum BLOB,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (round, number)
) STRICT, WITHOUT ROWID;

-- What homes of groups are asked for in the exchange that is open, as it was signed; `number` is that of the group.
CREATE TABLE round_requests (
    round INTEGER NOT NULL,
    home TEXT NOT NULL,
    number INTEGER NOT NULL,
    signed BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (round, home)
) STRICT, WITHOUT ROWID;
