//! The document's types, as far as a command line has to know them: what a flag takes, what a column shows.

use std::collections::BTreeMap;

use serde_json::Value;

/// References that lead to references: a document has one or two, and a circle has no end.
const FOLLOWED_MAX: usize = 16;

/// Texts that may be longer than this are also read from a file, as `@FILE`: a signing request is, a reason is not.
const LONG: u64 = 2_000;

/// Names of numbers that name a thing and count nothing: shown without separators.
const NUMBERS_OF_THINGS: [&str; 14] = [
    "version", "index", "id", "number", "round", "series", "sequence", "champion", "previous", "ordered", "runs",
    "audit", "since", "back_to",
];

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text; a long one may be given as `@FILE`.
    Text {
        /// Whether it may be too long for a command line.
        long: bool,
    },
    /// Text that nobody but its owner may see: it is read from a file, and never stands on the command line.
    Secret,
    /// A whole number between these.
    Integer {
        /// Least.
        min: i64,
        /// Most.
        max: i64,
    },
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// One of these words.
    Word(Vec<String>),
    /// Several of one kind.
    List(Box<Kind>),
    /// Anything else, written as JSON.
    Json,
}

/// How a field of an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As it is.
    Plain,
    /// Seconds since 1970.
    Time,
    /// How many: right-aligned, with separators.
    Count,
    /// A number with a fraction.
    Figure,
    /// A long hexadecimal name: its beginning tells it apart.
    Hash,
    /// Yes or no.
    Flag,
    /// A thing inside the thing.
    Inside,
}

/// The fields of one type, in the order of the document.
#[derive(Debug, Default)]
pub struct Shape {
    /// Name and look of each; a field inside a thing inside is `thing.field`, one of the things in a list `list[].field`.
    pub fields: Vec<(String, Look)>,
}

impl Shape {
    /// Whether it has this field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(own, _)| own == name)
    }

    /// How this field is shown; by its name where the document does not know it.
    #[must_use]
    pub fn look(&self, name: &str) -> Look {
        let known = self.fields.iter().find(|(own, _)| own == name).map(|(_, look)| *look);
        known.unwrap_or_else(|| if is_time(name, "") { Look::Time } else { Look::Plain })
    }
}

/// The types of a document, by name.
#[derive(Debug, Default)]
pub struct Schemas {
    components: Value,
    shapes: BTreeMap<String, Shape>,
    none: Shape,
}

impl Schemas {
    /// Those of this document.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let mut schemas = Self { components: document["components"].clone(), ..Self::default() };
        let names = schemas.components["schemas"].as_object().into_iter().flatten();
        let shapes = names.map(|(name, schema)| {
            let mut shape = Shape::default();
            schemas.fields(schema, "", &mut shape);
            (name.clone(), shape)
        });
        schemas.shapes = shapes.collect();
        schemas
    }

    /// The fields of the type of this name; none for a type that the document does not know.
    #[must_use]
    pub fn shape(&self, name: &str) -> &Shape {
        self.shapes.get(name).unwrap_or(&self.none)
    }

    /// The name of the type that is referred to there; of a choice, the first.
    #[must_use]
    pub fn name(schema: &Value) -> Option<String> {
        let first = || schema["oneOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str());
        Some(schema["$ref"].as_str().or_else(first)?.rsplit('/').next()?.to_owned())
    }

    /// What is meant there: references followed, and of a choice between something and nothing, the something.
    #[must_use]
    pub fn followed<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        for _ in 0..FOLLOWED_MAX {
            let next = match value["$ref"].as_str().and_then(|path| path.strip_prefix("#/components/")) {
                Some(path) => path.split('/').try_fold(&self.components, |value, name| value.get(name)),
                None => {
                    let choice = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| value[*word].as_array());
                    choice.and_then(|all| {
                        let mut left = all.iter().filter(|one| one["type"] != "null");
                        left.next().filter(|_| left.next().is_none())
                    })
                }
            };
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        value
    }

    /// What a value of this type may be.
    #[must_use]
    pub fn kind(&self, schema: &Value) -> Kind {
        let schema = self.followed(schema);
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<String> = words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect();
            if !words.is_empty() {
                return Kind::Word(words);
            }
        }
        match type_of(schema) {
            "string" => Kind::Text { long: schema["maxLength"].as_u64().is_some_and(|most| most > LONG) },
            "integer" => Kind::Integer {
                min: schema["minimum"].as_i64().unwrap_or(i64::MIN),
                max: schema["maximum"].as_i64().unwrap_or(i64::MAX),
            },
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            "array" => match self.kind(&schema["items"]) {
                Kind::List(_) | Kind::Json => Kind::Json,
                one => Kind::List(Box::new(one)),
            },
            _ => Kind::Json,
        }
    }

    fn fields(&self, schema: &Value, before: &str, shape: &mut Shape) {
        // The document is trusted, and has no type inside itself; a later one might.
        let deep = before.matches('.').count() > 3;
        for (name, field) in self.followed(schema)["properties"].as_object().into_iter().flatten() {
            let about = field["description"].as_str().unwrap_or_default();
            let path = format!("{before}{name}");
            let meant = self.followed(field);
            let look = look(name, about, meant);
            shape.fields.push((path.clone(), look));
            if look == Look::Inside && type_of(meant) == "object" && !deep {
                self.fields(meant, &format!("{path}."), shape);
            }
            if type_of(meant) == "array" && !deep {
                self.fields(&meant["items"], &format!("{path}[]."), shape);
            }
        }
    }
}

fn type_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(word) => word,
        Value::Array(words) => words.iter().filter_map(Value::as_str).find(|word| *word != "null").unwrap_or_default(),
        _ => "",
    }
}

fn is_time(name: &str, about: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    name == "at" || name.ends_with("_at") || name.ends_with("deadline") || about.contains("Unix seconds")
}

fn look(name: &str, about: &str, schema: &Value) -> Look {
    match type_of(schema) {
        "integer" if is_time(name, about) => Look::Time,
        "integer" if NUMBERS_OF_THINGS.contains(&name) || name.ends_with("version") || name.ends_with("_in") => {
            Look::Plain
        }
        "integer" => Look::Count,
        "number" => Look::Figure,
        "boolean" => Look::Flag,
        "string" if about.contains("SHA-256") || about.contains("hexadecimal") || about.contains("Hash of") => {
            Look::Hash
        }
        "string" => Look::Plain,
        "array" => Look::Inside,
        _ if schema.get("enum").is_some() => Look::Plain,
        _ => Look::Inside,
    }
}
