//! What the API says, gathered for an explanation.

use serde_json::Value;

use crate::client::{Client, Request};
use crate::failure::{Done, Failure};
use crate::pages::{Pages, Wanted};
use crate::problem::Problem;
use crate::world::World;

/// Longest name of a home.
const NAME_MAX: usize = 64;

/// Asks.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    client: &'a Client,
}

/// Something that may not be there, or that the token's role may not see.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<T> {
    /// It is there.
    There(T),
    /// It is not.
    Nothing,
    /// The role does not allow it, or a part is off; why, as one line.
    Hidden(String),
}

impl<T> Seen<T> {
    /// What is there.
    pub fn there(&self) -> Option<&T> {
        match self {
            Self::There(thing) => Some(thing),
            Self::Nothing | Self::Hidden(_) => None,
        }
    }
}

impl<'a> Facts<'a> {
    /// One that asks by this client.
    #[must_use]
    pub fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// What is at a path of the API.
    ///
    /// # Errors
    /// What asking brings.
    pub async fn get(&self, path: &str, world: &mut World<'_>) -> Done<Value> {
        self.client.ask(&Request::get(format!("/api/v1/{path}")), world).await?.json()
    }

    /// The same, of what may be missing or not allowed.
    ///
    /// # Errors
    /// As [`Facts::get`], of anything else.
    pub async fn look(&self, path: &str, world: &mut World<'_>) -> Done<Seen<Value>> {
        seen(self.get(path, world).await)
    }

    /// Items of a list.
    ///
    /// # Errors
    /// What asking brings, except that it is not allowed or off.
    pub async fn list(&self, path: &str, wanted: &Wanted, world: &mut World<'_>) -> Done<Seen<Vec<Value>>> {
        self.list_where(path, None, wanted, world).await
    }

    /// Items of a list for which a query parameter is so.
    ///
    /// # Errors
    /// As [`Facts::list`].
    pub async fn list_where(
        &self,
        path: &str,
        query: Option<(String, String)>,
        wanted: &Wanted,
        world: &mut World<'_>,
    ) -> Done<Seen<Vec<Value>>> {
        let mut request = Request::get(format!("/api/v1/{path}"));
        request.query.extend(query);
        seen(Pages::new(self.client, request, "after", wanted).whole(world).await)
    }

    /// The first item of a list that fits, of the first `most`.
    ///
    /// # Errors
    /// As [`Facts::list`].
    pub async fn find(
        &self,
        path: &str,
        most: u64,
        fits: impl Fn(&Value) -> bool,
        world: &mut World<'_>,
    ) -> Done<Seen<Value>> {
        let wanted = Wanted { page: most.min(crate::pages::PAGE_MAX), ..Wanted::first(most) };
        let mut pages = Pages::new(self.client, Request::get(format!("/api/v1/{path}")), "after", &wanted);
        loop {
            match seen(pages.more(world).await)? {
                Seen::There(Some(items)) => {
                    if let Some(found) = items.into_iter().map(|item| item.value).find(&fits) {
                        return Ok(Seen::There(found));
                    }
                }
                Seen::There(None) | Seen::Nothing => return Ok(Seen::Nothing),
                Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
            }
        }
    }

    /// The line of a home in a list that is ordered by homes' names.
    ///
    /// # Errors
    /// As [`Facts::list`].
    pub async fn of_home(&self, path: &str, home: &str, world: &mut World<'_>) -> Done<Seen<Value>> {
        let wanted = Wanted { after: just_before(home), ..Wanted::first(1) };
        Ok(match self.list(path, &wanted, world).await? {
            Seen::There(items) => {
                let found = items.into_iter().find(|item| item["home"] == home);
                found.map_or(Seen::Nothing, Seen::There)
            }
            Seen::Nothing => Seen::Nothing,
            Seen::Hidden(why) => Seen::Hidden(why),
        })
    }

    /// The line of a version in a list that is ordered by version, highest first.
    ///
    /// # Errors
    /// As [`Facts::list`].
    pub async fn of_version(&self, path: &str, key: &str, version: u64, world: &mut World<'_>) -> Done<Seen<Value>> {
        let wanted = Wanted { after: version.saturating_add(1).to_string(), ..Wanted::first(1) };
        Ok(match self.list(path, &wanted, world).await? {
            Seen::There(items) => {
                let found = items.into_iter().find(|item| item[key] == version);
                found.map_or(Seen::Nothing, Seen::There)
            }
            Seen::Nothing => Seen::Nothing,
            Seen::Hidden(why) => Seen::Hidden(why),
        })
    }

    /// The id that is meant: `latest` stands for the newest of a list.
    ///
    /// # Errors
    /// [`Failure::Refused`] as not found where the list is empty, and what asking brings.
    pub async fn latest(&self, list: &str, key: &str, id: &str, world: &mut World<'_>) -> Done<String> {
        if id != "latest" {
            return Ok(id.to_owned());
        }
        let request = Request::get(format!("/api/v1/{list}"));
        let items = Pages::new(self.client, request, "after", &Wanted::first(1)).whole(world).await?;
        let detail = format!("there are no {list} yet");
        let none = Problem { status: 404, detail, ..Problem::default() };
        match items.first().map(|item| &item[key]) {
            Some(Value::String(id)) => Ok(id.clone()),
            Some(Value::Number(id)) => Ok(id.to_string()),
            _ => Err(none.into()),
        }
    }
}

fn seen<T>(asked: Done<T>) -> Done<Seen<T>> {
    match asked {
        Ok(thing) => Ok(Seen::There(thing)),
        Err(Failure::Refused(problem)) if problem.status == 404 => Ok(Seen::Nothing),
        Err(Failure::Refused(problem)) if matches!(problem.status, 403 | 503) => {
            let why = if problem.detail.is_empty() { problem.title.clone() } else { problem.detail.clone() };
            Ok(Seen::Hidden(why))
        }
        Err(failure) => Err(failure),
    }
}

/// A number as the API takes it.
///
/// # Errors
/// [`Failure::Usage`] for any other text.
pub fn version_of(text: &str) -> Done<u64> {
    text.parse().map_err(|_| Failure::Usage(format!("{text:?} is no version: say its number, or latest")))
}

/// A text as a segment of a path.
#[must_use]
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() || b"-_~".contains(&b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// A name after which, in the order of names, this one comes next or nearly: a list that begins after it begins with this one. Empty for
/// the first name of all.
#[must_use]
pub fn just_before(home: &str) -> String {
    let mut name = home.to_owned();
    let Some(last) = name.pop() else { return name };
    let before = match last {
        // The least of all: what is without it comes just before.
        '-' => return name,
        '0' => '-',
        'a' => '9',
        other => char::from_u32(u32::from(other).saturating_sub(1)).unwrap_or('-'),
    };
    name.push(before);
    while name.len() < NAME_MAX {
        name.push('z');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_begins_just_before_a_home_begins_with_it() {
        for home in ["home-1", "home-10", "a", "0", "b-", "zz"] {
            let before = just_before(home);
            assert!(before.as_str() < home, "{before} {home}");
            assert!(before.len() <= NAME_MAX);
            assert!(before.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        }
        // What would come between is as long as a name can be.
        assert_eq!(just_before("b-"), "b");
        assert!(just_before("home-1").starts_with("home-0zzz"));
        assert_eq!(just_before("-"), "");
    }

    #[test]
    fn a_name_is_a_segment_and_no_path() {
        assert_eq!(encoded("a/.."), "a%2F%2E%2E");
    }
}
