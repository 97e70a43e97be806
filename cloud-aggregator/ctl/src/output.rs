//! How answers are shown: tables and listings for people, JSON, YAML, CSV and names for programs.

pub mod cell;
mod columns;
mod detail;
mod ordered;
mod table;
pub mod words;

use clap::ArgMatches;
use serde_json::Value;
use serde_json::value::RawValue;

pub use self::columns::Column;
pub use self::detail::listing;
pub use self::ordered::{compact, elements, entries, indented, yaml};
use self::table::Layout;
use crate::document::{Look, Schemas, Shape};
use crate::failure::{Done, Failure};
use crate::world::World;

/// A form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people: the usual columns.
    Table,
    /// For people: every column.
    Wide,
    /// One JSON document, items as they came.
    Json,
    /// One JSON object a line.
    JsonLines,
    /// YAML.
    Yaml,
    /// Comma-separated values.
    Csv,
    /// `home/home-1`, one a line.
    Name,
}

impl Form {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 7] = [
        ("table", Self::Table),
        ("wide", Self::Wide),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
        ("yaml", Self::Yaml),
        ("csv", Self::Csv),
        ("name", Self::Name),
    ];

    /// Whether it is for people.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// A thing as it came, and read.
#[derive(Debug, Clone)]
pub struct Item {
    /// The text of it.
    pub raw: Box<RawValue>,
    /// Its fields.
    pub value: Value,
}

impl Item {
    /// Reads one.
    ///
    /// # Errors
    /// [`Failure::Strange`] where the text is no JSON.
    pub fn read(raw: Box<RawValue>) -> Done<Self> {
        let strange = |error| Failure::Strange(format!("the answer is no JSON: {error}"));
        let value = serde_json::from_str(raw.get()).map_err(strange)?;
        Ok(Self { raw, value })
    }

    /// One of a value that is made here.
    ///
    /// # Panics
    /// Never: a value can be written.
    #[must_use]
    pub fn of(value: Value) -> Self {
        let raw = RawValue::from_string(value.to_string()).expect("a value is JSON");
        Self { raw, value }
    }
}

/// What the command line says about the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The form.
    pub form: Form,
    /// The fields that are wanted; empty for the usual ones.
    pub columns: Vec<String>,
    /// Whether there is a line of headings.
    pub headings: bool,
}

impl Asked {
    /// Reads it; `usual` is the form where nothing is said.
    #[must_use]
    pub fn of(matches: &ArgMatches, usual: Form) -> Self {
        let has = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false);
        let word = matches.try_get_one::<String>("output").ok().flatten();
        let form = word.and_then(|word| Form::ALL.into_iter().find(|(own, _)| own == word)).map(|(_, form)| form);
        let form = if has("json") { Form::Json } else { form.unwrap_or(usual) };
        let columns = matches.try_get_many::<String>("columns").ok().flatten().into_iter().flatten().cloned().collect();
        Self { form, columns, headings: !has("no-headers") }
    }
}

/// Shows items of one type as they come, page by page.
pub struct Printer<'a> {
    asked: Asked,
    noun: &'a str,
    shape: &'a Shape,
    columns: Vec<Column>,
    layout: Layout,
    short: bool,
    shown: u64,
}

impl<'a> Printer<'a> {
    /// One for items of this noun and type.
    #[must_use]
    pub fn new(asked: Asked, noun: &'a str, kind: Option<&str>, schemas: &'a Schemas) -> Self {
        let shape = schemas.shape(kind.unwrap_or_default());
        let all = matches!(asked.form, Form::Wide | Form::Csv);
        let columns = columns::choose(kind.unwrap_or_default(), shape, &asked.columns, all);
        Self { layout: Layout::default(), short: false, asked, noun, shape, columns, shown: 0 }
    }

    /// How many were shown.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Shows what a list says besides its items, to people.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn around(&self, fields: &[(String, Box<RawValue>)], world: &mut World<'_>) -> Done {
        if self.asked.form.is_for_people() && !fields.is_empty() {
            let text = detail::fields(fields, self.shape, world);
            writeln!(world.out, "{text}")?;
        }
        Ok(())
    }

    /// Shows some more.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn more(&mut self, items: &[Item], world: &mut World<'_>) -> Done {
        if items.is_empty() {
            return Ok(());
        }
        if self.columns.is_empty() {
            self.columns = columns::of_item(&items[0]);
        }
        match self.asked.form {
            Form::Table | Form::Wide => self.rows(items, world)?,
            Form::Json => {
                for (place, item) in items.iter().enumerate() {
                    let before = if self.shown == 0 && place == 0 { "[\n  " } else { ",\n  " };
                    write!(world.out, "{before}{}", indented(item.raw.get(), 1))?;
                }
            }
            Form::JsonLines => {
                for item in items {
                    writeln!(world.out, "{}", compact(item.raw.get()))?;
                }
            }
            Form::Yaml => {
                let text = yaml(items.iter().map(|item| item.raw.get()));
                write!(world.out, "{text}")?;
            }
            Form::Csv => self.csv(items, world)?,
            Form::Name => {
                for item in items {
                    writeln!(world.out, "{}", columns::name(self.noun, &item.value))?;
                }
            }
        }
        self.shown += items.len() as u64;
        world.out.flush()?;
        Ok(())
    }

    /// Ends the output.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn end(&mut self, world: &mut World<'_>) -> Done {
        match (self.asked.form, self.shown) {
            (Form::Json, 0) => writeln!(world.out, "[]")?,
            (Form::Json, _) => writeln!(world.out, "\n]")?,
            (Form::Yaml, 0) => writeln!(world.out, "[]")?,
            (Form::Table | Form::Wide, 0) => world.say("there are none"),
            _ => {}
        }
        Ok(())
    }

    /// Shows the only one.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn only(&mut self, item: &Item, world: &mut World<'_>) -> Done {
        match self.asked.form {
            Form::Table | Form::Wide if self.asked.columns.is_empty() => {
                let text = listing(item.raw.get(), self.shape, world);
                write!(world.out, "{text}")?;
            }
            Form::Json => writeln!(world.out, "{}", indented(item.raw.get(), 0))?,
            Form::Yaml => {
                let listed = yaml(std::iter::once(item.raw.get()));
                // The one item of the list, without the list.
                for line in listed.lines() {
                    writeln!(world.out, "{}", line.get(2..).unwrap_or_default())?;
                }
            }
            _ => self.more(std::slice::from_ref(item), world)?,
        }
        world.out.flush()?;
        Ok(())
    }

    fn rows(&mut self, items: &[Item], world: &mut World<'_>) -> Done {
        let look = |column: &Column| self.shape.look(&column.path);
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.clone()).collect();
        let rows = |short: bool, world: &World<'_>| -> Vec<Vec<cell::Cell>> {
            let row = |item: &Item| {
                let cell = |column: &Column| {
                    let (value, look) = (column.of(&item.value), look(column));
                    if short && look == Look::Time {
                        cell::short_time(value, world)
                    } else {
                        cell::of(value, look, &column.path, world)
                    }
                };
                self.columns.iter().map(cell).collect()
            };
            items.iter().map(row).collect()
        };
        let mut cells = rows(self.short, world);
        if !self.short && !self.layout.fits(&headings, &cells, world.terminal.width) {
            // Of a time that has to be cut, the distance from now says most.
            self.short = true;
            self.layout = Layout::default();
            cells = rows(true, world);
        }
        let rows = cells;
        let text = self.layout.lay(&headings, &rows, self.asked.headings && self.shown == 0, world.terminal);
        write!(world.out, "{text}")?;
        Ok(())
    }

    fn csv(&self, items: &[Item], world: &mut World<'_>) -> Done {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        let write = |writer: &mut csv::Writer<Vec<u8>>, row: Vec<String>| {
            writer.write_record(row).map_err(|error| Failure::Output(std::io::Error::other(error)))
        };
        if self.asked.headings && self.shown == 0 {
            write(&mut writer, self.columns.iter().map(|column| column.path.clone()).collect())?;
        }
        for item in items {
            let text = |column: &Column| match column.of(&item.value) {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            write(&mut writer, self.columns.iter().map(text).collect())?;
        }
        let bytes = writer.into_inner().map_err(|error| Failure::Output(std::io::Error::other(error.to_string())))?;
        world.out.write_all(&bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
