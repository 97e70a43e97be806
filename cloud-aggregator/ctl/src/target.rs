//! Which aggregator is asked, and with what token: from flags, the environment, the aggregator's own configuration, or a context.
//!
//! A token belongs to the address that it was named with: `--url` alone never sends the token of a context.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::{Host, Url};

use crate::contexts::{self, Context, Contexts};
use crate::failure::{Done, Failure};

/// Environment variables, by what they say.
pub const URL: &str = "HEARTHWATCH_URL";
/// The file with the token.
pub const TOKEN_FILE: &str = "HEARTHWATCH_TOKEN_FILE";
/// The authority's certificate.
pub const CA_FILE: &str = "HEARTHWATCH_CA_FILE";
/// The context's name.
pub const CONTEXT: &str = "HEARTHWATCH_CONTEXT";

/// The name in the certificate under which the aggregator is reached from its own machine: `hearthwatch-provision init` puts it there.
const OWN_NAME: &str = "localhost";

/// What the command line says about who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// `--url`.
    pub url: Option<String>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where its API is.
    pub url: Url,
    /// The file with the token; `-` is standard input.
    pub token_file: Option<PathBuf>,
    /// Who certified it, where that is not an authority of this machine.
    pub ca_file: Option<PathBuf>,
    /// Where its name is to be found, on this machine.
    pub resolve: Option<(String, SocketAddr)>,
    /// The context that said so.
    pub context: Option<String>,
}

impl Target {
    /// Finds it: `--config`, `--context` or `--url`, then `HEARTHWATCH_CONTEXT`, `HEARTHWATCH_URL`, then the context in use.
    ///
    /// # Errors
    /// [`Failure::Usage`] where nothing says who is asked, or what says so cannot be used; [`Failure::Context`].
    pub fn find(said: &Said, variable: &dyn Fn(&str) -> Option<String>) -> Done<Self> {
        // Told here and not to clap, whose completions know no exclusion among flags of all commands.
        if [said.url.is_some(), said.context.is_some(), said.config.is_some()].iter().filter(|given| **given).count()
            > 1
        {
            return Err(Failure::Usage(
                "--url, --context and --config each say who is asked: give one of them".to_owned(),
            ));
        }
        let set = |name| variable(name).filter(|text| !text.is_empty());
        let token_file = said.token_file.clone().or_else(|| set(TOKEN_FILE).map(PathBuf::from));
        let ca_file = said.ca_file.clone().or_else(|| set(CA_FILE).map(PathBuf::from));
        if let Some(file) = &said.config {
            let own = of_config(file)?;
            return Ok(Self { token_file, ca_file: ca_file.or(own.ca_file), ..own });
        }
        let by_name = said.context.clone().or_else(|| set(CONTEXT).filter(|_| said.url.is_none()));
        let by_url = said.url.clone().or_else(|| set(URL).filter(|_| by_name.is_none()));
        if let Some(text) = by_url {
            return Ok(Self { url: address(&text)?, token_file, ca_file, resolve: None, context: None });
        }
        let contexts = Contexts::read(&contexts::place(variable)?)?;
        let Some(name) = by_name.or_else(|| contexts.current.clone()) else {
            return Err(Failure::Usage(
                "nothing says which aggregator is asked: `hearthwatch-cloud ctl context add NAME --url URL --token-file \
                 FILE` keeps one for all commands; --url and --token-file, or --config FILE on its own machine, name one \
                 for this command"
                    .to_owned(),
            ));
        };
        let Context { url, token_file: own_token, ca_file: own_ca } = contexts.named(&name)?.clone();
        Ok(Self {
            url: address(&url)?,
            token_file: said.token_file.clone().or(own_token),
            ca_file: said.ca_file.clone().or(own_ca),
            resolve: None,
            context: Some(name),
        })
    }
}

/// An address that may be asked: https, or http on this machine, where nobody in between can read the token.
///
/// # Errors
/// [`Failure::Usage`] for any other.
pub fn address(text: &str) -> Done<Url> {
    let fault = |why: &str| Failure::Usage(format!("{text:?} {why}"));
    let mut url = Url::parse(text).map_err(|error| fault(&format!("is no web address: {error}")))?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == OWN_NAME || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => return Err(fault("names no host; say e.g. https://cloud.example:8443")),
    };
    match url.scheme() {
        "https" => {}
        "http" if here => {}
        "http" => return Err(fault("would carry the token in the clear; say https://")),
        _ => return Err(fault("is no web address; say e.g. https://cloud.example:8443")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("holds a name or a password; the token belongs in a file that --token-file names"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// The part of `cloud.toml` that says where the aggregator listens. Its other keys are the aggregator's own matter.
#[derive(Deserialize)]
struct Configuration {
    http: Option<HttpPart>,
    mqtt: Option<MqttPart>,
}

#[derive(Deserialize)]
struct HttpPart {
    listen: Option<SocketAddr>,
    cert_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MqttPart {
    ca_file: Option<PathBuf>,
}

/// The aggregator of this configuration, on this machine.
fn of_config(file: &Path) -> Done<Target> {
    let fault = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|cause| Failure::File { path: file.to_owned(), cause })?;
    let read: Configuration = toml::from_str(&text).map_err(|error| fault(error.message().to_owned()))?;
    let http = read.http.ok_or_else(|| fault("it has no [http]: this aggregator has no API".to_owned()))?;
    let listen = http.listen.ok_or_else(|| fault("[http] says not where it listens; use --url".to_owned()))?;
    let at = SocketAddr::new(
        match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        },
        listen.port(),
    );
    let scheme = if http.cert_file.is_some() { "https" } else { "http" };
    let folder = file.parent().unwrap_or(Path::new("."));
    Ok(Target {
        url: address(&format!("{scheme}://{OWN_NAME}:{}", at.port()))?,
        token_file: None,
        // The authority of `init` certifies both; behind another one's certificate, --ca-file or the machine's own list.
        ca_file: read.mqtt.and_then(|mqtt| mqtt.ca_file).map(|path| folder.join(path)),
        resolve: Some((OWN_NAME.to_owned(), at)),
        context: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_token_of_a_context_is_not_sent_to_another_address() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let variable = move |name: &str| (name == "HOME").then(|| home.clone());
        let mut contexts = Contexts::default();
        let context = Context {
            url: "https://one.example".to_owned(),
            token_file: Some("/one.token".into()),
            ca_file: Some("/one.crt".into()),
        };
        contexts.add("one", context).unwrap();
        contexts.write(&contexts::place(&variable).unwrap()).unwrap();
        let own = Target::find(&Said::default(), &variable).unwrap();
        assert_eq!((own.url.as_str(), own.context.as_deref()), ("https://one.example/", Some("one")));
        assert_eq!(own.token_file, Some("/one.token".into()));
        let other = Said { url: Some("https://two.example".to_owned()), ..Said::default() };
        let other = Target::find(&other, &variable).unwrap();
        assert_eq!((other.url.as_str(), other.token_file, other.ca_file), ("https://two.example/", None, None));
    }

    #[test]
    fn one_is_asked_and_not_two() {
        let said = Said { url: Some("https://a".to_owned()), context: Some("b".to_owned()), ..Said::default() };
        let error = Target::find(&said, &nothing).unwrap_err();
        assert_eq!(error.to_string(), "--url, --context and --config each say who is asked: give one of them");
    }

    #[test]
    fn the_environment_names_one_for_scripts() {
        let variable = |name: &str| match name {
            URL => Some("https://three.example:8443".to_owned()),
            TOKEN_FILE => Some("/three.token".to_owned()),
            _ => None,
        };
        let found = Target::find(&Said::default(), &variable).unwrap();
        assert_eq!(
            (found.url.as_str(), found.token_file),
            ("https://three.example:8443/", Some("/three.token".into()))
        );
    }

    #[test]
    fn the_aggregators_own_configuration_is_enough_on_its_machine() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloud.toml");
        let text = "data = \"data\"\n[mqtt]\nhost = \"x\"\nca_file = \"ca/ca.crt\"\n[http]\nlisten = \"0.0.0.0:8443\"\ncert_file = \"c\"\n";
        std::fs::write(&file, text).unwrap();
        let said = Said { config: Some(file), ..Said::default() };
        let found = Target::find(&said, &nothing).unwrap();
        assert_eq!(found.url.as_str(), "https://localhost:8443/");
        assert_eq!(found.ca_file, Some(folder.path().join("ca/ca.crt")));
        assert_eq!(found.resolve, Some(("localhost".to_owned(), "127.0.0.1:8443".parse().unwrap())));
    }

    #[test]
    fn a_token_never_travels_in_the_clear() {
        let error = |text| address(text).unwrap_err().to_string();
        assert_eq!(
            error("http://cloud.example"),
            "\"http://cloud.example\" would carry the token in the clear; say https://"
        );
        assert!(address("http://127.0.0.1:8080").is_ok() && address("http://localhost:1").is_ok());
        assert!(error("https://kim:secret@cloud.example").contains("belongs in a file"));
        assert!(error("cloud.example:8443").contains("names no host; say e.g. https://"));
    }
}
