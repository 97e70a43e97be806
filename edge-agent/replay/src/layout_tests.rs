//! Headers of every layout, told apart.

use super::*;

fn find(header: &str) -> Result<Layout, String> {
    find_in(header, &TimeZone::UTC)
}

fn find_in(header: &str, zone: &TimeZone) -> Result<Layout, String> {
    let fields: Vec<Cow<'_, str>> = header.split(',').map(Cow::Borrowed).collect();
    Layout::find(&fields, header, zone)
}

/// The ends of the energy panel's stretches, in seconds after `from`.
fn ends_after(from: i64, header: &str, zone: &TimeZone) -> Vec<i64> {
    let Ok(Layout::Intervals(intervals)) = find_in(header, zone) else { panic!("{header}") };
    intervals.ends.iter().map(|(_, end)| end.second() - from).collect()
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
    assert_eq!((columns.entity_ids[0], columns.states[0], columns.times[0].place), (0, 1, 2));
    let columns = long("entity_id,state,datetime(s.last_updated_ts; 'unixepoch'; 'localtime')");
    assert_eq!(columns.times, [TimeColumn { place: 2, date: None, zoneless: Zoneless::Home, later: 0 }]);
    let columns = long("entity_id,state,datetime(s.last_updated_ts; 'unixepoch')");
    assert_eq!(columns.times[0].zoneless, Zoneless::Recorder);
    let columns = long("sensor.a,21.5,1769848200.25");
    assert_eq!((columns.entity_ids[0], columns.states[0], columns.times[0].place, columns.no_header), (0, 1, 2, true));
}

#[test]
fn a_row_of_statistics_is_known_at_the_end_of_its_hour() {
    let columns = long("statistic_id,unit,start,min,max,mean");
    assert_eq!((columns.times[0].later, columns.states), (3600, vec![5]));
    assert_eq!(long("statistic_id,unit,start,state,sum").states, [3, 4]);
}

#[test]
fn headings_in_other_languages_and_dates_apart_from_their_times_are_known() {
    let columns = long("Datum,Uhrzeit,Entität,Wert,Einheit");
    assert_eq!((columns.times[0].date, columns.times[0].place), (Some(0), 1));
    assert_eq!((columns.entity_ids[0], columns.states[0], columns.unit), (2, 3, Some(4)));
    assert_eq!(long("Zeit,Name,Wert").entity_ids, [1]);
    for time in ["Zeit", "Datum", "Zeitstempel", "Date", "DateTime", "ts"] {
        assert!(matches!(find(&format!("{time},sensor.a")), Ok(Layout::Wide { .. })), "{time}");
    }
}

#[test]
fn columns_of_names_are_of_the_entities_that_home_assistant_would_call_so() {
    let wide = |header: &str| match find(header) {
        Ok(Layout::Wide { entities, .. }) => {
            entities.into_iter().map(|one| format!("{} [{}]", one.entity_id, one.unit)).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(wide("Time,Gefrierschrank,Küche (°C)"), ["sensor.gefrierschrank []", "sensor.kuche [°C]"]);
    assert_eq!(wide("Time,°C.mean {entity_id: freezer_temperature}"), ["sensor.freezer_temperature [°C]"]);
}

#[test]
fn the_empty_columns_of_old_tables_stand_behind_those_that_are_filled_and_bare_numbers_are_told() {
    let columns = long("state_id,entity_id,state,last_updated,last_updated_ts,metadata_id,entity_id");
    let times: Vec<usize> = columns.times.iter().map(|time| time.place).collect();
    assert_eq!((times, columns.entity_ids), (vec![3, 4], vec![1, 6]));
    assert_eq!(
        find("state_id,state,last_updated_ts,metadata_id").unwrap_err(),
        format!("the rows have numbers of entities (metadata_id) and not their ids; {JOIN}")
    );
}

#[test]
fn a_stretch_of_the_energy_panel_ends_where_the_next_begins() {
    let header = "entity_id,type,unit,2026-01-01T00:00:00.000Z,2026-01-02T00:00:00.000Z";
    assert_eq!(ends_after(1_767_225_600, header, &TimeZone::UTC), [86_400, 2 * 86_400]);
}

#[test]
fn the_energy_panels_two_columns_of_an_hour_that_clocks_show_twice_are_one_after_the_other() {
    let header = "entity_id,2026-10-25 01:00,2026-10-25 02:00,2026-10-25 02:00,2026-10-25 03:00";
    // 2026-10-24T23:00:00Z.
    let ends = ends_after(1_792_882_800, header, &TimeZone::get("Europe/Berlin").unwrap());
    assert_eq!(ends, [1, 2, 3, 4].map(|hour| hour * 3600));
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
