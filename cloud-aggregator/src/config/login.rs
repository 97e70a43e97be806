//! `[http.login]`: the identity provider that says who somebody is, and what its groups may do here.

use hearthwatch_api::login::LoginConfig;
use hearthwatch_configuration::{Faults, Section};
use url::Url;

/// The claim that a person is called by, unless told otherwise.
const NAME_CLAIM: &str = "preferred_username";

/// The claim with the groups, unless told otherwise.
const GROUPS_CLAIM: &str = "groups";

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<LoginConfig> {
    let remedy = "the provider's address as it names itself, e.g. issuer = \"https://id.example.org/realms/home\"";
    let issuer = section.required("issuer", faults, remedy, Section::text);
    let issuer = issuer.filter(|text| {
        let allowed =
            Url::parse(text).is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_here(&url)));
        if !allowed {
            faults.add(section.key("issuer"), format!("{text:?} is not https"), remedy);
        }
        allowed
    });
    let client_id =
        section.required("client_id", faults, "as this program is registered at the provider", Section::text);
    let secret = "a file of mode 0600 with the client's secret; leave it away for a public client";
    let client_secret_file = section.private_file("client_secret_file", faults, secret);
    let ca_file = section.file("ca_file", faults, "the authority that certified the provider, PEM");
    let remedy = "where browsers reach the pages, e.g. page_url = \"https://hearthwatch.example.org:8443\"";
    let page_url = section.required("page_url", faults, remedy, Section::text);
    let page_url = page_url.and_then(|text| match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.host().is_some() => Some(url),
        _ => {
            faults.add(section.key("page_url"), format!("{text:?} is not a web address"), remedy);
            None
        }
    });
    let scopes =
        section.texts("scopes", faults).unwrap_or_else(|| ["profile", "email", "groups"].map(str::to_owned).into());
    let name_claim = section.text("name_claim", faults).unwrap_or_else(|| NAME_CLAIM.to_owned());
    let groups_claim = section.text("groups_claim", faults).unwrap_or_else(|| GROUPS_CLAIM.to_owned());
    let [viewers, operators, admins] =
        ["viewers", "operators", "admins"].map(|key| section.texts(key, faults).unwrap_or_default());
    if viewers.is_empty() && operators.is_empty() && admins.is_empty() {
        let remedy = "groups of the provider, e.g. operators = [\"night-shift\"]";
        faults.add(section.key("operators"), "no group may do anything: nobody could log in", remedy);
    }
    section.finish(faults);
    Some(LoginConfig {
        issuer: issuer?,
        client_id: client_id?,
        client_secret_file,
        ca_file,
        page_url: page_url?,
        scopes,
        name_claim,
        groups_claim,
        viewers,
        operators,
        admins,
    })
}

/// Whether an address is on this machine, where nobody in between can read.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
