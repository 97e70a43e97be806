//! Files of every layout, written here, read.

use flate2::Compression;

use super::*;
use crate::fixtures::{self, file};
use crate::source::EventRow;

fn read(text: &str) -> Result<Vec<Result<String, String>>, String> {
    let csv = EventsCsv::new(Path::new("events.csv"), false, &TimeZone::UTC);
    let rows = fixtures::rows(
        |each| csv.read_from(text.as_bytes(), each),
        |row| {
            let EventRow { at, entity_id, device_class, unit, state, line, .. } =
                row.map_err(|fault| format!("{}: {}", fault.line, fault.what))?;
            Ok(format!("{line} {} {entity_id} {device_class} {unit} {state}", at.second()))
        },
    );
    rows.map_err(|error| error.to_string())
}

#[test]
fn columns_are_found_by_name_in_any_order_and_a_repeated_header_is_skipped() {
    let rows = read(
        "\u{feff}State,unit,entity_id,TIMESTAMP,device_class\r\n21.5,°C,sensor.a,600,temperature\r\n\
         timestamp,entity_id,device_class,unit,state\r\n1200,sensor.a,temperature,°C,22\r\n",
    );
    assert_eq!(
        rows,
        Ok(vec![Ok("2 600 sensor.a temperature °C 21.5".into()), Ok("4 1200 sensor.a temperature °C 22".into())])
    );
}

#[test]
fn a_number_and_its_unit_in_one_cell_are_parted() {
    let rows = read("time,sensor.hall_temperature,sensor.plug\n2026-01-01T00:00:00Z,20.1 °C,\"3,5 W\"\n");
    let shown =
        ["2 1767225600 sensor.hall_temperature  °C 20.1".to_owned(), "2 1767225600 sensor.plug  W 3,5".to_owned()];
    assert_eq!(rows, Ok(shown.map(Ok).to_vec()));
    let long = read(
        "entity_id,state,last_changed\nsensor.hall_humidity,54 %,2026-01-01T00:00:00Z\nsensor.word,12 monkeys,2026-01-01T00:00:00Z\n",
    );
    let shown = [
        "2 1767225600 sensor.hall_humidity humidity % 54".to_owned(),
        "3 1767225600 sensor.word   12 monkeys".to_owned(),
    ];
    assert_eq!(long, Ok(shown.map(Ok).to_vec()));
}

#[test]
fn a_title_the_separators_name_and_a_drawn_tables_lines_are_passed_over() {
    let row = Ok(vec![Ok("3 1767225600 sensor.a temperature °C 21.5".into())]);
    let header = "timestamp;entity_id;device_class;unit;state";
    let cells = "2026-01-01T00:00:00Z;sensor.a;temperature;°C;21.5";
    assert_eq!(read(&format!("sep=;\n{header}\n{cells}\n")), row);
    assert_eq!(read(&format!("My home, 2026\n{header}\n{cells}\n")), row);
    let table = "+-----+-----+-----+\n| entity_id | state | last_updated_ts |\n+-----+-----+-----+\n| sensor.a | 21.5 | 1767225600 |\n";
    assert_eq!(read(table), Ok(vec![Ok("4 1767225600 sensor.a   21.5".into())]));
}

#[test]
fn times_without_an_offset_are_utc_in_the_recorders_columns_and_the_homes_elsewhere() {
    let seconds = |column: &str, written: &str| {
        let (rows, notes) = read_in_berlin(format!("entity_id,state,{column}\nsensor.a,1,\"{written}\"\n"));
        let at: i64 = rows[0].split(' ').next().unwrap().parse().unwrap();
        (
            at - 1_767_225_600,
            notes.iter().any(|note| note.contains("were taken as UTC")),
            notes.iter().any(|note| note.contains("as Europe/Berlin")),
        )
    };
    let (home, utc) = ((0, false, true), (0, true, false));
    assert_eq!(seconds("time", "2026-01-01 01:00:00"), home);
    assert_eq!(seconds("last_changed", "01.01.2026 01:00"), home, "a spreadsheet wrote it");
    assert_eq!(seconds("last_changed", "1/13/2026 1:00 AM"), (12 * 86_400, false, true));
    for column in ["last_changed", "last_updated", "last_updated_ts", "datetime(s.last_updated_ts;'unixepoch')"] {
        assert_eq!(seconds(column, "2026-01-01 00:00:00"), utc, "{column}");
    }
    assert_eq!(seconds("last_updated", "2026-01-01 00:00:00.000000"), utc);
    assert_eq!(seconds("last_changed", "2026-01-01T00:00:00.000Z"), (0, false, false));
}

/// Rows and notes of a file of a home in Berlin.
fn read_in_berlin(text: impl AsRef<[u8]>) -> (Vec<String>, Vec<String>) {
    let file = file(".csv", text);
    let csv = EventsCsv::new(file.path(), false, &TimeZone::get("Europe/Berlin").unwrap());
    let rows = fixtures::rows(
        |each| csv.read(each),
        |row| match row {
            Ok(row) => format!("{} {} [{}]", row.at.second(), row.entity_id, row.state),
            Err(fault) => format!("{}: {} ({})", fault.line, fault.what, fault.of.join(" ")),
        },
    );
    (rows.unwrap(), csv.notes())
}

/// Ten-minute rows of a meter around the night of 2026-10-25, by what clocks in Berlin show, and their moments.
fn october() -> (Vec<String>, Vec<i64>) {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let from = 1_792_875_600; // 2026-10-24T21:00:00Z
    (0..48)
        .map(|row| {
            let at = from + row * 600 + 7;
            let civil = jiff::Timestamp::from_second(at).unwrap().to_zoned(berlin.clone()).datetime();
            (format!("{},sensor.meter,{}", civil.to_string().replace('T', " "), 100 + row), at)
        })
        .unzip()
}

#[test]
fn the_hour_that_clocks_show_twice_is_told_apart_by_the_order_of_the_file() {
    let (mut rows, mut moments) = october();
    for _ in 0..2 {
        let (read, notes) = read_in_berlin(format!("time,entity_id,state\n{}\n", rows.join("\n")));
        let at: Vec<i64> = read.iter().map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect();
        assert_eq!(at, moments);
        assert_eq!(notes.len(), 1, "{notes:?}");
        rows.reverse();
        moments.reverse();
    }
    let wide: Vec<String> = rows.iter().map(|row| row.replace(",sensor.meter", "")).collect();
    let (read, _) = read_in_berlin(format!("Zeit,sensor.meter\n{}\n", wide.join("\n")));
    assert_eq!(read.iter().map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect::<Vec<i64>>(), moments);
}

#[test]
fn where_nothing_tells_which_of_the_two_hours_is_meant_there_is_a_gap_and_a_note() {
    let (read, notes) = read_in_berlin(
        "time,entity_id,state\n2026-10-25 01:30:00,sensor.a,1\n2026-10-25 02:30:00,sensor.a,2\n2026-10-25 03:30:00,sensor.a,3\n",
    );
    assert_eq!(read, ["1792884600 sensor.a [1]", "1792888200 sensor.a []", "1792895400 sensor.a [3]"]);
    assert_eq!(
        notes[1],
        "1 row of the hour that clocks in Europe/Berlin show twice (`2026-10-25 02:30:00`), of which nothing tells which of the two is \
         meant, taken as gaps; export the times with their offset or in UTC"
    );
}

#[test]
fn marks_between_thousands_are_known_by_the_files_other_numbers() {
    let states = |cells: [&str; 2]| {
        let (rows, notes) = read_in_berlin(format!(
            "timestamp;entity_id;state\n1767225600;sensor.m;{}\n1767225600;sensor.t;{}\n",
            cells[0], cells[1]
        ));
        (rows[0].rsplit(' ').next().unwrap().to_owned(), notes)
    };
    let (state, notes) = states(["52.300", "20,5"]);
    assert_eq!(
        (state.as_str(), notes),
        ("[52300]", vec!["1 number with marks between thousands (`52.300` was read as 52300)".to_owned()])
    );
    assert_eq!(states(["52,300", "20.5"]).0, "[52300]");
    assert_eq!(states(["5'230.03", "20.5"]).0, "[5230.03]");
    assert_eq!(states(["5\u{202f}230,03", "20,5"]).0, "[5230.03]");
    assert_eq!(states(["52.300", "20.5"]), ("[52.300]".to_owned(), vec![]));
}

#[test]
fn names_in_place_of_ids_become_the_ids_that_home_assistant_makes() {
    for header in ["timestamp,entity_id,state", "timestamp,name,state", "Zeit,Friendly Name,Wert"] {
        let (rows, notes) = read_in_berlin(format!("{header}\n1767225600,Gefrierschrank Küche,-18\n"));
        assert_eq!(rows, ["1767225600 sensor.gefrierschrank_kuche [-18]"]);
        assert_eq!(
            notes,
            [
                "names were made ids, as Home Assistant makes them (`Gefrierschrank Küche` is sensor.gefrierschrank_kuche)"
            ]
        );
    }
    let (rows, _) = read_in_berlin("entity_id,state,last_changed\nSENSOR.ATTIC,1,1767225600\n");
    assert_eq!(rows, ["1767225600 sensor.attic [1]"]);
    let (rows, _) = read_in_berlin("Time,Gefrierschrank\n1767225600,-18\n1767225700,null\n");
    assert_eq!(rows, ["1767225600 sensor.gefrierschrank [-18]"]);
}

#[test]
fn what_sqlites_client_writes_in_its_other_modes_is_read() {
    for text in [
        "'entity_id','state','last_updated_ts'\n'sensor.a','21.5',1767225600.0\n",
        "entity_id\u{1f}state\u{1f}last_updated_ts\u{1e}sensor.a\u{1f}21.5\u{1f}1767225600.0\u{1e}",
        "entity_id  state  last_updated_ts\n---------  -----  ---------------\nsensor.a   21.5   1767225600.0   \n",
        "│ entity_id │ state │ last_updated_ts │\n├───────────┼───────┼─────────────────┤\n│ sensor.a │ 21.5 │ 1767225600.0 │\n",
        "      entity_id = sensor.a\n          state = 21.5\nlast_updated_ts = 1767225600.0\n",
        " entity_id | state | last_updated_ts\n-----------+-------+----------------\n sensor.a | 21.5 | 1767225600.0\n(1 row)\n",
        "| entity_id | state | last_updated_ts |\n|---|---|---|\n| sensor.a | 21.5 | 1767225600.0 |\n",
        "<TR><TH>entity_id</TH><TH>state</TH><TH>last_updated_ts</TH></TR>\n<TR><TD>sensor.a</TD><TD>21.5</TD><TD>1767225600.0</TD></TR>\n",
    ] {
        assert_eq!(read_in_berlin(text).0, ["1767225600 sensor.a [21.5]"], "{text}");
    }
}

#[test]
fn a_whole_table_with_the_empty_columns_of_old_is_read_and_one_without_ids_gets_the_remedy() {
    let header = "state_id,entity_id,state,last_updated,last_updated_ts,metadata_id";
    let (rows, _) = read_in_berlin(format!("{header},entity_id\n1,,21.5,,1767225600.0,7,sensor.a\n"));
    assert_eq!(rows, ["1767225600 sensor.a [21.5]"]);
    assert_eq!(
        read(&format!("{header}\n1,,21.5,,1767225600.0,7\n")).unwrap_err(),
        format!(
            "events.csv: has rows with numbers of entities (metadata_id) and not their ids; {}",
            super::super::layout::JOIN
        )
    );
}

#[test]
fn dates_and_times_in_columns_of_their_own_are_put_together() {
    let (rows, _) = read_in_berlin("Datum;Uhrzeit;Entität;Wert\n01.01.2026;01:00:00;sensor.a;21,5\n");
    assert_eq!(rows, ["1767225600 sensor.a [21,5]"]);
    let (rows, _) = read_in_berlin("Date,Time,entity_id,state\n2026-01-01,01:00:00,sensor.a,1\n");
    assert_eq!(rows, ["1767225600 sensor.a [1]"]);
}

#[test]
fn a_line_break_in_a_note_loses_no_row() {
    let (rows, _) = read_in_berlin(
        "timestamp,entity_id,friendly_name,state\n1767225600,sensor.a,\"Freezer\n(cellar)\",-18\n1767225700,sensor.a,x,-17\n",
    );
    assert_eq!(rows, ["1767225600 sensor.a [-18]", "1767225700 sensor.a [-17]"]);
}

#[test]
fn utf_16_without_a_mark_and_carriage_returns_alone_are_read() {
    let text = "timestamp,entity_id,state\r1767225600,sensor.a,1\r1767225700,sensor.a,2\r";
    let expected = ["1767225600 sensor.a [1]", "1767225700 sensor.a [2]"];
    assert_eq!(read_in_berlin(text).0, expected);
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(read_in_berlin(little).0, expected);
    assert_eq!(read_in_berlin(big).0, expected);
}

#[test]
fn a_block_of_zeros_is_a_gap_of_all_that_was_heard_of() {
    let (rows, _) = read_in_berlin(
        "timestamp,entity_id,state\n1767225600,sensor.a,1\n1767225700,sensor.b,2\n17672257\0\0\0\0\0sensor.a,3\n1767225900,sensor.a,4\n",
    );
    assert_eq!(
        rows,
        [
            "1767225600 sensor.a [1]",
            "1767225700 sensor.b [2]",
            "4: zeros stand where rows were: the file is damaged there; copy it again (sensor.a)",
            "1767225700 sensor.a []",
            "1767225700 sensor.b []",
            "1767225900 sensor.a [4]",
        ]
    );
}

#[test]
fn a_gzipped_file_that_breaks_off_gives_what_stands_before_the_break_and_says_so() {
    let text = format!("timestamp,entity_id,state\n{}", "1767225600,sensor.a,1\n".repeat(1000));
    let packed = fixtures::gzip(text.as_bytes(), Compression::none());
    let file = file(".csv", &packed[..packed.len() / 2]);
    let csv = EventsCsv::new(file.path(), true, &TimeZone::UTC);
    let count = fixtures::rows(|each| csv.read(each), |row| row.is_ok()).unwrap().into_iter().filter(|ok| *ok).count();
    assert!((400..600).contains(&count), "{count}");
    assert_eq!(csv.notes(), [CUT_SHORT]);
}

#[test]
fn whether_the_day_or_the_month_comes_first_is_found_in_the_rest_of_the_file() {
    let read = |last: &str| {
        let file = file(".csv", format!("timestamp,entity_id,state\n09/10/2026 05:00,sensor.a,1\n{last},sensor.a,2\n"));
        let csv = EventsCsv::new(file.path(), false, &TimeZone::UTC);
        let times = fixtures::rows(|each| csv.read(each), |row| row.unwrap().at.second()).unwrap();
        times.first().map(|at| (at - 1_767_225_600) / 86_400)
    };
    assert_eq!(read("13/10/2026 05:00"), Some(281), "9 October");
    assert_eq!(read("09/13/2026 05:00"), Some(252), "10 September");
}

#[test]
fn home_assistants_history_download_is_taken_as_it_is() {
    let rows = read("entity_id,state,last_changed\nbinary_sensor.hall,on,2026-01-01T00:00:00.000Z\n");
    assert_eq!(rows, Ok(vec![Ok("2 1767225600 binary_sensor.hall   on".into())]));
}

#[test]
fn a_faulty_row_names_its_line_and_what_to_write() {
    let rows = read("timestamp,entity_id,device_class,unit,state\n600,sensor.a,,\n600,,,,1\n\nsoon,sensor.a,,,1\n");
    let faults: Vec<String> = rows.unwrap().into_iter().filter_map(Result::err).collect();
    assert_eq!(
        faults,
        [
            "2: the row has 4 columns and lacks its state; write every column of the header, empty where there is \
             nothing to say",
            "3: the entity_id is empty; write one such as sensor.kitchen_temperature",
            "5: the timestamp `soon` is neither RFC 3339 nor Unix seconds; write 2026-01-31T08:30:00Z or \
             1769848200, with or without a fraction",
        ]
    );
}

#[test]
fn a_wrong_header_says_what_was_found_and_which_would_do() {
    let error = |text: &str| read(text).unwrap_err();
    let begins = |text: &str, with: &str| assert!(error(text).starts_with(with), "{}", error(text));
    begins(
        "600,sensor.a,temperature,°C,1\n",
        "events.csv:1: the header is missing; make the first line `timestamp,entity_id,device_class,unit,state`; also read",
    );
    begins(
        "timestamp,value\n",
        "events.csv:1: the header `timestamp,value` lacks entity_id; the first line should be \
         `timestamp,entity_id,device_class,unit,state`; also read",
    );
    assert_eq!(error(""), "events.csv: holds no rows; there is nothing to replay");
}

#[test]
fn any_separator_line_end_and_byte_order_mark_will_do() {
    let expected = Ok(vec![Ok("2 1767225600 sensor.a temperature °C 21,5".to_owned())]);
    for (separator, state) in [(";", "21,5"), ("\t", "21,5"), ("|", "21,5"), (",", "\"21,5\"")] {
        let text = "\u{feff}timestamp,entity_id,device_class,unit,state\r\n\
                    2026-01-01T00:00:00Z,sensor.a,temperature,°C,STATE\r\n";
        let text = text.replace(',', separator).replace("STATE", state);
        assert_eq!(read(&text), expected, "{separator}");
    }
}

#[test]
fn files_in_older_character_sets_are_read() {
    let rows = |bytes: &[u8]| {
        let csv = EventsCsv::new(Path::new("events.csv"), false, &TimeZone::UTC);
        let shown = |row: EventRow<'_>| format!("{} {} {}", row.entity_id, row.unit, row.state);
        fixtures::rows(|each| csv.read_from(bytes, each), |row| row.map(shown).map_err(|fault| fault.what)).unwrap()
    };
    assert_eq!(
        rows(b"entity_id,state,unit,last_changed\nsensor.a,1,\xb0C,1767225600\nsensor.\xff,1,,1767225600\nsensor.a,2,,1767225700\n"),
        [
            Ok("sensor.a °C 1".to_owned()),
            Err("the row is not UTF-8; save the file as UTF-8".to_owned()),
            Ok("sensor.a  2".to_owned())
        ]
    );
    let wide: Vec<u8> = "\u{feff}entity_id,state,unit,last_changed\nsensor.a,1,°C,1767225600\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(rows(&wide), [Ok("sensor.a °C 1".to_owned())]);
}

#[test]
fn the_energy_panels_hours_become_a_meter() {
    let rows = read(
        "entity_id,type,unit,2026-01-01T00:00:00.000Z,2026-01-01T01:00:00.000Z,2026-01-01T02:00:00.000Z\n\
         sensor.grid,grid_consumption,kWh,0.2,0.3,\nsensor.tap,water,m³,1,x,0.5\n,calculated,kWh,1,1,1\n",
    );
    assert_eq!(
        rows.unwrap(),
        [
            Ok("2 1767229200 sensor.grid energy kWh 0.200000".into()),
            Ok("2 1767232800 sensor.grid energy kWh 0.500000".into()),
            Ok("3 1767229200 sensor.tap water m³ 1.000000".into()),
            Err("3: the value `x` of sensor.tap is not a number; write one".into()),
            Ok("3 1767236400 sensor.tap water m³ 1.500000".into()),
            Err("4: the entity_id is empty; write one such as sensor.kitchen_temperature".into()),
        ]
    );
}

#[test]
fn statistics_are_read_at_the_end_of_their_hour() {
    let rows = read(
        "statistic_id\tunit\tstart\tmin\tmax\tmean\tstate\tsum\n\
         sensor.bath_humidity\t%\t01.01.2026 00:00\t40\t60\t50,5\t\t\nsensor.meter\tkWh\t01.01.2026 01:00\t\t\t\t801.5\t3.5\n",
    );
    assert_eq!(
        rows.unwrap(),
        [
            Ok("2 1767229200 sensor.bath_humidity humidity % 50,5".into()),
            Ok("3 1767232800 sensor.meter  kWh 801.5".into())
        ]
    );
}

#[test]
fn influxdbs_tables_are_read_with_domain_and_measurement() {
    let head = ",result,table,_start,_stop,_time,_value,_field,_measurement,domain,entity_id\r\n";
    let rows = read(&format!(
        "#group,false,false,true,true,false,false,true,true,true,true\r\n#datatype,string,long\r\n#default,mean,,\r\n{head}\
         ,,0,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z,19.1,value,°C,sensor,attic\r\n\r\n\
         #group,false\r\n{head},,1,a,b,2026-01-01T00:00:00Z,1,value,binary_sensor.hall,binary_sensor,hall\r\n\
         ,,2,a,b,2026-01-01T00:00:00Z,Attic,friendly_name_str,°C,sensor,attic\r\n\
         ,,3,a,b,2026-01-01T00:00:00Z,5,value,sensor__power,sensor,plug\r\n"
    ));
    assert_eq!(
        rows.unwrap(),
        [
            Ok("5 1767225600 sensor.attic  °C 19.1".into()),
            Ok("9 1767225600 binary_sensor.hall   1".into()),
            Ok("11 1767225600 sensor.plug power  5".into())
        ]
    );
}

#[test]
fn answers_of_queries_are_read_with_and_without_a_header() {
    let with = read("entity_id|state|last_updated_ts\nsensor.a|1|1767225600.25\n");
    assert_eq!(with, Ok(vec![Ok("2 1767225601 sensor.a   1".into())]));
    let without = read("sensor.a|1|1767225600.25\nsensor.a|2|1767225700\n");
    assert_eq!(without, Ok(vec![Ok("1 1767225601 sensor.a   1".into()), Ok("2 1767225700 sensor.a   2".into())]));
}

#[test]
fn a_column_for_each_entity_is_read_where_something_is_written() {
    let rows = read("Time,sensor.a,switch.b\n2026-01-01 00:00:00,1,\n2026-01-01 00:10:00,,on\n");
    assert_eq!(rows, Ok(vec![Ok("2 1767225600 sensor.a   1".into()), Ok("3 1767226200 switch.b   on".into())]));
}

#[test]
fn quoted_fields_are_read_and_what_is_not_a_line_of_text_is_refused() {
    let rows = read("timestamp,entity_id,unit,state\n600,\"sensor.a,b\",\"\"\"\",1\n").unwrap();
    assert_eq!(rows, [Ok("2 600 sensor.a,b  \" 1".into())]);
    let long = format!("timestamp,entity_id,state\n600,{},1\n600,sensor.a,1\n", "x".repeat(ROW_BYTES_MAX));
    assert_eq!(
        read(&long).unwrap(),
        [Err("2: the row is longer than 64 KiB; is a line break missing?".into()), Ok("3 600 sensor.a   1".into())]
    );
}

#[test]
fn a_gzipped_file_reads_like_a_plain_one() {
    let text = b"timestamp,entity_id,state\n600,sensor.a,1\n";
    let file = file(".csv", fixtures::gzip(text, Compression::fast()));
    let csv = EventsCsv::new(file.path(), true, &TimeZone::UTC);
    assert_eq!(fixtures::rows(|each| csv.read(each), |row| row.is_ok()).unwrap(), [true]);
}
