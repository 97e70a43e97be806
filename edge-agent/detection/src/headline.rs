//! The home in one sentence, the same on the page and in Home Assistant. Pure.
//!
//! It says "as usual" only while readings come, are judged, and none is beyond its threshold.

use hearthwatch_edge_core::mode::{BrokerState, Mode, SessionState};

use crate::service::{HomeView, LEARNING_DAYS};

/// How urgent the sentence is; the page and Home Assistant show it as a colour or an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Everything is watched and nothing is unusual.
    Calm,
    /// Something is unusual, or a person must act.
    Alert,
    /// Nothing is known yet, or not everything.
    Waiting,
}

/// The state of the home in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// Alert for an alarm and for a connection that is lost.
    pub tone: Tone,
    /// In the language of the view, with its full stop.
    pub text: String,
}

impl Headline {
    /// From the connections in `mode` and the newest `view`; in the language of the view.
    #[must_use]
    pub fn of(mode: &Mode, view: &HomeView) -> Self {
        let language = view.language;
        let said = |tone, english: &str, dutch: &str| (tone, language.pick(english, dutch).to_owned());
        let (tone, text) = match &mode.session {
            SessionState::TokenRefused => said(
                Tone::Alert,
                "Nothing is watched: Home Assistant refuses the access token. Make a new one in Home Assistant and write it \
                 into the token file.",
                "Er wordt niets bewaakt: Home Assistant weigert het toegangstoken. Maak een nieuw token in Home Assistant en \
                 zet het in het tokenbestand.",
            ),
            SessionState::Lost { .. } => said(
                Tone::Alert,
                "Nothing is watched: Home Assistant does not answer. Trying again by itself.",
                "Er wordt niets bewaakt: Home Assistant antwoordt niet. Het wordt vanzelf opnieuw geprobeerd.",
            ),
            SessionState::Connecting => {
                said(Tone::Waiting, "Connecting to Home Assistant.", "Verbinding maken met Home Assistant.")
            }
            SessionState::Starting => said(
                Tone::Waiting,
                "Waiting until Home Assistant has started.",
                "Wachten tot Home Assistant gestart is.",
            ),
            SessionState::Remembering { percent } if *percent != 100 => {
                let english = format!("Getting to know the home from its history, {percent} % done.");
                let dutch = format!("Het huis leren kennen uit zijn geschiedenis, {percent} % klaar.");
                (Tone::Waiting, language.pick(english, dutch))
            }
            SessionState::Listening { .. } if view.listening => listening(view),
            SessionState::Remembering { .. } | SessionState::Listening { .. } => {
                said(Tone::Waiting, "Getting to know the home.", "Het huis leren kennen.")
            }
        };
        let fault = match &mode.home_broker {
            Some(BrokerState::Away { reason }) => language.pick(
                format!("Alarms do not reach Home Assistant: its MQTT broker is away ({reason})."),
                format!("Alarmen bereiken Home Assistant niet: de MQTT-broker is weg ({reason})."),
            ),
            Some(BrokerState::Refused { .. }) => language
                .pick(
                    "Alarms do not reach Home Assistant: its MQTT broker refuses the user name or password.",
                    "Alarmen bereiken Home Assistant niet: de MQTT-broker weigert de gebruikersnaam of het wachtwoord.",
                )
                .to_owned(),
            _ => return Self { tone, text },
        };
        Self { tone: Tone::Alert, text: format!("{text} {fault}") }
    }
}

fn listening(view: &HomeView) -> (Tone, String) {
    let language = view.language;
    let said = |tone, english: &str, dutch: &str| (tone, language.pick(english, dutch).to_owned());
    let unusual = match &*view.unusual {
        [] => None,
        [one] => Some(format!("{one}.")),
        several => {
            let are = language.pick("things are unusual", "dingen zijn ongewoon");
            Some(format!("{} {are}: {}.", several.len(), several.join("; ")))
        }
    };
    if view.preferences.paused {
        let paused = language.pick("Paused: nothing is told but danger.", "Gepauzeerd: alleen gevaar wordt gemeld.");
        return match unusual {
            Some(unusual) => (Tone::Alert, format!("{unusual} {paused}")),
            None => (Tone::Waiting, paused.to_owned()),
        };
    }
    if let Some(unusual) = unusual {
        return (Tone::Alert, unusual);
    }
    if let Some(most_unusual) = view.most_unusual.as_ref().filter(|most| most.score > most.threshold) {
        let name = &most_unusual.name;
        let english = format!("No alarm, but {name} behaves in an unusual way at the moment.");
        let dutch = format!("Geen alarm, maar {name} gedraagt zich op dit moment ongewoon.");
        return (Tone::Waiting, language.pick(english, dutch));
    }
    if !view.looked {
        return said(
            Tone::Waiting,
            "Listening; the first look at everything takes ten minutes at most.",
            "Er wordt geluisterd; de eerste blik op alles duurt hoogstens tien minuten.",
        );
    }
    if view.entities == 0 {
        return said(
            Tone::Waiting,
            "Home Assistant has no entity that can be watched.",
            "Home Assistant heeft geen entiteit die bewaakt kan worden.",
        );
    }
    let days = view.readiness.days();
    if days < LEARNING_DAYS {
        let english = format!("Nothing unusual; the home is still being learnt, {days} of {LEARNING_DAYS} days.");
        let dutch = format!("Niets ongewoons; het huis wordt nog geleerd, {days} van {LEARNING_DAYS} dagen.");
        return (Tone::Calm, language.pick(english, dutch));
    }
    said(Tone::Calm, "Everything is as usual.", "Alles is zoals gewoonlijk.")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hearthwatch_edge_core::explain::Language;

    use super::*;
    use crate::service::{EntityReadiness, MostUnusual, Readiness};

    fn heard() -> SessionState {
        SessionState::Listening { version: "2026.11.0".to_owned(), entities: 28 }
    }

    fn known(days: u8) -> HomeView {
        let entity = EntityReadiness {
            entity_id: "sensor.freezer".to_owned(),
            name: "Freezer".to_owned(),
            days,
            watching: Vec::new(),
        };
        let readiness = Arc::new(Readiness { entities: vec![entity] });
        HomeView { listening: true, looked: true, entities: 1, readiness, ..HomeView::default() }
    }

    fn said(session: &SessionState, view: &HomeView) -> (Tone, String) {
        said_with(BrokerState::Connected, session, view)
    }

    fn said_with(broker: BrokerState, session: &SessionState, view: &HomeView) -> (Tone, String) {
        let mode = Mode { session: session.clone(), home_broker: Some(broker), ..Mode::default() };
        let Headline { tone, text } = Headline::of(&mode, view);
        (tone, text)
    }

    #[test]
    fn as_usual_is_said_only_of_a_home_that_is_known_heard_and_judged() {
        assert_eq!(said(&heard(), &known(14)), (Tone::Calm, "Everything is as usual.".to_owned()));
        let mut others: Vec<(SessionState, HomeView)> = [
            SessionState::TokenRefused,
            SessionState::Lost { reason: "gone".to_owned() },
            SessionState::Connecting,
            SessionState::Starting,
            SessionState::Remembering { percent: 40 },
        ]
        .into_iter()
        .map(|session| (session, known(14)))
        .collect();
        let mut paused = known(14);
        paused.preferences.paused = true;
        let unusual = HomeView { unusual: vec!["Freezer: unusual value".to_owned()], ..known(14) };
        let not_judged = HomeView { listening: false, ..known(14) };
        let empty = HomeView { entities: 0, ..known(14) };
        let not_looked = HomeView { looked: false, ..known(14) };
        others.extend([paused, unusual, not_judged, empty, not_looked, known(3)].map(|view| (heard(), view)));
        for (session, view) in others {
            let text = said(&session, &view).1;
            assert!(!text.contains("as usual"), "{session}: {text}");
        }
    }

    #[test]
    fn a_refused_token_and_a_lost_home_assistant_are_said_with_what_to_do_even_while_an_alarm_is_open() {
        let unusual = HomeView { unusual: vec!["Freezer: unusual value".to_owned()], ..known(14) };
        let (tone, text) = said(&SessionState::TokenRefused, &unusual);
        assert_eq!(tone, Tone::Alert);
        assert_eq!(
            text,
            "Nothing is watched: Home Assistant refuses the access token. Make a new one in Home Assistant and write it into \
             the token file."
        );
        let lost = SessionState::Lost { reason: "connection refused".to_owned() };
        let text = "Nothing is watched: Home Assistant does not answer. Trying again by itself.";
        assert_eq!(said(&lost, &unusual), (Tone::Alert, text.to_owned()));
    }

    #[test]
    fn a_broker_that_is_away_is_no_calm_day() {
        let said = |broker, language| said_with(broker, &heard(), &HomeView { language, ..known(14) });
        let words =
            "Everything is as usual. Alarms do not reach Home Assistant: its MQTT broker is away (connection refused).";
        let away = BrokerState::Away { reason: "connection refused".to_owned() };
        assert_eq!(said(away, Language::English), (Tone::Alert, words.to_owned()));
        let words = "Alles is zoals gewoonlijk. Alarmen bereiken Home Assistant niet: de MQTT-broker weigert de gebruikersnaam of het \
                     wachtwoord.";
        let refused = BrokerState::Refused { remedy: String::new() };
        assert_eq!(said(refused, Language::Dutch), (Tone::Alert, words.to_owned()));
    }

    #[test]
    fn what_is_unusual_is_named_and_a_pause_does_not_hide_it() {
        let mut view = known(14);
        view.unusual = vec!["Water detected in Laundry".to_owned(), "Freezer: unusual value".to_owned()];
        let text = "2 things are unusual: Water detected in Laundry; Freezer: unusual value.";
        assert_eq!(said(&heard(), &view), (Tone::Alert, text.to_owned()));
        view.preferences.paused = true;
        view.unusual.truncate(1);
        let text = "Water detected in Laundry. Paused: nothing is told but danger.";
        assert_eq!(said(&heard(), &view), (Tone::Alert, text.to_owned()));
    }

    #[test]
    fn a_score_above_its_threshold_without_an_alarm_is_no_usual_day() {
        let most_unusual = MostUnusual {
            entity_id: "sensor.freezer".to_owned(),
            name: "Freezer".to_owned(),
            at: 0,
            score: 9.0,
            threshold: 4.0,
            observed: Some(-8.0),
            band: None,
            unit: "°C".to_owned(),
        };
        let mut view = HomeView { most_unusual: Some(most_unusual), ..known(14) };
        let text = "No alarm, but Freezer behaves in an unusual way at the moment.";
        assert_eq!(said(&heard(), &view), (Tone::Waiting, text.to_owned()));
        view.language = Language::Dutch;
        let text = "Geen alarm, maar Freezer gedraagt zich op dit moment ongewoon.";
        assert_eq!(said(&heard(), &view), (Tone::Waiting, text.to_owned()));
    }
}
