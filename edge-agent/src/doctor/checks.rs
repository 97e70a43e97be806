//! What follows from what was seen. Pure.

use super::facts::Served;
use super::{Facts, Finding};

/// Disk that must be free, as a share: below the first it is a warning, below the second a fault.
const FREE: (f64, f64) = (0.1, 0.02);

/// How far the clock may be from the fleet's, seconds: certificates and metadata allow some minutes.
const CLOCK: (i64, i64) = (60, 600);

/// Access by anybody but the owner.
const OTHERS: u32 = 0o077;

/// One finding for each thing that was looked at.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![running(facts), state(facts), disk(facts)];
    found.extend(private(facts));
    found.extend(facts.home_assistant.as_ref().map(|answer| match answer {
        Ok(home) => Finding::ok(format!("Home Assistant {} accepts the token", home.version)),
        Err(why) => Finding::fault(why.clone(), "`hearthwatch-edge setup` asks for address and token, and tries them"),
    }));
    if let Some(Ok(home)) = &facts.home_assistant {
        found.push(watched(home.watchable));
        if facts.home_broker.is_some() && !home.mqtt {
            found.push(Finding::fault(
                "Home Assistant has no MQTT integration: it would not see the alarms",
                "Home Assistant: Settings, Devices & services, Add integration, MQTT",
            ));
        }
    }
    found.extend(facts.home_broker.as_ref().map(|answer| broker("Home Assistant's broker", answer, "home.mqtt")));
    found.extend(facts.fleet_broker.as_ref().map(fleet));
    if let Some((url, answer)) = &facts.updates {
        found.extend(updates(url.as_str(), answer.as_ref(), facts.now));
    }
    found.extend(facts.page.as_ref().map(|(listen, answer)| match (answer, facts.running) {
        (Ok(()), true) => Finding::ok(format!("the local page answers at {listen}")),
        (Ok(()), false) => Finding::ok(format!("{listen} is free for the local page")),
        (Err(why), true) => {
            Finding::fault(format!("the agent runs, and its page says: {why}"), "restart the agent; look in its log")
        }
        (Err(why), false) => Finding::fault(
            format!("the local page could not listen at {listen}: {why}"),
            "end the program that has the port, or set [page] listen to another one",
        ),
    }));
    found
}

fn running(facts: &Facts) -> Finding {
    if facts.running {
        Finding::ok("an agent runs")
    } else {
        Finding::warning("no agent runs", "hearthwatch-edge run --config FILE; as a service it starts by itself")
    }
}

fn state(facts: &Facts) -> Finding {
    match (&facts.unwritable, facts.state_there) {
        (Some(why), _) => Finding::fault(
            format!("the agent's directory cannot be written: {why}"),
            "make it writable for the user that runs the agent, or make room on its disk",
        ),
        (None, false) => Finding::ok("the agent's directory is made at its first start"),
        (None, true) => Finding::ok("the agent's directory can be written"),
    }
}

fn private(facts: &Facts) -> Option<Finding> {
    let mode = facts.mode.filter(|mode| mode & OTHERS != 0)?;
    let what = format!("others can read the agent's directory (mode {mode:o}): it holds the home's history");
    Some(Finding::warning(what, "chmod 700 on the directory that `state` names"))
}

fn disk(facts: &Facts) -> Finding {
    let Some(free) = facts.free else { return Finding::warning("how full the disk is is not known", "look at `df`") };
    let what = format!("{:.0} % of the disk are free", free * 100.0);
    let remedy = "make room: a full disk keeps the history from growing and a new model out";
    match free {
        free if free < FREE.1 => Finding::fault(what, remedy),
        free if free < FREE.0 => Finding::warning(what, remedy),
        _ => Finding::ok(what),
    }
}

fn watched(count: usize) -> Finding {
    if count == 0 {
        Finding::warning(
            "Home Assistant has no sensor that can be watched",
            "see which can: docs/reference/home-assistant.md",
        )
    } else {
        Finding::ok(format!("{count} sensors can be watched"))
    }
}

fn broker(name: &str, answer: &Result<String, String>, table: &str) -> Finding {
    match answer {
        Ok(place) => Finding::ok(format!("{name} at {place} lets us in")),
        Err(why) => Finding::fault(
            format!("{name}: {why}"),
            format!("look whether it runs, and whether host, port, user and password of [{table}] are its own"),
        ),
    }
}

fn fleet(answer: &Result<String, String>) -> Finding {
    match answer {
        Ok(place) => Finding::ok(format!("the fleet's broker at {place} accepts our certificate")),
        Err(why) if why.contains("UnknownIssuer") || why.contains("UnknownCA") => Finding::fault(
            format!("the fleet's broker is of another authority: {why}"),
            "ask your operator for the ca.crt of this fleet, and name it as ca_file in [cloud.mqtt]",
        ),
        Err(why) if why.contains("KeyMismatch") => Finding::fault(
            format!("the fleet's broker is not asked, since the home's key does not belong to its certificate: {why}"),
            "name the pair that enrolment wrote as cert_file and key_file in [cloud.mqtt], or run `hearthwatch-edge enrol` again",
        ),
        Err(why)
            if why.contains("xpired")
                || why.contains("accept our certificate")
                || why.contains("CertificateRevoked") =>
        {
            Finding::fault(
                format!("the fleet's broker does not take our certificate: {why}"),
                "set the clock right; if it has ended, ask your operator for a claim and run `hearthwatch-edge enrol`",
            )
        }
        Err(why) => Finding::fault(
            format!("the fleet's broker is out of reach: {why}"),
            "watching goes on without it; look whether host and port of [cloud.mqtt] are right and the line is up",
        ),
    }
}

fn updates(url: &str, answer: Result<&Served, &String>, now: i64) -> Vec<Finding> {
    let served = match answer {
        Err(why) => {
            let what = format!("{url} is out of reach, where models come from: {why}");
            return vec![Finding::fault(
                what,
                "watching goes on with the model there is; look whether [cloud.updates] url is right",
            )];
        }
        Ok(served) => served,
    };
    let mut found = vec![match served.status {
        200..=299 => Finding::ok(format!("{url} serves models")),
        status => Finding::fault(
            format!("{url} answers {status} where the list of models should be"),
            "ask your operator for the address of the repository",
        ),
    }];
    if let Some(date) = served.date {
        let off = now.saturating_sub(date);
        let what = format!("the clock is {} s {} the fleet's", off.abs(), if off > 0 { "ahead of" } else { "behind" });
        let remedy = "timedatectl set-ntp true";
        found.push(match off.abs() {
            off if off > CLOCK.1 => Finding::fault(what, remedy),
            off if off > CLOCK.0 => Finding::warning(what, remedy),
            _ => Finding::ok("the clock agrees with the fleet's"),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    fn told(facts: &Facts, part: &str) -> (Grade, String) {
        let found = check(facts);
        let one = found.iter().find(|one| one.what.contains(part)).unwrap_or_else(|| panic!("{part}: {found:#?}"));
        assert!(one.grade == Grade::Ok || !one.remedy.is_empty(), "{one:?}");
        (one.grade, one.what.clone())
    }

    #[test]
    fn a_disk_that_fills_up_is_told_before_it_is_full() {
        let of = |free| told(&Facts { free: Some(free), ..Facts::default() }, "disk").0;
        assert_eq!([of(0.5), of(0.09), of(0.01)], [Grade::Ok, Grade::Warning, Grade::Fault]);
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        let served = |date| Some(("https://cloud/".parse().unwrap(), Ok(Served { status: 200, date: Some(date) })));
        let of = |date| told(&Facts { now: 10_000, updates: served(date), ..Facts::default() }, "clock");
        assert_eq!(of(9_000), (Grade::Fault, "the clock is 1000 s ahead of the fleet's".to_owned()));
        assert_eq!(of(10_100), (Grade::Warning, "the clock is 100 s behind the fleet's".to_owned()));
        assert_eq!(of(10_000).0, Grade::Ok);
    }

    #[test]
    fn what_the_fleets_broker_says_leads_to_what_can_be_done() {
        let of = |why: &str| {
            let facts = Facts { fleet_broker: Some(Err(why.to_owned())), ..Facts::default() };
            let found = check(&facts);
            found.into_iter().find(|one| one.what.contains("fleet's broker")).unwrap().remedy
        };
        assert!(of("TLS: invalid peer certificate: UnknownIssuer").contains("ca.crt"));
        assert!(of("TLS: received fatal alert: CertificateExpired").contains("enrol"));
        assert!(of("TLS: keys may not be consistent: KeyMismatch").contains("cert_file and key_file"));
        assert!(of("10.0.0.1:8883: Connection refused").contains("watching goes on"));
    }
}
