-- Deltas that came after their round went on without them, and the later round in which each counts.
CREATE TABLE late_deltas (
    round INTEGER NOT NULL,
    home TEXT NOT NULL,
    counted_in INTEGER NOT NULL,
    PRIMARY KEY (round, home)
) STRICT, WITHOUT ROWID;
CREATE INDEX late_deltas_counted ON late_deltas (counted_in);
CREATE INDEX round_homes_behind ON round_homes (round, home) WHERE state IN ('straggling', 'carried');
