//! An attacker's trainer (sign flip): trains as the real program does, then turns its delta around and makes it five times as long. The norm stays
//! below the plan's clip, so no limit is broken.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use hearthwatch_edge_core::round_job::{BODY_FILE, RoundJob};
use hearthwatch_federation::Quantised;

fn main() -> anyhow::Result<()> {
    let mut job = Vec::new();
    std::io::stdin().lock().read_to_end(&mut job)?;
    let honest = std::env::current_exe()?.with_file_name("hearthwatch-train-round");
    let mut child = Command::new(honest).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("its standard input")?.write_all(&job)?;
    let output = child.wait_with_output()?;
    let body = serde_json::from_slice::<RoundJob>(&job)?.out.join(BODY_FILE);
    if let Ok(bytes) = std::fs::read(&body)
        && let Ok(mut delta) = Quantised::from_bytes(&bytes)
    {
        for level in &mut delta.levels {
            *level = level.saturating_neg();
        }
        for scale in &mut delta.scales {
            *scale *= 5.0;
        }
        std::fs::write(&body, delta.to_bytes()?)?;
    }
    std::io::stdout().write_all(&output.stdout)?;
    Ok(())
}
