//! Whether this is a good moment to train: the hour, the machine's temperature, its power, and what else it does.
//!
//! A sensor that the machine does not have forbids nothing.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// Largest file of the system that is read, in bytes; each holds one short line.
const LINE_BYTES_MAX: u64 = 256;
/// Most sensors or supplies that are looked at.
const SENSORS_MAX: usize = 64;

/// Hours of the day in which a round may begin, in the home's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// Any.
    Always,
    /// From one full hour to another, past midnight where the first is the later.
    Between {
        /// 0 to 23.
        from: i8,
        /// 0 to 23, another than `from`.
        until: i8,
    },
}

impl Default for Hours {
    /// While most homes sleep.
    fn default() -> Self {
        Self::Between { from: 22, until: 6 }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("at any hour"),
            Self::Between { from, until } => write!(f, "between {from}:00 and {until}:00"),
        }
    }
}

impl Hours {
    /// Reads `22-6` or `always`; the error completes "hours …".
    ///
    /// # Errors
    /// A problem in words when it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "always" {
            return Ok(Self::Always);
        }
        let hour = |text: &str| text.trim().parse::<i8>().ok().filter(|hour| (0..24).contains(hour));
        let between = text.split_once('-').and_then(|(from, until)| Some((hour(from)?, hour(until)?)));
        match between {
            Some((from, until)) if from != until => Ok(Self::Between { from, until }),
            _ => Err(format!("{text:?} are no hours of the day")),
        }
    }

    /// Whether `now` is within them; else when they begin next, Unix seconds.
    ///
    /// # Errors
    /// The begin, always later than `now`.
    pub fn within(self, now: i64, timezone: &TimeZone) -> Result<(), i64> {
        let Self::Between { from, until } = self else { return Ok(()) };
        let Ok(local) = Timestamp::from_second(now).map(|at| at.to_zoned(timezone.clone())) else { return Ok(()) };
        let hour = local.hour();
        let inside = if from < until { (from..until).contains(&hour) } else { hour >= from || hour < until };
        if inside {
            return Ok(());
        }
        let begin = |days: i64| {
            let day = local.date().saturating_add(jiff::Span::new().days(days));
            let at = day.to_datetime(Time::constant(from, 0, 0, 0)).to_zoned(timezone.clone()).ok()?;
            Some(at.timestamp().as_second()).filter(|at| *at > now)
        };
        // Where a clock change swallows the hour there is an hour after it.
        Err(begin(0).or_else(|| begin(1)).unwrap_or_else(|| now.saturating_add(3_600)))
    }
}

/// What the owner allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// When a round may begin.
    pub hours: Hours,
    /// Highest temperature of the machine, in °C.
    pub temperature_max: f64,
    /// Lowest charge of a battery that is being used up, in percent.
    pub battery_min: f64,
    /// Never on a battery.
    pub mains_only: bool,
    /// Highest load of the last minute, in processes for each core.
    pub load_max: f64,
}

impl Default for Limits {
    /// A Pi slows itself down at 80 °C.
    fn default() -> Self {
        Self { hours: Hours::default(), temperature_max: 75.0, battery_min: 50.0, mains_only: false, load_max: 0.7 }
    }
}

/// A battery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    /// Charge in percent.
    pub percent: f64,
    /// Whether it is being used up.
    pub discharging: bool,
}

/// What the machine's sensors show; what it does not have is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Machine {
    /// Of the hottest zone, in °C.
    pub temperature: Option<f64>,
    /// The emptiest battery.
    pub battery: Option<Battery>,
    /// Load of the last minute, in processes for each core.
    pub load: Option<f64>,
}

/// Why a round does not run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not within the owner's hours; when they begin, Unix seconds.
    Hours(i64),
    /// Too warm.
    Hot,
    /// On a battery.
    Battery,
    /// Busy with something else.
    Busy,
    /// The agent has not read its sensors' history yet: for a while after each start.
    Learning,
}

impl Limits {
    /// What forbids to begin at `now`; none where nothing does.
    #[must_use]
    pub fn forbid_begin(&self, machine: &Machine, now: i64, timezone: &TimeZone) -> Option<Unfit> {
        if let Err(begin) = self.hours.within(now, timezone) {
            return Some(Unfit::Hours(begin));
        }
        let busy = machine.load.is_some_and(|load| load > self.load_max);
        self.forbid_going_on(machine).or(busy.then_some(Unfit::Busy))
    }

    /// What forbids a round that has begun to go on. Its own load and the hour do not: it ends within its own limits.
    #[must_use]
    pub fn forbid_going_on(&self, machine: &Machine) -> Option<Unfit> {
        if machine.temperature.is_some_and(|degrees| degrees > self.temperature_max) {
            return Some(Unfit::Hot);
        }
        let used_up =
            |battery: &Battery| battery.discharging && (self.mains_only || battery.percent < self.battery_min);
        machine.battery.as_ref().is_some_and(used_up).then_some(Unfit::Battery)
    }
}

impl Machine {
    /// Reads the sensors below `root`, which is `/` but for tests.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let load = line(&root.join("proc/loadavg")).and_then(|line| number(line.split(' ').next()?));
        Self {
            temperature: temperature(&root.join("sys/class/thermal")),
            battery: battery(&root.join("sys/class/power_supply")),
            load: load.map(|load| load / cores),
        }
    }
}

fn temperature(zones: &Path) -> Option<f64> {
    let zones = folders(zones, "thermal_zone");
    let degrees = zones.filter_map(|zone| number(&line(&zone.join("temp"))?)).map(|thousandths| thousandths / 1_000.0);
    degrees.reduce(f64::max)
}

fn battery(supplies: &Path) -> Option<Battery> {
    let of_machine = folders(supplies, "").filter(|supply| {
        let is = |file: &str, what: &str| line(&supply.join(file)).is_some_and(|line| line == what);
        // A mouse has a battery too, of scope `Device`.
        is("type", "Battery") && !is("scope", "Device")
    });
    let batteries = of_machine.filter_map(|supply| {
        let percent = number(&line(&supply.join("capacity"))?)?;
        Some(Battery { percent, discharging: line(&supply.join("status"))? == "Discharging" })
    });
    batteries.min_by(|left, right| left.percent.total_cmp(&right.percent))
}

fn folders(parent: &Path, begin: &'static str) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten().take(SENSORS_MAX);
    entries.filter(move |entry| entry.file_name().to_string_lossy().starts_with(begin)).map(|entry| entry.path())
}

fn line(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(LINE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T17:00:00Z: 18:00 in Brussels.
    const EVENING: i64 = 1_795_885_200;

    fn brussels() -> TimeZone {
        TimeZone::get("Europe/Brussels").unwrap()
    }

    #[test]
    fn hours_are_the_homes_own_and_may_pass_midnight() {
        let night = Hours::parse("22-6").unwrap();
        assert_eq!(night.within(EVENING, &brussels()), Err(EVENING + 4 * 3_600));
        assert_eq!(night.within(EVENING + 4 * 3_600, &brussels()), Ok(()));
        assert_eq!(night.within(EVENING + 12 * 3_600 - 1, &brussels()), Ok(()));
        assert_eq!(night.within(EVENING + 12 * 3_600, &brussels()), Err(EVENING + 28 * 3_600));
        let morning = Hours::parse("1-5").unwrap();
        assert_eq!(morning.within(EVENING, &brussels()), Err(EVENING + 7 * 3_600), "tomorrow's");
        assert_eq!(Hours::parse("always").unwrap().within(EVENING, &brussels()), Ok(()));
        for wrong in ["22", "22-22", "24-6", "night", "-1-5", ""] {
            assert!(Hours::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_night_in_which_clocks_change_has_hours_too() {
        // 2026-03-29: 2:00 becomes 3:00 in Brussels; 0:30 is 23:30 UTC of the day before.
        let before = 1_774_740_600;
        let swallowed = Hours::parse("2-3").unwrap().within(before, &brussels()).unwrap_err();
        assert!(swallowed > before && swallowed <= before + 3 * 3_600, "{swallowed}");
    }

    #[test]
    fn heat_a_battery_and_load_forbid_and_what_a_machine_has_not_does_not() {
        let limits = Limits { hours: Hours::Always, ..Limits::default() };
        let begin = |machine: Machine| limits.forbid_begin(&machine, EVENING, &TimeZone::UTC);
        let battery = |percent, discharging| Some(Battery { percent, discharging });
        let nothing = Machine::default();
        assert_eq!(begin(nothing), None);
        assert_eq!(begin(Machine { temperature: Some(75.1), ..nothing }), Some(Unfit::Hot));
        assert_eq!(begin(Machine { battery: battery(49.0, true), ..nothing }), Some(Unfit::Battery));
        assert_eq!(begin(Machine { battery: battery(49.0, false), ..nothing }), None, "it is being charged");
        assert_eq!(begin(Machine { load: Some(0.8), ..nothing }), Some(Unfit::Busy));
        assert_eq!(limits.forbid_going_on(&Machine { load: Some(9.0), ..nothing }), None, "that is the round itself");
        let careful = Limits { mains_only: true, ..limits };
        let full = Machine { battery: battery(100.0, true), ..nothing };
        assert_eq!(careful.forbid_begin(&full, EVENING, &TimeZone::UTC), Some(Unfit::Battery));
        let by_day = Limits { hours: Hours::default(), ..limits };
        let hours = by_day.forbid_begin(&nothing, EVENING, &brussels());
        assert_eq!(hours, Some(Unfit::Hours(EVENING + 4 * 3_600)));
    }

    #[test]
    fn sensors_are_read_where_linux_shows_them() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Machine::read(root.path()), Machine::default());
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/class/thermal/thermal_zone0/temp", "48312\n");
        write("sys/class/thermal/thermal_zone1/temp", "61000\n");
        write("sys/class/thermal/cooling_device0/temp", "99000\n");
        write("sys/class/thermal/thermal_zone2/temp", "not a number\n");
        write("sys/class/power_supply/BAT0/type", "Battery\n");
        write("sys/class/power_supply/BAT0/capacity", "80\n");
        write("sys/class/power_supply/BAT0/status", "Discharging\n");
        write("sys/class/power_supply/mouse/type", "Battery\n");
        write("sys/class/power_supply/mouse/scope", "Device\n");
        write("sys/class/power_supply/mouse/capacity", "3\n");
        write("sys/class/power_supply/mouse/status", "Discharging\n");
        write("proc/loadavg", "0.00 0.20 0.30 1/234 5678\n");
        let machine = Machine::read(root.path());
        assert_eq!(machine.temperature, Some(61.0));
        assert_eq!(machine.battery, Some(Battery { percent: 80.0, discharging: true }));
        assert_eq!(machine.load, Some(0.0));
    }
}
