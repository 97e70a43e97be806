//! `[training.mlflow]`: the MLflow tracking server to which runs are reported.

use hearthwatch_configuration::{Faults, Section};
use hearthwatch_learning::training::mlflow::{Credentials, MlflowConfig};
use url::{Host, Url};

/// The experiment, unless another is named.
pub const EXPERIMENT_DEFAULT: &str = "hearthwatch";

const ADDRESS: &str = "the address of the tracking server, e.g. url = \"https://mlflow.example/\"";

const SECRET: &str = "a file of mode 0600 that holds nothing else";

pub(super) fn read(mut section: Section<'_>, faults: &mut Faults) -> Option<MlflowConfig> {
    let plain_http = section.flag("plain_http", faults).unwrap_or(false);
    let url = section.required("url", faults, ADDRESS, Section::text);
    let url = url.and_then(|text| address(&section, &text, faults));
    let experiment = section.text("experiment", faults).unwrap_or_else(|| EXPERIMENT_DEFAULT.to_owned());
    let credentials = credentials(&mut section, faults);
    if let Some(url) = url.as_ref().filter(|url| url.scheme() == "http" && !is_loopback(url)) {
        if credentials.is_some() {
            faults.add(section.key("url"), format!("{url} would carry the secret in the clear"), "https://NAME/");
        } else if !plain_http {
            let remedy = "https://NAME/; or plain_http = true where nobody else is on the line";
            faults.add(section.key("url"), format!("{url} is neither https nor this machine"), remedy);
        }
    }
    section.finish(faults);
    Some(MlflowConfig { url: url?, experiment, credentials })
}

/// A token, or a user with a password; none where the server asks for neither.
fn credentials(section: &mut Section<'_>, faults: &mut Faults) -> Option<Credentials> {
    let token = section.private_file("token_file", faults, SECRET).map(Credentials::Token);
    let user = section.text("user", faults);
    let file = section.private_file("password_file", faults, SECRET);
    let password = match (user, file) {
        (Some(user), Some(file)) => Some(Credentials::Password { user, file }),
        (None, None) => None,
        (Some(_), None) => {
            faults.add(section.key("password_file"), "is missing beside user", "give both or neither");
            None
        }
        (None, Some(_)) => {
            faults.add(section.key("user"), "is missing beside password_file", "give both or neither");
            None
        }
    };
    if token.is_some() && password.is_some() {
        faults.add(section.key("token_file"), "stands beside user and password_file", "keep one of them");
    }
    token.or(password)
}

/// The server's address as a folder, so that calls are joined to it.
fn address(section: &Section<'_>, text: &str, faults: &mut Faults) -> Option<Url> {
    let Some(mut url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http")) else {
        faults.add(section.key("url"), format!("{text:?} is not a web address"), ADDRESS);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        // The text itself is not shown: the secret is in it.
        faults.add(section.key("url"), "holds a name or a password", "write them as user and password_file");
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        faults.add(section.key("url"), format!("{text:?} has more than a path"), ADDRESS);
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hearthwatch_provision::files::write_private;

    use std::path::Path;

    use hearthwatch_configuration::Fault;

    use super::super::Config;
    use super::*;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ca.crt", "a.crt", "a.key", "token", "password"] {
            write_private(&directory.path().join(name), b"x").unwrap();
        }
        hearthwatch_provision::Group::make(&directory.path().join("ingest.group")).unwrap();
        directory
    }

    fn file(directory: &Path) -> std::path::PathBuf {
        directory.join("cloud.toml")
    }

    fn parse(directory: &tempfile::TempDir, lines: &str) -> Result<MlflowConfig, Vec<Fault>> {
        let text = format!(
            "data = \"data\"\n[mqtt]\nhost = \"broker\"\nca_file = \"ca.crt\"\ncert_file = \"a.crt\"\nkey_file = \"a.key\"\n\
             group_file = \"ingest.group\"\n[training.mlflow]\n{lines}"
        );
        let read = Config::parse(&text, &file(directory.path()));
        read.map(|config| config.training.mlflow.unwrap()).map_err(|faults| faults.list().to_vec())
    }

    /// Each fault as `key: problem`.
    fn faults(lines: &str) -> Vec<String> {
        let directory = directory();
        let list = parse(&directory, lines).unwrap_err();
        let here = directory.path().display().to_string();
        list.iter().map(|fault| format!("{}: {}", fault.key, fault.problem.replace(&here, "DIR"))).collect()
    }

    #[test]
    fn a_server_is_an_address_with_or_without_a_secret() {
        let directory = directory();
        let read = |lines: &str| parse(&directory, lines).unwrap();
        let usual = read("url = \"http://127.0.0.1:5000\"");
        assert_eq!((usual.url.as_str(), usual.experiment.as_str()), ("http://127.0.0.1:5000/", "hearthwatch"));
        assert_eq!(usual.credentials, None);
        let full = read("url = \"https://mlflow.example/a\"\nexperiment = \"nightly\"\ntoken_file = \"token\"");
        assert_eq!((full.url.as_str(), full.experiment.as_str()), ("https://mlflow.example/a/", "nightly"));
        assert_eq!(full.credentials, Some(Credentials::Token(directory.path().join("token"))));
        let named = read("url = \"https://mlflow.example/\"\nuser = \"kim\"\npassword_file = \"password\"");
        let file = directory.path().join("password");
        assert_eq!(named.credentials, Some(Credentials::Password { user: "kim".to_owned(), file }));
        assert_eq!(read("url = \"http://mlflow.lan/\"\nplain_http = true").url.as_str(), "http://mlflow.lan/");
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        for (lines, expected) in [
            ("", "url: is missing"),
            ("url = \"mlflow\"", "url: \"mlflow\" is not a web address"),
            ("url = \"https://kim:secret@mlflow.example/\"", "url: holds a name or a password"),
            ("url = \"https://mlflow.example/?a=1\"", "url: \"https://mlflow.example/?a=1\" has more than a path"),
            ("url = \"http://mlflow.lan\"", "url: http://mlflow.lan/ is neither https nor this machine"),
            (
                "url = \"http://mlflow.lan\"\nplain_http = true\ntoken_file = \"token\"",
                "url: http://mlflow.lan/ would carry the secret in the clear",
            ),
            (
                "url = \"https://a.example\"\nuser = \"kim\"\npassword_file = \"password\"\ntoken_file = \"token\"",
                "token_file: stands beside user and password_file",
            ),
        ] {
            assert_eq!(faults(lines), [format!("training.mlflow.{expected}")]);
        }
        let three = faults("url = \"https://a.example\"\nuser = \"kim\"\ntoken_file = \"gone\"\nexperiments = \"x\"");
        let expected = [
            "token_file: DIR/gone cannot be read: No such file or directory (os error 2)",
            "password_file: is missing beside user",
            "experiments: is not a known key",
        ];
        assert_eq!(three, expected.map(|fault| format!("training.mlflow.{fault}")));
    }

    #[test]
    fn a_token_that_others_could_read_is_a_fault() {
        let directory = directory();
        let token = directory.path().join("token");
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
        let list = parse(&directory, "url = \"https://mlflow.example\"\ntoken_file = \"token\"").unwrap_err();
        let (token, key) = (token.display(), "training.mlflow.token_file".to_owned());
        let problem = format!("{token} is open to others (mode 0644)");
        let remedy = format!("if nobody read it: chmod 600 {token}");
        assert_eq!(list, [Fault { file: file(directory.path()), key, problem, remedy }]);
    }

    #[test]
    fn a_server_that_is_no_table_is_told_how_to_be_written() {
        let directory = directory();
        let text = "data = \"data\"\n[training]\nmlflow = \"https://mlflow.example\"\n";
        let faults = Config::parse(text, &file(directory.path())).unwrap_err();
        let fault = faults.list().iter().find(|fault| fault.key == "training.mlflow").unwrap();
        assert_eq!(fault.remedy, "write a table: [training.mlflow]");
    }
}
