//! Long lists, page by page.

use clap::ArgMatches;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::{Client, Request};
use crate::commands::LIMIT_DEFAULT;
use crate::failure::{Done, Failure};
use crate::output::{Item, elements, entries};
use crate::world::World;

/// Most items that the API gives at once.
pub const PAGE_MAX: u64 = 500;

/// How much of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// So many items; none for all.
    pub limit: Option<u64>,
    /// Items asked for at once; 0 for as many as the list gives by itself.
    pub page: u64,
    /// Where it begins; empty for the beginning.
    pub after: String,
}

impl Wanted {
    /// What the command line says.
    #[must_use]
    pub fn of(matches: &ArgMatches) -> Self {
        let all = matches.get_flag("all");
        let limit = matches.get_one::<u64>("limit").copied().unwrap_or(LIMIT_DEFAULT);
        Self {
            limit: (!all).then_some(limit),
            page: matches.get_one::<u64>("page-size").copied().unwrap_or(if all {
                PAGE_MAX
            } else {
                limit.min(PAGE_MAX)
            }),
            after: matches.get_one::<String>("after").cloned().unwrap_or_default(),
        }
    }

    /// All of it.
    #[must_use]
    pub fn all() -> Self {
        Self { limit: None, page: PAGE_MAX, after: String::new() }
    }

    /// The first so many.
    #[must_use]
    pub fn first(limit: u64) -> Self {
        Self { limit: Some(limit), page: limit.min(PAGE_MAX), after: String::new() }
    }
}

/// A list that is being read.
pub struct Pages<'a> {
    client: &'a Client,
    request: Request,
    cursor: &'a str,
    left: Option<u64>,
    page: u64,
    next: Option<String>,
    begun: bool,
    around: Vec<(String, Box<RawValue>)>,
}

impl<'a> Pages<'a> {
    /// One of what `request` asks for; `cursor` is the parameter that says where a page begins.
    #[must_use]
    pub fn new(client: &'a Client, request: Request, cursor: &'a str, wanted: &Wanted) -> Self {
        let next = Some(wanted.after.clone()).filter(|after| !after.is_empty());
        Self { client, request, cursor, left: wanted.limit, page: wanted.page, next, begun: false, around: Vec::new() }
    }

    /// Where the list goes on after what was read; none at its end.
    #[must_use]
    pub fn rest(&self) -> Option<&str> {
        self.next.as_deref().filter(|_| self.begun)
    }

    /// What a page says besides its items: for most lists, nothing.
    #[must_use]
    pub fn around(&self) -> &[(String, Box<RawValue>)] {
        &self.around
    }

    /// The next page; none after the last, or when enough was read.
    ///
    /// # Errors
    /// As [`Client::ask`], and [`Failure::Strange`] for a list that begins again and again at the same place.
    pub async fn more(&mut self, world: &mut World<'_>) -> Done<Option<Vec<Item>>> {
        if self.left == Some(0) || (self.begun && self.next.is_none()) {
            return Ok(None);
        }
        let size = self.left.map_or(self.page, |left| left.min(self.page));
        let mut request = self.request.clone();
        if size > 0 {
            request = request.with("limit", size.to_string());
        }
        if let Some(after) = &self.next {
            request = request.with(self.cursor, after);
        }
        let answered = self.client.ask(&request, world).await?;
        let no_page =
            || Failure::Strange("the answer is no page of a list: is this the address of an aggregator?".to_owned());
        let mut fields = entries(answered.text()?).ok_or_else(no_page)?;
        let mut take = |name: &str| {
            let place = fields.iter().position(|(own, _)| own == name)?;
            Some(fields.remove(place).1)
        };
        let items = take("items").and_then(|raw| elements(raw.get())).ok_or_else(no_page)?;
        let next = match take("next").and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
        };
        self.around = fields;
        if next.is_some() && next == self.next {
            return Err(Failure::Strange(format!("the list does not go on after {:?}", next.unwrap_or_default())));
        }
        self.next = next;
        self.begun = true;
        let mut items = items.into_iter().map(Item::read).collect::<Done<Vec<_>>>()?;
        if let Some(left) = &mut self.left {
            items.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= items.len() as u64;
        }
        Ok(Some(items))
    }

    /// Everything that is wanted, at once: only for lists that are known to be short, or with a limit.
    ///
    /// # Errors
    /// As [`Pages::more`].
    pub async fn whole(mut self, world: &mut World<'_>) -> Done<Vec<Value>> {
        let mut all = Vec::new();
        while let Some(items) = self.more(world).await? {
            all.extend(items.into_iter().map(|item| item.value));
        }
        Ok(all)
    }
}
