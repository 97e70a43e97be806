//! What follows from what was seen. Pure.

use jiff::Timestamp;

use super::{Facts, Finding};

/// A certificate that ends sooner is worth a warning, in seconds: two weeks.
const CERTIFICATE: i64 = 14 * 86_400;

/// Disk that must be free, as a share: below the first it is a warning, below the second a fault.
const FREE: (f64, f64) = (0.1, 0.02);

/// Metadata that is renewed by itself has at least this left, in seconds: the aggregator renews it at half of its life of a day.
const TIMESTAMP: i64 = 3_600;

/// Root metadata that ends sooner is worth a warning, in seconds: two months, since people have to meet for it.
const ROOT: i64 = 60 * 86_400;

/// One finding for each thing that was looked at.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![running(facts), writable(facts), disk(facts), database(facts), admins(facts)];
    found
        .extend(facts.certificates.iter().map(|(path, end)| certificate(&path.display().to_string(), *end, facts.now)));
    found.extend(facts.broker.as_ref().map(broker));
    found.extend(facts.http.as_ref().map(|answer| http(answer, facts.running)));
    found.extend(facts.signer.as_ref().map(signer));
    found.extend(repository(facts));
    found.push(corpus(facts.sets));
    found
}

fn running(facts: &Facts) -> Finding {
    Finding::ok(if facts.running {
        "an aggregator runs on this data directory"
    } else {
        "no aggregator runs on this data directory"
    })
}

fn writable(facts: &Facts) -> Finding {
    match &facts.unwritable {
        None => Finding::ok("the data directory can be written"),
        Some(why) => Finding::fault(
            format!("the data directory cannot be written: {why}"),
            "make it writable for the user that runs the aggregator, or make room on its disk",
        ),
    }
}

fn disk(facts: &Facts) -> Finding {
    let Some(free) = facts.free else { return Finding::warning("how full the disk is is not known", "look at `df`") };
    let what = format!("{:.0} % of the data directory's disk are free", free * 100.0);
    let remedy = "make room: older backups, run folders of runs that were held back";
    match free {
        free if free < FREE.1 => Finding::fault(what, remedy),
        free if free < FREE.0 => Finding::warning(what, remedy),
        _ => Finding::ok(what),
    }
}

fn database(facts: &Facts) -> Finding {
    match &facts.database {
        None => {
            Finding::warning("there is no database yet", "it is made when the aggregator starts for the first time")
        }
        Some(Err(why)) => Finding::fault(
            format!("the database cannot be read: {why}"),
            "`hearthwatch-cloud verify-lineage` says more; put the newest backup back if it stays so",
        ),
        Some(Ok(contents)) if contents.schema > facts.schema_known => Finding::fault(
            format!("the database has schema {}, and this program knows {}", contents.schema, facts.schema_known),
            "run the newer hearthwatch-cloud: schemas only go forward",
        ),
        Some(Ok(contents)) => {
            let answers = contents.tables.get("feedback").copied().unwrap_or_default();
            Finding::ok(format!("the database has schema {} and {answers} answers", contents.schema))
        }
    }
}

fn admins(facts: &Facts) -> Finding {
    match facts.admins {
        Some(0) | None => Finding::warning(
            "no admin token is in force",
            "hearthwatch-cloud token add NAME --role admin --config FILE --file admin.token",
        ),
        Some(count) => Finding::ok(format!("{count} admin tokens are in force")),
    }
}

fn certificate(path: &str, end: Option<i64>, now: i64) -> Finding {
    let renew = "hearthwatch-provision inspect says how to make it anew; the programs read it when they start";
    match end {
        None => Finding::fault(format!("{path} is no certificate that can be read"), renew),
        Some(end) if end <= now => Finding::fault(format!("{path} ended on {}", day(end)), renew),
        Some(end) if end - now < CERTIFICATE => Finding::warning(format!("{path} ends on {}", day(end)), renew),
        Some(end) => Finding::ok(format!("{path} holds until {}", day(end))),
    }
}

fn day(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn broker(answer: &Result<String, String>) -> Finding {
    match answer {
        Ok(place) => Finding::ok(format!("the broker at {place} accepts our certificate")),
        Err(why) => Finding::fault(
            format!("the broker is out of reach: {why}"),
            "start it, and look whether [mqtt] host and port are its own and its authority is that of ca_file",
        ),
    }
}

fn http(answer: &Result<(), String>, running: bool) -> Finding {
    match (answer, running) {
        (Ok(()), true) => Finding::ok("the aggregator says that it is alive"),
        (Ok(()), false) => Finding::ok("the address of [http] is free"),
        (Err(why), true) => Finding::fault(
            format!("the aggregator does not say that it is alive: {why}"),
            "look in its log; restart it if it stays so",
        ),
        (Err(why), false) => Finding::fault(
            format!("the aggregator could not listen: {why}"),
            "end the program that has the port, or set [http] listen to another one",
        ),
    }
}

fn signer(answer: &Result<(), String>) -> Finding {
    match answer {
        Ok(()) => Finding::ok("the signer answers"),
        Err(why) => Finding::fault(why.clone(), "until it answers, what the gate lets through waits"),
    }
}

fn repository(facts: &Facts) -> Vec<Finding> {
    let Some(path) = &facts.repository else { return Vec::new() };
    if facts.metadata.is_empty() {
        let what = format!("{} holds no metadata yet", path.display());
        return vec![Finding::warning(what, "it is made when the aggregator starts with a signer that answers")];
    }
    let one = |role: &String, end: i64| {
        let (what, left) = (format!("{role} metadata of the repository"), end - facts.now);
        let limit = if role == "root" { ROOT } else { TIMESTAMP };
        let remedy = if role == "root" {
            "hearthwatch-provision root renew: homes refuse updates once it has ended"
        } else {
            "start aggregator and signer: they renew it"
        };
        match left {
            ..=0 => Finding::fault(format!("{what} ended on {}", day(end)), remedy),
            left if left < limit => Finding::warning(format!("{what} ends on {}", day(end)), remedy),
            _ => Finding::ok(format!("{what} holds until {}", day(end))),
        }
    };
    facts.metadata.iter().map(|(role, end)| one(role, *end)).collect()
}

fn corpus(sets: Option<usize>) -> Finding {
    let remedy = "hearthwatch-emulator data fetch --out FOLDER, and [training] corpus = \"FOLDER\"";
    match sets {
        None => Finding::warning("no folder of recorded sets is configured: no network is trained", remedy),
        Some(0) => Finding::warning("the folder of recorded sets is empty: no network is trained", remedy),
        Some(count) => Finding::ok(format!("{count} recorded sets to train with")),
    }
}
