"""Figures as people read them."""

from pathlib import Path

import pytest

from measure import main
from tables import everything, number, read, spread

REST = {
    "what": "agent-rest",
    "at": "2026-12-01T00:00:00+00:00",
    "load": 1.0,
    "processors": 2,
    "entities": 10,
    "every_s": 60.0,
    "watched_minutes": 20.0,
}


@pytest.mark.parametrize(("value", "shown"), [(3, "3"), (64.0, "64"), (1234.6, "1,235"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.0123")])
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_repetitions_are_shown_as_least_middle_and_most() -> None:
    assert spread([3.5, 1.25, 2.75]) == "1.25 / 2.75 / 3.50"


def test_repetitions_that_agree_are_shown_once() -> None:
    assert spread([7, 7, 7]) == "7"


def test_a_table_names_load_time_and_repetitions() -> None:
    shown = everything([{**REST, "watched_minutes": 20.0, "cpu_s_per_hour": 2.0}, {**REST, "cpu_s_per_hour": 3.0, "load": 2.5}])
    assert "| 10 | 60 | 20 | 2 / 2.50 / 3 |  |  |  | 2 |" in shown
    assert "2 processors, load of the machine 1 / 1.75 / 2.50." in shown


def test_what_was_not_measured_has_no_table() -> None:
    assert everything([]) == ""


def test_a_result_is_one_line_of_json(tmp_path: Path) -> None:
    (tmp_path / "results").write_text('{"what": "agent"}\n\n', encoding="utf-8")
    assert read(tmp_path / "results") == [{"what": "agent"}]


def test_a_file_of_results_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.jsonl"
    monkeypatch.setattr("sys.argv", ["measure.py", "tables", "--results", str(missing)])
    assert main() == 66
    why = f"[Errno 2] No such file or directory: '{missing}'"
    assert capsys.readouterr().err == (
        f"measure.py: {missing} has no results that can be read ({why}); measure first, or name another file by --results\n"
    )
