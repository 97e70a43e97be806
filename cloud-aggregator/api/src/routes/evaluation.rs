//! Online evaluation: how each model does in homes.

use hearthwatch_fleet::evaluation::{self, Evaluation, Period};
use utoipa::IntoParams;

use super::prelude::*;

/// Longest period, in days: two years.
const DAYS_MAX: u64 = 731;

/// Days that are looked at unless others are asked for: four weeks.
const DAYS_DEFAULT: u64 = 28;

/// Which period.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EvaluationAsked {
    /// Days up to `until`, 1 to 731; 28 if not given.
    #[param(minimum = 1, maximum = 731)]
    pub(crate) days: Option<u64>,
    /// End of the period, Unix seconds; now if not given.
    #[param(value_type = Option<Number>)]
    pub(crate) until: Option<u64>,
}

impl EvaluationAsked {
    /// The period that is meant at `now`.
    pub(crate) fn period(&self, now: i64) -> Result<Period, Problem> {
        let days = self.days.unwrap_or(DAYS_DEFAULT);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(Problem::Invalid(format!("days is 1 to {DAYS_MAX}, not {days}")));
        }
        let until = self.until.map_or(now, |until| i64::try_from(until).unwrap_or(i64::MAX));
        let length = i64::try_from(days).unwrap_or_default().saturating_mul(86_400);
        Ok(Period { since: until.saturating_sub(length), until })
    }
}

pub(super) fn router() -> OpenApiRouter<Http> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Shows how each model does in homes: alarms, what residents answered, false alarms a home and week with intervals, by slices, and champion
/// against challenger.
#[utoipa::path(get, path = "/api/v1/evaluation", tag = "models", params(EvaluationAsked), responses(
    (status = 200, body = Evaluation),
))]
pub(crate) async fn show(_: Viewer, http: State<Http>, Params(asked): Params<EvaluationAsked>) -> Answer<Evaluation> {
    let period = asked.period(http.app.clock.now())?;
    Ok(Json(blocking(&http.app.store, move |store| evaluation::read(store, period)).await?))
}
