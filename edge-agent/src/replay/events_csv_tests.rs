//! Files of every layout, written here, read.

use std::io::Write;

use super::*;

fn read(text: &str) -> Result<Vec<Result<String, String>>, String> {
    let mut rows = Vec::new();
    EventsCsv::new(Path::new("events.csv"), false, &TimeZone::UTC)
        .read_from(text.as_bytes(), &mut |row| {
            rows.push(
                row.map(|row| {
                    let EventRow { at, entity_id, device_class, unit, state, line, .. } = row;
                    format!("{line} {} {entity_id} {device_class} {unit} {state}", at.second())
                })
                .map_err(|fault| format!("{}: {}", fault.line, fault.what)),
            );
            Ok(())
        })
        .map_err(|error| error.to_string())?;
    Ok(rows)
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
    let told =
        ["2 1767225600 sensor.hall_temperature  °C 20.1".to_owned(), "2 1767225600 sensor.plug  W 3,5".to_owned()];
    assert_eq!(rows, Ok(told.map(Ok).to_vec()));
    let long = read(
        "entity_id,state,last_changed\nsensor.hall_humidity,54 %,2026-01-01T00:00:00Z\nsensor.word,12 monkeys,2026-01-01T00:00:00Z\n",
    );
    let told = [
        "2 1767225600 sensor.hall_humidity humidity % 54".to_owned(),
        "3 1767225600 sensor.word   12 monkeys".to_owned(),
    ];
    assert_eq!(long, Ok(told.map(Ok).to_vec()));
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
fn times_without_an_offset_are_the_homes_unless_they_are_written_as_in_home_assistants_tables() {
    let seconds = |written: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("entity_id,state,last_changed\nsensor.a,1,\"{written}\"\n")).unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let mut at = None;
        EventsCsv::new(file.path(), false, &berlin)
            .read(&mut |row| {
                at = Some(row.unwrap().at.second());
                Ok(())
            })
            .unwrap();
        at.unwrap() - 1_767_225_600
    };
    assert_eq!(seconds("2026-01-01 01:00:00"), 0);
    assert_eq!(seconds("01.01.2026 01:00"), 0);
    assert_eq!(seconds("1/13/2026 1:00 AM"), 12 * 86_400);
    assert_eq!(seconds("2026-01-01 00:00:00.000000"), 0, "UTC");
}

#[test]
fn whether_the_day_or_the_month_comes_first_is_found_in_the_rest_of_the_file() {
    let read = |last: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("timestamp,entity_id,state\n09/10/2026 05:00,sensor.a,1\n{last},sensor.a,2\n");
        std::fs::write(file.path(), text).unwrap();
        let mut first = None;
        EventsCsv::new(file.path(), false, &TimeZone::UTC)
            .read(&mut |row| {
                first = first.or(Some(row.unwrap().at.second()));
                Ok(())
            })
            .unwrap();
        first.map(|at| (at - 1_767_225_600) / 86_400)
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
        let mut rows = Vec::new();
        EventsCsv::new(Path::new("events.csv"), false, &TimeZone::UTC)
            .read_from(bytes, &mut |row| {
                rows.push(
                    row.map(|row| format!("{} {} {}", row.entity_id, row.unit, row.state)).map_err(|fault| fault.what),
                );
                Ok(())
            })
            .unwrap();
        rows
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
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut packed = flate2::write::GzEncoder::new(file.as_file_mut(), flate2::Compression::fast());
    packed.write_all(b"timestamp,entity_id,state\n600,sensor.a,1\n").unwrap();
    packed.finish().unwrap();
    let mut count = 0;
    EventsCsv::new(file.path(), true, &TimeZone::UTC)
        .read(&mut |row| {
            assert!(row.is_ok());
            count += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(count, 1);
}
