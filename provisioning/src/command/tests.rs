//! What each command prints and leaves, line by line as a person types it.

use super::*;
use crate::fixtures::now;

fn command(line: &str, dir: &Path) -> anyhow::Result<String> {
    let dir = dir.join("keys");
    let words = line.split(' ').map(|word| if word == "KEYS" { dir.to_string_lossy().into() } else { word.to_owned() });
    let cli = Cli::try_parse_from(std::iter::once("hearthwatch-provision".to_owned()).chain(words))?;
    let mut out = Vec::new();
    run(&cli, now(), &mut out)?;
    Ok(String::from_utf8(out)?)
}

/// Where an installation is, made by the command.
fn installed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    command("init --out KEYS --broker-user root", dir.path()).unwrap();
    dir
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn a_first_installation_is_made_shown_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let first = command("init --out KEYS --host broker.example --broker-user root", dir.path()).unwrap();
    assert_eq!(first.lines().filter(|line| line.starts_with("made  ")).count(), 13, "{first}");
    let next = next_steps(&dir.path().join("keys"));
    assert!(next.iter().all(|step| first.contains(&format!("  {step}\n"))), "{first}");
    let again = command("init --out KEYS --host broker.example --broker-user root", dir.path()).unwrap();
    assert!(again.lines().all(|line| line.starts_with("kept  ")), "{again}");
    let added = command("home add home-7 --out KEYS", dir.path()).unwrap();
    assert!(added.contains("hwc_"), "{added}");
    let kept = command("home add home-7 --out KEYS", dir.path()).unwrap();
    assert!(kept.starts_with("kept: home-7 has an unused claim token until 2026-03-04T12:00:00Z"), "{kept}");
    let shown = command("inspect KEYS", dir.path()).unwrap();
    assert!(shown.contains("broker (localhost, 127.0.0.1, ::1, broker.example)"), "{shown}");
    assert!(shown.ends_with("sound: nothing here keeps the installation from working safely\n"), "{shown}");
}

#[test]
fn the_monitors_certificate_is_made_once_and_only_in_an_installation() {
    let dir = tempfile::tempdir().unwrap();
    let refused = command("monitor --out KEYS", dir.path()).unwrap_err().to_string();
    let keys = dir.path().join("keys").display().to_string();
    assert_eq!(refused, format!("{keys} holds no installation; first: hearthwatch-provision init --out {keys}"));
    let dir = installed();
    assert!(command("monitor --out KEYS", dir.path()).unwrap().starts_with("made: "));
    assert!(command("monitor --out KEYS", dir.path()).unwrap().starts_with("kept, as it was: "));
    let rules = std::fs::read_to_string(dir.path().join("keys/mosquitto/acl")).unwrap();
    assert!(rules.contains("user monitor\ntopic deny hw/v1/#\ntopic read $SYS/#\n"), "{rules}");
}

#[test]
fn a_host_or_user_that_is_none_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |line: &str| command(line, dir.path()).unwrap_err().to_string();
    let error = refused("init --out KEYS --host bad_host/name");
    let rule = r#""bad_host/name" is no host: a DNS name (letters, digits and '-' between dots"#;
    assert!(error.contains(rule), "{error}");
    assert!(refused("init --out KEYS --broker-user a:b").contains(r#""a:b" is no user"#));
    assert!(refused("init --out KEYS --listen everywhere").contains("invalid IP address"));
    assert!(refused("init --out KEYS --http-port 0").contains("0 is not in 1..=65535"));
    assert!(!dir.path().join("keys").exists());
}

#[test]
fn root_gives_the_brokers_files_to_the_user_that_mosquitto_becomes() {
    let users = "root:x:0:0::/root:/bin/sh\nmosquitto:x:104:107::/:\nother:x:7:8::/:\n";
    let owner = |named, root, users| broker_owner(named, root, users).map_err(|error| error.to_string());
    assert_eq!(owner(None, true, users), Ok(Some(Owner { uid: 104, gid: 107 })));
    assert_eq!(owner(Some("other"), true, users), Ok(Some(Owner { uid: 7, gid: 8 })));
    assert_eq!(owner(Some("root"), true, users), Ok(None));
    assert_eq!(owner(None, true, "root:x:0:0::/root:/bin/sh\n"), Ok(None));
    assert_eq!(owner(Some("other"), false, users), Ok(None), "only root can give");
    let refused = owner(Some("gone"), true, users).unwrap_err();
    assert!(refused.starts_with("there is no user gone in /etc/passwd; make one"));
}

#[test]
fn an_installation_from_before_gets_its_group_and_a_known_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let refused = command("group --out KEYS", dir.path()).unwrap_err();
    assert!(refused.to_string().contains("first: hearthwatch-provision init"));
    command("init --out KEYS --broker-user root", dir.path()).unwrap();
    let path = dir.path().join("keys/cloud/ingest.group");
    std::fs::remove_file(&path).unwrap();
    let made = command("group --out KEYS", dir.path()).unwrap();
    assert!(made.starts_with("made  ") && made.contains("group_file = "), "{made}");
    let first = Group::load(&path).unwrap();
    assert!(command("group --out KEYS", dir.path()).unwrap().starts_with("kept  "));
    assert_eq!(Group::load(&path).unwrap(), first);
    let new = command("group --new --out KEYS", dir.path()).unwrap();
    let second = Group::load(&path).unwrap();
    assert_ne!(second.filter(), first.filter());
    let name = first.filter().split('/').nth(1).unwrap().to_owned();
    assert!(!made.contains(&name) && !new.contains(&name), "a name is in the file alone");
}

#[test]
fn a_home_that_is_revoked_is_named_with_the_command_that_makes_it_hold() {
    let dir = installed();
    command("home add home-7 --issue --out KEYS", dir.path()).unwrap();
    let text = command("home revoke home-7 --reason stolen --out KEYS", dir.path()).unwrap();
    assert!(text.starts_with("1 of home-7 taken back; on the list: ") && text.contains(revocation::RELOAD), "{text}");
    assert!(command("inspect KEYS", dir.path()).unwrap().contains("sound: "));
}

#[test]
fn a_second_persons_word_is_a_line_of_the_file_that_the_signer_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("approvals");
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    for hash in [&one, &two] {
        let line = format!("approve {hash} --by ada --approvals {}", file.display());
        assert!(command(&line, dir.path()).unwrap().starts_with("approved by ada: "));
    }
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("{one}  2026-03-01T12:00:00Z  ada\n{two}  2026-03-01T12:00:00Z  ada\n"));
    let short = command(&format!("approve abcd --by ada --approvals {}", file.display()), dir.path());
    assert!(short.unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[test]
fn a_token_for_a_script_is_the_token_and_nothing_else() {
    let dir = installed();
    let token = command("home add home-7 --token-only --out KEYS", dir.path()).unwrap();
    assert!(token.starts_with("hwc_") && token.lines().count() == 1, "{token}");
    let error = command("home add home-7 --token-only --out KEYS", dir.path()).unwrap_err();
    assert!(error.to_string().contains("home add home-7 --new-token"), "{error}");
}

#[test]
fn a_name_that_could_be_an_aggregators_is_refused_with_the_rule() {
    let dir = installed();
    let error = command("home add aggregator-2 --issue --out KEYS", dir.path()).unwrap_err();
    assert!(format!("{error:#}").contains("is kept for the fleet's own programs"), "{error:#}");
}

#[test]
fn adding_before_init_names_the_first_command() {
    let dir = tempfile::tempdir().unwrap();
    let error = format!("{:#}", command("home add home-7 --out KEYS", dir.path()).unwrap_err());
    assert!(error.contains("does not exist; first: hearthwatch-provision init --out "), "{error}");
}
