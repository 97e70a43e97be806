//! Two runs side by side: in which settings and figures they differ.

use std::collections::{BTreeMap, BTreeSet};

use hearthwatch_store::RunRow;
use serde_json::Value;
use utoipa::IntoParams;

use super::prelude::*;
use super::runs::RunView;

/// Differences that are listed; a report has some hundred figures.
const DIFFERENCES_MAX: usize = 2_000;

/// Two runs, and what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunComparison {
    /// The first, without its report.
    pub a: RunView,
    /// The second, without its report.
    pub b: RunView,
    /// What differs in their configurations and reports, in order of the paths; at most 2,000.
    pub differences: Vec<Difference>,
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Where it stands: `config.seed`, `report.candidate.recall.found`.
    pub path: String,
    /// In the first run; null if it is not there.
    pub a: Value,
    /// In the second run; null if it is not there.
    pub b: Value,
    /// The second less the first, where both are numbers.
    pub change: Option<f64>,
}

/// Which two.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Id of the first run.
    a: String,
    /// Id of the second run.
    b: String,
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(compare))
}

/// Shows in which settings and figures two runs differ.
#[utoipa::path(get, path = "/api/v1/run-comparison", tag = "runs", params(Pair), responses(
    (status = 200, body = RunComparison),
))]
pub(crate) async fn compare(_: Viewer, http: State<Http>, Params(pair): Params<Pair>) -> Answer<RunComparison> {
    let (a, b) = (one(&http, pair.a).await?, one(&http, pair.b).await?);
    let differences = differences(&values(&a), &values(&b));
    let brief = |row: RunRow| RunView { report: None, ..row.into() };
    Ok(Json(RunComparison { a: brief(a), b: brief(b), differences }))
}

async fn one(http: &Http, id: String) -> Result<RunRow, Problem> {
    let asked = id.clone();
    let row = blocking(&http.app.store, move |store| store.run(&asked)).await?;
    row.ok_or(Problem::NotFound { noun: "run", id })
}

/// Every value of a run's configuration and report by its path.
fn values(row: &RunRow) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    flatten("config", json_of(&row.config), &mut found);
    flatten("report", row.report.as_deref().map(json_of).unwrap_or_default(), &mut found);
    found
}

fn flatten(path: &str, value: Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.into_iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, found));
        }
        Value::Array(items) => {
            items.into_iter().enumerate().for_each(|(at, value)| flatten(&format!("{path}.{at}"), value, found));
        }
        Value::Null => {}
        value => drop(found.insert(path.to_owned(), value)),
    }
}

/// What differs. Pure.
fn differences(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<Difference> {
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = paths.into_iter().filter(|path| a.get(*path) != b.get(*path));
    differ
        .take(DIFFERENCES_MAX)
        .map(|path| {
            let of = |values: &BTreeMap<String, Value>| values.get(path).cloned().unwrap_or_default();
            let (a, b) = (of(a), of(b));
            let change = b.as_f64().zip(a.as_f64()).map(|(b, a)| b - a);
            Difference { path: path.clone(), a, b, change }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_listed_with_the_change_of_numbers() {
        let of = |value: Value| {
            let mut found = BTreeMap::new();
            flatten("config", value, &mut found);
            found
        };
        let found = differences(
            &of(json!({"seed": 7, "lr": 0.5, "on": [1, 2]})),
            &of(json!({"seed": 9, "lr": 0.5, "on": [1]})),
        );
        let seed = Difference { path: "config.seed".to_owned(), a: json!(7), b: json!(9), change: Some(2.0) };
        let on = Difference { path: "config.on.1".to_owned(), a: json!(2), b: Value::Null, change: None };
        assert_eq!(found, [on, seed]);
    }
}
