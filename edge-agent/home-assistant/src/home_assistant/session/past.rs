//! The past from Home Assistant's recorder: requested after each connection, and for entities that come late.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use hearthwatch_edge_core::mode::SessionState;
use hearthwatch_edge_detection::service::{DetectorCommand, RECOVERED_SECONDS, WARM_UP_SECONDS};

use super::super::history::{self, Depth, Wanted};
use super::super::socket::Socket;
use super::super::units::RecordedUnits;
use super::{Session, SessionEnd, unix_now};

/// The past is requested until what is missing is at most this old; what happens meanwhile comes with the subscription.
const MEMORY_LAG_SECONDS: i64 = 30;
/// The states of our own entities are requested day by day: at 2 KiB a row and a row a minute, 3 MiB.
const RECOVERED_SLICE_SECONDS: i64 = 86_400;
/// Most rows of it that are looked at: 100 alarms with a hundred changes each. The newest come first.
const RECOVERED_ROWS_MAX: usize = 10_000;
/// The past of entities that came after the start is asked for when no more of them have come for this long.
pub(super) const BACKFILL_SETTLE: Duration = Duration::from_secs(20);

/// The past of entities that came late, asked for slice by slice between two events.
pub(super) struct Backfill {
    wanted: Vec<Wanted>,
    slices: VecDeque<(i64, i64)>,
    depth: Depth,
    /// In which units it was recorded; none before that was asked.
    units: Option<RecordedUnits>,
}

impl Session {
    /// Requests once the recorded states of our own entities, the newest days first, and sends them to the detector service.
    pub(super) async fn recover(&mut self, socket: &mut Socket) -> Result<(), SessionEnd> {
        if self.forgetful.is_none() {
            return Ok(());
        }
        let (now, mut rows) = (unix_now(), Vec::new());
        if !self.published_by.is_empty() {
            // The second that is running belongs to it: an agent may be back before it has passed.
            let mut until = now + 1;
            while until > now - RECOVERED_SECONDS && rows.len() < RECOVERED_ROWS_MAX {
                let from = until - RECOVERED_SLICE_SECONDS;
                rows.extend(history::own_states(socket, &self.published_by, (from, until)).await?);
                until = from;
            }
        }
        rows.truncate(RECOVERED_ROWS_MAX);
        self.detection.send(DetectorCommand::Recover(rows, now)).await?;
        self.forgetful = None;
        Ok(())
    }

    /// Learns what was missed: two weeks at the first start, the minutes of an outage later.
    pub(super) async fn remember(&mut self, socket: &mut Socket) -> Result<(), SessionEnd> {
        self.become_state(SessionState::Remembering { percent: 0 });
        let known = self.detection.request(|reply| DetectorCommand::Recall(unix_now(), reply)).await?;
        let wanted = self.wanted();
        let mut now = unix_now();
        let begin = known.unwrap_or(now - WARM_UP_SECONDS);
        let mut depth = if known.is_none() { Depth::FirstSlice } else { Depth::ChangesOnly };
        let mut from = begin;
        let mut coarse = 0;
        while now - from > MEMORY_LAG_SECONDS {
            let slices = history::slices(from, now);
            let units = recorded_units(socket, &wanted, &slices).await?;
            for (slice_from, slice_until) in slices {
                let slice = history::fetch(socket, &wanted, (slice_from, slice_until), depth, &units).await?;
                depth = depth.next();
                coarse += u32::from(slice.coarse);
                self.detection.request(|reply| DetectorCommand::Learn(slice.readings, slice_until, reply)).await?;
                self.become_state(SessionState::Remembering { percent: share(slice_until - begin, now - begin) });
            }
            from = now;
            now = unix_now();
        }
        if coarse > 0 {
            tracing::info!(slices = coarse, "older memory was hourly statistics only");
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<Wanted> {
        let mut wanted: Vec<Wanted> = self
            .numbers
            .iter()
            .filter_map(|(entity_id, entity)| {
                let info = self.watched.info(entity_id)?;
                Some(Wanted { entity: *entity, entity_id: info.entity_id, class: info.class, unit: info.unit })
            })
            .collect();
        wanted.sort_by_key(|one| one.entity);
        wanted
    }

    /// What is to be asked for of the entities that came late.
    pub(super) fn begin_backfill(&mut self) -> Option<Backfill> {
        self.backfill_at = None;
        let late: HashSet<String> = std::mem::take(&mut self.late).into_iter().collect();
        let mut wanted = self.wanted();
        wanted.retain(|one| late.contains(&one.entity_id));
        let now = unix_now();
        let slices = history::slices(now - WARM_UP_SECONDS, now).into();
        (!wanted.is_empty()).then_some(Backfill { wanted, slices, depth: Depth::FirstSlice, units: None })
    }

    /// Asks for the next slice; false when there was none left.
    pub(super) async fn fill(&mut self, socket: &mut Socket, past: &mut Backfill) -> Result<bool, SessionEnd> {
        let units = match past.units.take() {
            Some(units) => units,
            None => recorded_units(socket, &past.wanted, past.slices.make_contiguous()).await?,
        };
        let units = past.units.insert(units);
        let Some(span) = past.slices.pop_front() else {
            self.detection.send(DetectorCommand::Relearn).await?;
            return Ok(false);
        };
        let slice = history::fetch(socket, &past.wanted, span, past.depth, units).await?;
        past.depth = past.depth.next();
        self.detection.request(|reply| DetectorCommand::Backfill(slice.readings, reply)).await?;
        Ok(true)
    }
}

async fn recorded_units(
    socket: &mut Socket,
    wanted: &[Wanted],
    slices: &[(i64, i64)],
) -> Result<RecordedUnits, SessionEnd> {
    let units = RecordedUnits::ask(socket, wanted, slices).await?;
    for entity_id in units.changed(wanted) {
        tracing::info!(entity_id, "recorded in another unit before; its history is converted");
    }
    Ok(units)
}

/// Percent, 0 to 100.
fn share(part: i64, whole: i64) -> u8 {
    u8::try_from((part * 100).checked_div(whole).unwrap_or(100).clamp(0, 100)).unwrap_or(100)
}
