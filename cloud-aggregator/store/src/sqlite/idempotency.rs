//! Table `idempotency`.

use rusqlite::params;

use super::query::{first, run};
use super::{SqliteStore, signed};
use crate::idempotency::{Claimed, IdempotencyStore, KEPT_MAX, KEPT_SECONDS, KeptAnswer, KeyedRequest};
use crate::rows::Digest;
use crate::store::StoreResult;

impl IdempotencyStore for SqliteStore {
    fn claim_key(&self, asked: &KeyedRequest) -> StoreResult<Claimed> {
        self.write("claim a key", |transaction| {
            let action = "claim a key";
            let old = "DELETE FROM idempotency WHERE at < ?1 OR rowid <= (SELECT max(rowid) FROM idempotency) - ?2";
            run(transaction, action, old, params![asked.at.saturating_sub(KEPT_SECONDS), signed(KEPT_MAX)])?;
            let select = "SELECT request, status, headers, body FROM idempotency WHERE caller = ?1 AND key = ?2";
            let known = first(transaction, action, select, params![asked.caller, asked.key], |row| {
                let answer = KeptAnswer { status: row.get(1)?, headers: row.get(2)?, body: row.get(3)? };
                Ok((row.get::<_, Digest>(0)?, answer))
            })?;
            match known {
                Some((request, _)) if request != asked.request => return Ok(Claimed::Other),
                Some((_, answer)) if answer.status == 0 => return Ok(Claimed::Pending),
                Some((_, answer)) => return Ok(Claimed::Answered(answer)),
                None => {}
            }
            let insert = "INSERT INTO idempotency (caller, key, request, status, headers, body, at)
                 VALUES (?1, ?2, ?3, 0, '', x'', ?4)";
            run(transaction, action, insert, params![asked.caller, asked.key, &asked.request[..], asked.at])?;
            Ok(Claimed::New)
        })
    }

    fn keep_answer(&self, asked: &KeyedRequest, answer: Option<&KeptAnswer>) -> StoreResult<()> {
        self.write("keep an answer", |transaction| {
            match answer {
                None => {
                    let delete = "DELETE FROM idempotency WHERE caller = ?1 AND key = ?2 AND status = 0";
                    run(transaction, "keep an answer", delete, params![asked.caller, asked.key])
                }
                Some(KeptAnswer { status, headers, body }) => {
                    let update = "UPDATE idempotency SET status = ?3, headers = ?4, body = ?5
                         WHERE caller = ?1 AND key = ?2";
                    let values = params![asked.caller, asked.key, status, headers, body];
                    run(transaction, "keep an answer", update, values)
                }
            }
            .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(caller: &str, request: u8, at: i64) -> KeyedRequest {
        KeyedRequest { caller: caller.to_owned(), key: "k".to_owned(), request: [request; 32], at }
    }

    #[test]
    fn a_request_is_done_once_and_answered_alike_for_a_day() {
        let (_directory, store) = crate::fixtures::store();
        let answer = KeptAnswer { status: 202, headers: "{}".to_owned(), body: b"{}".to_vec() };
        assert_eq!(store.claim_key(&asked("kim", 1, 10)).unwrap(), Claimed::New);
        assert_eq!(store.claim_key(&asked("kim", 1, 11)).unwrap(), Claimed::Pending);
        store.keep_answer(&asked("kim", 1, 10), Some(&answer)).unwrap();
        assert_eq!(store.claim_key(&asked("kim", 1, 12)).unwrap(), Claimed::Answered(answer));
        assert_eq!(store.claim_key(&asked("kim", 2, 12)).unwrap(), Claimed::Other);
        assert_eq!(store.claim_key(&asked("ada", 2, 12)).unwrap(), Claimed::New, "another caller's key");
        assert_eq!(store.claim_key(&asked("kim", 2, 11 + KEPT_SECONDS)).unwrap(), Claimed::New);
    }

    #[test]
    fn a_key_whose_request_came_to_nothing_is_free_again() {
        let (_directory, store) = crate::fixtures::store();
        assert_eq!(store.claim_key(&asked("kim", 1, 10)).unwrap(), Claimed::New);
        store.keep_answer(&asked("kim", 1, 10), None).unwrap();
        assert_eq!(store.claim_key(&asked("kim", 2, 10)).unwrap(), Claimed::New);
    }
}
