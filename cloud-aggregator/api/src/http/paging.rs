//! Long lists, a page at a time, all in the same way: by the key of the last row of the page before (`after`) and a number of rows
//! (`limit`), so that a row that comes or goes meanwhile neither repeats nor hides another.

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

/// Which page of a list, as every list takes it.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Items of the page, 1 to 500; 50 if not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<usize>,
    /// Only items after this one: what the page before called `next`.
    pub after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// In the order that the list states; at most `limit` of them.
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

impl Paging {
    /// The page that is asked for; `parse` reads where it begins.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a page that is too large, or begins at what was never called `next`.
    pub fn window<K>(&self, parse: impl FnOnce(&str) -> Option<K>) -> Result<Window<K>, Problem> {
        let after = self.after.as_deref().map(|text| {
            parse(text).ok_or_else(|| Problem::Invalid("after: give what the page before called `next`".to_owned()))
        });
        Window::new(after.transpose()?, self.limit)
    }
}

/// Reads where a page begins, for lists whose rows have a text as their name: any text; after one that is no row's name comes nothing.
#[must_use]
pub fn id(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Reads where a page begins, for lists that are in order of a number: 1 to 15 digits.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Reads a time in Unix seconds, a part of where a page begins: 1 to 15 digits, with `-` before 1970.
#[must_use]
pub fn seconds(text: &str) -> Option<i64> {
    let size = number(text.strip_prefix('-').unwrap_or(text))?;
    i64::try_from(size).ok().map(|size| if text.starts_with('-') { -size } else { size })
}

/// A page whose beginning and size have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<K> {
    /// The last item of the page before.
    pub after: Option<K>,
    limit: usize,
}

impl<K> Window<K> {
    /// A page of `limit` items after `after`.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for a limit outside 1 to [`LIMIT_MAX`].
    pub fn new(after: Option<K>, limit: Option<usize>) -> Result<Self, Problem> {
        match limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(Self { after, limit }),
            other => Err(Problem::Invalid(format!("limit is 1 to {LIMIT_MAX}, not {other}"))),
        }
    }

    /// Rows to read: the page's own and one more, which tells whether there is another page.
    #[must_use]
    pub fn needed(&self) -> usize {
        self.limit + 1
    }

    /// Makes a page of the rows that were read; `key` is what the next page is asked for by.
    pub fn cut<R, T>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> String, view: impl FnMut(R) -> T) -> Page<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(key);
        Page { items: rows.into_iter().map(view).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: Option<&str>, count: usize) -> Page<u64> {
        let paging = Paging { limit: Some(count), after: after.map(str::to_owned) };
        let window = paging.window(number).unwrap();
        let rows = (1..=5).filter(|row| window.after.is_none_or(|after| *row > after)).take(window.needed());
        window.cut(rows.collect(), u64::to_string, |row| row)
    }

    #[test]
    fn a_page_says_where_the_next_begins_and_the_last_says_nothing() {
        assert_eq!((page(None, 2).items, page(None, 2).next), (vec![1, 2], Some("2".to_owned())));
        assert_eq!((page(Some("4"), 2).items, page(Some("4"), 2).next), (vec![5], None));
        assert_eq!((page(None, 5).items.len(), page(None, 5).next), (5, None));
        assert!(page(Some("9"), 2).items.is_empty());
    }

    #[test]
    fn a_page_of_nothing_or_of_too_much_or_after_nonsense_is_refused() {
        for asked in [0, LIMIT_MAX + 1] {
            assert!(matches!(Window::<u64>::new(None, Some(asked)), Err(Problem::Invalid(_))));
        }
        let paging = Paging { limit: None, after: Some("x".to_owned()) };
        assert!(matches!(paging.window(number), Err(Problem::Invalid(_))));
    }
}
