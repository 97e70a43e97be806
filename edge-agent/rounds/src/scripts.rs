//! Programs that tests write and then run.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a shell script that can be executed. A process of its own writes it: a file that is open to write cannot be executed, and whatever
/// process a test beside this one starts holds a copy of what is open here for a moment.
pub(crate) fn write(path: &Path, script: &str) {
    let command = "cat > \"$0.new\" && chmod 755 \"$0.new\" && mv \"$0.new\" \"$0\"";
    let mut writer = Command::new("sh").arg("-c").arg(command).arg(path).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}
