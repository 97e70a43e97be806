//! The meaning of each column of a CSV file, decided from its header (or, without one, from its first row).

use std::borrow::Cow;

use hearthwatch_detector::unit::Unit;
use jiff::tz::TimeZone;

use super::header_words::{CLASSES, CLOCKS, DATES, IDS, OTHERS, STATES, TIMES, UNITS};
use super::moment::Moment;
use super::spelled_id;
use super::stamp::{self, DayOrder};

/// The header that the error texts ask for.
pub const HEADER: &str = "timestamp,entity_id,device_class,unit,state";
/// What rows need that hold the numbers of entities instead of their ids.
pub const JOIN: &str = "join states_meta: SELECT m.entity_id, s.state, s.last_updated_ts FROM states s JOIN states_meta m USING \
                        (metadata_id)";
/// The same of long-term statistics.
const JOIN_STATISTICS: &str = "join statistics_meta: SELECT m.statistic_id, m.unit_of_measurement, s.start_ts, s.mean, s.state, \
                               s.sum FROM statistics s JOIN statistics_meta m ON m.id = s.metadata_id";
/// What else would do, for the error texts.
const OTHER_HEADERS: &str = "also read are the downloads of Home Assistant's history (entity_id,state,last_changed) and \
                             energy panel (entity_id,type,unit, then a column an hour), statistics \
                             (statistic_id,unit,start,min,max,mean), InfluxDB's annotated CSV, and a time followed by \
                             one column an entity";
/// Seconds of a row of Home Assistant's long-term statistics, which is stamped with the beginning of its hour.
const HOUR: i64 = 3600;
/// Unix seconds of a first row without a header: since 2001, which no state of a home looks like.
const SECONDS_MIN: i64 = 1_000_000_000;

/// How rows and columns of a file are arranged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A state a row.
    Long(Columns),
    /// An entity a row, a stretch of time a column: what was used in it.
    Intervals(Intervals),
    /// A moment a row, an entity a column.
    Wide {
        /// Column of the time.
        time: TimeColumn,
        /// One for each entity.
        entities: Vec<WideColumn>,
    },
}

/// The column of one entity in [`Layout::Wide`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WideColumn {
    /// Index of the column, from 0.
    pub place: usize,
    /// From the heading.
    pub entity_id: String,
    /// The unit in its heading; empty where there is none.
    pub unit: String,
}

/// Indices of the columns of [`Layout::Long`], from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Columns of the time; the first that is not empty counts.
    pub times: Vec<TimeColumn>,
    /// Columns of the entity's id; the first that is not empty counts.
    pub entity_ids: Vec<usize>,
    /// Whether there is a column of Home Assistant's numbers of entities.
    pub numbered: bool,
    /// Column of the id's part before the point, where the id lacks it.
    pub domain: Option<usize>,
    /// InfluxDB's column `_field`.
    pub field: Option<usize>,
    /// Column of the device class.
    pub device_class: Option<usize>,
    /// Column of the unit.
    pub unit: Option<usize>,
    /// Column of the state class.
    pub state_class: Option<usize>,
    /// The state; of several columns the first that is not empty.
    pub states: Vec<usize>,
    /// True when the file had no header: its first row is one of its data.
    pub no_header: bool,
}

/// A column with times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeColumn {
    /// Index of the column, from 0.
    pub place: usize,
    /// The column of the date, where this is only of the time of the day.
    pub date: Option<usize>,
    /// Whose a time without an offset is.
    pub zoneless: Zoneless,
    /// Seconds from what is written to when it was known.
    pub later: i64,
}

/// The time zone of a time without an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoneless {
    /// The time zone of the home.
    Home,
    /// UTC where it is written as databases write it ([`stamp::is_of_a_table`]): a column of Home Assistant's tables.
    Recorder,
    /// As [`Zoneless::Recorder`] where it has a fraction, which Home Assistant's tables write and nobody else.
    Fraction,
}

/// Indices of the columns of [`Layout::Intervals`], from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervals {
    /// Column of the entity's id.
    pub entity_id: usize,
    /// What the energy panel uses the entity for.
    pub purpose: Option<usize>,
    /// Column of the unit.
    pub unit: Option<usize>,
    /// Each column of values with the end of its stretch of time.
    pub ends: Vec<(usize, Moment)>,
}

impl Layout {
    /// Reads the fields of a file's first line.
    ///
    /// # Errors
    /// What is missing and which headers would do; `quoted` is the line as the text quotes it.
    pub fn find(fields: &[Cow<'_, str>], quoted: &str, zone: &TimeZone) -> Result<Self, String> {
        let names: Vec<String> = fields.iter().map(|name| tidy(name)).collect();
        let place = |wanted: &[&str]| place_of(&names, wanted);
        let times = time_columns(&names);
        let time = times.first().copied();
        let entity_ids = places_of(&names, &IDS);
        let entity_id = entity_ids.first().copied();
        let numbered = names.iter().any(|name| name == "metadata_id");
        let statistics = place(&["start", "start_ts"]).is_some() || names.iter().any(|name| name == "statistic_id");
        let mut states: Vec<usize> = if statistics {
            // What a meter stood at is closer to its states than the sum since statistics began.
            ["mean", "state", "sum"].iter().filter_map(|name| place(&[name])).collect()
        } else {
            place(&STATES).into_iter().collect()
        };
        // A table of Home Assistant's has numbers of its rows too.
        let by_row = numbered && entity_id.is_some_and(|place| ["id", "name"].contains(&names[place].as_str()));
        if numbered && !states.is_empty() && (entity_id.is_none() || by_row) {
            let join = if statistics { JOIN_STATISTICS } else { JOIN };
            return Err(format!("the rows have numbers of entities (metadata_id) and not their ids; {join}"));
        }
        if !times.is_empty() && entity_id.is_some() && !states.is_empty() {
            states.dedup();
            let same = |place: &usize| Some(&names[*place]) == entity_id.map(|first| &names[first]);
            let influx = place(&["domain"]).is_some() && names.iter().any(|name| name == "entity_id");
            return Ok(Self::Long(Columns {
                times,
                entity_ids: entity_ids.iter().copied().filter(same).collect(),
                numbered,
                domain: place(&["domain"]),
                field: place(&["_field"]),
                device_class: place(&CLASSES),
                // InfluxDB 1 calls the measurement a name.
                unit: place(&UNITS).or_else(|| place(&["name"]).filter(|_| influx)),
                state_class: place(&["state_class"]),
                states,
                no_header: false,
            }));
        }
        if let Some(entity_id) = entity_id {
            let ends = ends(fields, zone);
            if !ends.is_empty() {
                return Ok(Self::Intervals(Intervals {
                    entity_id,
                    purpose: place(&["type"]),
                    unit: place(&UNITS),
                    ends,
                }));
            }
        }
        if let (Some(time), None) = (time, entity_id)
            && let Some(wide) = Self::wide(time, fields, &names, false)
        {
            return Ok(wide);
        }
        if let Some(columns) = Columns::without_header(fields, zone) {
            return Ok(Self::Long(columns));
        }
        if let (Some(time), None, true) = (time, entity_id, states.is_empty())
            && let Some(wide) = Self::wide(time, fields, &names, true)
        {
            return Ok(wide);
        }
        if fields.first().is_some_and(|first| stamp::read(first, zone, DayOrder::usual_in(zone)).is_ok()) {
            return Err(format!("the header is missing; make the first line `{HEADER}`; {OTHER_HEADERS}"));
        }
        Err(missing(quoted, time.is_none(), entity_id.is_none(), states.is_empty()))
    }

    /// A time, and at least one column that is named like an entity; with `by_name` by anything that may be an entity's name.
    fn wide(time: TimeColumn, fields: &[Cow<'_, str>], names: &[String], by_name: bool) -> Option<Self> {
        let mut entities: Vec<WideColumn> = Vec::new();
        for (place, name) in names.iter().enumerate() {
            if place == time.place || Some(place) == time.date {
                continue;
            }
            let column = if looks_like_id(name) {
                WideColumn { place, entity_id: name.clone(), unit: String::new() }
            } else {
                let known = [&OTHERS[..], &TIMES, &IDS, &STATES, &UNITS, &CLASSES]
                    .iter()
                    .any(|list| list.contains(&name.as_str()));
                let lettered = name.contains(char::is_alphabetic);
                let Some(column) = WideColumn::named(place, &fields[place])
                    .filter(|column| lettered && !known && (by_name || column.unit_and_id))
                else {
                    continue;
                };
                column.column
            };
            if entities.iter().all(|other| other.entity_id != column.entity_id) {
                entities.push(column);
            }
        }
        (!entities.is_empty()).then_some(Self::Wide { time, entities })
    }

    /// Whether `fields` are a header again, as where files were put one behind the other.
    #[must_use]
    pub fn repeated(&self, fields: &[Cow<'_, str>]) -> bool {
        let Self::Long(columns) = self else { return false };
        let known =
            |place: usize, names: &[&str]| fields.get(place).is_some_and(|field| names.contains(&tidy(field).as_str()));
        let anywhere = |names: &[&str]| (0..fields.len()).any(|place| known(place, names));
        columns.times.iter().any(|time| known(time.place, &TIMES))
            || (anywhere(&TIMES) && anywhere(&["entity_id"]) && anywhere(&STATES))
            || columns.entity_ids.iter().any(|place| known(*place, &["entity_id", "statistic_id"]))
    }
}

/// The first column that is called by the first of `wanted` that there is.
fn place_of(names: &[String], wanted: &[&str]) -> Option<usize> {
    wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted))
}

/// All columns that are called by one of `wanted`, in the order of `wanted`.
fn places_of(names: &[String], wanted: &[&str]) -> Vec<usize> {
    let of = |name: &str| (0..names.len()).filter(|place| names[*place] == name).collect::<Vec<_>>();
    wanted.iter().flat_map(|name| of(name)).collect()
}

/// The columns of times, best first: a date with its time of the day, then those of a usual name, then those of Home Assistant's tables and
/// of SQL's functions.
fn time_columns(names: &[String]) -> Vec<TimeColumn> {
    let mut places = places_of(names, &TIMES);
    let recorder = |name: &String| name.contains("last_updated") || name.contains("last_changed");
    let called = |name: &String| name.starts_with("datetime(") || name.starts_with("time(");
    places.extend(
        (0..names.len())
            .filter(|at| !places.contains(at) && (recorder(&names[*at]) || called(&names[*at])))
            .collect::<Vec<_>>(),
    );
    let mut times: Vec<TimeColumn> = places.into_iter().map(|place| TimeColumn::named(place, names)).collect();
    if let (Some(date), Some(clock)) = (place_of(names, &DATES), place_of(names, &CLOCKS)) {
        let joined = TimeColumn { date: Some(date), ..TimeColumn::named(clock, names) };
        times.retain(|time| time.place != clock && time.place != date);
        times.insert(0, joined);
    }
    times
}

/// A column that is known by its heading.
struct Headed {
    column: WideColumn,
    /// Whether the heading names an entity itself: InfluxDB's `°C.mean {entity_id: x}`.
    unit_and_id: bool,
}

impl WideColumn {
    /// `°C.mean {entity_id: freezer_temperature}`, `Freezer (°C)`, `Freezer`.
    fn named(place: usize, heading: &str) -> Option<Headed> {
        let is_unit = |text: &str| text == "%" || Unit::find(text).is_some();
        if let Some((before, tags)) = heading.split_once('{') {
            let tag = |name: &str| {
                tags.trim_end_matches('}').split(',').find_map(|tag| {
                    let (key, value) = tag.split_once([':', '='])?;
                    (key.trim() == name).then(|| value.trim().trim_matches('"'))
                })
            };
            let id = tag("entity_id").or_else(|| tag("friendly_name"))?;
            let unit = before.split('.').next().map(str::trim).filter(|unit| is_unit(unit)).unwrap_or_default();
            let entity_id = if id.contains('.') {
                spelled_id::of(id).into_owned()
            } else {
                format!("{}.{}", tag("domain").unwrap_or("sensor"), spelled_id::slug(id))
            };
            return Some(Headed { column: Self { place, entity_id, unit: unit.to_owned() }, unit_and_id: true });
        }
        let (name, unit) = match heading.trim_end_matches([')', ']']).rsplit_once(['(', '[']) {
            Some((name, unit)) if is_unit(unit.trim()) => (name.trim(), unit.trim()),
            _ => (heading, ""),
        };
        let slug = spelled_id::slug(name);
        let entity_id = if name.contains('.') { spelled_id::of(name).into_owned() } else { format!("sensor.{slug}") };
        (!slug.is_empty())
            .then(|| Headed { column: Self { place, entity_id, unit: unit.to_owned() }, unit_and_id: false })
    }
}

impl TimeColumn {
    fn named(place: usize, names: &[String]) -> Self {
        let name = &names[place];
        let database = name.contains("last_updated") || name.contains("last_changed") || name.ends_with("_ts");
        Self {
            place,
            date: None,
            zoneless: if database && !name.contains("localtime") { Zoneless::Recorder } else { Zoneless::Home },
            later: if name == "start" || name == "start_ts" { HOUR } else { 0 },
        }
    }
}

impl Columns {
    /// Knows id, time and state by their looks in a row of three, or of five in the usual order.
    fn without_header(fields: &[Cow<'_, str>], zone: &TimeZone) -> Option<Self> {
        let is_time = |field: &str| {
            stamp::read(field, zone, DayOrder::usual_in(zone)).is_ok_and(|moment| moment.second() >= SECONDS_MIN)
        };
        let entity_id = fields.iter().position(|field| looks_like_id(field))?;
        let time = fields.iter().position(|field| is_time(field))?;
        let rest: Vec<usize> = (0..fields.len()).filter(|place| *place != entity_id && *place != time).collect();
        let (device_class, unit, state) = match rest[..] {
            [state] => (None, None, state),
            [class, unit, state] if (time, entity_id) == (0, 1) => (Some(class), Some(unit), state),
            _ => return None,
        };
        Some(Self {
            times: vec![TimeColumn { place: time, date: None, zoneless: Zoneless::Fraction, later: 0 }],
            entity_ids: vec![entity_id],
            numbered: false,
            domain: None,
            field: None,
            device_class,
            unit,
            state_class: None,
            states: vec![state],
            no_header: true,
        })
    }
}

/// The end of each column whose heading is a time: the beginning of the next, and for the last as long as the one
/// before it (an hour where there is none).
fn ends(fields: &[Cow<'_, str>], zone: &TimeZone) -> Vec<(usize, Moment)> {
    let mut starts: Vec<(usize, Moment)> = fields
        .iter()
        .enumerate()
        .filter_map(|(place, field)| Some((place, stamp::read(field, zone, DayOrder::usual_in(zone)).ok()?)))
        .filter(|(_, start)| start.second() >= SECONDS_MIN)
        .collect();
    // An hour that clocks show twice has two headings that are the same.
    for number in 1..starts.len() {
        if starts[number].1 == starts[number - 1].1 {
            starts[number].1 = starts[number].1.later(HOUR).unwrap_or(starts[number].1);
        }
    }
    let mut last = HOUR;
    (0..starts.len())
        .filter_map(|number| {
            let (place, start) = starts[number];
            if let Some((_, next)) = starts.get(number + 1)
                && *next > start
            {
                last = next.second() - start.second();
            }
            Some((place, start.later(last)?))
        })
        .collect()
}

/// What a header lacks, and which would do.
fn missing(quoted: &str, time: bool, entity_id: bool, state: bool) -> String {
    let missing: Vec<&str> = [("timestamp", time), ("entity_id", entity_id), ("state", state)]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
    format!(
        "the header `{quoted}` lacks {}; the first line should be `{HEADER}`; {OTHER_HEADERS}",
        missing.join(" and ")
    )
}

/// Lower case, and without what databases put before a column's name.
fn tidy(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let spaced = name.replace([' ', '-'], "_");
    if spaced.contains('(') {
        return name;
    }
    match spaced.rsplit_once('.') {
        Some((_, last)) if TIMES.contains(&last) || IDS.contains(&last) || STATES.contains(&last) => last.to_owned(),
        _ => spaced,
    }
}

/// `domain.object_id`, both of small letters, digits and low lines.
pub fn looks_like_id(text: &str) -> bool {
    let part = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_' || first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.split_once('.').is_some_and(|(domain, name)| {
        domain.starts_with(|first: char| first.is_ascii_lowercase()) && part(domain) && part(name)
    })
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
