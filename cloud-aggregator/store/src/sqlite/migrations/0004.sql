-- Every row that a model's story rests on, as it was written: a chain, each line covering the one before. A line whose
-- digest is empty says that the row was taken away.
CREATE TABLE lineage (
    position INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    digest BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
