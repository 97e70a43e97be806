//! One home of an operation: its Home Assistant, its agent as a process, and what it has on disk.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;

use super::clock;
use super::homes::Player;
use super::programs::{Programs, call, flag};
use crate::home_assistant::{EmulatedHomeAssistant, RecordedSensors};
use crate::process::Process;

/// Where its parts are reached.
#[derive(Debug, Clone)]
pub struct Places {
    /// Port of the broker of the fleet.
    pub mqtt: u16,
    /// `https://localhost:PORT`.
    pub url: String,
    /// Port of the homes' own broker.
    pub house: u16,
    /// Folder of the authority.
    pub keys: PathBuf,
}

/// A home at work.
pub struct Home {
    /// Its pseudonym.
    pub name: String,
    /// Who plays it, and what is true.
    pub player: Player,
    /// Whether its residents answer the opposite of the truth.
    pub hostile: bool,
    /// Port of its page, and of its metrics.
    pub page: u16,
    /// What its agent sees.
    pub home_assistant: EmulatedHomeAssistant,
    /// The agent.
    pub agent: Process,
    /// What its sensors say, and how far that has been played.
    pub sensors: RecordedSensors,
    /// Sensors that came later: entity, and the entity whose readings it repeats.
    pub copies: Vec<(String, String)>,
    /// Seconds by which its clock is ahead, and the clock's file.
    ahead: Option<(i64, File)>,
    folder: PathBuf,
    places: Places,
    programs: Programs,
}

impl Home {
    /// Starts its Home Assistant and prepares its folder; the agent is started by [`Self::start`].
    ///
    /// # Errors
    /// A port or a file that cannot be had.
    pub async fn prepare(
        root: &Path,
        player: Player,
        places: Places,
        programs: &Programs,
        now: i64,
    ) -> anyhow::Result<Self> {
        let name = player.name.clone();
        let folder = root.join("homes").join(&name);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let sensors = RecordedSensors::new(player.lived.clone(), now);
        let home_assistant = EmulatedHomeAssistant::start(sensors.sensors(), sensors.recorder()).await?;
        let page = super::programs::free_port()?;
        let arguments = ["run".to_owned(), flag("config", folder.join("edge.toml"))];
        let agent = Process::new(programs.edge.clone(), arguments, root.join("logs").join(format!("{name}.log")));
        let agent = agent.with_level("warn");
        let (programs, copies) = (programs.clone(), Vec::new());
        Ok(Self {
            name,
            player,
            hostile: false,
            page,
            home_assistant,
            agent,
            sensors,
            copies,
            ahead: None,
            folder,
            places,
            programs,
        })
    }

    /// Enrols with a claim token, as `hearthwatch-edge enrol` does, unless it has a certificate.
    ///
    /// # Errors
    /// What the programs say.
    pub fn enrol(&self) -> anyhow::Result<()> {
        let keys = &self.places.keys;
        if !self.folder.join("agent.crt").exists() {
            // A home that has lost its disk was enrolled before: the token is a new one.
            let add = ["home", "add", &self.name, "--token-only", "--new-token"].map(str::to_owned);
            let token = call(&self.programs.provision, add.into_iter().chain([flag("out", keys)]))?;
            let (claim, authority) = (self.folder.join("claim"), keys.join("ca/ca.crt"));
            std::fs::write(&claim, token.trim())?;
            let enrol = [
                "enrol".to_owned(),
                format!("--url={}", self.places.url),
                flag("ca", authority),
                format!("--home={}", self.name),
                flag("token-file", &claim),
                flag("out", &self.folder),
            ];
            call(&self.programs.edge, enrol).with_context(|| self.name.clone())?;
        }
        std::fs::write(self.folder.join("token"), "any")?;
        std::fs::write(self.folder.join("edge.toml"), self.configuration())?;
        Ok(())
    }

    fn configuration(&self) -> String {
        let Places { mqtt, url, house, .. } = &self.places;
        format!(
            "state = \"state\"\n\
             [home_assistant]\nurl = \"{}\"\ntoken_file = \"token\"\n\
             [home.mqtt]\nhost = \"127.0.0.1\"\nport = {house}\n\
             [page]\nlisten = \"127.0.0.1:{}\"\n\
             [cloud]\nhome = \"{}\"\nsharing = \"windows\"\nrenew_url = \"{url}/\"\n\
             [cloud.mqtt]\nhost = \"localhost\"\nport = {mqtt}\nca_file = \"ca.crt\"\ncert_file = \"agent.crt\"\nkey_file = \"agent.key\"\n\
             [cloud.updates]\nurl = \"{url}/tuf/\"\nca_file = \"ca.crt\"\nroot_file = \"root.json\"\ndirector_file = \"director.pub\"\n",
            self.home_assistant.url(),
            self.page,
            self.name
        )
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.agent.start()
    }

    /// Sends what has happened up to `now`.
    pub fn play(&mut self, now: i64) {
        if let Some((seconds, file)) = &self.ahead {
            // A clock that cannot be moved stays behind, and is no longer ahead: nothing is lost.
            let _ = clock::set_ahead(file, now, *seconds);
        }
        let said = self.sensors.happened(now);
        let copied: Vec<(String, String, f64)> = said
            .iter()
            .flat_map(|(entity, state, at)| {
                let copies = self.copies.iter().filter(move |(_, source)| source == entity);
                copies.map(move |(copy, _)| (copy.clone(), state.clone(), *at))
            })
            .collect();
        self.home_assistant.say_at(said);
        if !copied.is_empty() {
            self.home_assistant.say_at(copied.iter().map(|(entity, state, at)| (entity.as_str(), state.clone(), *at)));
        }
    }

    /// The machine's clock is so many seconds ahead from the next start of the agent on; 0 mends it.
    ///
    /// # Errors
    /// The clock's file cannot be made.
    pub fn set_clock_ahead(&mut self, now: i64, seconds: i64) -> anyhow::Result<()> {
        self.agent.end();
        if seconds == 0 {
            self.ahead = None;
            self.agent.unset_variable("FAKETIME_FOLLOW_FILE");
        } else {
            let path = self.folder.join("clock");
            let file =
                File::options().create(true).write(true).truncate(false).open(&path).context("a home's clock")?;
            clock::set_ahead(&file, now, seconds)?;
            self.agent.set_variable("FAKETIME_FOLLOW_FILE", &path);
            self.ahead = Some((seconds, file));
        }
        self.start()
    }

    /// The disk is gone with everything on it; the agent does not run.
    ///
    /// # Errors
    /// The folder cannot be emptied.
    pub fn lose_disk(&mut self) -> anyhow::Result<()> {
        self.agent.kill();
        std::fs::remove_dir_all(&self.folder)?;
        std::fs::create_dir_all(&self.folder)?;
        Ok(())
    }

    /// Puts a certificate in place that ends after `days`; the agent does not run.
    ///
    /// # Errors
    /// What `hearthwatch-provision` says.
    pub fn take_certificate(&mut self, days: u32) -> anyhow::Result<()> {
        self.agent.end();
        let keys = &self.places.keys;
        let issue = [
            "home".to_owned(),
            "add".into(),
            self.name.clone(),
            "--issue".into(),
            format!("--days={days}"),
            flag("out", keys),
        ];
        call(&self.programs.provision, issue)?;
        for file in ["agent.crt", "agent.key"] {
            std::fs::copy(keys.join("homes").join(&self.name).join(file), self.folder.join(file))?;
        }
        Ok(())
    }

    /// Home Assistant goes; those who ask are not let in until it comes back.
    pub fn stop_home_assistant(&self) {
        self.home_assistant.hang_up(true);
    }

    /// Home Assistant comes back as another version.
    pub fn start_home_assistant(&self, version: &str) {
        self.home_assistant.upgrade(version);
        self.home_assistant.come_back();
    }
}

/// Unix seconds of a time as agents write it.
#[must_use]
pub fn seconds_of(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(Timestamp::as_second)
}
