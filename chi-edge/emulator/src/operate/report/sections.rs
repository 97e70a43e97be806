//! What stands in the report.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::journal::{Event, Line};
use super::super::settings::Kept;
use super::document::Document;
use super::figures::{Counts, by_version, count, rate, share, words};
use super::plot::{Mark, Point, lines as line_plot, stacked};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// The whole report; `alerts` is what a check of the alerts wrote, if there was one.
pub fn all(kept: &Kept, lines: &[Line], alerts: Option<&Value>) -> Document {
    let end = lines.iter().map(|line| line.at).max().unwrap_or(kept.begin).min(kept.end());
    let days = (end - kept.begin) as f64 / DAY as f64;
    let mut document = Document::new(format!("An operation of {} homes for {days:.0} days", kept.homes));
    document.paragraph(format!(
        "Made by `hearthwatch-emulator operate --homes {} --days {} --seed {} --faults {}` with the incidents below. Homes are recordings, on a calendar \
         that begins on 2026-01-05. Residents are simulated: so nothing here says how good a model is in homes with people. What the \
         recordings' authors labelled and the faults that were put in count as real; everything else that raises an alarm counts as false.",
        kept.homes, kept.days, kept.seed, kept.faults
    ));
    let report = Report { kept, lines, end, days, marks: marks(kept, lines, end) };
    report.summary(&mut document);
    report.weeks(&mut document);
    report.incidents(&mut document, alerts);
    report.training(&mut document);
    report.versions(&mut document);
    report.machine(&mut document);
    document
}

/// A value, and the ends of its interval.
type Interval = (f64, f64, f64);

/// Begin and end of a week, and what was counted in it.
type Week = ((i64, i64), Counts);

struct Report<'a> {
    kept: &'a Kept,
    lines: &'a [Line],
    end: i64,
    days: f64,
    marks: Vec<Mark>,
}

impl Report<'_> {
    fn homes(&self) -> u64 {
        u64::from(self.kept.homes)
    }

    fn when(&self, at: i64) -> String {
        let since = (at - self.kept.begin).max(0);
        format!("day {} {:02}:{:02}", since / DAY + 1, since % DAY / 3_600, since % 3_600 / 60)
    }

    fn day(&self, at: i64) -> f64 {
        (at - self.kept.begin) as f64 / DAY as f64
    }

    fn spans(&self, length: i64) -> Vec<(i64, i64)> {
        let starts = (0..).map(|place| self.kept.begin + place * length).take_while(|start| *start < self.end);
        starts.map(|start| (start, (start + length).min(self.end))).collect()
    }

    fn summary(&self, document: &mut Document) {
        let whole = count(self.lines, self.homes(), (self.kept.begin, self.end));
        let number =
            |wanted: &dyn Fn(&Event) -> bool| self.lines.iter().filter(|line| wanted(&line.event)).count().to_string();
        let run = |wanted: &'static str| number(&|event| matches!(event, Event::Run { state, .. } if state == wanted));
        let rollout =
            |wanted: &'static str| number(&|event| matches!(event, Event::Rollout { state, .. } if state == wanted));
        let mut rows = vec![
            ("alarms".to_owned(), whole.alarms.to_string()),
            ("alarms a home-week".into(), words(rate(whole.alarms, whole.home_weeks))),
            ("of these false, a home-week".into(), words(rate(whole.wrong(), whole.home_weeks))),
            ("answers".into(), whole.answers.to_string()),
            ("confirmed share of the answers".into(), words(share(whole.confirmed, whole.answers))),
            (
                "retrainings: promoted, held, failed".into(),
                format!("{}, {}, {}", run("promoted"), run("held"), run("failed")),
            ),
            ("releases".into(), number(&|event| matches!(event, Event::Released { .. }))),
            (
                "rollouts: complete, halted, rolled back".into(),
                format!("{}, {}, {}", rollout("complete"), rollout("halted"), rollout("rolled_back")),
            ),
            ("incidents".into(), number(&|event| matches!(event, Event::Began { .. }))),
            ("starts of this run".into(), number(&|event| matches!(event, Event::Started { .. }))),
        ];
        let settled = self.lines.iter().rev().find_map(|line| match &line.event {
            Event::Settled { taken, stored, doubled, lost, gone_with_disks, not_shared } => Some(format!(
                "{taken} taken by agents; {stored} stored once, {} more than once, {} lost, {gone_with_disks} gone with a disk before they \
                 were sent, {not_shared} without a window to share",
                doubled.len(),
                lost.len()
            )),
            _ => None,
        });
        rows.push(("labels, at the end".into(), settled.unwrap_or_else(|| "the run has not ended yet".into())));
        document.heading("In short");
        document.table(&["", ""], rows.into_iter().map(|(name, value)| vec![name, value]).collect());
    }

    fn weeks(&self, document: &mut Document) {
        let spans = self.spans(WEEK);
        let of: Vec<Week> = spans.iter().map(|span| (*span, count(self.lines, self.homes(), *span))).collect();
        let middle = |span: &(i64, i64)| self.day(i64::midpoint(span.0, span.1));
        let points = |value: &dyn Fn(&Counts) -> Option<Interval>| -> Vec<Point> {
            of.iter().filter_map(|(span, counts)| Some(Point { day: middle(span), value: value(counts)? })).collect()
        };
        document.heading("Alarms and answers by week");
        let rates = [
            ("all".to_owned(), points(&|counts| rate(counts.alarms, counts.home_weeks))),
            ("false".to_owned(), points(&|counts| rate(counts.wrong(), counts.home_weeks))),
        ];
        let caption = "Alarms a home-week, with 95 % intervals; red: incidents, by number.";
        document.drawing("alarms.svg", line_plot(self.days, &rates, &self.marks), caption);
        let shares = [("confirmed".to_owned(), points(&|counts| share(counts.confirmed, counts.answers)))];
        document.drawing(
            "confirmed.svg",
            line_plot(self.days, &shares, &self.marks),
            "Share of answers that confirm, with 95 % intervals.",
        );
        let row = |(place, (_, counts)): (usize, &Week)| {
            vec![
                (place + 1).to_string(),
                counts.alarms.to_string(),
                words(rate(counts.alarms, counts.home_weeks)),
                words(rate(counts.wrong(), counts.home_weeks)),
                counts.answers.to_string(),
                words(share(counts.confirmed, counts.answers)),
            ]
        };
        let head = ["week", "alarms", "a home-week", "false a home-week", "answers", "confirmed share"];
        document.table(&head, of.iter().enumerate().map(row).collect());
    }

    fn incidents(&self, document: &mut Document, alerts: Option<&Value>) {
        document.heading("Incidents");
        let rows = self.lines.iter().filter_map(|line| {
            let Event::Began { incident, kind, detail } = &line.event else { return None };
            let over = self.lines.iter().find_map(|other| match &other.event {
                Event::Ended { incident: number, .. } if number == incident => Some(self.when(other.at)),
                _ => None,
            });
            let raised = alerts.map_or_else(
                || "not checked".to_owned(),
                |alerts| {
                    let names = alerts["incidents"][incident.to_string()].as_array().into_iter().flatten();
                    names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                },
            );
            Some(vec![
                incident.to_string(),
                kind.clone(),
                self.when(line.at),
                over.unwrap_or_default(),
                detail.clone(),
                raised,
            ])
        });
        document.table(&["no.", "kind", "begin", "over", "what was done", "alerts"], rows.collect());
        if let Some(others) = alerts.and_then(|alerts| alerts["others"].as_array()) {
            let names: Vec<&str> = others.iter().filter_map(Value::as_str).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            document.paragraph(format!("Alerts outside of all incidents: {names}."));
        }
        let acted = self.lines.iter().filter_map(|line| match &line.event {
            Event::Operator { action } => Some(vec![self.when(line.at), action.clone()]),
            _ => None,
        });
        document.heading("What the operator did");
        document.table(&["when", "what"], acted.collect());
    }

    fn training(&self, document: &mut Document) {
        document.heading("Retrainings, releases and rollouts");
        let mut of: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| matches!(line.event, Event::Run { .. } | Event::Released { .. } | Event::Rollout { .. }))
            .collect();
        of.sort_by_key(|line| line.at);
        let rows = of.into_iter().map(|line| {
            let (what, how) = match &line.event {
                Event::Run { state, trigger, reasons, .. } => {
                    let overruled = if state == "promoted" && !reasons.is_empty() { "overruled: " } else { "" };
                    (format!("retraining, started by {trigger}: {state}"), format!("{overruled}{}", reasons.join("; ")))
                }
                Event::Released { version, by } => (format!("model {version} released by {by}"), String::new()),
                Event::Rollout { version, state, reason } => {
                    (format!("rollout of model {version}: {state}"), reason.clone())
                }
                _ => Default::default(),
            };
            vec![self.when(line.at), what, how]
        });
        document.table(&["when", "what", "why"], rows.collect());
    }

    fn versions(&self, document: &mut Document) {
        document.heading("Models in the fleet");
        let steps: Vec<(i64, BTreeMap<u64, u64>)> = self
            .lines
            .iter()
            .filter_map(|line| match &line.event {
                Event::Fleet { versions, .. } => Some((line.at, versions.iter().copied().collect())),
                _ => None,
            })
            .collect();
        let mut all: Vec<u64> = steps.iter().flat_map(|(_, versions)| versions.keys().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let names: Vec<String> = all.iter().map(|version| name_of(*version)).collect();
        let values: Vec<(f64, Vec<f64>)> = steps
            .iter()
            .map(|(at, versions)| {
                let of = |version: &u64| versions.get(version).copied().unwrap_or(0) as f64;
                (self.day(*at), all.iter().map(of).collect())
            })
            .collect();
        let caption = "Homes by the model in charge: the waves of each rollout.";
        document.drawing("versions.svg", stacked(self.days, &names, &values, &self.marks), caption);
        document.paragraph(
            "By model, over the time in which homes ran it. Models that ran at the same time can be compared only where the homes were the \
             same or chosen by chance; the first wave is chosen by name.",
        );
        let row = |(version, counts): (u64, Counts)| {
            vec![
                name_of(version),
                format!("{:.1}", counts.home_weeks),
                counts.alarms.to_string(),
                words(rate(counts.alarms, counts.home_weeks)),
                words(rate(counts.wrong(), counts.home_weeks)),
                words(share(counts.really, counts.alarms)),
            ]
        };
        let head = ["model", "home-weeks", "alarms", "a home-week", "false a home-week", "real share of its alarms"];
        let by = by_version(self.lines, (self.kept.begin, self.end));
        document.table(&head, by.into_iter().map(row).collect());
        self.challengers(document);
    }

    /// A new model beside the one before it, as long as both were in the fleet.
    fn challengers(&self, document: &mut Document) {
        let released: Vec<(u64, i64)> = self
            .lines
            .iter()
            .filter_map(|line| match line.event {
                Event::Released { version, .. } => Some((version, line.at)),
                _ => None,
            })
            .collect();
        let mut rows = Vec::new();
        for (version, at) in released {
            let ended = self.lines.iter().find_map(|line| match &line.event {
                Event::Rollout { version: of, state, .. } if *of == version && state != "running" && line.at > at => {
                    Some(line.at)
                }
                _ => None,
            });
            let span = (at, ended.unwrap_or(self.end));
            let by = by_version(self.lines, span);
            for (of, counts) in by {
                rows.push(vec![
                    format!("{} to {}", self.when(span.0), self.when(span.1)),
                    name_of(version),
                    if of == version { "challenger".to_owned() } else { format!("{} beside it", name_of(of)) },
                    format!("{:.1}", counts.home_weeks),
                    words(rate(counts.alarms, counts.home_weeks)),
                    words(rate(counts.wrong(), counts.home_weeks)),
                ]);
            }
        }
        document.heading("Challenger beside champion, while each rollout ran");
        document.table(
            &["span", "rollout of", "homes with", "home-weeks", "alarms a home-week", "false a home-week"],
            rows,
        );
    }

    fn machine(&self, document: &mut Document) {
        let stands: Vec<(i64, [u64; 6])> = self
            .lines
            .iter()
            .filter_map(|line| match &line.event {
                Event::Fleet { online, records, waiting, database_bytes, aggregator_kib, agent_kib, .. } => {
                    Some((line.at, [*online, *records, *waiting, *database_bytes, *aggregator_kib, *agent_kib]))
                }
                _ => None,
            })
            .collect();
        let line = |place: usize, unit: f64| -> Vec<Point> {
            let of = |(at, values): &(i64, [u64; 6])| {
                let value = values[place] as f64 / unit;
                Point { day: self.day(*at), value: (value, value, value) }
            };
            stands.iter().map(of).collect()
        };
        document.heading("The fleet and the machine");
        let counted = [("online".to_owned(), line(0, 1.0)), ("waiting".to_owned(), line(2, 1.0))];
        let caption = "Homes that are connected, and records that wait in their outboxes.";
        document.drawing("fleet.svg", line_plot(self.days, &counted, &self.marks), caption);
        let sizes = [
            ("database, MB".to_owned(), line(3, 1e6)),
            ("aggregator, MB".to_owned(), line(4, 976.5625)),
            ("an agent, MB".to_owned(), line(5, 976.5625)),
        ];
        let caption =
            "Size of the aggregator's database, and resident memory of the aggregator and of the median agent.";
        document.drawing("sizes.svg", line_plot(self.days, &sizes, &self.marks), caption);
        let last = stands.last().map(|(_, values)| *values).unwrap_or_default();
        document.paragraph(format!(
            "At the end: {} labelled answers, a database of {:.1} MB, an aggregator of {:.0} MB, and a median agent of {:.0} MB.",
            last[1],
            last[3] as f64 / 1e6,
            last[4] as f64 / 976.5625,
            last[5] as f64 / 976.5625
        ));
    }
}

fn name_of(version: u64) -> String {
    if version == 0 { "shipped".to_owned() } else { format!("model {version}") }
}

fn marks(kept: &Kept, lines: &[Line], end: i64) -> Vec<Mark> {
    let day = |at: i64| (at - kept.begin) as f64 / DAY as f64;
    let began = lines.iter().filter_map(|line| match &line.event {
        Event::Began { incident, .. } => Some((*incident, line.at)),
        _ => None,
    });
    began
        .map(|(number, at)| {
            let over = lines.iter().find_map(|line| match &line.event {
                Event::Ended { incident, .. } if *incident == number => Some(line.at),
                _ => None,
            });
            Mark { span: (day(at), day(over.unwrap_or(end))), label: number.to_string() }
        })
        .collect()
}
