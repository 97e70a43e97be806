//! Lists by what people ask for: each question becomes one statement whose conditions are put together here, and whose values are bound.

use std::collections::BTreeSet;

use hearthwatch_protocol::{HomeId, ModelVersion};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::query::{Fault, all, word};
use super::{SqliteStore, homes, ingest, learning, limited, models, quarantine, rollouts, run_requests, signed};
use crate::lists::{
    Direction, FeedbackQuery, HomeOrder, HomeQuery, HomeState, ListStore, ListedHome, QuarantineQuery, RunQuery,
    RunRequestQuery,
};
use crate::rollouts::{RolloutRow, RolloutState};
use crate::rows::{FeedbackRow, ModelRow, ModelState, QuarantineRow, RunRow};
use crate::run_requests::RunRequestRow;
use crate::store::StoreResult;

/// Conditions that must all hold, and their values in the same order.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition whose only `?` stands for `value`, if there is one.
    fn if_some(&mut self, sql: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push(sql.to_owned());
            self.values.push(value.into());
        }
    }

    /// Adds a condition with as many `?` as values.
    fn add(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }

    /// `WHERE …`, or nothing where anything goes.
    fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }

    /// `WHERE … ORDER BY … LIMIT ?`, and the values.
    fn page(mut self, order: &str, limit: usize) -> (String, Vec<Value>) {
        self.values.push(limited(limit).into());
        (format!("{} ORDER BY {order} LIMIT ?", self.clause()), self.values)
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

impl ListStore for SqliteStore {
    fn list_homes(&self, query: &HomeQuery) -> StoreResult<Vec<ListedHome>> {
        list_homes(&self.read(), query)
    }

    fn listed_home(&self, home: &HomeId, late_before: i64) -> StoreResult<Option<ListedHome>> {
        let mut only = Conditions::default();
        only.add("home = ?", [text(home.as_str())]);
        let (clause, values) = only.page("home", 1);
        Ok(select_homes(&self.look_up(), late_before, "0", &clause, values)?.pop())
    }

    fn list_feedback(&self, query: &FeedbackQuery) -> StoreResult<Vec<FeedbackRow>> {
        let mut only = Conditions::default();
        only.if_some("home = ?", query.home.as_ref().map(|home| home.as_str().to_owned()));
        only.if_some("verdict = ?", query.verdict.map(|verdict| <&str>::from(verdict).to_owned()));
        only.if_some("device_class = ?", query.device_class.clone());
        only.if_some("model_version = ?", query.model_version.map(|version| signed(version.0)));
        only.if_some("origin = ?", query.origin.clone());
        only.if_some("received_at >= ?", query.since);
        only.if_some("received_at < ?", query.until);
        let order = if query.newest_first {
            if let Some((at, key)) = &query.after {
                let key = [text(key.home.as_str()), Value::from(signed(key.sequence.0))];
                match at {
                    Some(at) => {
                        only.add(
                            "(received_at, home, sequence) < (?, ?, ?)",
                            [Value::from(*at)].into_iter().chain(key),
                        );
                    }
                    None => {
                        let at = "(SELECT received_at FROM feedback WHERE home = ? AND sequence = ?)";
                        only.add(
                            format!("(received_at, home, sequence) < ({at}, ?, ?)"),
                            key.clone().into_iter().chain(key),
                        );
                    }
                }
            }
            "received_at DESC, home DESC, sequence DESC"
        } else {
            if let Some((_, key)) = &query.after {
                let (home, sequence) = (text(key.home.as_str()), Value::from(signed(key.sequence.0)));
                only.add("(home, sequence) > (?, ?)", [home, sequence]);
            }
            "home, sequence"
        };
        let (clause, values) = only.page(order, query.limit);
        ingest::select_feedback(&self.read(), &clause, params_from_iter(values))
    }

    fn list_runs(&self, query: &RunQuery) -> StoreResult<Vec<RunRow>> {
        let mut only = Conditions::default();
        only.if_some("state = ?", query.state.map(|state| state.as_str().to_owned()));
        only.if_some("trigger = ?", query.trigger.map(|trigger| trigger.as_str().to_owned()));
        only.if_some("snapshot = ?", query.snapshot.clone());
        let after = "(started_at, rowid) < (SELECT started_at, rowid FROM runs WHERE id = ?)";
        only.if_some(after, query.after.clone());
        let (clause, values) = only.page("started_at DESC, rowid DESC", query.limit);
        learning::select_runs(&self.read(), &clause, params_from_iter(values))
    }

    fn list_run_requests(&self, query: &RunRequestQuery) -> StoreResult<Vec<RunRequestRow>> {
        let mut only = Conditions::default();
        only.if_some("state = ?", query.state.map(|state| state.as_str().to_owned()));
        only.if_some("by = ?", query.by.clone());
        only.if_some("position < (SELECT position FROM run_requests WHERE id = ?)", query.after.clone());
        let (clause, values) = only.page("position DESC", query.limit);
        run_requests::select(&self.read(), &clause, params_from_iter(values))
    }

    fn list_quarantine(&self, query: &QuarantineQuery) -> StoreResult<Vec<QuarantineRow>> {
        let mut only = Conditions::default();
        only.if_some("home = ?", query.home.as_ref().map(|home| home.as_str().to_owned()));
        only.if_some("reason = ?", query.reason.map(|reason| reason.as_str().to_owned()));
        only.if_some("(settled IS NOT NULL) = ?", query.settled);
        only.if_some("id < ?", query.before.map(signed));
        let (clause, values) = only.page("id DESC", query.limit);
        quarantine::select(&self.read(), &clause, params_from_iter(values))
    }

    fn quarantined(&self, id: u64) -> StoreResult<Option<QuarantineRow>> {
        Ok(quarantine::select(&self.look_up(), "WHERE id = ?1", [signed(id)])?.pop())
    }

    fn list_models(
        &self,
        state: Option<ModelState>,
        before: Option<ModelVersion>,
        limit: usize,
    ) -> StoreResult<Vec<ModelRow>> {
        let mut only = Conditions::default();
        only.if_some("state = ?", state.map(|state| state.as_str().to_owned()));
        only.if_some("version < ?", before.map(|version| signed(version.0)));
        let (clause, values) = only.page("version DESC", limit);
        models::select(&self.read(), &clause, params_from_iter(values))
    }

    fn list_rollouts(
        &self,
        state: Option<RolloutState>,
        before: Option<ModelVersion>,
        limit: usize,
    ) -> StoreResult<Vec<RolloutRow>> {
        let mut only = Conditions::default();
        only.if_some("state = ?", state.map(|state| state.as_str().to_owned()));
        only.if_some("model_version < ?", before.map(|version| signed(version.0)));
        let (clause, values) = only.page("model_version DESC", limit);
        rollouts::select(&self.read(), &clause, params_from_iter(values))
    }

    fn tags(&self) -> StoreResult<Vec<(String, u64)>> {
        let select = "SELECT tag, count(*) FROM home_tags GROUP BY tag ORDER BY tag";
        all(&self.read(), "list tags", select, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }
}

/// How a home stands; `?` is the time before which the last word of one that is offline is late.
const STATE: &str = "CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN online IS NULL THEN 'never_seen'
     WHEN online = 1 THEN 'online' WHEN heard_at < ? THEN 'late' ELSE 'offline' END";

const EXCLUDED: &str = "EXISTS (SELECT 1 FROM exclusions WHERE exclusions.home = homes.home AND lifted_at IS NULL)";

fn list_homes(connection: &Connection, query: &HomeQuery) -> StoreResult<Vec<ListedHome>> {
    let mut only = Conditions::default();
    // Not LIKE: a `%` of the caller's is a `%`.
    only.if_some("instr(home, ?) > 0", query.name.clone());
    if let Some(state) = query.state {
        only.add(format!("{STATE} = ?"), [query.late_before.into(), text(state.as_str())]);
    }
    only.if_some(&format!("{EXCLUDED} = ?"), query.excluded);
    only.if_some("model_version = ?", query.model_version.map(|version| signed(version.0)));
    only.if_some("agent_version = ?", query.agent_version.clone());
    for tag in &query.tags {
        only.add("home IN (SELECT home FROM home_tags WHERE tag = ?)", [text(tag)]);
    }
    only.if_some("coalesce(heard_at, 0) < ?", query.heard_before);
    let value = match query.order {
        HomeOrder::Home => "0",
        HomeOrder::EnrolledAt => "enrolled_at",
        HomeOrder::HeardAt => "coalesce(heard_at, -1)",
        HomeOrder::Records => "records",
        HomeOrder::Outbox => "coalesce(outbox, -1)",
        HomeOrder::Entities => "coalesce(entities, -1)",
        HomeOrder::ModelVersion => "coalesce(model_version, -1)",
    };
    let (beyond, way) = match query.direction {
        Direction::Up => (">", "ASC"),
        Direction::Down => ("<", "DESC"),
    };
    let by_name = query.order == HomeOrder::Home;
    if let Some((from, home)) = &query.after {
        let home = text(home.as_str());
        match by_name {
            true => only.add(format!("home {beyond} ?"), [home]),
            false => match from {
                Some(from) => only.add(format!("({value}, home) {beyond} (?, ?)"), [(*from).into(), home]),
                None => {
                    let from = format!("(SELECT {value} FROM homes WHERE home = ?)");
                    only.add(format!("({value}, home) {beyond} ({from}, ?)"), [home.clone(), home]);
                }
            },
        }
    }
    let order = if by_name { format!("home {way}") } else { format!("{value} {way}, home {way}") };
    let (clause, values) = only.page(&order, query.limit);
    select_homes(connection, query.late_before, value, &clause, values)
}

/// Homes with everything that lists show; `values` are those of `clause`.
fn select_homes(
    connection: &Connection,
    late_before: i64,
    value: &str,
    clause: &str,
    values: Vec<Value>,
) -> StoreResult<Vec<ListedHome>> {
    // Tags have no space in them.
    let tags = "(SELECT group_concat(tag, ' ') FROM home_tags WHERE home_tags.home = homes.home)";
    let columns = homes::COLUMNS;
    let select = format!("SELECT {columns}, {STATE}, {EXCLUDED}, {tags}, {value} FROM homes {clause}");
    let values = std::iter::once(Value::from(late_before)).chain(values);
    all(connection, "list homes", &select, params_from_iter(values), |row| {
        let first = homes::COLUMN_COUNT;
        let tags: Option<String> = row.get(first + 2)?;
        Ok::<_, Fault>(ListedHome {
            row: homes::read(row)?,
            state: word::<HomeState>("homes", row, first)?,
            excluded: row.get(first + 1)?,
            tags: tags.iter().flat_map(|tags| tags.split(' ')).map(str::to_owned).collect::<BTreeSet<_>>(),
            value: row.get(first + 3)?,
        })
    })
}

#[cfg(test)]
mod tests;
