//! Long lists, a page at a time.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::problem::Problem;

/// Items of a page when none is asked for: a screenful or two.
pub const LIMIT_DEFAULT: usize = 50;

/// Most items of a page: 500 runs with their reports (some 4 KB each) are 2 MB.
pub const LIMIT_MAX: usize = 500;

/// Deepest page: beyond 100,000 rows a filter finds more than paging does.
pub const SKIP_MAX: usize = 100_000;

/// Which page.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// Items before the page, at most 100,000: what the page before called `next`.
    #[param(maximum = 100_000)]
    pub skip: Option<usize>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next page begins; none on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

// By hand: the derived name is the same for every `T`.
impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let item = Ref::from_schema_name(T::name().into_owned());
        let next = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Where the next page begins; not there on the last."));
        ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property("items", ArrayBuilder::new().items(item))
            .property("next", next)
            .required("items")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// Checks a `limit`.
///
/// # Errors
/// [`Problem::Invalid`] outside 1 to [`LIMIT_MAX`].
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Problem::Invalid(format!("limit is 1 to {LIMIT_MAX}, not {other}"))),
    }
}

impl Paging {
    /// How many rows to take from the front of the list to fill this page and see whether there is another.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a page that is too large or too deep.
    pub fn window(self) -> Result<Window, Problem> {
        let limit = limit(self.limit)?;
        match self.skip.unwrap_or(0) {
            skip @ 0..=SKIP_MAX => Ok(Window { skip, limit }),
            other => Err(Problem::Invalid(format!("skip is at most {SKIP_MAX}, not {other}"))),
        }
    }
}

/// A checked page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    skip: usize,
    limit: usize,
}

impl Window {
    /// Rows needed from the front of the list.
    #[must_use]
    pub fn needed(self) -> usize {
        self.skip + self.limit + 1
    }

    /// Cuts the page out of the front of the list (at least [`Window::needed`] rows, or all there are).
    pub fn cut<R, T>(self, rows: Vec<R>, view: impl FnMut(R) -> T) -> Page<T> {
        let more = rows.len() > self.skip + self.limit;
        let items = rows.into_iter().skip(self.skip).take(self.limit).map(view).collect();
        Page { items, next: more.then(|| (self.skip + self.limit).to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(skip: usize, limit: usize) -> Page<u32> {
        let window = Paging { limit: Some(limit), skip: Some(skip) }.window().unwrap();
        window.cut((0..5).take(window.needed()).collect(), |row| row)
    }

    #[test]
    fn a_page_says_where_the_next_begins_and_the_last_says_nothing() {
        assert_eq!((page(0, 2).items, page(0, 2).next), (vec![0, 1], Some("2".to_owned())));
        assert_eq!((page(4, 2).items, page(4, 2).next), (vec![4], None));
        assert_eq!((page(0, 5).items.len(), page(0, 5).next), (5, None));
        assert!(page(9, 2).items.is_empty());
    }

    #[test]
    fn a_page_of_nothing_or_of_too_much_is_refused() {
        for asked in [0, LIMIT_MAX + 1] {
            assert!(matches!(limit(Some(asked)), Err(Problem::Invalid(_))));
        }
        assert!(matches!(Paging { limit: None, skip: Some(SKIP_MAX + 1) }.window(), Err(Problem::Invalid(_))));
    }
}
