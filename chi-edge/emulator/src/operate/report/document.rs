//! A document of headings, paragraphs, tables and drawings, in Markdown and in HTML.

use std::fmt::Write as _;

/// A piece of a document.
enum Block {
    Heading(String),
    Paragraph(String),
    Table(Vec<String>, Vec<Vec<String>>),
    Drawing { name: &'static str, svg: String, caption: String },
}

/// A document under one title.
pub struct Document {
    title: String,
    blocks: Vec<Block>,
}

impl Document {
    /// An empty one.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    /// Begins a section.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    /// Says something.
    pub fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// Shows a table; says that there is nothing where it has no rows.
    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        match rows.is_empty() {
            true => self.paragraph("None."),
            false => self.blocks.push(Block::Table(head.iter().map(|cell| (*cell).to_owned()).collect(), rows)),
        }
    }

    /// Shows a drawing, which is also the file `name`.
    pub fn drawing(&mut self, name: &'static str, svg: String, caption: impl Into<String>) {
        self.blocks.push(Block::Drawing { name, svg, caption: caption.into() });
    }

    /// File names and contents of the drawings.
    pub fn drawings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Drawing { name, svg, .. } => Some((*name, svg.as_str())),
            _ => None,
        })
    }

    /// As Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n", self.title);
        for block in &self.blocks {
            // Writing to a string cannot fail.
            let _ = match block {
                Block::Heading(heading) => writeln!(text, "\n## {heading}"),
                Block::Paragraph(paragraph) => writeln!(text, "\n{paragraph}"),
                Block::Drawing { name, caption, .. } => writeln!(text, "\n![{caption}]({name})\n\n{caption}"),
                Block::Table(head, rows) => {
                    let line = |cells: &[String]| {
                        let cells: Vec<String> =
                            cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
                        format!("| {} |", cells.join(" | "))
                    };
                    let _ = writeln!(text, "\n{}\n|{}", line(head), "---|".repeat(head.len()));
                    rows.iter().try_for_each(|row| writeln!(text, "{}", line(row)))
                }
            };
        }
        text
    }

    /// As one HTML page that needs nothing else.
    pub fn to_html(&self) -> String {
        let title = escaped(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(heading) => writeln!(page, "<h2>{}</h2>", escaped(heading)),
                Block::Paragraph(paragraph) => writeln!(page, "<p>{}</p>", escaped(paragraph)),
                Block::Drawing { svg, caption, .. } => {
                    writeln!(page, "<figure>{svg}<figcaption>{}</figcaption></figure>", escaped(caption))
                }
                Block::Table(head, rows) => {
                    let cells = |row: &[String], kind: &str| -> String {
                        row.iter().map(|cell| format!("<{kind}>{}</{kind}>", escaped(cell))).collect()
                    };
                    let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
                    writeln!(
                        page,
                        "<div><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>",
                        cells(head, "th")
                    )
                }
            };
        }
        page.push_str("</body>\n</html>\n");
        page
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#202020;background:#fff}\
div{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}th,td{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:left;\
vertical-align:top}figure{margin:1rem 0}svg{max-width:100%;height:auto}figcaption{color:#555;font-size:.9rem}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_the_same_in_both_forms_and_nothing_in_it_becomes_markup() {
        let mut document = Document::new("A & B");
        document.heading("First");
        document.table(&["x", "y"], vec![vec!["1 | 2".into(), "<b>".into()]]);
        document.table(&["x"], Vec::new());
        document.drawing("a.svg", "<svg/>".into(), "What it shows");
        assert_eq!(
            document.to_markdown(),
            "# A & B\n\n## First\n\n| x | y |\n|---|---|\n| 1 \\| 2 | <b> |\n\nNone.\n\n![What it shows](a.svg)\n\nWhat it shows\n"
        );
        let page = document.to_html();
        for part in
            ["<h1>A &amp; B</h1>", "<td>1 | 2</td><td>&lt;b&gt;</td>", "<p>None.</p>", "<figure><svg/><figcaption>What"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert_eq!(document.drawings().collect::<Vec<_>>(), [("a.svg", "<svg/>")]);
    }
}
