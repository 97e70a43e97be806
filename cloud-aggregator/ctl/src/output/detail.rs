//! One thing as a listing: a field a line, things inside it further in.

use console::measure_text_width;
use serde_json::Value;
use serde_json::value::RawValue;

use super::columns::Column;
use super::ordered::{elements, entries};
use super::{cell, table, words};
use crate::document::{Look, Shape};
use crate::world::World;

/// A thing inside with more fields than this is only counted: a training configuration, a gate's report.
const FIELDS_MAX: usize = 12;

/// A list inside with more items than this is only counted.
const ITEMS_MAX: usize = 50;

/// The listing of a thing.
#[must_use]
pub fn listing(raw: &str, shape: &Shape, world: &World<'_>) -> String {
    let mut text = String::new();
    match entries(raw) {
        Some(fields) => list(&fields, shape, "", 0, world, &mut text),
        None => text = format!("{}\n", words::clean(raw)),
    }
    text
}

/// The listing of some fields.
#[must_use]
pub fn fields(all: &[(String, Box<RawValue>)], shape: &Shape, world: &World<'_>) -> String {
    let mut text = String::new();
    list(all, shape, "", 0, world, &mut text);
    text
}

fn list(
    fields: &[(String, Box<RawValue>)],
    shape: &Shape,
    before: &str,
    indent: usize,
    world: &World<'_>,
    text: &mut String,
) {
    let label = |name: &str| words::clean(&name.replace('_', " "));
    let width = fields.iter().map(|(name, _)| measure_text_width(&label(name))).max().unwrap_or_default();
    let pad = " ".repeat(indent);
    for (name, raw) in fields {
        let path = format!("{before}{name}");
        let label = label(name);
        if let Some(inside) = entries(raw.get()) {
            if inside.len() > FIELDS_MAX || depth(raw.get()) > 2 {
                let counted = words::many(inside.len().try_into().unwrap_or(i64::MAX), "field");
                text.push_str(&format!("{pad}{label:<width$}  {counted}; --json shows them\n"));
            } else {
                text.push_str(&format!("{pad}{label}\n"));
                list(&inside, shape, &format!("{path}."), indent + 2, world, text);
            }
            continue;
        }
        let things = elements(raw.get()).filter(|all| all.iter().any(|one| one.get().starts_with('{')));
        if let Some(all) = things {
            let counted = words::many(all.len().try_into().unwrap_or(i64::MAX), "item");
            match rows(&all).filter(|_| all.len() <= ITEMS_MAX) {
                None => text.push_str(&format!("{pad}{label:<width$}  {counted}; --json shows them\n")),
                Some((columns, things)) => {
                    text.push_str(&format!("{pad}{label}\n"));
                    let cells: Vec<_> = things
                        .iter()
                        .map(|thing| {
                            let one = |column: &Column| {
                                cell::of(
                                    column.of(thing),
                                    look(shape, &format!("{path}[].{}", column.path), column.of(thing)),
                                    &column.path,
                                    world,
                                )
                            };
                            columns.iter().map(one).collect()
                        })
                        .collect();
                    let headings: Vec<_> = columns.iter().map(|column| column.heading.clone()).collect();
                    text.push_str(&table::plain(&headings, &cells, indent + 2, world.terminal));
                }
            }
            continue;
        }
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        if let Some(lines) = value.as_str().filter(|own| own.trim().contains('\n')) {
            text.push_str(&format!("{pad}{label}\n"));
            for line in lines.lines() {
                let line = format!("{pad}  {}", words::clean(line));
                text.push_str(&format!("{}\n", line.trim_end()));
            }
            continue;
        }
        let cell = cell::of(&value, whole(look(shape, &path, &value)), &path, world);
        text.push_str(&format!("{pad}{label:<width$}  {}\n", cell.painted(&cell.text, world.terminal.colour)));
    }
}

/// In a listing there is room for a whole hash.
fn whole(look: Look) -> Look {
    if look == Look::Hash { Look::Plain } else { look }
}

fn look(shape: &Shape, path: &str, value: &Value) -> Look {
    match shape.look(path) {
        Look::Plain if value.is_f64() => Look::Figure,
        look => look,
    }
}

/// The things of a list as rows, if all are flat.
fn rows(all: &[Box<RawValue>]) -> Option<(Vec<Column>, Vec<Value>)> {
    let first = entries(all.first()?.get())?;
    let things: Vec<Value> = all.iter().filter_map(|one| serde_json::from_str(one.get()).ok()).collect();
    let flat = |thing: &Value| thing.as_object().is_some_and(|fields| fields.values().all(|value| !value.is_object()));
    let columns: Vec<Column> = first.iter().map(|(name, _)| Column::new(name)).collect();
    things.iter().all(flat).then_some((columns, things))
}

fn depth(raw: &str) -> usize {
    let of = |parts: Vec<&str>| 1 + parts.into_iter().map(depth).max().unwrap_or_default();
    if let Some(fields) = entries(raw) {
        return of(fields.iter().map(|(_, value)| value.get()).collect());
    }
    elements(raw).map_or(0, |all| of(all.iter().map(|value| value.get()).collect()))
}
