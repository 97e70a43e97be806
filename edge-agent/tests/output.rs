//! Commands whose reader stops reading.

use std::process::{Command, Stdio};

#[test]
fn a_command_whose_reader_has_gone_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "token").unwrap();
    let config = folder.path().join("edge.toml");
    let text = "state = \"state\"\n[home_assistant]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"token\"\n";
    std::fs::write(&config, text).unwrap();
    let check = |stdout: Stdio, stderr: Stdio, config: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearthwatch-edge"));
        command.arg("run").arg("--check-config").arg("--config").arg(config).env_clear();
        command.stdout(stdout).stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
    };
    let whole = check(Stdio::piped(), Stdio::piped(), &config);
    assert!(whole.status.success() && whole.stdout.starts_with(b"The configuration is good."), "{whole:?}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let cut = check(writer.into(), Stdio::piped(), &config);
    assert_eq!((cut.status.code(), String::from_utf8_lossy(&cut.stderr).as_ref()), (Some(141), ""));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let cut = check(Stdio::piped(), writer.into(), &folder.path().join("missing.toml"));
    assert_eq!((cut.status.code(), cut.stdout), (Some(141), vec![]));
}
