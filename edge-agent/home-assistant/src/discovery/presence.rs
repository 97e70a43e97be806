//! Whether Home Assistant is there to receive an event. Pure.
//!
//! It publishes that on the broker, but not retained: an agent that was away from the broker then has missed it. Its own connection
//! shows it as well.

/// Whether Home Assistant is on the broker, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presence {
    online: bool,
    /// Whether its own connection stood when that was last looked at.
    connected: bool,
}

impl Presence {
    /// Before the first message Home Assistant is taken to be there.
    pub(super) fn new() -> Self {
        Self { online: true, connected: false }
    }

    /// Takes a birth (`online`) or will message of Home Assistant.
    pub(super) fn birth_or_will(&mut self, online: bool) {
        self.online = online;
    }

    /// The agent is back on the broker; `connected`: whether Home Assistant answers on its own connection.
    pub(super) fn back_on_broker(&mut self, connected: bool) {
        self.online |= connected;
    }

    /// Takes the state of Home Assistant's own connection. True when it is new: events that wait can be published.
    pub(super) fn note_connection(&mut self, connected: bool) -> bool {
        let anew = connected && !self.connected;
        self.connected = connected;
        self.online |= anew;
        anew
    }

    pub(super) fn is_online(self) -> bool {
        self.online
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_missed_the_message_of_a_new_start_hears_of_it_by_the_other_connection() {
        let mut one = Presence::new();
        one.note_connection(true);
        one.birth_or_will(false);
        assert!(!one.is_online());
        // Its start is said while the agent is locked out of the broker.
        one.back_on_broker(true);
        assert!(one.is_online());
    }

    #[test]
    fn a_home_assistant_that_is_away_is_not_there_though_the_broker_is() {
        let mut one = Presence::new();
        one.birth_or_will(false);
        one.note_connection(false);
        one.back_on_broker(false);
        assert!(!one.is_online());
        assert!(one.note_connection(true) && one.is_online());
        assert!(!one.note_connection(true), "it stands already");
    }
}
