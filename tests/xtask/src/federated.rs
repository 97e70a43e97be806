//! Every table about federated rounds, from the product's own code, and Flower beside it.

use anyhow::bail;

use crate::install::{self, Part};
use crate::shell;

/// Flower and PyTorch are kept here between runs.
const ENVIRONMENT: &str = "target/flower";

/// A table's name, and what `hearthwatch-emulator bench` is asked for. Minutes on two cores stand behind.
const TABLES: &[(&str, &[&str])] = &[
    // 15
    ("homes", &["detection", "--set", "london", "--without-rivals", "--federated", "3", "--seeds", "3"]),
    // 5
    ("verdicts", &["feedback", "--arm", "federated", "--arm", "champion", "--seeds", "3", "--every-class"]),
    // 30
    ("attacks", &["attacks", "--seeds", "3"]),
    // 60
    ("secure-aggregation", &["secure-aggregation", "--seeds", "3"]),
    // 30
    ("flower", &["flower", "--seeds", "3"]),
];

/// Prints the tables that `asked` names, all where it names none.
pub fn print_all(asked: &[String]) -> anyhow::Result<()> {
    let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = asked.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no table {unknown}; there are {}", names.join(", "));
    }
    for (name, arguments) in TABLES.iter().filter(|(name, _)| asked.is_empty() || asked.iter().any(|one| one == name)) {
        println!("\n=== {name}: bench {}", arguments.join(" "));
        let mut arguments: Vec<String> = arguments.iter().map(|&one| one.to_owned()).collect();
        if *name == "flower" {
            install::ensure(Part::PythonVenv)?;
            let folder = shell::root().join(ENVIRONMENT);
            install::python_packages(&folder, "tests/flower/requirements.txt")?;
            arguments.push("--python".to_owned());
            arguments.push(folder.join("bin/python").display().to_string());
        }
        crate::emulator("bench", &arguments)?;
    }
    Ok(())
}
