//! Settings: what the aggregator was configured with, as it uses it.

use super::prelude::*;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// Section and name, as in the configuration file: `training.trigger_count`.
    pub key: String,
    /// Its value. Passwords and keys are never here: the configuration names files that hold them.
    pub value: serde_json::Value,
}

/// A page of settings, in order of their keys.
pub type SettingPage = Page<SettingView>;

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists the settings in use, those that the file does not name included. Needs operator.
#[utoipa::path(get, path = "/api/v1/settings", tag = "settings", params(Paging), responses(
    (status = 200, body = SettingPage),
))]
pub(crate) async fn list(_: Operator, http: State<Http>, Params(paging): Params<Paging>) -> Answer<SettingPage> {
    let window = paging.window(id)?;
    let after = |key: &&String| window.after.as_ref().is_none_or(|after| *key > after);
    let rows = http.app.settings.iter().filter(|(key, _)| after(key));
    let rows = rows.map(|(key, value)| SettingView { key: key.clone(), value: value.clone() });
    let rows = rows.take(window.needed()).collect();
    Ok(Json(window.cut(rows, |row: &SettingView| row.key.clone(), |row| row)))
}
