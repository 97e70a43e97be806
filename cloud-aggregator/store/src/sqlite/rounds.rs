//! Tables `offers`, `rounds`, `round_homes`, `round_parts`.

mod groups;

use hearthwatch_protocol::round::{ClassCount, SignedRoundAnswer, SignedRoundOffer, SignedRoundPlan};
use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::{Connection, Params, Transaction, params};

use super::query::{self, Fault, all, home, run, word};
use super::{SqliteStore, StoreResult, corrupt, limited, lost, signed, standings};
use crate::rounds::{
    GroupRow, OfferRow, PartPut, RequestRow, RoundDuty, RoundHomeRow, RoundHomeState, RoundRow, RoundStage, RoundStore,
    RoundTally,
};

impl RoundStore for SqliteStore {
    fn put_offer(&self, row: &OfferRow) -> StoreResult<bool> {
        self.write("put offer", |transaction| put_offer(transaction, row))
    }

    fn offer(&self, home: &HomeId) -> StoreResult<Option<OfferRow>> {
        Ok(select_offers(&self.look_up(), "WHERE home = ?1", [home.as_str()])?.pop())
    }

    fn offers_after(&self, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<OfferRow>> {
        let after = after.map_or("", HomeId::as_str);
        select_offers(&self.read(), "WHERE home > ?1 ORDER BY home LIMIT ?2", params![after, limited(limit)])
    }

    fn willing_homes(&self) -> StoreResult<u64> {
        let count = "SELECT count(*) FROM offers WHERE willing";
        query::one(&self.read(), "count offers", count, [], |row| row.get(0))
    }

    fn advance_round(&self, row: &RoundRow, homes: &[RoundHomeRow]) -> StoreResult<RoundRow> {
        self.write("advance round", |transaction| advance(transaction, row, homes))
    }

    fn advance_groups(
        &self,
        row: &RoundRow,
        homes: &[RoundHomeRow],
        groups: &[GroupRow],
        requests: &[RequestRow],
    ) -> StoreResult<RoundRow> {
        self.write("advance groups", |transaction| {
            let written = advance(transaction, row, homes)?;
            groups::put(transaction, row.number, groups, requests)?;
            Ok(written)
        })
    }

    fn round_group(&self, round: u64, home: &HomeId) -> StoreResult<Option<GroupRow>> {
        groups::of_home(&self.look_up(), round, home)
    }

    fn round_groups(&self, round: u64) -> StoreResult<Vec<GroupRow>> {
        groups::groups(&self.read(), round)
    }

    fn round_requests(&self, round: u64) -> StoreResult<Vec<RequestRow>> {
        groups::requests(&self.read(), round)
    }

    fn round(&self, number: u64) -> StoreResult<Option<RoundRow>> {
        round(&self.look_up(), number)
    }

    fn rounds(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<RoundRow>> {
        let before = before.map_or(i64::MAX, signed);
        select_rounds(&self.read(), "WHERE number < ?1 ORDER BY number DESC LIMIT ?2", params![before, limited(limit)])
    }

    fn round_homes(&self, round: u64, after: Option<&HomeId>, limit: usize) -> StoreResult<Vec<RoundHomeRow>> {
        let after = after.map_or("", HomeId::as_str);
        let clause = of_round("home > ?2", "LIMIT ?3");
        select_homes(&self.read(), &clause, params![signed(round), after, limited(limit)])
    }

    fn round_homes_behind(&self) -> StoreResult<Vec<RoundHomeRow>> {
        select_homes(&self.read(), "WHERE state IN ('straggling', 'carried') ORDER BY round, home", [])
    }

    fn trained_since(&self, round: u64) -> StoreResult<Vec<HomeId>> {
        let select = "SELECT DISTINCT home FROM round_homes
             WHERE round >= ?1 AND work = 'train' AND state IN ('taken', 'left_out', 'carried') ORDER BY home";
        all(&self.read(), "list homes that trained", select, [signed(round)], |row| home("round_homes", row, 0))
    }

    fn round_homes_not_used(&self, round: u64, limit: usize) -> StoreResult<Vec<RoundHomeRow>> {
        let not_used = "state IN ('refused', 'left_out') AND coalesce(counted, ?1) = ?1";
        select_homes(&self.read(), &of_round(not_used, "LIMIT ?2"), params![signed(round), limited(limit)])
    }

    fn round_tallies(&self, before: Option<u64>, limit: usize) -> StoreResult<Vec<(RoundRow, RoundTally)>> {
        let (connection, before) = (self.read(), before.map_or(i64::MAX, signed));
        let clause = "WHERE number < ?1 ORDER BY number DESC LIMIT ?2";
        let rows = select_rounds(&connection, clause, params![before, limited(limit)])?;
        let with_tally = |row: RoundRow| tally(&connection, row.number).map(|tally| (row, tally));
        rows.into_iter().map(with_tally).collect()
    }

    fn round_home(&self, round: u64, home: &HomeId) -> StoreResult<Option<RoundHomeRow>> {
        round_home(&self.look_up(), round, home)
    }

    fn newest_round_home(&self, home: &HomeId) -> StoreResult<Option<RoundHomeRow>> {
        let clause = "WHERE home = ?1 ORDER BY round DESC LIMIT 1";
        Ok(select_homes(&self.look_up(), clause, [home.as_str()])?.pop())
    }

    fn put_round_part(&self, row: &RoundHomeRow, part: u16, parts: u16, bytes: &[u8]) -> StoreResult<PartPut> {
        self.write("put round part", |transaction| put_part(transaction, row, (part, parts), bytes))
    }

    fn round_body(&self, round: u64, home: &HomeId) -> StoreResult<Vec<u8>> {
        let select = "SELECT bytes FROM round_parts WHERE round = ?1 AND home = ?2 ORDER BY part";
        let values = params![signed(round), home.as_str()];
        let parts: Vec<Vec<u8>> = all(&self.look_up(), "read round parts", select, values, |row| Ok(row.get(0)?))?;
        Ok(parts.concat())
    }

    fn settle_round_home(&self, row: &RoundHomeRow) -> StoreResult<bool> {
        self.write("settle round home", |transaction| {
            if !awaited(transaction, row)? {
                return Ok(false);
            }
            if !matches!(row.state, RoundHomeState::Taken | RoundHomeState::Carried) {
                drop_parts(transaction, row.round, &row.home)?;
            }
            put_home(transaction, row).map(|()| true)
        })
    }

    fn leave_round(&self, home: &HomeId, reason: &str, at: i64) -> StoreResult<Option<u64>> {
        self.write("leave round", |transaction| leave(transaction, home, reason, at))
    }
}

fn put_offer(tx: &Transaction<'_>, row: &OfferRow) -> StoreResult<bool> {
    let classes: Vec<(&str, u32)> = row.classes.iter().map(|count| (count.class.as_str(), count.entities)).collect();
    let classes = serde_json::to_string(&classes).map_err(|error| corrupt("offers", error))?;
    let insert =
        "INSERT INTO offers (home, willing, classes, signed, at, heard_at, masks) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (home) DO UPDATE SET willing = ?2, classes = ?3, signed = ?4, at = ?5, heard_at = ?6, masks = ?7
         WHERE at <= ?5";
    let values =
        params![row.home.as_str(), row.willing, classes, row.signed.as_bytes(), row.at, row.heard_at, row.masks];
    let stored = run(tx, "put offer", insert, values)? > 0;
    if stored && !row.willing {
        standings::erase_way(tx, &row.home)?;
    }
    Ok(stored)
}

fn select_offers(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<OfferRow>> {
    let select = format!("SELECT home, willing, classes, signed, at, heard_at, masks FROM offers {clause}");
    all(connection, "list offers", &select, values, |row| {
        let classes: Vec<(String, u32)> =
            serde_json::from_str(&row.get::<_, String>(2)?).map_err(|error| Fault::Row(corrupt("offers", error)))?;
        Ok(OfferRow {
            home: home("offers", row, 0)?,
            willing: row.get(1)?,
            classes: classes.into_iter().map(|(class, entities)| ClassCount { class, entities }).collect(),
            signed: SignedRoundOffer::from_bytes(row.get(3)?),
            at: row.get(4)?,
            heard_at: row.get(5)?,
            masks: row.get(6)?,
        })
    })
}

const ROUND: &str = "number, stage, series, place, champion, base, control_base, settings, opened_at, deadline,
     evaluate_deadline, aggregate, candidate, control, report, outcome, kept, reason, run, ended_at, row_version";

pub(super) fn advance(tx: &Transaction<'_>, row: &RoundRow, homes: &[RoundHomeRow]) -> StoreResult<RoundRow> {
    let written = put_round(tx, row)?;
    for home in homes {
        // What a home sent or took back meanwhile is not written over by whoever read its part before.
        let state = round_home(tx, home.round, &home.home)?.map(|before| before.state);
        let overtaken = match state {
            Some(RoundHomeState::Declined) => home.state != RoundHomeState::Declined,
            Some(state) => {
                let goes_on_without = matches!(home.state, RoundHomeState::Late | RoundHomeState::Straggling);
                goes_on_without && !(state.open() || state == RoundHomeState::Straggling)
            }
            None => false,
        };
        if overtaken {
            return Err(lost("round", row.number.to_string(), Some(("answered by a home", row.row_version))));
        }
        put_home(tx, home)?;
        let waits = matches!(home.state, RoundHomeState::Straggling | RoundHomeState::Carried);
        let over = home.round != row.number && home.counted_in.is_none() && !waits;
        if over || home.state == RoundHomeState::Late {
            drop_parts(tx, home.round, &home.home)?;
        }
    }
    if row.stage == RoundStage::Ended {
        let delete = "DELETE FROM round_parts WHERE
                 (round = ?1 AND (round, home) NOT IN (SELECT round, home FROM round_homes
                     WHERE state IN ('straggling', 'carried')))
                 OR (round, home) IN (SELECT round, home FROM late_deltas WHERE counted_in = ?1)";
        run(tx, "end round", delete, [signed(row.number)])?;
        groups::end(tx, row.number)?;
    }
    Ok(written)
}

fn put_round(tx: &Transaction<'_>, row: &RoundRow) -> StoreResult<RoundRow> {
    let values = params![
        signed(row.number),
        row.stage.as_str(),
        signed(row.series),
        row.place,
        row.champion.map(|version| signed(version.0)),
        row.base,
        row.control_base,
        row.settings,
        row.opened_at,
        row.deadline,
        row.evaluate_deadline,
        row.aggregate,
        row.candidate,
        row.control,
        row.report,
        row.outcome.map(|outcome| outcome.as_str()),
        row.kept,
        row.reason,
        row.run,
        row.ended_at,
        signed(row.row_version),
    ];
    let write = if row.row_version == 0 {
        let next = "SELECT coalesce(max(number), 0) + 1, count(*) FILTER (WHERE stage <> 'ended') FROM rounds";
        let (next, open): (u64, u64) = query::one(tx, "open round", next, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if next != row.number || open > 0 {
            return Err(lost("round", row.number.to_string(), Some(("not the next one", next))));
        }
        format!(
            "INSERT INTO rounds ({ROUND}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                 ?17, ?18, ?19, ?20, ?21 + 1)"
        )
    } else {
        "UPDATE rounds SET stage = ?2, series = ?3, place = ?4, champion = ?5, base = ?6, control_base = ?7,
             settings = ?8, opened_at = ?9, deadline = ?10, evaluate_deadline = ?11, aggregate = ?12, candidate = ?13,
             control = ?14, report = ?15, outcome = ?16, kept = ?17, reason = ?18, run = ?19, ended_at = ?20,
             row_version = ?21 + 1 WHERE number = ?1 AND row_version = ?21"
            .to_owned()
    };
    match run(tx, "put round", &write, values)? {
        0 => {
            let now = round(tx, row.number)?.map(|row| (row.stage.as_str(), row.row_version));
            Err(lost("round", row.number.to_string(), now))
        }
        _ => Ok(RoundRow { row_version: row.row_version + 1, ..row.clone() }),
    }
}

fn round(connection: &Connection, number: u64) -> StoreResult<Option<RoundRow>> {
    Ok(select_rounds(connection, "WHERE number = ?1", [signed(number)])?.pop())
}

fn select_rounds(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<RoundRow>> {
    let select = format!("SELECT {ROUND} FROM rounds {clause}");
    all(connection, "list rounds", &select, values, |row| {
        let outcome = match row.get::<_, Option<String>>(15)? {
            None => None,
            Some(_) => Some(word("rounds", row, 15)?),
        };
        Ok(RoundRow {
            number: row.get(0)?,
            stage: word("rounds", row, 1)?,
            series: row.get(2)?,
            place: row.get(3)?,
            champion: row.get::<_, Option<u64>>(4)?.map(ModelVersion),
            base: row.get(5)?,
            control_base: row.get(6)?,
            settings: row.get(7)?,
            opened_at: row.get(8)?,
            deadline: row.get(9)?,
            evaluate_deadline: row.get(10)?,
            aggregate: row.get(11)?,
            candidate: row.get(12)?,
            control: row.get(13)?,
            report: row.get(14)?,
            outcome,
            kept: row.get(16)?,
            reason: row.get(17)?,
            run: row.get(18)?,
            ended_at: row.get(19)?,
            row_version: row.get(20)?,
        })
    })
}

const HOME: &str = "round, home, work, nonce, signed, state, reason, answer, digest, bytes, norm, similarity, at";

/// Rows of homes, each with the later round in which its delta counts.
const HOMES: &str = "(SELECT *, (SELECT counted_in FROM late_deltas AS late
         WHERE late.round = round_homes.round AND late.home = round_homes.home) AS counted FROM round_homes)";

/// Homes of the round `?1`, and those of earlier rounds that count in it, as far as the condition holds for them, by home.
fn of_round(condition: &str, limit: &str) -> String {
    let counted = "(round, home) IN (SELECT round, home FROM late_deltas WHERE counted_in = ?1)";
    format!(
        "WHERE round = ?1 AND {condition} UNION ALL SELECT {HOME}, counted FROM {HOMES} WHERE {counted} AND {condition}
             ORDER BY home {limit}"
    )
}

fn put_home(tx: &Transaction<'_>, row: &RoundHomeRow) -> StoreResult<()> {
    let insert = format!(
        "INSERT INTO round_homes ({HOME}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (round, home) DO UPDATE SET state = ?6, reason = ?7, answer = ?8, digest = ?9, bytes = ?10,
                 norm = ?11, similarity = ?12, at = ?13"
    );
    let values = params![
        signed(row.round),
        row.home.as_str(),
        row.duty.as_str(),
        &row.nonce[..],
        row.signed.as_bytes(),
        row.state.as_str(),
        row.reason,
        row.answer.as_ref().map(SignedRoundAnswer::as_bytes),
        row.digest.as_ref().map(|digest| &digest[..]),
        signed(row.bytes),
        row.norm,
        row.similarity,
        row.at,
    ];
    run(tx, "put round home", &insert, values)?;
    let Some(counted_in) = row.counted_in else { return Ok(()) };
    let insert = "INSERT INTO late_deltas (round, home, counted_in) VALUES (?1, ?2, ?3)
         ON CONFLICT (round, home) DO UPDATE SET counted_in = ?3 WHERE counted_in <> ?3";
    let values = params![signed(row.round), row.home.as_str(), signed(counted_in)];
    run(tx, "put late delta", insert, values).map(drop)
}

fn round_home(connection: &Connection, round: u64, home: &HomeId) -> StoreResult<Option<RoundHomeRow>> {
    let values = params![signed(round), home.as_str()];
    Ok(select_homes(connection, "WHERE round = ?1 AND home = ?2", values)?.pop())
}

fn select_homes(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<RoundHomeRow>> {
    let select = format!("SELECT {HOME}, counted FROM {HOMES} {clause}");
    all(connection, "list homes of rounds", &select, values, |row| {
        Ok(RoundHomeRow {
            round: row.get(0)?,
            home: home("round_homes", row, 1)?,
            duty: word("round_homes", row, 2)?,
            nonce: row.get(3)?,
            signed: SignedRoundPlan::from_bytes(row.get(4)?),
            state: word("round_homes", row, 5)?,
            reason: row.get(6)?,
            answer: row.get::<_, Option<Vec<u8>>>(7)?.map(SignedRoundAnswer::from_bytes),
            digest: row.get(8)?,
            bytes: row.get(9)?,
            norm: row.get(10)?,
            similarity: row.get(11)?,
            at: row.get(12)?,
            counted_in: row.get(13)?,
        })
    })
}

fn tally(connection: &Connection, round: u64) -> StoreResult<RoundTally> {
    let select = "SELECT count(*) FILTER (WHERE work = 'train' AND state = 'taken'),
             count(*) FILTER (WHERE work = 'train' AND state = 'left_out'),
             count(*) FILTER (WHERE work = 'train' AND state = 'refused'),
             count(*) FILTER (WHERE work = 'train' AND state NOT IN ('taken', 'left_out', 'refused')),
             count(*) FILTER (WHERE work = 'evaluate' AND state = 'taken'),
             avg(norm)
         FROM (SELECT work, CASE WHEN counted IS NULL THEN state ELSE 'late' END AS state,
                       CASE WHEN counted IS NULL THEN norm END AS norm
                   FROM {HOMES} WHERE round = ?1
               UNION ALL SELECT work, state, norm FROM round_homes
                   WHERE (round, home) IN (SELECT round, home FROM late_deltas WHERE counted_in = ?1))";
    let select = select.replace("{HOMES}", HOMES);
    query::one(connection, "count homes of a round", &select, [signed(round)], |row| {
        Ok(RoundTally {
            used: row.get(0)?,
            left_out: row.get(1)?,
            refused: row.get(2)?,
            silent: row.get(3)?,
            evaluated: row.get(4)?,
            mean_norm: row.get(5)?,
        })
    })
}

/// Whether the home's answer is waited for: by its own state, and by where the round is.
fn awaited(tx: &Transaction<'_>, row: &RoundHomeRow) -> StoreResult<bool> {
    let (Some(round), Some(now)) = (round(tx, row.round)?, round_home(tx, row.round, &row.home)?) else {
        return Ok(false);
    };
    Ok(now.state == RoundHomeState::Straggling || (now.state.open() && round.stage.takes(now.duty)))
}

fn put_part(tx: &Transaction<'_>, row: &RoundHomeRow, (part, parts): (u16, u16), bytes: &[u8]) -> StoreResult<PartPut> {
    if !awaited(tx, row)? {
        return Ok(PartPut::Closed);
    }
    let before = round_home(tx, row.round, &row.home)?;
    let straggling = before.as_ref().is_some_and(|before| before.state == RoundHomeState::Straggling);
    if before.and_then(|before| before.answer) != row.answer {
        drop_parts(tx, row.round, &row.home)?;
        let state = if straggling { RoundHomeState::Straggling } else { RoundHomeState::Receiving };
        put_home(tx, &RoundHomeRow { state, ..row.clone() })?;
    }
    let insert = "INSERT OR IGNORE INTO round_parts (round, home, part, bytes) VALUES (?1, ?2, ?3, ?4)";
    let (round, home) = (signed(row.round), row.home.as_str());
    run(tx, "put round part", insert, params![round, home, part, bytes])?;
    let select = "SELECT part FROM round_parts WHERE round = ?1 AND home = ?2 ORDER BY part";
    let here: Vec<u16> = all(tx, "list round parts", select, params![round, home], |row| Ok(row.get(0)?))?;
    let missing = (0..parts).find(|part| !here.contains(part));
    Ok(PartPut::Next(missing.unwrap_or(parts)))
}

fn drop_parts(tx: &Transaction<'_>, round: u64, home: &HomeId) -> StoreResult<()> {
    let delete = "DELETE FROM round_parts WHERE round = ?1 AND home = ?2";
    run(tx, "drop round parts", delete, params![signed(round), home.as_str()]).map(drop)
}

fn leave(tx: &Transaction<'_>, home: &HomeId, reason: &str, at: i64) -> StoreResult<Option<u64>> {
    let open = select_rounds(tx, "WHERE stage <> 'ended' ORDER BY number DESC LIMIT 1", [])?.pop();
    let number = open.as_ref().map(|open| signed(open.number));
    let clause =
        "WHERE home = ?1 AND (state IN ('straggling', 'carried') OR round = ?2 OR counted = ?2) ORDER BY round";
    let mut left = None;
    for part in select_homes(tx, clause, params![home.as_str(), number])? {
        let behind = matches!(part.state, RoundHomeState::Straggling | RoundHomeState::Carried);
        let leaves = match &open {
            _ if behind => true,
            Some(open) => may_leave(tx, open, &part)?,
            None => false,
        };
        if leaves {
            left = Some(part.round);
            drop_parts(tx, part.round, home)?;
            let (state, reason) = (RoundHomeState::Declined, reason.to_owned());
            put_home(tx, &RoundHomeRow { state, reason, at: Some(at), ..part })?;
        }
    }
    Ok(left)
}

/// Whether what a home sent can still be taken out of the open round.
fn may_leave(tx: &Transaction<'_>, open: &RoundRow, part: &RoundHomeRow) -> StoreResult<bool> {
    let still = match part.duty {
        RoundDuty::Train => open.stage.takes(RoundDuty::Train) || open.stage == RoundStage::Aggregating,
        RoundDuty::Evaluate => matches!(open.stage, RoundStage::Evaluating | RoundStage::Judging),
    };
    // A home that was late may be in the sum of its group.
    let grouped = part.state == RoundHomeState::Late && !groups::groups(tx, open.number)?.is_empty();
    let takes_part = part.state.open() || matches!(part.state, RoundHomeState::Taken | RoundHomeState::LeftOut);
    Ok(still && (takes_part || grouped))
}
