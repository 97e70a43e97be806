//! `[home_assistant]`: where the readings come from.

use hearthwatch_configuration::{Faults, Secret, Section};
use url::Url;

/// `[home_assistant]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeAssistantConfig {
    /// For example `ws://127.0.0.1:8123/api/websocket`.
    pub websocket: Url,
    /// Long-lived access token of a user without administrator rights.
    pub token: Secret,
    /// Entities that are not watched: ids, or globs with `*`.
    pub exclude: Vec<String>,
    /// Areas that are not watched: names or ids.
    pub exclude_areas: Vec<String>,
    /// Labels, of an entity, its device or its area, that keep it from being watched: names or ids.
    pub exclude_labels: Vec<String>,
}

impl HomeAssistantConfig {
    /// Everything that can be watched, at `websocket`.
    #[must_use]
    pub fn new(websocket: Url, token: Secret) -> Self {
        let (exclude, exclude_areas, exclude_labels) = (Vec::new(), Vec::new(), Vec::new());
        Self { websocket, token, exclude, exclude_areas, exclude_labels }
    }

    /// The table's content; none where something in it is a fault.
    pub fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let url_remedy = "write Home Assistant's address, e.g. \"http://127.0.0.1:8123\"";
        let url = section.required("url", faults, url_remedy, Section::text);
        let websocket = url.and_then(|text| match websocket_url(&text) {
            Ok(url) => Some(url),
            Err(problem) => {
                faults.add(section.key("url"), problem, url_remedy);
                None
            }
        });
        let token_remedy = "make a long-lived access token in Home Assistant (profile, Security) for a user without \
                            administrator rights, and save it in this file";
        let token = section.required("token_file", faults, token_remedy, |section, key, faults| {
            section.secret(key, faults, token_remedy)
        });
        let exclude = section.texts("exclude", faults).unwrap_or_default();
        let exclude_areas = section.texts("exclude_areas", faults).unwrap_or_default();
        let exclude_labels = section.texts("exclude_labels", faults).unwrap_or_default();
        section.finish(faults);
        Some(Self { exclude, exclude_areas, exclude_labels, ..Self::new(websocket?, token?) })
    }

    /// Whether the resident asked not to watch this entity.
    #[must_use]
    pub fn excludes(&self, entity_id: &str) -> bool {
        self.exclude.iter().any(|pattern| matches_glob(pattern, entity_id))
    }
}

/// Where Home Assistant listens unless a person changed it.
const PORT: u16 = 8123;

/// The WebSocket endpoint of the Home Assistant at `text`: an address, or a host with or without a port as people write it.
pub fn websocket_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let bare = !text.contains("://");
    let full = if bare { format!("http://{text}") } else { text.to_owned() };
    let mut url = Url::parse(&full).map_err(|error| format!("{text:?} is not an address ({error})"))?;
    // Behind the bracket of an IPv6 address; a port that is the scheme's own is no longer seen in the parsed address.
    let names_port = |text: &str| {
        text.split('/').next().and_then(|door| door.rsplit(']').next()).is_some_and(|end| end.contains(':'))
    };
    if bare && !names_port(text) {
        url.set_port(Some(PORT)).map_err(|()| format!("{text:?} is not an address"))?;
    }
    let scheme = match url.scheme() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        other => return Err(format!("{other:?} is not a way to reach Home Assistant")),
    };
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{text:?} names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a password; the token is what lets the agent in".to_owned());
    }
    url.set_scheme(scheme).map_err(|()| format!("{text:?} is not an address"))?;
    let path = url.path().trim_end_matches('/').to_owned();
    // The Supervisor's proxy ends in /core/websocket, everything else in /api/websocket.
    if !path.ends_with("/websocket") {
        url.set_path(&format!("{path}/api/websocket"));
    }
    Ok(url)
}

/// Matches `*` against any run of characters; every other character stands for itself.
fn matches_glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches_glob(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_scheme_is_home_assistant_at_its_usual_port() {
        let url = |text| websocket_url(text).map(|url| url.to_string());
        assert_eq!(url("homeassistant.local"), Ok("ws://homeassistant.local:8123/api/websocket".to_owned()));
        assert_eq!(url(" 192.168.1.10:8124/ "), Ok("ws://192.168.1.10:8124/api/websocket".to_owned()));
        assert_eq!(url("192.168.1.10:80"), Ok("ws://192.168.1.10/api/websocket".to_owned()));
        assert_eq!(url("[fd00::80]"), Ok("ws://[fd00::80]:8123/api/websocket".to_owned()));
        assert_eq!(url("[fd00::10]"), Ok("ws://[fd00::10]:8123/api/websocket".to_owned()));
    }

    #[test]
    fn an_http_address_becomes_the_websocket_endpoint() {
        let url = |text| websocket_url(text).map(|url| url.to_string());
        assert_eq!(url("http://127.0.0.1:8123"), Ok("ws://127.0.0.1:8123/api/websocket".to_owned()));
        assert_eq!(url("https://home.example/ha/"), Ok("wss://home.example/ha/api/websocket".to_owned()));
        assert_eq!(url("http://supervisor/core/websocket"), Ok("ws://supervisor/core/websocket".to_owned()));
    }

    #[test]
    fn an_address_with_a_password_or_an_unknown_scheme_is_refused() {
        assert!(websocket_url("http://me:word@home.example").is_err());
        assert!(websocket_url("mqtt://home.example").is_err());
    }

    #[test]
    fn a_glob_matches_whole_ids_only() {
        assert!(matches_glob("sensor.*_battery", "sensor.door_battery"));
        assert!(!matches_glob("sensor.*_battery", "sensor.door_battery_level"));
        assert!(matches_glob("*", "sensor.door"));
        assert!(!matches_glob("sensor.door", "sensor.doors"));
    }
}
