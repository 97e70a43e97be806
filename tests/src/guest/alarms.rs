//! A sensor that breaks, and the resident who answers.

use serde_json::Value;

use super::Guest;

/// What no thermometer measures: the rule needs no second look.
const IMPOSSIBLE: &str = "5000";
/// The most that a resident can allow: every alarm must be said.
const ALARMS_A_WEEK: &str = "14.0";

impl Guest {
    /// Allows as many alarms as there can be, and waits until the agent has taken that over.
    ///
    /// # Errors
    /// When it does not.
    pub async fn allow_alarms(&mut self) -> anyhow::Result<()> {
        self.line.say("budget", ALARMS_A_WEEK).await?;
        self.line.wait_for("budget", |budget| budget == ALARMS_A_WEEK).await
    }

    /// Breaks a thermometer, and waits for the id of the alarm that comes of it, as JSON text.
    ///
    /// # Errors
    /// When none comes.
    pub async fn break_sensor(&mut self, entity_id: &str) -> anyhow::Result<String> {
        self.double.say([(entity_id, IMPOSSIBLE.to_owned())]);
        let about = |text: &str| {
            let attributes: Value = serde_json::from_str(text).unwrap_or_default();
            (attributes["watched_entity"] == entity_id).then(|| attributes["alarm_id"].to_string())
        };
        self.line.wait_for_some("alarm/attributes", about).await
    }

    /// Confirms the alarm with this id, and waits until the agent has taken the answer.
    ///
    /// # Errors
    /// When it does not.
    pub async fn confirm(&mut self, id: &str) -> anyhow::Result<()> {
        self.line.say("answer", &format!("{{\"alarm_id\":{id},\"verdict\":\"confirmed\"}}")).await?;
        let confirmed = |text: &str| text.contains(id) && text.contains("\"answer\":\"confirmed\"");
        self.line.wait_for("alarm/attributes", confirmed).await
    }
}
