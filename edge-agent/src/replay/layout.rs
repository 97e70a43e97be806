//! Which column of a CSV file says what, decided from its header (or, without one, from its first row).

use std::borrow::Cow;

use jiff::tz::TimeZone;

use super::moment::Moment;
use super::stamp::{self, DayOrder};

/// The header that the error texts ask for.
pub const HEADER: &str = "timestamp,entity_id,device_class,unit,state";
/// What else would do, for the error texts.
const OTHER_HEADERS: &str = "also read are the downloads of Home Assistant's history (entity_id,state,last_changed) and \
                             energy panel (entity_id,type,unit, then a column an hour), statistics \
                             (statistic_id,unit,start,min,max,mean), InfluxDB's annotated CSV, and a time followed by \
                             one column an entity";
/// Seconds of a row of Home Assistant's long-term statistics, which is stamped with the beginning of its hour.
const HOUR: i64 = 3600;
/// Unix seconds of a first row without a header: since 2001, which no state of a home looks like.
const SECONDS_MIN: i64 = 1_000_000_000;

const TIMES: [&str; 12] = [
    "timestamp",
    "last_updated",
    "last_changed",
    "last_updated_ts",
    "last_changed_ts",
    "_time",
    "time",
    "datetime",
    "date_time",
    "date",
    "start",
    "start_ts",
];
const IDS: [&str; 5] = ["entity_id", "statistic_id", "entity", "entityid", "id"];
const STATES: [&str; 3] = ["state", "_value", "value"];

/// How a file is laid out.
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
        /// Column and id of each entity.
        entities: Vec<(usize, String)>,
    },
}

/// Where each column of [`Layout::Long`] stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Column of the time.
    pub time: TimeColumn,
    /// Column of the entity's id.
    pub entity_id: usize,
    /// Column of the id's part before the point, where the id lacks it.
    pub domain: Option<usize>,
    /// InfluxDB's column that says what the value is of.
    pub field: Option<usize>,
    /// Device class.
    pub device_class: Option<usize>,
    /// Unit of measurement.
    pub unit: Option<usize>,
    /// State class.
    pub state_class: Option<usize>,
    /// The state; of several columns the first that is not empty.
    pub states: Vec<usize>,
    /// True when the file had no header: its first row is one of its data.
    pub no_header: bool,
}

/// A column of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeColumn {
    /// Its place.
    pub place: usize,
    /// Whether it is a column of Home Assistant's tables, whose times are UTC where they are written as there
    /// ([`stamp::is_of_a_table`]); other times without an offset are the home's.
    pub utc: bool,
    /// Seconds from what is written to when it was known.
    pub later: i64,
}

/// Columns of [`Layout::Intervals`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervals {
    /// Column of the entity's id.
    pub entity_id: usize,
    /// What the energy panel uses the entity for.
    pub purpose: Option<usize>,
    /// Unit of measurement.
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
        let place = |wanted: &[&str]| wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        let time = place(&TIMES)
            .or_else(|| names.iter().position(|name| name.contains("last_updated") || name.contains("last_changed")))
            .or_else(|| names.iter().position(|name| name.starts_with("datetime(") || name.starts_with("time(")));
        let time = time.map(|place| TimeColumn::named(place, &names));
        let entity_id = place(&IDS);
        let statistics = place(&["start", "start_ts"]).is_some() || names.iter().any(|name| name == "statistic_id");
        let mut states: Vec<usize> = if statistics {
            // What a meter stood at is closer to its states than the sum since statistics began.
            ["mean", "state", "sum"].iter().filter_map(|name| place(&[name])).collect()
        } else {
            place(&STATES).into_iter().collect()
        };
        if let (Some(time), Some(entity_id)) = (time, entity_id)
            && !states.is_empty()
        {
            states.dedup();
            return Ok(Self::Long(Columns {
                time,
                entity_id,
                domain: place(&["domain"]),
                field: place(&["_field"]),
                device_class: place(&["device_class"]),
                unit: place(&["unit", "unit_of_measurement", "_measurement"]),
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
                    unit: place(&["unit", "unit_of_measurement"]),
                    ends,
                }));
            }
        }
        if let (Some(time), None) = (time, entity_id)
            && let Some(wide) = Self::wide(time, &names)
        {
            return Ok(wide);
        }
        if let Some(columns) = Columns::without_header(fields, zone) {
            return Ok(Self::Long(columns));
        }
        if fields.first().is_some_and(|first| stamp::read(first, zone, DayOrder::usual_in(zone)).is_ok()) {
            return Err(format!("the header is missing; make the first line `{HEADER}`; {OTHER_HEADERS}"));
        }
        Err(missing(quoted, time.is_none(), entity_id.is_none(), states.is_empty()))
    }

    /// A time, and at least one column that is named like an entity.
    fn wide(time: TimeColumn, names: &[String]) -> Option<Self> {
        let entities: Vec<(usize, String)> = names
            .iter()
            .enumerate()
            .filter(|(place, name)| *place != time.place && looks_like_id(name))
            .map(|(place, name)| (place, name.clone()))
            .collect();
        (!entities.is_empty()).then_some(Self::Wide { time, entities })
    }

    /// Whether `fields` are a header again, as where files were put one behind the other.
    #[must_use]
    pub fn repeated(&self, fields: &[Cow<'_, str>]) -> bool {
        let Self::Long(columns) = self else { return false };
        let known =
            |place: usize, names: &[&str]| fields.get(place).is_some_and(|field| names.contains(&tidy(field).as_str()));
        let anywhere = |names: &[&str]| (0..fields.len()).any(|place| known(place, names));
        known(columns.time.place, &TIMES)
            || (anywhere(&TIMES) && anywhere(&["entity_id"]) && anywhere(&STATES))
            || known(columns.entity_id, &["entity_id", "statistic_id"])
    }
}

impl TimeColumn {
    fn named(place: usize, names: &[String]) -> Self {
        let name = &names[place];
        let database = name.contains("last_updated") || name.contains("last_changed");
        Self {
            place,
            utc: database && !name.contains("localtime"),
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
            time: TimeColumn { place: time, utc: true, later: 0 },
            entity_id,
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
    let starts: Vec<(usize, Moment)> = fields
        .iter()
        .enumerate()
        .filter_map(|(place, field)| Some((place, stamp::read(field, zone, DayOrder::usual_in(zone)).ok()?)))
        .filter(|(_, start)| start.second() >= SECONDS_MIN)
        .collect();
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
mod tests {
    use super::*;

    fn find(header: &str) -> Result<Layout, String> {
        let fields: Vec<Cow<'_, str>> = header.split(',').map(Cow::Borrowed).collect();
        Layout::find(&fields, header, &TimeZone::UTC)
    }

    fn long(header: &str) -> Columns {
        match find(header) {
            Ok(Layout::Long(columns)) => columns,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn dumps_of_queries_are_known_by_their_columns_whatever_table_they_name() {
        let columns = long("states_meta.entity_id,states.state,states.last_updated_ts");
        assert_eq!((columns.entity_id, columns.states[0], columns.time.place), (0, 1, 2));
        let columns = long("entity_id,state,datetime(s.last_updated_ts; 'unixepoch'; 'localtime')");
        assert_eq!(columns.time, TimeColumn { place: 2, utc: false, later: 0 });
        let columns = long("sensor.a,21.5,1769848200.25");
        assert_eq!((columns.entity_id, columns.states[0], columns.time.place, columns.no_header), (0, 1, 2, true));
    }

    #[test]
    fn a_row_of_statistics_is_known_at_the_end_of_its_hour() {
        let columns = long("statistic_id,unit,start,min,max,mean");
        assert_eq!((columns.time.later, columns.states), (3600, vec![5]));
        assert_eq!(long("statistic_id,unit,start,state,sum").states, [3, 4]);
    }

    #[test]
    fn a_stretch_of_the_energy_panel_ends_where_the_next_begins() {
        let Ok(Layout::Intervals(intervals)) =
            find("entity_id,type,unit,2026-01-01T00:00:00.000Z,2026-01-02T00:00:00.000Z")
        else {
            panic!()
        };
        let ends: Vec<i64> = intervals.ends.iter().map(|(_, end)| end.second() - 1_767_225_600).collect();
        assert_eq!(ends, [86_400, 2 * 86_400]);
    }

    #[test]
    fn a_file_that_is_not_understood_is_told_what_was_found_and_what_would_do() {
        assert_eq!(
            find("time,value").unwrap_err(),
            format!("the header `time,value` lacks entity_id; the first line should be `{HEADER}`; {OTHER_HEADERS}")
        );
        assert_eq!(
            find("600,sensor.a,temperature,°C,1").unwrap_err(),
            format!("the header is missing; make the first line `{HEADER}`; {OTHER_HEADERS}")
        );
    }
}
