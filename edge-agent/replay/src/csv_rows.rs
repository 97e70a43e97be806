//! From a row of a CSV file to states of entities.

use std::borrow::Cow;
use std::fmt::Write as _;

use hearthwatch_detector::unit::Unit;
use hearthwatch_edge_core::state;

use super::super::error::{ReplayError, RowFault};
use super::super::guess;
use super::super::layout::{Columns, Intervals, JOIN, Layout};
use super::super::lines::Fields;
use super::super::moment::Moment;
use super::super::number;
use super::super::source::EventRow;
use super::super::spelled_id;
use super::{Each, EventsCsv, unreadable};

/// Longest entity id, as in Home Assistant's own tables.
const ENTITY_ID_BYTES_MAX: usize = 255;

/// When, class, unit and state of a row.
type Said<'a> = ((Moment, bool), &'a str, &'a str, &'a str);

impl EventsCsv {
    /// Hands on the rows that one line holds: one, or one for each of its columns.
    pub(super) fn rows(
        &self,
        layout: &Layout,
        fields: &Fields<'_>,
        line: u64,
        each: Each<'_>,
    ) -> Result<(), ReplayError> {
        match layout {
            Layout::Long(columns) => self.long(columns, fields, line, each),
            Layout::Intervals(intervals) => self.intervals(intervals, fields, line, each),
            Layout::Wide { time, entities } => {
                let (at, sure) = match self.time(&[*time], &fields.list, line) {
                    Ok(at) => at,
                    Err(what) => return each(Err(unreadable(line, what))),
                };
                for column in entities {
                    // Nothing written is no news: such files hold a row for every moment of any entity.
                    let Some(state) = fields.list.get(column.place).filter(|state| !is_empty_cell(state)) else {
                        continue;
                    };
                    let (state, unit) = part_unit(state, &column.unit);
                    let state = self.plain(state);
                    let entity_id = &column.entity_id;
                    let device_class =
                        if unit.is_empty() { "" } else { guess::class_in(entity_id, unit).unwrap_or_default() };
                    let state = if sure { &state } else { "" };
                    each(Ok(EventRow { at, entity_id, device_class, unit, state_class: "", state, line }))?;
                }
                Ok(())
            }
        }
    }

    fn long(&self, columns: &Columns, fields: &Fields<'_>, line: u64, each: Each<'_>) -> Result<(), ReplayError> {
        let list = &fields.list;
        // InfluxDB keeps attributes beside the state.
        if let Some(field) = columns.field.and_then(|place| list.get(place))
            && !["value", "state", ""].contains(&field.as_ref())
        {
            return Ok(());
        }
        let fault = |what: String, id: &str| {
            let of = if id.contains(char::is_alphabetic) { vec![id.to_owned()] } else { Vec::new() };
            Err(RowFault { of, ..unreadable(line, what) })
        };
        let written = first_filled(list, &columns.entity_ids);
        let ((at, sure), device_class, unit, state) = match self.columns(columns, list, line) {
            Ok(row) => row,
            Err(what) => return each(fault(what, written)),
        };
        let short_id = written;
        if short_id.is_empty() && columns.numbered && !self.noted.any_id.get() {
            let what = format!("has rows with numbers of entities (metadata_id) and not their ids; {JOIN}");
            return Err(ReplayError::Format { path: self.path.clone(), what });
        }
        self.noted.any_id.set(true);
        let domain = columns.domain.and_then(|place| list.get(place)).filter(|domain| !domain.is_empty());
        let entity_id = match domain {
            Some(domain) if !short_id.contains('.') => Cow::Owned(format!("{domain}.{}", slugged(short_id))),
            _ => Cow::Borrowed(short_id),
        };
        if let Err(what) = checked_id(&entity_id, fields.utf8) {
            return each(fault(what, ""));
        }
        let entity_id = self.id_of(&entity_id);
        let (mut device_class, unit) = if columns.field.is_some() || columns.domain.is_some() {
            measured(device_class, unit)
        } else {
            (device_class, unit)
        };
        let (state, unit) = part_unit(state, unit);
        if device_class.is_empty() && columns.device_class.is_none() && !unit.is_empty() {
            device_class = guess::class_in(&entity_id, unit).unwrap_or_default();
        }
        let state_class = columns.state_class.and_then(|place| list.get(place)).map_or("", AsRef::as_ref);
        let state = self.plain(state);
        let state = if sure { state.as_ref() } else { "" };
        each(Ok(EventRow { at, entity_id: &entity_id, device_class, unit, state_class, state, line }))
    }

    fn columns<'a>(&self, columns: &Columns, list: &'a [Cow<'_, str>], line: u64) -> Result<Said<'a>, String> {
        let optional = |place: Option<usize>, name: &str| place.map_or(Ok(""), |place| text(list, place, name));
        let at = self.time(&columns.times, list, line)?;
        text(list, columns.entity_ids[0], "entity_id")?;
        let device_class = optional(columns.device_class, "device_class")?;
        let unit = optional(columns.unit, "unit")?;
        for place in &columns.states {
            text(list, *place, "state")?;
        }
        Ok((at, device_class, unit, first_filled(list, &columns.states)))
    }

    /// An entity of the energy panel: what it used in each stretch of time, here added up to a meter.
    fn intervals(
        &self,
        intervals: &Intervals,
        fields: &Fields<'_>,
        line: u64,
        each: Each<'_>,
    ) -> Result<(), ReplayError> {
        let list = &fields.list;
        let field = |place: Option<usize>| place.and_then(|place| list.get(place)).map_or("", AsRef::as_ref);
        let entity_id = field(Some(intervals.entity_id));
        if let Err(what) = checked_id(entity_id, fields.utf8) {
            return each(Err(unreadable(line, what)));
        }
        let (purpose, unit) = (field(intervals.purpose), field(intervals.unit));
        let device_class = match unit {
            "m³" | "m3" | "ft³" | "CCF" | "MCF" | "L" | "gal" if purpose.contains("water") => "water",
            "m³" | "m3" | "ft³" | "CCF" | "MCF" | "L" | "gal" if purpose.contains("gas") => "gas",
            "Wh" | "kWh" | "MWh" | "GJ" | "MJ" => "energy",
            _ => guess::class_in(entity_id, unit).unwrap_or_default(),
        };
        let (mut total, mut state) = (0.0, String::new());
        for (place, at) in &intervals.ends {
            let Some(written) = list.get(*place).filter(|written| !is_empty_cell(written)) else { continue };
            let plain = self.plain(written);
            let used = plain.parse::<f64>().or_else(|_| plain.replace(',', ".").parse());
            let Some(used) = used.ok().filter(|used| used.is_finite()) else {
                each(Err(unreadable(
                    line,
                    format!("the value `{written}` of {entity_id} is not a number; write one"),
                )))?;
                continue;
            };
            total += used;
            state.clear();
            // Writing into a string does not fail. Six digits: sums of decimals do not come out even.
            let _ = write!(state, "{total:.6}");
            each(Ok(EventRow { at: *at, entity_id, device_class, unit, state_class: "", state: &state, line }))?;
        }
        Ok(())
    }

    /// The id of what the file calls `name`.
    fn id_of<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let id = spelled_id::of(name);
        if let Cow::Owned(id) = &id
            && self.noted.name.borrow().is_none()
        {
            *self.noted.name.borrow_mut() = Some((name.to_owned(), id.clone()));
        }
        id
    }

    /// A number without the marks between its thousands, as the file's other numbers are written.
    pub(super) fn plain<'s>(&self, state: &'s str) -> Cow<'s, str> {
        let usual = |byte: u8| byte.is_ascii_digit() || byte == b'-' || byte == b'.';
        let open = number::is_open(state);
        if !open && state.bytes().all(usual) {
            return Cow::Borrowed(state);
        }
        match number::rewrite(state, if open { self.decimal() } else { None }) {
            Some(number) if number.grouped => {
                self.noted.grouped.set(self.noted.grouped.get() + 1);
                self.noted.grouping.borrow_mut().get_or_insert_with(|| (state.to_owned(), number.text.clone()));
                Cow::Owned(number.text)
            }
            _ => Cow::Borrowed(state),
        }
    }
}

/// The cells of a row that may hold numbers.
pub(super) fn cells(layout: &Layout, fields: &Fields<'_>, each: &mut dyn FnMut(&str)) {
    let mut cell = |place: usize| {
        if let Some(cell) = fields.list.get(place) {
            each(part_unit(cell, "").0);
        }
    };
    match layout {
        Layout::Long(columns) => columns.states.iter().for_each(|place| cell(*place)),
        Layout::Wide { entities, .. } => entities.iter().for_each(|column| cell(column.place)),
        Layout::Intervals(intervals) => intervals.ends.iter().for_each(|(place, _)| cell(*place)),
    }
}

pub(super) fn first_filled<'a>(list: &'a [Cow<'_, str>], places: &[usize]) -> &'a str {
    let filled = |place: &usize| list.get(*place).map(AsRef::as_ref).filter(|text: &&str| !text.is_empty());
    places.iter().find_map(filled).unwrap_or_default()
}

/// What programs write where a table has nothing.
fn is_empty_cell(cell: &str) -> bool {
    cell.is_empty() || ["null", "nan", "-", "n/a", "na"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// A name in a column of ids whose domain is in another.
fn slugged(name: &str) -> Cow<'_, str> {
    let named = name.contains(|letter: char| letter.is_whitespace() || letter.is_uppercase());
    if named && !state::is_gap(name) { Cow::Owned(spelled_id::slug(name)) } else { Cow::Borrowed(name) }
}

/// `20.1 °C` in one cell: the number and its unit, where the file names no other unit. Anything else stays as it is.
pub(super) fn part_unit<'a>(state: &'a str, unit: &'a str) -> (&'a str, &'a str) {
    let text = state.trim();
    let end = text.find(|letter: char| !number::is_part(letter)).unwrap_or(text.len());
    if end == text.len() {
        return (state, unit);
    }
    let (number, rest) = (text[..end].trim(), text[end..].trim());
    let known = (unit.is_empty() || unit == rest) && (rest == "%" || Unit::find(rest).is_some());
    let is_number = number.parse::<f64>().is_ok()
        || number.replacen(',', ".", 1).parse::<f64>().is_ok()
        || number::rewrite(number, None).is_some();
    if is_number && known { (number, rest) } else { (state, unit) }
}

/// InfluxDB's measurement is a unit, or what Home Assistant writes in its stead: the entity's id, a fixed word, or
/// `sensor__temperature`.
fn measured<'a>(device_class: &'a str, measurement: &'a str) -> (&'a str, &'a str) {
    if let Some((_, class)) = measurement.split_once("__") {
        return (class, "");
    }
    let no_unit = measurement.contains('.') || ["state", "units", "value"].contains(&measurement);
    (device_class, if no_unit { "" } else { measurement })
}

pub(super) fn text<'a>(list: &'a [Cow<'_, str>], place: usize, name: &str) -> Result<&'a str, String> {
    list.get(place).map(AsRef::as_ref).ok_or_else(|| {
        format!(
            "the row has {} columns and lacks its {name}; write every column of the header, empty where there is \
             nothing to say",
            list.len()
        )
    })
}

fn checked_id(entity_id: &str, utf8: bool) -> Result<(), String> {
    if entity_id.is_empty() {
        return Err("the entity_id is empty; write one such as sensor.kitchen_temperature".into());
    }
    if entity_id.len() > ENTITY_ID_BYTES_MAX {
        return Err(format!("the entity_id is longer than {ENTITY_ID_BYTES_MAX} bytes; shorten it"));
    }
    if !utf8 && !entity_id.is_ascii() {
        return Err("the row is not UTF-8; save the file as UTF-8".into());
    }
    Ok(())
}
