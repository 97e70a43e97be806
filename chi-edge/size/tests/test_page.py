"""The pages say what the program prints."""

from pathlib import Path

import scale
import tables
from measure import RECORD, TREE


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def missing(printed: str, page: Path) -> list[str]:
    shown = set(lines(page.read_text(encoding="utf-8")))
    return [line for line in lines(printed) if line not in shown]


def test_the_measurements_page_holds_every_line_of_the_tables() -> None:
    assert missing(tables.everything(tables.read(RECORD)), RECORD.with_suffix(".md")) == []


def test_the_page_about_sizes_holds_every_line_of_the_costs() -> None:
    assert missing(scale.report(tables.read(RECORD), scale.ANSWERS_A_WEEK), TREE / "docs/right-size.md") == []
