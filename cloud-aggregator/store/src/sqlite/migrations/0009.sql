-- Rows that operators and background tasks both write have a version: a write names the one that it read.
ALTER TABLE rollouts ADD COLUMN row_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE models ADD COLUMN row_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE homes ADD COLUMN row_version INTEGER NOT NULL DEFAULT 1;

-- Each home's newest order: under which rollout it was given, and whether the broker has had it. Orders from before this table
-- count as delivered.
CREATE TABLE newest_orders (
    home TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    rollout INTEGER NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO newest_orders (home, generation, rollout, delivered)
    SELECT home, max(generation), model_version, 1 FROM assignments GROUP BY home;

-- One row of sums, moved by the triggers below in the transaction that changes what they count, whoever writes.
CREATE TABLE totals (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    homes INTEGER NOT NULL,
    online INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    records INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    dismissed INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    answering INTEGER NOT NULL
) STRICT;
INSERT INTO totals SELECT 1,
    (SELECT count(*) FROM homes),
    (SELECT count(*) FROM homes WHERE revoked_at IS NULL AND online = 1),
    (SELECT coalesce(sum(outbox), 0) FROM homes),
    (SELECT count(*) FROM feedback),
    (SELECT count(*) FROM feedback WHERE verdict = 'confirmed'),
    (SELECT count(*) FROM feedback WHERE verdict = 'dismissed'),
    (SELECT count(*) FROM feedback WHERE verdict = 'expected'),
    (SELECT count(DISTINCT home) FROM feedback);

CREATE TABLE answers_of_home (
    home TEXT PRIMARY KEY,
    records INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO answers_of_home SELECT home, count(*) FROM feedback GROUP BY home;

-- By the day (UTC) on which the answers were stored.
CREATE TABLE answer_days (
    day INTEGER NOT NULL,
    home TEXT NOT NULL,
    confirmed INTEGER NOT NULL,
    dismissed INTEGER NOT NULL,
    PRIMARY KEY (day, home)
) STRICT, WITHOUT ROWID;
INSERT INTO answer_days
    SELECT received_at / 86400, home, sum(verdict = 'confirmed'), sum(verdict = 'dismissed') FROM feedback GROUP BY 1, 2;

CREATE TRIGGER count_answer AFTER INSERT ON feedback BEGIN
    INSERT INTO answers_of_home VALUES (NEW.home, 1) ON CONFLICT (home) DO UPDATE SET records = records + 1;
    INSERT INTO answer_days VALUES (NEW.received_at / 86400, NEW.home, NEW.verdict = 'confirmed', NEW.verdict = 'dismissed')
        ON CONFLICT (day, home) DO UPDATE SET
            confirmed = confirmed + excluded.confirmed, dismissed = dismissed + excluded.dismissed;
    UPDATE totals SET records = records + 1,
        confirmed = confirmed + (NEW.verdict = 'confirmed'),
        dismissed = dismissed + (NEW.verdict = 'dismissed'),
        expected = expected + (NEW.verdict = 'expected'),
        answering = answering + ((SELECT records FROM answers_of_home WHERE home = NEW.home) = 1);
END;

CREATE TRIGGER uncount_answer AFTER DELETE ON feedback BEGIN
    UPDATE answers_of_home SET records = records - 1 WHERE home = OLD.home;
    UPDATE answer_days SET
        confirmed = confirmed - (OLD.verdict = 'confirmed'), dismissed = dismissed - (OLD.verdict = 'dismissed')
        WHERE day = OLD.received_at / 86400 AND home = OLD.home;
    UPDATE totals SET records = records - 1,
        confirmed = confirmed - (OLD.verdict = 'confirmed'),
        dismissed = dismissed - (OLD.verdict = 'dismissed'),
        expected = expected - (OLD.verdict = 'expected'),
        answering = answering - ((SELECT records FROM answers_of_home WHERE home = OLD.home) = 0);
    DELETE FROM answers_of_home WHERE home = OLD.home AND records = 0;
END;

CREATE TRIGGER count_home AFTER INSERT ON homes BEGIN
    UPDATE totals SET homes = homes + 1,
        online = online + (NEW.revoked_at IS NULL AND coalesce(NEW.online, 0) = 1),
        waiting = waiting + coalesce(NEW.outbox, 0);
END;

CREATE TRIGGER uncount_home AFTER DELETE ON homes BEGIN
    UPDATE totals SET homes = homes - 1,
        online = online - (OLD.revoked_at IS NULL AND coalesce(OLD.online, 0) = 1),
        waiting = waiting - coalesce(OLD.outbox, 0);
END;

CREATE TRIGGER recount_home AFTER UPDATE OF online, outbox, revoked_at ON homes
    WHEN NEW.online IS NOT OLD.online OR NEW.outbox IS NOT OLD.outbox OR NEW.revoked_at IS NOT OLD.revoked_at BEGIN
    UPDATE totals SET
        online = online + (NEW.revoked_at IS NULL AND coalesce(NEW.online, 0) = 1)
            - (OLD.revoked_at IS NULL AND coalesce(OLD.online, 0) = 1),
        waiting = waiting + coalesce(NEW.outbox, 0) - coalesce(OLD.outbox, 0);
END;

-- How updates ended, by release and kind, of those that weigh: the first word of the stored result, which is a word or an object with one key.
CREATE TABLE outcome_kinds (
    model_version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    outcomes INTEGER NOT NULL,
    PRIMARY KEY (model_version, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO outcome_kinds
    SELECT model_version, CASE WHEN result LIKE '"%' THEN trim(result, '"') ELSE substr(result, 3, instr(substr(result, 3), '"') - 1) END, count(*)
    FROM outcomes WHERE weighs = 1 GROUP BY 1, 2;

CREATE TRIGGER count_outcome AFTER INSERT ON outcomes WHEN NEW.weighs = 1 BEGIN
    INSERT INTO outcome_kinds VALUES (NEW.model_version,
        CASE WHEN NEW.result LIKE '"%' THEN trim(NEW.result, '"') ELSE substr(NEW.result, 3, instr(substr(NEW.result, 3), '"') - 1) END, 1)
        ON CONFLICT (model_version, kind) DO UPDATE SET outcomes = outcomes + 1;
END;

CREATE TRIGGER uncount_outcome AFTER DELETE ON outcomes WHEN OLD.weighs = 1 BEGIN
    UPDATE outcome_kinds SET outcomes = outcomes - 1 WHERE model_version = OLD.model_version
        AND kind = CASE WHEN OLD.result LIKE '"%' THEN trim(OLD.result, '"') ELSE substr(OLD.result, 3, instr(substr(OLD.result, 3), '"') - 1) END;
END;

CREATE TRIGGER recount_outcome AFTER UPDATE OF result ON outcomes WHEN NEW.weighs = 1 BEGIN
    UPDATE outcome_kinds SET outcomes = outcomes - 1 WHERE model_version = OLD.model_version
        AND kind = CASE WHEN OLD.result LIKE '"%' THEN trim(OLD.result, '"') ELSE substr(OLD.result, 3, instr(substr(OLD.result, 3), '"') - 1) END;
    INSERT INTO outcome_kinds VALUES (NEW.model_version,
        CASE WHEN NEW.result LIKE '"%' THEN trim(NEW.result, '"') ELSE substr(NEW.result, 3, instr(substr(NEW.result, 3), '"') - 1) END, 1)
        ON CONFLICT (model_version, kind) DO UPDATE SET outcomes = outcomes + 1;
END;

-- Pages of lists begin where the one before ended: each order has its index.
CREATE INDEX outcomes_newest ON outcomes (model_version, received_at DESC, home, at DESC);
CREATE INDEX runs_newest ON runs (started_at);
-- With the one part of the lineage that the page shows: the whole of it has some hundred bytes for each home.
CREATE INDEX snapshots_newest ON snapshots
    (created_at, CASE WHEN json_valid(lineage) THEN json_extract(lineage, '$.recall') END);
CREATE INDEX exclusions_newest ON exclusions (at DESC, home);
CREATE INDEX exclusions_open ON exclusions (at DESC, home) WHERE lifted_at IS NULL;
