//! Which kinds name a fault rightly: what a resident who knew the fault would accept as its name.

use hearthwatch_detector::finding::AnomalyKind as Kind;

use super::FaultOutcome;

/// The kinds that name a fault of `family`; none for a family that no kind is for.
fn right(family: &str) -> Option<&'static [Kind]> {
    Some(match family {
        "spike" => &[Kind::Level, Kind::Change, Kind::Physics, Kind::Burst, Kind::Beyond],
        "level_shift" => &[
            Kind::Level,
            Kind::Change,
            Kind::Peers,
            Kind::Running,
            Kind::Leak,
            Kind::Production,
            Kind::Warm,
            Kind::Beyond,
        ],
        "drift" => &[Kind::Level, Kind::Peers, Kind::Production, Kind::Leak, Kind::Warm, Kind::Beyond],
        // A recorder keeps changes: who is stuck says nothing.
        "stuck" => {
            &[Kind::Flat, Kind::Silent, Kind::Running, Kind::Stopped, Kind::TimeInState, Kind::Production, Kind::Beyond]
        }
        "missing" => &[Kind::Silent, Kind::FewReports],
        "noise_burst" => &[Kind::Noise, Kind::Rate, Kind::Change],
        "unit_change" => {
            &[Kind::Level, Kind::Change, Kind::Physics, Kind::Burst, Kind::Warm, Kind::Beyond, Kind::Production]
        }
        "sensor_swap" => &[Kind::Level, Kind::Change, Kind::Peers, Kind::Beyond],
        "window_open" => &[Kind::Change, Kind::Level, Kind::Peers],
        "left_on" | "door_open" => &[Kind::Running, Kind::TimeInState, Kind::Level, Kind::Beyond],
        "duty_cycle" => &[Kind::Running, Kind::Stopped, Kind::Rate, Kind::Noise],
        "slow_leak" | "steady_leak" => &[Kind::Leak],
        "dead_phase" => &[Kind::Production],
        "never_stops" => &[Kind::Running],
        "pipe_burst" => &[Kind::Burst, Kind::Leak, Kind::Level],
        "time_shift" | "periodic_load" => {
            &[Kind::Pattern, Kind::Level, Kind::Peers, Kind::QuietHour, Kind::Habit, Kind::Change, Kind::Beyond]
        }
        _ => return None,
    })
}

/// Of the faults that were found and have a right name: how many got it, and how many there are.
pub(super) fn named_right<'f>(faults: impl Iterator<Item = &'f FaultOutcome>) -> (u32, u32) {
    let named = faults.filter_map(|fault| Some(right(&fault.family)?.contains(&fault.kind?)));
    named.fold((0, 0), |(right, all), one| (right + u32::from(one), all + 1))
}

/// Found faults that got another name, by family and name, the most first.
pub(super) fn misnamed<'f>(faults: impl Iterator<Item = &'f FaultOutcome>) -> Vec<(String, u32)> {
    let mut wrong: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    for fault in faults {
        if let (Some(names), Some(kind)) = (right(&fault.family), fault.kind)
            && !names.contains(&kind)
        {
            *wrong.entry(format!("{} as {}", fault.family, kind.as_str())).or_default() += 1;
        }
    }
    let mut wrong: Vec<_> = wrong.into_iter().collect();
    wrong.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_right_by_any_name_that_a_resident_would_accept() {
        let fault = |family: &str, kind: Option<Kind>| FaultOutcome {
            family: family.to_owned(),
            class: "power".to_owned(),
            entity_id: "sensor.p".to_owned(),
            day: 30.0,
            hours: 8.0,
            delay_s: kind.map(|_| 600),
            kind,
            withheld: false,
        };
        let faults = [
            fault("stuck", Some(Kind::Flat)),
            fault("stuck", Some(Kind::Pattern)),
            fault("stuck", None),
            fault("slow_leak", Some(Kind::Leak)),
        ];
        assert_eq!(named_right(faults.iter()), (2, 3));
        assert_eq!(misnamed(faults.iter()), [("stuck as pattern".to_owned(), 1)]);
    }
}
