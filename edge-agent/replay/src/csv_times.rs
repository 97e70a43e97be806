//! When the rows of a CSV file were, by any of their columns of times.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::super::fold;
use super::super::layout::{Layout, TimeColumn, Zoneless};
use super::super::lines::Fields;
use super::super::moment::Moment;
use super::super::stamp::{self, DayOrder, Stamp};
use super::EventsCsv;
use super::rows::{first_filled, part_unit, text};

impl EventsCsv {
    /// When a row was, and whether that is sure: false in an hour that clocks show twice where nothing tells which is meant.
    pub(super) fn time(
        &self,
        columns: &[TimeColumn],
        list: &[Cow<'_, str>],
        line: u64,
    ) -> Result<(Moment, bool), String> {
        let column = filled_time(columns, list);
        let (at, sure) = match self.stamp(column, list)? {
            (Stamp::At(at), _) => (at, true),
            (Stamp::Clock(civil), written) => self.clock(column, civil, &written, line)?,
        };
        if column.later == 0 {
            return Ok((at, sure));
        }
        at.later(column.later)
            .map(|at| (at, sure))
            .ok_or_else(|| format!("the timestamp `{}` lies beyond the year 2200", list[column.place]))
    }

    /// What is written for the time, read.
    fn stamp<'l>(&self, column: TimeColumn, list: &'l [Cow<'_, str>]) -> Result<(Stamp, Cow<'l, str>), String> {
        let written = text(list, column.place, "timestamp")?;
        let whole = match column.date {
            Some(date) => {
                let date = text(list, date, "date")?;
                let day = date.split([' ', 'T']).next().unwrap_or_default();
                let day = if day.contains(['.', '-', '/']) && day.len() >= 8 { day } else { date };
                // Where the second column says all of it, the first only repeats the day.
                if written.len() > 12 { Cow::Borrowed(written) } else { Cow::Owned(format!("{day} {written}")) }
            }
            None => Cow::Borrowed(written),
        };
        let order = if stamp::is_ambiguous(&whole) { self.order() } else { DayOrder::DayFirst };
        let stamp = stamp::parse(&whole, order).map_err(|error| error.to_string())?;
        Ok((stamp, whole))
    }

    /// The moment of a time without an offset.
    fn clock(&self, column: TimeColumn, civil: DateTime, written: &str, line: u64) -> Result<(Moment, bool), String> {
        let beyond = || format!("the timestamp `{written}` lies outside the years 1970 to 2200");
        if is_utc(column, written) {
            self.noted.utc.borrow_mut().get_or_insert_with(|| written.to_owned());
            return stamp::in_zone(civil, &TimeZone::UTC).map(|at| (at, true)).ok_or_else(beyond);
        }
        self.noted.home.borrow_mut().get_or_insert_with(|| written.to_owned());
        if !fold::is_doubtful(civil, &self.zone) {
            return stamp::in_zone(civil, &self.zone).map(|at| (at, true)).ok_or_else(beyond);
        }
        let pass = self.doubts().passes.get(&line).copied();
        let at = fold::moment_in(civil, &self.zone, pass.unwrap_or(fold::Pass::First)).ok_or_else(beyond)?;
        Ok((at, pass.is_some()))
    }

    /// What clocks showed for a row, of which entity it is and which number it holds; nothing where it says an offset.
    pub(super) fn clocks(
        &self,
        layout: &Layout,
        fields: &Fields<'_>,
        each: &mut dyn FnMut(&str, DateTime, Option<f64>),
    ) {
        let list = &fields.list;
        let civil = |columns: &[TimeColumn]| {
            let column = filled_time(columns, list);
            match self.stamp(column, list) {
                Ok((Stamp::Clock(civil), written)) if !is_utc(column, &written) => Some(civil),
                _ => None,
            }
        };
        match layout {
            Layout::Long(columns) => {
                let Some(civil) = civil(&columns.times) else { return };
                let (state, _) = part_unit(first_filled(list, &columns.states), "");
                let value = self.plain(state).replace(',', ".").parse().ok().filter(|value: &f64| value.is_finite());
                each(first_filled(list, &columns.entity_ids), civil, value);
            }
            Layout::Wide { time, .. } => {
                if let Some(civil) = civil(&[*time]) {
                    each("", civil, None);
                }
            }
            Layout::Intervals(_) => {}
        }
    }
}

fn filled_time(columns: &[TimeColumn], list: &[Cow<'_, str>]) -> TimeColumn {
    let filled = columns.iter().find(|column| list.get(column.place).is_some_and(|written| !written.is_empty()));
    // A layout has a time.
    *filled.unwrap_or(&columns[0])
}

/// Whether a time without an offset is UTC.
fn is_utc(column: TimeColumn, written: &str) -> bool {
    match column.zoneless {
        Zoneless::Home => false,
        Zoneless::Recorder => stamp::is_of_a_table(written),
        Zoneless::Fraction => stamp::is_of_a_table(written) && written.contains('.'),
    }
}
