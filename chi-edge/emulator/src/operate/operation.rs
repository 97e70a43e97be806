//! An operation from its begin, or from where it was stopped, to its end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hearthwatch_link::{LinkEvent, Publication};
use tokio::task::JoinHandle;

use super::OperateArguments;
use super::answers::{AlarmEvent, Answers, word};
use super::clock::Calendar;
use super::fleet::Fleet;
use super::home::seconds_of;
use super::homes::{Chance, choose, silences};
use super::incidents::Incident;
use super::journal::{Event, Journal, Line};
use super::observe::{self, Seen};
use super::operator::Operator;
use super::programs::Programs;
use super::residents::Household;
use super::samples::Samples;
use super::settings::Kept;
use super::strike::{self, Struck};
use crate::data;
use crate::screen::Screen;

/// Real time between two looks at everything.
const PULSE: Duration = Duration::from_millis(50);
/// Seconds of the calendar between two looks into the aggregator's store.
const LOOK_EVERY: i64 = 3_600;
/// And between two lines about the whole fleet.
const STAND_EVERY: i64 = 6 * 3_600;
/// And between two readings of metrics: of the aggregator, and of the agents.
const SAMPLE_EVERY: i64 = 60;
const AGENTS_EVERY: i64 = 300;
/// Real time that homes have at the end to send what waits.
const SETTLE_MAX: Duration = Duration::from_secs(300);
/// Longest wait for one answer of `/metrics`: a program that is slower is down, as it is to Prometheus.
const SCRAPE_MAX: Duration = Duration::from_secs(2);
const DAY: i64 = 86_400;

/// Everything of a run.
pub struct Operation {
    kept: Kept,
    calendar: Calendar,
    fleet: Fleet,
    operator: Operator,
    households: Vec<Household>,
    answers: Answers,
    journal: Journal,
    seen: Seen,
    /// Incidents that are still to begin.
    ahead: VecDeque<Incident>,
    struck: Vec<Struck>,
    samples: Arc<Mutex<Samples>>,
    /// Samples of the day before, while they are written.
    writing: Option<JoinHandle<anyhow::Result<()>>>,
    scrapes: reqwest::Client,
    screen: Screen,
}

/// When what is to be done next.
struct Next {
    look: i64,
    stand: i64,
    sample: i64,
    agents: i64,
    day: i64,
}

impl Operation {
    /// Makes and starts everything; goes on where the journal in the folder ends.
    ///
    /// # Errors
    /// The part that could not be made or started.
    pub async fn start(
        arguments: &OperateArguments,
        kept: Kept,
        incidents: Vec<Incident>,
        programs: &Programs,
    ) -> anyhow::Result<Self> {
        let (begun, screen, root) = (Instant::now(), Screen::new(), arguments.out.as_path());
        let (mut journal, lines) = Journal::open(&root.join("journal.jsonl"))?;
        let now = lines.last().map_or(kept.begin, |line| line.at).max(kept.begin);
        let calendar = match arguments.speed > 1.0 {
            true => Calendar::faster(&kept.clock, arguments.speed, now)?,
            false => Calendar::real(),
        };
        let all: Vec<&str> = hearthwatch_evaluation::dataset::DATA_SETS.iter().map(|set| set.name).collect();
        let source = data::find(arguments.data.as_deref(), &all)?;
        let recordings = data::homes(&source, &all)?;
        let corpus = corpus(root)?;
        let players = choose(
            recordings,
            usize::from(kept.homes),
            kept.days,
            kept.begin,
            Chance { seed: kept.seed, faults: kept.faults },
        )?;
        screen.say(format!(
            "{} homes, {} days, at {} times real time: about {}",
            kept.homes,
            kept.days,
            arguments.speed,
            hours((kept.end() - now).max(0) as f64 / arguments.speed)
        ));
        let span = (kept.begin, kept.end());
        let households: Vec<Household> =
            players.iter().map(|player| Household::draw(kept.seed, &player.name, span)).collect();
        let names: Vec<String> = players.iter().map(|player| player.name.clone()).collect();
        let answers = Answers::of(&lines, |home, alarm, at, really| {
            let place = names.iter().position(|name| name == home)?;
            households[place].reply(kept.seed, home, alarm, at, really, false)
        });
        if lines.is_empty() {
            for player in &players {
                let times = player.lived.readings.iter().map(|reading| reading.at);
                for (from, until) in silences(times, kept.begin) {
                    journal.write(now, Event::Silent { home: player.name.clone(), from, until })?;
                }
            }
        }
        let mut fleet = Fleet::start(root, kept.ports, programs, players, &corpus, now).await?;
        let operator = Operator::new(root, fleet.url())?;
        fleet.start_agents()?;
        let started = Event::Started { seconds: begun.elapsed().as_secs_f64(), speed: arguments.speed };
        let line = journal.write(now, started)?;
        screen.say(format!("{}: all programs run, after {:.0} s", when(&kept, line.at), begun.elapsed().as_secs_f64()));
        let scrapes = reqwest::Client::builder().no_proxy().timeout(SCRAPE_MAX).build()?;
        let samples = Arc::new(Mutex::new(Samples::new(root.join("metrics"))?));
        let (ahead, struck) = still_ahead(incidents, &lines, &kept);
        let seen = Seen::of(&lines);
        let mut operation = Self {
            kept,
            calendar,
            fleet,
            operator,
            households,
            answers,
            journal,
            seen,
            ahead,
            struck,
            samples,
            writing: None,
            scrapes,
            screen,
        };
        // What went on when the run was stopped goes on.
        for struck in operation.struck.clone() {
            operation.strike_again(&struck, now).await?;
        }
        Ok(operation)
    }

    /// Until the end of its days, or until somebody stops it.
    ///
    /// # Errors
    /// A program, file or store that does not do what it should.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let now = self.calendar.now();
        let mut next = Next { look: now, stand: now, sample: now, agents: now, day: now + DAY };
        let mut stop = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        self.calendar.skip_pause();
        let mut is_stopped = false;
        while !is_stopped && self.calendar.now() < self.kept.end() {
            tokio::select! {
                event = self.fleet.events.next() => {
                    let event = event.context("the line to the homes' broker has ended")?;
                    self.hear(event)?;
                }
                _ = pulse.tick() => self.go_on(&mut next).await?,
                _ = stop.recv() => is_stopped = true,
                _ = tokio::signal::ctrl_c() => is_stopped = true,
            }
        }
        self.write_news().await?;
        if is_stopped {
            self.journal.write(self.calendar.now(), Event::Stopped)?;
            self.screen.say("stopped; the same command goes on from here");
        } else {
            self.settle().await?;
        }
        self.write_samples().await?;
        // Once more, to wait for what was handed over last.
        self.write_samples().await?;
        self.fleet.end();
        Ok(())
    }

    async fn go_on(&mut self, next: &mut Next) -> anyhow::Result<()> {
        let now = self.calendar.advance()?.min(self.kept.end());
        self.fleet.play(now);
        self.say_due(now).await?;
        self.incidents(now).await?;
        if now >= next.sample {
            next.sample = now + SAMPLE_EVERY;
            let with_agents = now >= next.agents;
            if with_agents {
                next.agents = now + AGENTS_EVERY;
            }
            self.sample(now, with_agents);
        }
        if now >= next.look {
            next.look = now + LOOK_EVERY;
            self.write_news().await?;
        }
        if now >= next.stand {
            next.stand = now + STAND_EVERY;
            let event = tokio::task::block_in_place(|| observe::stand(&self.fleet))?;
            self.journal.write(now, event)?;
        }
        if now >= next.day {
            next.day = now + DAY;
            self.write_samples().await?;
            self.screen.say(format!("{}: day is over", when(&self.kept, now)));
        }
        Ok(())
    }

    /// An agent says something to its Home Assistant.
    fn hear(&mut self, event: LinkEvent) -> anyhow::Result<()> {
        let LinkEvent::Message { topic, payload, .. } = event else { return Ok(()) };
        let Some(home) = topic.strip_prefix("hearthwatch/").and_then(|rest| rest.strip_suffix("/event")) else {
            return Ok(());
        };
        let Ok(event) = serde_json::from_slice::<AlarmEvent>(&payload) else { return Ok(()) };
        let Some(place) = self.fleet.homes.iter().position(|known| known.name == home) else { return Ok(()) };
        let now = self.calendar.now();
        match event.event_type.as_str() {
            "raised" => {
                let raised_at = seconds_of(&event.raised_at).unwrap_or(now);
                let known = &self.fleet.homes[place];
                let really = known.player.is_true(&event.watched_entity, raised_at);
                if self.answers.raise(home, &event.alarm_id, really) {
                    let reply =
                        self.households[place].reply(self.kept.seed, home, &event.alarm_id, now, really, known.hostile);
                    if let Some(reply) = reply {
                        self.answers.plan(home, &event.alarm_id, reply);
                    }
                    self.journal.write(
                        now,
                        Event::Raised {
                            home: home.to_owned(),
                            alarm: event.alarm_id,
                            entity: event.watched_entity,
                            class: event.device_class,
                            kind: event.kind,
                            really,
                            version: event.model_version,
                        },
                    )?;
                }
            }
            verdict @ ("confirmed" | "dismissed" | "expected") => {
                if let Some(really) = self.answers.take(home, &event.alarm_id, event.shared) {
                    let right = (verdict == "confirmed") == really;
                    let (home, verdict) = (home.to_owned(), verdict.to_owned());
                    let event = Event::Answered { home, alarm: event.alarm_id, verdict, right, shared: event.shared };
                    self.journal.write(now, event)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Residents tap.
    async fn say_due(&mut self, now: i64) -> anyhow::Result<()> {
        for due in self.answers.due(now) {
            let payload = serde_json::json!({"alarm_id": due.alarm, "verdict": word(due.verdict)}).to_string();
            let topic = format!("hearthwatch/{}/command/answer", due.home);
            self.fleet.line.publish(Publication { topic, payload: payload.into(), retain: false }).await?;
        }
        Ok(())
    }

    async fn incidents(&mut self, now: i64) -> anyhow::Result<()> {
        while let Some(place) = self.struck.iter().position(|struck| struck.until <= now) {
            let struck = self.struck.remove(place);
            let detail = strike::end(&struck, &mut self.fleet, now).await?;
            self.calendar.skip_pause();
            self.screen.say(format!("{}: {}: {}", when(&self.kept, now), struck.incident.kind.as_str(), detail));
            let (incident, kind) = (struck.incident.number, struck.incident.kind.as_str().to_owned());
            self.journal.write(now, Event::Ended { incident, kind, detail })?;
        }
        while self.ahead.front().is_some_and(|incident| self.kept.begin + incident.begins <= now) {
            let Some(incident) = self.ahead.pop_front() else { break };
            let homes = strike::choose(&incident, self.fleet.homes.len(), self.kept.seed);
            let struck = Struck { until: now + incident.lasts, homes, incident };
            self.note_lost_disks(&struck, now)?;
            let detail = strike::begin(&struck, &mut self.fleet, &self.operator, now).await;
            let detail = detail.with_context(|| format!("incident {}", struck.incident.number))?;
            self.calendar.skip_pause();
            self.screen.say(format!("{}: {}: {}", when(&self.kept, now), struck.incident.kind.as_str(), detail));
            let (number, kind) = (struck.incident.number, struck.incident.kind.as_str().to_owned());
            self.journal.write(now, Event::Began { incident: number, kind: kind.clone(), detail })?;
            if struck.incident.lasts > 0 {
                self.struck.push(struck);
            } else {
                self.journal.write(now, Event::Ended { incident: number, kind, detail: String::new() })?;
            }
        }
        Ok(())
    }

    /// What agents took and had not sent when their disks went.
    fn note_lost_disks(&mut self, struck: &Struck, now: i64) -> anyhow::Result<()> {
        if struck.incident.kind != super::incidents::IncidentKind::LeaseEnds {
            return Ok(());
        }
        let stored = tokio::task::block_in_place(|| observe::stored(&self.fleet.database()))?;
        let mut lost = Vec::new();
        for place in &struck.homes {
            let home = &self.fleet.homes[*place].name;
            let open = self.answers.shared_of(home).into_iter().map(|alarm| (home.clone(), alarm));
            lost.extend(open.filter(|key| !stored.contains_key(key)));
        }
        self.answers.lose(lost.iter().cloned());
        self.journal.write(now, Event::DisksLost { answers: lost })?;
        Ok(())
    }

    /// A run that goes on: what was struck when it was stopped is struck again.
    async fn strike_again(&mut self, struck: &Struck, now: i64) -> anyhow::Result<()> {
        use super::incidents::IncidentKind as Kind;
        let lasting = matches!(
            struck.incident.kind,
            Kind::PoisonedHomes
                | Kind::BrokerDown
                | Kind::SignerDown
                | Kind::AggregatorKilled
                | Kind::HomeAssistantUpgraded
                | Kind::ClockAhead
                | Kind::DiskFull
                | Kind::SeasonDrift
        );
        if lasting {
            strike::begin(struck, &mut self.fleet, &self.operator, now).await?;
        }
        Ok(())
    }

    async fn write_news(&mut self) -> anyhow::Result<()> {
        let database = self.fleet.database();
        // Not before the aggregator has made it.
        if database.exists() {
            let news = tokio::task::block_in_place(|| self.seen.news(&database))?;
            for (at, event) in news {
                self.screen.say(format!("{}: {}", when(&self.kept, at), in_words(&event)));
                // In the order of the file; the time is that of the thing itself.
                self.journal.write(at.max(self.kept.begin), event)?;
            }
        }
        // Whoever cannot be asked now is asked again in an hour.
        if let Ok(homes) = self.operator.let_late_homes_in().await {
            for home in homes {
                let action = format!("let {home} back in, whose certificate had ended");
                self.screen.say(format!("{}: the operator {action}", when(&self.kept, self.calendar.now())));
                self.journal.write(self.calendar.now(), Event::Operator { action })?;
            }
        }
        Ok(())
    }

    /// Reads the metrics, beside everything else.
    fn sample(&self, now: i64, with_agents: bool) {
        let (samples, operator) = (Arc::clone(&self.samples), self.operator.clone());
        tokio::spawn(async move {
            let text = tokio::time::timeout(SCRAPE_MAX, operator.metrics()).await.ok().and_then(Result::ok);
            lock(&samples).take(now, "hearthwatch-cloud", "cloud", text.as_deref());
        });
        if !with_agents {
            return;
        }
        let agents: Vec<(String, u16)> = self.fleet.homes.iter().map(|home| (home.name.clone(), home.page)).collect();
        let (samples, http) = (Arc::clone(&self.samples), self.scrapes.clone());
        tokio::spawn(async move {
            for (home, page) in agents {
                let answer = http
                    .get(format!("http://127.0.0.1:{page}/metrics"))
                    .header("accept", "application/openmetrics-text;version=1.0.0")
                    .send()
                    .await;
                let text = match answer.and_then(reqwest::Response::error_for_status) {
                    Ok(answer) => answer.text().await.ok(),
                    Err(_) => None,
                };
                lock(&samples).take(now, "hearthwatch-edge", &home, text.as_deref());
            }
        });
    }

    /// Has the samples taken since the last call written, once those before are.
    async fn write_samples(&mut self) -> anyhow::Result<()> {
        if let Some(before) = self.writing.take() {
            before.await.context("writing metrics")??;
        }
        let batch = lock(&self.samples).hand_over();
        self.writing = batch.map(|batch| tokio::task::spawn_blocking(|| batch.write()));
        Ok(())
    }

    /// The end: homes send what waits, and the store is held against what agents took.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let database = self.fleet.database();
        loop {
            let stored = tokio::task::block_in_place(|| observe::stored(&database))?;
            let missing = self.answers.missing(&stored);
            if missing == 0 || begun.elapsed() > SETTLE_MAX {
                let event = self.answers.settle(&stored);
                self.screen.say(in_words(&event));
                self.journal.write(self.calendar.now(), event)?;
                return Ok(());
            }
            // Answers are sent again after pauses of the calendar.
            self.calendar.skip_pause();
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.calendar.advance()?;
        }
    }
}

fn lock(samples: &Mutex<Samples>) -> std::sync::MutexGuard<'_, Samples> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Incidents that have not begun, and those that have and are not over.
fn still_ahead(incidents: Vec<Incident>, lines: &[Line], kept: &Kept) -> (VecDeque<Incident>, Vec<Struck>) {
    let began = |number| {
        let of_it = |line: &&Line| matches!(&line.event, Event::Began { incident, .. } if *incident == number);
        lines.iter().find(of_it).map(|line| line.at)
    };
    let ended =
        |number| lines.iter().any(|line| matches!(&line.event, Event::Ended { incident, .. } if *incident == number));
    let (mut ahead, mut struck) = (VecDeque::new(), Vec::new());
    for incident in incidents {
        match began(incident.number) {
            None => ahead.push_back(incident),
            Some(_) if ended(incident.number) => {}
            Some(at) => {
                let homes = strike::choose(&incident, usize::from(kept.homes), kept.seed);
                struck.push(Struck { until: at + incident.lasts, homes, incident });
            }
        }
    }
    (ahead, struck)
}

/// Where the aggregator finds recordings to train on: the bundled sets, written out.
fn corpus(root: &std::path::Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(root.join("corpus"))?;
    data::unpack(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// `day 3, 14:30`.
fn when(kept: &Kept, at: i64) -> String {
    let since = (at - kept.begin).max(0);
    format!("day {}, {:02}:{:02}", since / DAY + 1, since % DAY / 3_600, since % 3_600 / 60)
}

fn hours(seconds: f64) -> String {
    let minutes = (seconds / 60.0).ceil();
    if minutes < 90.0 { format!("{minutes} minutes") } else { format!("{:.1} hours", minutes / 60.0) }
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Run { state, trigger, reasons, .. } => {
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            format!("a retraining, started by {trigger}, ended: {state}{why}")
        }
        Event::Released { version, by } => format!("model {version} was released by {by}"),
        Event::Rollout { version, state, reason } => {
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!("rollout of model {version} is {state}{why}")
        }
        Event::Settled { taken, stored, doubled, lost, gone_with_disks, not_shared } => format!(
            "agents took {taken} answers: {stored} are stored once, {} twice or more, {} are lost, {gone_with_disks} went with disks, \
             {not_shared} were not to be shared",
            doubled.len(),
            lost.len()
        ),
        _ => String::new(),
    }
}
