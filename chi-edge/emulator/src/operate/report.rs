//! The report of an operation, made from its journal: Markdown, and a page with drawings.

mod document;
mod figures;
mod plot;
mod sections;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::journal;
use super::settings::Kept;

/// What a check of the alerts wrote: incident to alerts, see chi-edge/monitoring.
const ALERTS: &str = "alerts.json";

/// Writes `report.md`, `report.html` and its drawings into the folder of a run; the path of the page.
///
/// # Errors
/// There was no run, or a file cannot be read or written.
pub fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let kept = Kept::read(folder)?.with_context(|| format!("nothing was run in {}", folder.display()))?;
    let lines = journal::read(&folder.join("journal.jsonl"))?;
    let alerts = std::fs::read_to_string(folder.join(ALERTS)).ok();
    let alerts = alerts.map(|text| serde_json::from_str(&text)).transpose().with_context(|| ALERTS.to_owned())?;
    let document = sections::all(&kept, &lines, alerts.as_ref());
    for (name, svg) in document.drawings() {
        std::fs::write(folder.join(name), svg).with_context(|| name.to_owned())?;
    }
    std::fs::write(folder.join("report.md"), document.to_markdown()).context("report.md")?;
    let page = folder.join("report.html");
    std::fs::write(&page, document.to_html()).context("report.html")?;
    Ok(page)
}
