//! Which identity provider is believed, and what its groups may do.

use std::path::PathBuf;

use hearthwatch_store::Role;
use url::Url;

/// The provider and the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginConfig {
    /// The provider's issuer, exactly as it names itself, e.g. `https://id.example.org/realms/home`.
    pub issuer: String,
    /// How this program is registered there.
    pub client_id: String,
    /// A file with the client's secret; none for a public client, which PKCE alone protects.
    pub client_secret_file: Option<PathBuf>,
    /// Who certified the provider, if that is not an authority of this machine; PEM.
    pub ca_file: Option<PathBuf>,
    /// Where browsers reach the pages, e.g. `https://hearthwatch.example.org:8443`; the provider sends them back to `/login/callback` there.
    pub page_url: Url,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that a person is called by in the audit log.
    pub name_claim: String,
    /// The claim with the groups.
    pub groups_claim: String,
    /// Groups whose members may look.
    pub viewers: Vec<String>,
    /// Groups whose members may start, promote and roll back.
    pub operators: Vec<String>,
    /// Groups whose members may do everything.
    pub admins: Vec<String>,
}

impl LoginConfig {
    /// The highest role of somebody in these groups; none where no group has one.
    #[must_use]
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        let roles = [(Role::Admin, &self.admins), (Role::Operator, &self.operators), (Role::Viewer, &self.viewers)];
        roles.into_iter().find(|(_, named)| groups.iter().any(|group| named.contains(group))).map(|(role, _)| role)
    }

    /// Where the provider sends a browser back to.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("{}/login/callback", self.page_url.as_str().trim_end_matches('/'))
    }
}
