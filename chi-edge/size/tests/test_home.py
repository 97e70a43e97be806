"""The stand-in for Home Assistant, and the search for the least that is enough."""

from datetime import UTC, datetime
from pathlib import Path

from agent import smallest
from home_assistant import Home, answer, history

NOW = 1_796_000_000.0


def asked(days: int) -> dict[str, object]:
    times = [datetime.fromtimestamp(NOW - back * 86_400, UTC).isoformat() for back in (days, 0)]
    return {"start_time": times[0], "end_time": times[1], "entity_ids": ["sensor.thermometer_003"]}


def test_a_day_of_history_has_a_value_for_each_ten_minutes() -> None:
    assert len(history(asked(1), NOW)["sensor.thermometer_003"]) == 144


def test_nothing_is_remembered_for_longer_than_a_fortnight() -> None:
    assert len(history(asked(30), NOW)["sensor.thermometer_003"]) == 14 * 144


def test_a_home_has_as_many_thermometers_as_were_asked_for() -> None:
    assert len(answer("get_states", {}, 7, NOW)) == 7


def test_a_thermometer_breaks_when_its_number_is_in_the_file(tmp_path: Path) -> None:
    home = Home(3, 60, tmp_path / "breaks")
    assert home.broken() is None
    (tmp_path / "breaks").write_text("2", encoding="utf-8")
    assert home.broken() == 2


def test_the_smallest_limit_that_is_enough_is_found() -> None:
    tried: list[int] = []
    assert smallest(5, 64, lambda limit: (tried.append(limit), limit >= 23)[1]) == 23  # type: ignore[func-returns-value]
    assert len(tried) < 7
