//! Lines and rows of files as they are saved.

use super::*;

fn first(bytes: &[u8]) -> Result<(Vec<String>, bool), String> {
    let mut lines = Lines::new(bytes);
    assert!(lines.advance().unwrap());
    let fields = lines.fields(lines.separator())?;
    Ok((fields.list.iter().map(ToString::to_string).collect(), fields.utf8))
}

#[test]
fn the_separator_is_the_one_that_stands_most_often() {
    for text in ["a,b,c\r\n", "\u{feff}a;b;c", "a\tb\tc\n", "a|b|c", "\"a\";\"b\";c"] {
        let expected = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(first(text.as_bytes()), Ok((expected, true)), "{text}");
    }
}

fn all(text: &str) -> Vec<(u64, Result<Vec<String>, String>)> {
    let mut lines = Lines::new(text.as_bytes());
    let mut rows = Vec::new();
    while lines.advance().unwrap() {
        if !lines.comment() {
            let fields = lines.fields(b',').map(|fields| fields.list.iter().map(ToString::to_string).collect());
            rows.push((lines.number, fields));
        }
    }
    rows
}

fn row(number: u64, fields: &[&str]) -> (u64, Result<Vec<String>, String>) {
    (number, Ok(fields.iter().map(ToString::to_string).collect()))
}

#[test]
fn a_line_break_within_quotation_marks_belongs_to_the_field() {
    assert_eq!(
        all("a,\"one\ntwo \"\"2\"\", 3\",b\nc,d,e\n"),
        [row(1, &["a", "one\ntwo \"2\", 3", "b"]), row(3, &["c", "d", "e"])]
    );
}

#[test]
fn a_quotation_mark_that_is_never_closed_costs_its_own_row() {
    let rows = all("a,\" b,c\nd,e,f\ng,h,i\n");
    let told = "a quotation mark is opened and not closed; close it, or write it twice".to_owned();
    assert_eq!(rows, [(1, Err(told)), row(2, &["d", "e", "f"]), row(3, &["g", "h", "i"])]);
}

#[test]
fn carriage_returns_alone_end_lines_and_so_do_the_letters_that_ascii_has_for_it() {
    assert_eq!(all("a,b\rc,d\r"), [row(1, &["a", "b"]), row(2, &["c", "d"])]);
    let mut lines = Lines::new("a\u{1f}b\u{1e}c\u{1f}d\u{1e}".as_bytes());
    lines.advance().unwrap();
    assert_eq!(lines.fields(lines.separator()).unwrap().list, ["a", "b"]);
}

#[test]
fn quotation_marks_of_sql_are_none_of_the_value_and_rules_and_footers_are_no_rows() {
    assert_eq!(
        all("'it''s','b'\n|---|---|\n---+---\nNULL,\\N\n(2 rows)\n2 rows in set (0.05 sec)\n"),
        [row(1, &["it's", "b"]), row(4, &["", ""])]
    );
}

#[test]
fn a_block_of_zeros_is_called_one() {
    assert_eq!(all("a,b\n\0\0\0\0,c\n")[1], (2, Err(ZEROS.to_owned())));
}

#[test]
fn bytes_that_are_not_utf_8_are_read_as_latin_1() {
    assert_eq!(first(b"a,\xb0C\n"), Ok((vec!["a".to_owned(), "°C".to_owned()], false)));
}
