//! The exchanges of a masked round: groups are drawn of homes that have a delta, and each exchange is closed and the next opened.

use std::collections::BTreeMap;

use hearthwatch_masking::{PublicKeys, from_bytes};
use hearthwatch_protocol::HomeId;
use hearthwatch_protocol::round::{GroupRequest, MaskExchange, RoundFile};
use hearthwatch_protocol::statement::Statement as _;
use hearthwatch_store::rounds::{
    GroupRow, RequestRow, RoundDuty, RoundHomeRow, RoundHomeState, RoundOutcome, RoundRow,
};
use hearthwatch_telemetry::event::Event as _;

use super::opening::excluded;
use super::{Case, Done, Fault, RoundDirector, RoundError, ended, late, unpredictable};
use crate::aggregate::UNREADABLE;
use crate::config::MaskSettings;
use crate::event::GroupEnded;
use crate::groups::{self, Opened};

/// Rows that a step changes, by home: what is written last counts.
type Changes = BTreeMap<HomeId, RoundHomeRow>;

impl RoundDirector {
    /// Draws groups of the homes that sent keys, and asks each for shares.
    pub(super) fn draw_groups(&self, case: &Case<'_>, masks: &MaskSettings) -> Result<Done, Fault> {
        let out = excluded(case.store)?;
        let mut changes = silent(case, MaskExchange::Keys);
        let mut keys: BTreeMap<HomeId, PublicKeys> = BTreeMap::new();
        for row in taken(case) {
            let body = case.store.round_body(row.round, &row.home)?;
            let reason = match (out.get(&row.home), from_bytes(&body)) {
                (None, Ok(read)) => {
                    keys.insert(row.home.clone(), read);
                    continue;
                }
                (Some(reason), _) => reason.clone(),
                (None, Err(_)) => UNREADABLE.to_owned(),
            };
            changes.insert(row.home.clone(), left_out(case, row, reason));
        }
        let Some(terms) = groups::terms(case.settings, case.round.deadline) else {
            return Err(Fault::Final("the round has no terms for masks".to_owned()));
        };
        let least = case.settings.least.max(masks.group.into());
        if keys.len() < least as usize {
            return Ok(self.too_few(case, keys.len(), least)?);
        }
        let mut rng = unpredictable()?;
        let opened = groups::draw(case.round.number, &terms, &keys, &mut rng).map_err(Fault::Final)?;
        self.go_on(case, masks, changes, opened)
    }

    /// Closes the exchange that is open, and opens the next; after the last the groups' sums are there.
    pub(super) fn close_exchange(&self, case: &Case<'_>, masks: &MaskSettings) -> Result<Done, Fault> {
        let Some(exchange) = case.round.stage.exchange() else {
            return Err(Fault::Final(format!("no exchange is open in the stage {}", case.round.stage.as_str())));
        };
        let out = excluded(case.store)?;
        let (mut closed, here) = (Vec::new(), taken(case).map(|row| (&row.home, row)).collect::<BTreeMap<_, _>>());
        for group in case.store.round_groups(case.round.number)?.iter().filter(|group| !group.state.is_empty()) {
            let server = groups::server(group)?;
            let homes = &server.plan().homes;
            let spoilt = groups::spoilt(&server, case.homes, &out);
            if let Some(reason) = spoilt.filter(|_| exchange == MaskExchange::Opened) {
                // Its masks stay on.
                closed.push(Opened::over(server.plan(), reason));
                continue;
            }
            let mut bodies = BTreeMap::new();
            // Who is excluded is not added: until masked deltas are in the sum, it is as if the home had dropped out.
            for row in homes.iter().filter(|home| !out.contains_key(home)).filter_map(|home| here.get(home)) {
                bodies.insert(row.home.clone(), case.store.round_body(row.round, &row.home)?);
            }
            closed.push(groups::close(server, exchange, &bodies).map_err(Fault::Final)?);
        }
        self.go_on(case, masks, silent(case, exchange), closed)
    }

    /// Writes what groups and homes are after an exchange, with what is asked next; ends the round where no group is left.
    fn go_on(
        &self,
        case: &Case<'_>,
        masks: &MaskSettings,
        mut changes: Changes,
        groups: Vec<Opened>,
    ) -> Result<Done, Fault> {
        let now = self.parts.clock.now().max(case.now);
        let stage = groups::stage_after(case.round.stage);
        let deadline = match stage.exchange() {
            Some(_) => now.saturating_add(i64::from(masks.exchange_minutes) * 60),
            None => case.round.deadline,
        };
        let (mut rows, mut requests): (Vec<GroupRow>, Vec<RequestRow>) = (Vec::new(), Vec::new());
        let by_home: BTreeMap<&HomeId, &RoundHomeRow> = case.homes.iter().map(|row| (&row.home, row)).collect();
        for Opened { row: group, homes, bodies, mut blamed } in groups {
            let over = !group.reason.is_empty();
            if over {
                let (round, reason) = (case.round.number, group.reason.as_str());
                GroupEnded { round, group: group.number, reason }.emit(&self.parts.metrics);
            }
            for home in homes {
                let Some(before) = by_home.get(&home).copied() else { continue };
                let takes_part = before.state == RoundHomeState::Taken;
                // What a home took back, and what it was refused, stands, whatever comes of its group.
                if !takes_part && !before.state.open() {
                    continue;
                }
                match (bodies.get(&home), blamed.remove(&home)) {
                    (Some(body), _) if !over => {
                        let exchange = stage.exchange().unwrap_or(MaskExchange::Opened);
                        requests.push(self.request((before, group.number), exchange, body, deadline)?);
                        changes.insert(home, asked_again(before, now));
                    }
                    (_, Some(reason)) if over || stage.exchange().is_some() => {
                        changes.insert(home, left_out(case, before, reason));
                    }
                    // Its delta is in the sum, whatever it opened.
                    (_, Some(reason)) => {
                        changes.insert(home, RoundHomeRow { reason, ..before.clone() });
                    }
                    (_, None) if over && takes_part => {
                        let reason = format!("group {} ended: {}", group.number, group.reason);
                        changes.insert(home, left_out(case, before, reason));
                    }
                    (_, None) => {}
                }
            }
            rows.push(group);
        }
        let changes: Vec<RoundHomeRow> = changes.into_values().collect();
        if rows.iter().all(|group| !group.reason.is_empty()) {
            let reasons = rows.iter().map(|group| format!("group {}: {}", group.number, group.reason));
            let reason = format!("no group came to a sum: {}", reasons.collect::<Vec<_>>().join("; "));
            let row = RoundRow { reason, ..ended(case.round, RoundOutcome::Failed, now) };
            return Ok(self.end_as(case, &row, &changes)?);
        }
        let row = RoundRow { stage, deadline, ..case.round.clone() };
        case.store.advance_groups(&row, &changes, &rows, &requests)?;
        Ok(Done { model: None })
    }

    fn request(
        &self,
        (row, group): (&RoundHomeRow, u32),
        exchange: MaskExchange,
        body: &[u8],
        deadline: i64,
    ) -> Result<RequestRow, RoundError> {
        let (round, home) = (row.round, row.home.clone());
        let request =
            GroupRequest { home: home.clone(), round, nonce: row.nonce, exchange, file: RoundFile::of(body), deadline };
        let signed = request.sign(&self.parts.key).map_err(|error| RoundError::Plan(error.to_string()))?;
        Ok(RequestRow { round, home, group, signed, body: body.to_vec() })
    }
}

/// Homes whose answer in the exchange that is open is here.
fn taken<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a RoundHomeRow> {
    case.homes.iter().filter(|row| row.duty == RoundDuty::Train && row.state == RoundHomeState::Taken)
}

/// Homes that sent nothing whole in this exchange.
fn silent(case: &Case<'_>, exchange: MaskExchange) -> Changes {
    let what = match exchange {
        MaskExchange::Keys => "keys",
        MaskExchange::Shares => "shares",
        MaskExchange::Masked => "masked delta",
        MaskExchange::Opened => "opened shares",
    };
    let reason = format!("no {what} came in time");
    late(case).into_iter().map(|row| (row.home.clone(), RoundHomeRow { reason: reason.clone(), ..row })).collect()
}

fn left_out(case: &Case<'_>, row: &RoundHomeRow, reason: String) -> RoundHomeRow {
    RoundHomeRow { state: RoundHomeState::LeftOut, reason, at: Some(case.now), ..row.clone() }
}

/// The home is asked for the next exchange: nothing of its answer is here yet.
fn asked_again(row: &RoundHomeRow, now: i64) -> RoundHomeRow {
    let (state, reason, at) = (RoundHomeState::Planned, String::new(), Some(now));
    RoundHomeRow { state, reason, at, answer: None, digest: None, bytes: 0, ..row.clone() }
}
