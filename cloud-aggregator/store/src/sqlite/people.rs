//! Tables `sessions` and `approvals`.

use rusqlite::{Connection, Params, Row, params};

use super::query::{Fault, all, one, run, word};
use super::{SqliteStore, limited, signed};
use crate::actor::Actor;
use crate::people::{
    APPROVALS_WAITING_MAX, ApprovalRow, ApprovalState, PeopleStore, SESSIONS_MAX, SessionPurpose, SessionRow,
};
use crate::rows::Digest;
use crate::store::StoreResult;

impl PeopleStore for SqliteStore {
    fn put_session(&self, session: &SessionRow) -> StoreResult<()> {
        self.write("begin a session", |transaction| {
            let action = "begin a session";
            run(transaction, action, "DELETE FROM sessions WHERE ends_at <= ?1", [session.created_at])?;
            let most =
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions ORDER BY ends_at DESC LIMIT -1 OFFSET ?1)";
            run(transaction, action, most, [signed(SESSIONS_MAX - 1)])?;
            let insert =
                "INSERT INTO sessions (id, hash, holder, subject, token, role, purpose, created_at, seen_at, ends_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
            let values = params![
                session.id,
                &session.hash[..],
                session.holder.to_string(),
                session.subject,
                session.token.as_ref().map(|hash| &hash[..]),
                session.role.as_str(),
                <&str>::from(session.purpose),
                session.created_at,
                session.seen_at,
                session.ends_at,
            ];
            run(transaction, action, insert, values).map(drop)
        })
    }

    fn session_by_hash(&self, hash: &Digest) -> StoreResult<Option<SessionRow>> {
        Ok(sessions(&self.look_up(), "WHERE hash = ?1", [&hash[..]])?.pop())
    }

    fn session(&self, id: &str) -> StoreResult<Option<SessionRow>> {
        Ok(sessions(&self.look_up(), "WHERE id = ?1", [id])?.pop())
    }

    fn touch_session(&self, hash: &Digest, at: i64) -> StoreResult<()> {
        self.write("use a session", |transaction| {
            let update = "UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE hash = ?1";
            run(transaction, "use a session", update, params![&hash[..], at]).map(drop)
        })
    }

    fn end_session(&self, id: &str) -> StoreResult<Option<SessionRow>> {
        self.write("end a session", |transaction| {
            let ended = sessions(transaction, "WHERE id = ?1", [id])?.pop();
            run(transaction, "end a session", "DELETE FROM sessions WHERE id = ?1", [id])?;
            Ok(ended)
        })
    }

    fn sessions_after(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<SessionRow>> {
        let values = params![after.unwrap_or_default(), limited(limit)];
        sessions(&self.read(), "WHERE id > ?1 ORDER BY id LIMIT ?2", values)
    }

    fn ask_approval(&self, asked: &ApprovalRow) -> StoreResult<Option<ApprovalRow>> {
        self.write("ask for an approval", |transaction| {
            let action = "ask for an approval";
            let waiting = "SELECT count(*) FROM approvals WHERE state = 'waiting' AND ends_at > ?1";
            let waiting: u64 = one(transaction, action, waiting, [asked.asked_at], |row| row.get(0))?;
            if waiting >= APPROVALS_WAITING_MAX {
                return Ok(None);
            }
            let insert =
                "INSERT INTO approvals (asked_at, ends_at, asked_by, subject, role, method, place, body, would, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'waiting')";
            let values = params![
                asked.asked_at,
                asked.ends_at,
                asked.asked_by.to_string(),
                asked.subject,
                asked.role.as_str(),
                asked.method,
                asked.place,
                asked.body,
                asked.would,
            ];
            run(transaction, action, insert, values)?;
            Ok(approvals(transaction, "WHERE id = last_insert_rowid()", [])?.pop())
        })
    }

    fn decide_approval(&self, id: u64, state: ApprovalState, by: &Actor, at: i64) -> StoreResult<Option<ApprovalRow>> {
        self.write("decide on an approval", |transaction| {
            let update = "UPDATE approvals SET state = ?2, decided_by = ?3, decided_at = ?4
                 WHERE id = ?1 AND state = 'waiting' AND ends_at > ?4";
            let values = params![signed(id), <&str>::from(state), by.to_string(), at];
            if run(transaction, "decide on an approval", update, values)? == 0 {
                return Ok(None);
            }
            Ok(approvals(transaction, "WHERE id = ?1", [signed(id)])?.pop())
        })
    }

    fn end_approval(&self, id: u64, status: u16, answer: Option<&str>) -> StoreResult<()> {
        self.write("end an approval", |transaction| {
            let update = "UPDATE approvals SET state = 'done', answer_status = ?2, answer = ?3 WHERE id = ?1";
            run(transaction, "end an approval", update, params![signed(id), status, answer]).map(drop)
        })
    }

    fn approval(&self, id: u64) -> StoreResult<Option<ApprovalRow>> {
        Ok(approvals(&self.look_up(), "WHERE id = ?1", [signed(id)])?.pop())
    }

    fn approvals_before(
        &self,
        state: Option<ApprovalState>,
        before: Option<u64>,
        limit: usize,
    ) -> StoreResult<Vec<ApprovalRow>> {
        let before = before.map_or(i64::MAX, signed);
        match state {
            None => {
                let clause = "WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
                approvals(&self.read(), clause, params![before, limited(limit)])
            }
            Some(state) => {
                let clause = "WHERE state = ?3 AND id < ?1 ORDER BY id DESC LIMIT ?2";
                approvals(&self.read(), clause, params![before, limited(limit), <&str>::from(state)])
            }
        }
    }
}

fn sessions(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<SessionRow>> {
    let select = format!(
        "SELECT id, hash, holder, subject, token, role, purpose, created_at, seen_at, ends_at FROM sessions {clause}"
    );
    all(connection, "list sessions", &select, values, |row| {
        Ok(SessionRow {
            id: row.get(0)?,
            hash: row.get(1)?,
            holder: Actor::parse(&row.get::<_, String>(2)?),
            subject: row.get(3)?,
            token: row.get(4)?,
            role: word("sessions", row, 5)?,
            purpose: word::<SessionPurpose>("sessions", row, 6)?,
            created_at: row.get(7)?,
            seen_at: row.get(8)?,
            ends_at: row.get(9)?,
        })
    })
}

fn approvals(connection: &Connection, clause: &str, values: impl Params) -> StoreResult<Vec<ApprovalRow>> {
    let select = format!(
        "SELECT id, asked_at, ends_at, asked_by, subject, role, method, place, body, state, decided_at, decided_by, answer_status,
             answer, would FROM approvals {clause}"
    );
    all(connection, "list approvals", &select, values, approval)
}

fn approval(row: &Row<'_>) -> Result<ApprovalRow, Fault> {
    Ok(ApprovalRow {
        id: row.get(0)?,
        asked_at: row.get(1)?,
        ends_at: row.get(2)?,
        asked_by: Actor::parse(&row.get::<_, String>(3)?),
        subject: row.get(4)?,
        role: word("approvals", row, 5)?,
        method: row.get(6)?,
        place: row.get(7)?,
        body: row.get(8)?,
        state: word("approvals", row, 9)?,
        decided_at: row.get(10)?,
        decided_by: row.get::<_, Option<String>>(11)?.map(|text| Actor::parse(&text)),
        answer_status: row.get(12)?,
        answer: row.get(13)?,
        would: row.get(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::store;
    use crate::rows::Role;

    fn session(number: u64, created_at: i64, ends_at: i64) -> SessionRow {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        SessionRow {
            id: format!("{number:016x}"),
            hash,
            holder: Actor::Person("ada".to_owned()),
            subject: Some("https://id.example 7".to_owned()),
            token: None,
            role: Role::Operator,
            purpose: SessionPurpose::Page,
            created_at,
            seen_at: created_at,
            ends_at,
        }
    }

    #[test]
    fn a_session_is_found_by_its_secret_until_it_is_ended() {
        let (_directory, store) = store();
        let row = session(1, 100, 200);
        store.put_session(&row).unwrap();
        assert_eq!(store.session_by_hash(&row.hash).unwrap(), Some(row.clone()));
        store.touch_session(&row.hash, 150).unwrap();
        assert_eq!(store.session_by_hash(&row.hash).unwrap().unwrap().seen_at, 150);
        assert!(store.end_session(&row.id).unwrap().is_some());
        assert_eq!(store.session_by_hash(&row.hash).unwrap(), None);
        assert_eq!(store.end_session(&row.id).unwrap(), None);
    }

    #[test]
    fn ended_sessions_are_forgotten_and_their_number_is_bounded() {
        let (_directory, store) = store();
        store.put_session(&session(0, 100, 150)).unwrap();
        for number in 1..=SESSIONS_MAX + 5 {
            store.put_session(&session(number, 160, 1000 + i64::try_from(number).unwrap())).unwrap();
        }
        let kept = store.sessions_after(None, 5000).unwrap();
        assert_eq!(kept.len() as u64, SESSIONS_MAX);
        assert_eq!(kept[0].id, format!("{:016x}", 6), "those that end last stay");
    }

    fn asked(at: i64) -> ApprovalRow {
        ApprovalRow {
            id: 0,
            asked_at: at,
            ends_at: at + 100,
            asked_by: Actor::Token("kim".to_owned()),
            subject: None,
            role: Role::Operator,
            method: "POST".to_owned(),
            place: "/api/v1/releases/rollback".to_owned(),
            body: b"{}".to_vec(),
            would: "{}".to_owned(),
            state: ApprovalState::Waiting,
            decided_at: None,
            decided_by: None,
            answer_status: None,
            answer: None,
        }
    }

    #[test]
    fn a_call_that_waits_is_decided_once_and_in_time() {
        let (_directory, store) = store();
        let row = store.ask_approval(&asked(1000)).unwrap().unwrap();
        let by = Actor::Token("lee".to_owned());
        assert_eq!(store.decide_approval(row.id, ApprovalState::Approved, &by, 1100).unwrap(), None, "too late");
        let decided = store.decide_approval(row.id, ApprovalState::Approved, &by, 1050).unwrap().unwrap();
        assert_eq!((decided.state, decided.decided_by), (ApprovalState::Approved, Some(by.clone())));
        assert_eq!(store.decide_approval(row.id, ApprovalState::Denied, &by, 1060).unwrap(), None, "decided");
        store.end_approval(row.id, 200, Some("{}")).unwrap();
        let ended = store.approval(row.id).unwrap().unwrap();
        assert_eq!((ended.state, ended.answer_status), (ApprovalState::Done, Some(200)));
        assert_eq!(store.approvals_before(Some(ApprovalState::Waiting), None, 10).unwrap(), []);
        assert_eq!(store.approvals_before(None, None, 10).unwrap(), [ended]);
    }

    #[test]
    fn as_many_calls_wait_as_somebody_could_read() {
        let (_directory, store) = store();
        for _ in 0..APPROVALS_WAITING_MAX {
            assert!(store.ask_approval(&asked(1000)).unwrap().is_some());
        }
        assert_eq!(store.ask_approval(&asked(1000)).unwrap(), None);
        assert!(store.ask_approval(&asked(1100)).unwrap().is_some(), "those before have lapsed");
    }
}
