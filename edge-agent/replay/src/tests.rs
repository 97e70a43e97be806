//! The whole command on small recordings: what it writes, byte for byte, and what it says when it cannot.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use tempfile::TempDir;

use super::*;

/// 2026-01-01T00:00:00Z, a Thursday.
const NEW_YEAR: i64 = 1_767_225_600;
const HEADER: &str = "timestamp,entity_id,device_class,unit,state";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

/// A folder with an `events.csv`, in which the command is run.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(events: &str) -> Self {
        let bench = Self { folder: TempDir::new().unwrap() };
        fs::write(bench.path("events.csv"), events).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and gives its path for the command line.
    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("out").join(name)).unwrap()
    }

    /// Runs with the baseline detector and `more` arguments; the closing line, or the error with its exit code.
    fn run(&self, more: &[&str]) -> Result<String, (String, u8)> {
        let (events, out) = (self.path("events.csv"), self.path("out"));
        let mut words = vec!["replay", "--events", events.to_str().unwrap(), "--out", out.to_str().unwrap()];
        words.extend(["--model", "routine"]);
        words.extend(more);
        let args = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).args;
        let mut output = Vec::new();
        let folder = format!("{}/", self.folder.path().display());
        match run(&args, &mut output) {
            Ok(_) => Ok(String::from_utf8(output).unwrap().replace(&folder, "")),
            Err(error) => Err((error.to_string().replace(&folder, ""), error.exit_code())),
        }
    }
}

/// A fridge that breathes, a power meter with evenings, a door: `days` of them, the fridge warm in the middle of the last
/// day but two. Rows are in the order of time, with odd seconds.
fn home(days: i64) -> Vec<String> {
    let mut rows = Vec::new();
    for step in 0..days * 144 {
        let at = NEW_YEAR + step * 600;
        let hour = (step % 144) as f64 / 6.0;
        // A sequence without randomness that is not periodic either.
        let noise = ((step * step % 97) as f64 / 97.0 - 0.5) * 0.4;
        let broken = (((days - 3) * 144 + 72)..((days - 3) * 144 + 108)).contains(&step);
        let fridge = 4.0 + (hour / 24.0 * std::f64::consts::TAU).sin() + noise + if broken { 9.0 } else { 0.0 };
        rows.push(format!("{}.25,sensor.fridge_temperature,temperature,°C,{fridge:.2}", at + 17));
        let power = if (18.0..22.0).contains(&hour) { 400.0 } else { 60.0 } + noise * 30.0;
        rows.push(format!("{},sensor.house_power,power,W,{power:.1}", at + 300));
        if step % 50 == 7 {
            rows.push(format!("{},binary_sensor.front_door,door,,on", at + 410));
            rows.push(format!("{},binary_sensor.front_door,door,,off", at + 440));
        }
        if step % 144 == 100 {
            rows.push(format!("{},sensor.house_power,power,W,unavailable", at + 600));
        }
    }
    rows
}

fn file(rows: &[String]) -> String {
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

#[test]
fn a_small_recording_gives_the_rows_that_the_contract_names() {
    let bench = Bench::new(&format!(
        "{HEADER}\n2026-01-01T00:03:00Z,sensor.a,temperature,°C,21.5\n1767226200,binary_sensor.b,door,,on\n\
         2026-01-01T00:10:00.5Z,sensor.a,temperature,°C,unavailable\n2026-01-01T00:41:00Z,weather.home,,,sunny\n"
    ));
    let said = bench.run(&[]).unwrap();
    assert_eq!(
        bench.read("scores.csv"),
        "timestamp,entity_id,score,threshold,expected_low,expected,expected_high\n\
         2026-01-01T00:10:00Z,sensor.a,,,,,\n2026-01-01T00:10:00Z,binary_sensor.b,,,,,\n\
         2026-01-01T00:20:00Z,sensor.a,,,,,\n2026-01-01T00:20:00Z,binary_sensor.b,,,,,\n\
         2026-01-01T00:30:00Z,sensor.a,,,,,\n2026-01-01T00:30:00Z,binary_sensor.b,,,,,\n\
         2026-01-01T00:40:00Z,sensor.a,,,,,\n2026-01-01T00:40:00Z,binary_sensor.b,,,,,\n"
    );
    assert_eq!(bench.read("alarms.csv"), "alarm_id,start,end,raised_at,entity_id,severity,score,reason\n");
    assert_eq!(
        said,
        "2 entities over 4 steps (0.0 days), 0 alarms (all of it was warm-up); left out: the last step, which nothing \
         after it completes; 1 entity of a kind that is not watched (weather.home; 1 row); wrote out/scores.csv and \
         out/alarms.csv\n\
         note: not watched, being text, a time or nothing that a class, a unit or an id tells: weather.home; name those to \
         watch in --entities FILE (entity_id,device_class,unit)\n"
    );
}

#[test]
fn an_input_cut_short_anywhere_gives_a_byte_identical_prefix() {
    let rows = home(18);
    let whole = Bench::new(&file(&rows));
    whole.run(&[]).unwrap();
    let scores = whole.read("scores.csv");
    assert!(
        scores.lines().last().unwrap().split(',').nth(2).is_some_and(|score| !score.is_empty()),
        "still warming up"
    );
    for kept in [1, 2, 3, 150, rows.len() / 2, rows.len() * 5 / 6, rows.len() * 5 / 6 + 1, rows.len() - 1] {
        let cut = Bench::new(&file(&rows[..kept]));
        cut.run(&[]).unwrap();
        let prefix = cut.read("scores.csv");
        assert!(scores.starts_with(&prefix), "with {kept} rows");
    }
}

#[test]
fn rows_out_of_order_and_columns_in_another_order_change_nothing() {
    let rows = home(3);
    let sorted = Bench::new(&file(&rows));
    sorted.run(&[]).unwrap();
    let mut text = String::from("state,unit,entity_id,device_class,timestamp\n");
    for row in rows.iter().rev() {
        let [at, entity_id, device_class, unit, state] = row.split(',').collect::<Vec<_>>()[..] else { panic!() };
        writeln!(text, "{state},{unit},{entity_id},{device_class},{at}").unwrap();
    }
    let shuffled = Bench::new(&text);
    shuffled.run(&[]).unwrap();
    assert_eq!(shuffled.read("scores.csv"), sorted.read("scores.csv"));
}

#[test]
fn a_warm_fridge_is_told_drawn_and_answered() {
    let rows = home(24);
    let bench = Bench::new(&file(&rows));
    bench.run(&[]).unwrap();
    let alarms = bench.read("alarms.csv");
    let alarm: Vec<&str> = alarms
        .lines()
        .find(|row| row.contains("sensor.fridge_temperature"))
        .unwrap_or_else(|| panic!("no alarm for the fridge in {alarms}"))
        .splitn(8, ',')
        .collect();
    let (id, start, raised_at) = (alarm[0].to_owned(), alarm[1].to_owned(), alarm[3].to_owned());
    assert!(start <= raised_at, "{alarms}");

    bench.run(&["--explain", &id, "--timezone", "Europe/London"]).unwrap();
    assert!(bench.read(&format!("alarm-{id}.svg")).contains("Fridge temperature"));
    for name in [format!("alarm-{id}.png"), format!("alarm-{id}-dark.png")] {
        assert!(fs::read(bench.path("out").join(name)).unwrap().starts_with(b"\x89PNG"));
    }

    let answer = format!("at,entity_id,start,end,verdict\n{raised_at},sensor.fridge_temperature,{start},,dismissed\n");
    let verdicts = bench.write("verdicts.csv", &answer);
    let scores = bench.read("scores.csv");
    let said = bench.run(&["--verdicts", &verdicts]).unwrap();
    assert!(!said.contains("verdict"), "{said}");
    let until = |text: &str| text.lines().take_while(|row| !row.starts_with(&raised_at)).count();
    let answered = bench.read("scores.csv");
    let same = until(&scores);
    assert!(scores.lines().take(same).eq(answered.lines().take(same)), "an answer reached back in time");
}

#[test]
fn odd_rows_are_counted_and_quoted_and_the_rest_is_read() {
    let bench = Bench::new(&format!(
        "{HEADER}\n1767225600,sensor.a,temperature,°C,21\n1767225700,sensor.a,temperature,°C,warm\n\
         1767225800,binary_sensor.b,door,,ajar\nsoon,sensor.a,temperature,°C,1\n20,sensor.a,temperature,°C,20\n\
         1767226300,sensor.a,temperature,°C,\"21,5\"\n1767226900,sensor.a\n"
    ));
    let said = bench.run(&[]).unwrap();
    let notes: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(
        notes,
        [
            "note: 1 row with a decimal comma, read as a point",
            "note: 2 rows whose state is no value, taken as gaps (line 3: the state `warm` of sensor.a (temperature) is not \
             a number; write a number, or nothing for a gap; line 4: the state `ajar` of binary_sensor.b (door) is neither \
             on nor off; write on or off, or nothing for a gap)",
            "note: 2 rows that cannot be read, passed over (line 5: the timestamp `soon` is neither RFC 3339 nor Unix \
             seconds; write 2026-01-31T08:30:00Z or 1769848200, with or without a fraction; line 8: the row has 2 columns \
             and lacks its device_class; write every column of the header, empty where there is nothing to say); lost of sensor.a",
            "note: 1 row of a time that cannot be, passed over (line 6: the time 1970-01-01T00:00:20Z lies before 2005; a \
             clock that was not set wrote it)",
        ]
    );
    assert!(said.starts_with("2 entities over 2 steps"), "{said}");
}

#[test]
fn the_history_panels_download_is_watched_by_guesses_that_are_told_and_can_be_overridden() {
    let mut text = String::from("entity_id,state,last_changed\n");
    for (entity_id, state) in
        [("sensor.attic_temperature", "20.5"), ("binary_sensor.hall_motion", "on"), ("sensor.text", "sunny")]
    {
        writeln!(text, "{entity_id},unavailable,2026-01-01T00:00:00.103Z").unwrap();
        writeln!(text, "{entity_id},{state},2026-01-01T00:10:00.103Z").unwrap();
        writeln!(text, "{entity_id},{state},2026-01-01T01:10:00.103Z").unwrap();
    }
    let bench = Bench::new(&text);
    let said = bench.run(&[]).unwrap();
    assert!(said.starts_with("2 entities over 7 steps"), "{said}");
    assert!(
        said.contains(
            "note: guessed from id and first value, as the file says neither class nor unit: binary_sensor.hall_motion as \
             motion, sensor.attic_temperature as temperature in °C; mend what is wrong with --entities FILE"
        ) || said.contains(
            "note: guessed from id and first value, as the file says neither class nor unit: sensor.attic_temperature as \
             temperature in °C, binary_sensor.hall_motion as motion; mend what is wrong with --entities FILE"
        ),
        "{said}"
    );
    assert!(said.contains("a unit or an id tells: sensor.text; name those to watch in --entities FILE"), "{said}");

    let kinds = bench.write("kinds.csv", "entity_id,device_class,unit\nsensor.attic_temperature,humidity,%\n");
    let said = bench.run(&["--entities", &kinds]).unwrap();
    assert!(said.contains("class nor unit: binary_sensor.hall_motion as motion; mend"), "{said}");
    assert!(said.starts_with("2 entities over 7 steps"), "{said}");
}

#[test]
fn a_list_of_all_states_is_one_moment_and_says_so() {
    let bench = Bench::new(
        r#"[{"entity_id": "sensor.a_temperature", "state": "21", "last_updated": "2026-01-01T00:00:00+00:00", "attributes": {}},
            {"entity_id": "sensor.b_temperature", "state": "22", "last_updated": "2026-01-01T00:20:00+00:00", "attributes": {}}]"#,
    );
    let said = bench.run(&[]).unwrap();
    let words = "\nthis file holds one state of each entity (as /api/states answers): one moment only, so that no alarm means \
                 nothing; give the answer of /api/history/period, or give this file as --entities\n";
    assert!(said.ends_with(words), "{said}");
}

#[test]
fn a_file_without_offsets_is_told_whose_time_it_was_taken_for() {
    let bench = Bench::new("timestamp,entity_id,state\n2026-01-01 01:00:00,sensor.a_temperature,20\n");
    let said = bench.run(&["--timezone", "Europe/Berlin"]).unwrap();
    let note = "\nnote: times without an offset (`2026-01-01 01:00:00`) were taken as Europe/Berlin; name another place with \
                --timezone, or write the offset behind the times\n";
    assert!(said.contains(note), "{said}");
}

#[test]
fn a_folder_is_called_one() {
    let bench = Bench::new("");
    fs::remove_file(bench.path("events.csv")).unwrap();
    fs::create_dir(bench.path("events.csv")).unwrap();
    assert_eq!(bench.run(&[]).unwrap_err(), ("events.csv: is a folder; give the file in it".to_owned(), 2));
    fs::write(bench.path("events.csv/home-assistant_v2.db"), "").unwrap();
    assert_eq!(bench.run(&[]).unwrap_err(), ("events.csv: is a folder; give home-assistant_v2.db in it".to_owned(), 2));
}

#[test]
fn a_file_in_which_nothing_can_be_watched_says_so() {
    let bench = Bench::new("entity_id,state,last_changed\nweather.home,sunny,2026-01-01T00:00:00.000Z\n");
    let said = bench.run(&[]).unwrap();
    let words = "\nnothing in this file could be watched, so that no alarm means nothing; name the entities to watch in \
                 --entities FILE (entity_id,device_class,unit)\n";
    assert!(said.ends_with(words), "{said}");
}

#[test]
fn guesses_keep_a_cut_input_a_byte_identical_prefix() {
    let rows: Vec<String> = home(4)
        .iter()
        .map(|row| {
            let [at, entity_id, _, _, state] = row.split(',').collect::<Vec<_>>()[..] else { panic!() };
            format!("{entity_id},{state},{at}")
        })
        .collect();
    let whole = Bench::new(&format!("entity_id,state,last_changed\n{}\n", rows.join("\n")));
    whole.run(&[]).unwrap();
    for kept in [1, 2, 3, 150, rows.len() - 1] {
        let cut = Bench::new(&format!("entity_id,state,last_changed\n{}\n", rows[..kept].join("\n")));
        cut.run(&[]).unwrap();
        assert!(whole.read("scores.csv").starts_with(&cut.read("scores.csv")), "with {kept} rows");
    }
}

#[test]
fn many_bad_rows_are_counted() {
    let mut text = format!("{HEADER}\n");
    for _ in 0..12 {
        text.push_str("soon,sensor.a,,,1\n");
    }
    let (error, _) = Bench::new(&text).run(&[]).unwrap_err();
    assert!(error.ends_with("\nevents.csv: and 2 more faulty rows"), "{error}");
}

#[test]
fn rows_years_away_from_the_rest_are_passed_over_and_told_whatever_the_day_of_the_replay() {
    let rows = [1_500_000_000_i64, 2_590_000_000, 2_590_000_600, 2_590_001_200];
    let rows: String = rows.iter().map(|at| format!("{at},sensor.a,temperature,°C,1\n")).collect();
    let said = Bench::new(&format!("{HEADER}\n{rows}")).run(&[]).unwrap();
    assert_eq!(
        said.lines().nth(1).unwrap(),
        "note: 1 row of a time that cannot be, passed over (line 2: the time 2017-07-14T02:40:00Z lies long before the rest; \
         a clock that was not set wrote it)"
    );
}

#[test]
fn what_cannot_be_used_is_said_with_its_remedy_and_exit_code_two() {
    let bench = Bench::new(&format!("{HEADER}\n1500000000,sensor.a,temperature,°C,1\n"));
    let fault = |more: &[&str]| bench.run(more).unwrap_err();
    assert_eq!(
        fault(&["--timezone", "Mars/Olympus"]),
        ("--timezone Mars/Olympus: no such time zone; give an IANA name such as Europe/London".to_owned(), 2)
    );
    let empty = Bench::new(&format!("{HEADER}\n"));
    assert_eq!(empty.run(&[]).unwrap_err(), ("events.csv: holds no rows; there is nothing to replay".to_owned(), 2));
    let missing = Bench { folder: TempDir::new().unwrap() };
    let (error, code) = missing.run(&[]).unwrap_err();
    assert!(error.starts_with("cannot read events.csv: "), "{error}");
    assert!(error.ends_with("; give a file that exists and that you may read"), "{error}");
    assert_eq!(code, 2);
}

#[test]
fn an_unknown_alarm_id_is_refused_but_the_results_stand() {
    let bench = Bench::new(&file(&home(1)));
    let (error, code) = bench.run(&["--explain", "feedfeedfeedfeed"]).unwrap_err();
    assert_eq!(error, "--explain feedfeedfeedfeed: no such alarm in this replay; it raised none");
    assert_eq!(code, 2);
    assert!(bench.path("out/alarms.csv").exists());
}

#[test]
fn a_failed_replay_leaves_the_results_of_the_last_one_alone() {
    let bench = Bench::new(&file(&home(1)));
    bench.run(&[]).unwrap();
    let before = bench.read("scores.csv");
    fs::write(bench.path("events.csv"), "nonsense\n").unwrap();
    bench.run(&[]).unwrap_err();
    assert_eq!(bench.read("scores.csv"), before);
    assert_eq!(fs::read_dir(bench.path("out")).unwrap().count(), 2, "a temporary file was left behind");
}

#[test]
fn a_budget_must_be_a_number_of_alarms_a_week() {
    for budget in ["0", "-1", "NaN", "inf", "169", "few"] {
        let budget = format!("--budget={budget}");
        let error = Cli::try_parse_from(["replay", "--events=e", "--out=o", &budget]).err().unwrap().to_string();
        assert!(error.contains("give a number above 0 and up to 168, such as 1 or 0.5"), "{error}");
    }
}
