"""A fleet's needs and its machine."""

import tomllib
from pathlib import Path

import pytest

from scale import Line, Model, fit, fleets, need, report, smallest, units_a_week

PRICES = Path(__file__).parent.parent / "prices.toml"
COST = tomllib.loads(PRICES.read_text(encoding="utf-8"))
FLAT = Line(10, 0, 0)
MODEL = Model(Line(60, 0.1, 0), FLAT, Line(5, 0.05, 0), Line(0, 0, 0), 2.0, 9000, 300, 60, 40, 100)


def test_points_on_a_line_give_that_line() -> None:
    found = fit([(1, 12), (10, 30), (100, 210)])
    assert found.base == pytest.approx(10)
    assert found.slope == pytest.approx(2)
    assert found.residual == pytest.approx(0)


def test_a_line_that_falls_counts_as_level() -> None:
    assert fit([(1, 5), (100, 4)]).slope == 0


def test_one_size_alone_gives_a_level_line() -> None:
    assert fit([(10, 5), (10, 7)]) == Line(6, 0, 1)


def test_no_measurement_gives_no_line() -> None:
    with pytest.raises(ValueError, match=r"^nothing was measured that a line could go through$"):
        fit([])


def test_memory_holds_homes_broker_training_and_monitoring() -> None:
    assert need(MODEL, 1000, 0).memory_mib == 160 + 55 + 300 + 40 + 1792


def test_a_run_holds_a_years_answers_and_not_more_than_its_bound() -> None:
    assert need(MODEL, 10, 3).memory_mib - need(MODEL, 10, 0).memory_mib == pytest.approx(10 * 3 * 52 * 9000 / 2**20)
    assert need(MODEL, 1000, 3).memory_mib - need(MODEL, 1000, 0).memory_mib == 384


def test_a_home_that_answers_three_times_a_week_fills_one_and_a_half_megabytes_a_year() -> None:
    assert need(MODEL, 1, 3).disk_gb_a_year == pytest.approx(3 * 52 * 9000 / 1e9)


def test_the_machine_keeps_its_reserve() -> None:
    machines = COST["chameleon"]["flavours"]
    small = Model(Line(60, 0, 0), Line(0, 0, 0), Line(5, 0, 0), Line(0, 0, 0), 2.0, 9000, 300, 60, 40, 100)
    large = Model(Line(2000, 0, 0), Line(0, 0, 0), Line(5, 0, 0), Line(0, 0, 0), 2.0, 9000, 300, 60, 40, 100)
    found = [smallest(machines, need(model, 1, 3)) for model in (small, large)]
    assert [machine and machine["name"] for machine in found] == ["m1.medium", "m1.large"]


def test_a_fleet_that_fits_no_machine_leaves_its_cells_empty() -> None:
    huge = Model(Line(0, 1000, 0), FLAT, FLAT, FLAT, 2.0, 9000, 300, 60, 40, 100)
    last = fleets(huge, 3, COST).splitlines()[-1]
    assert last.endswith("|  |  |  |  |  |  |  |")


def test_a_virtual_machine_takes_its_part_of_a_server() -> None:
    medium = COST["chameleon"]["flavours"][0]
    assert units_a_week(medium, COST["chameleon"]) == pytest.approx(2 / 24 * 168)


def test_prices_name_their_source() -> None:
    assert all(COST[table].get("source") or COST[table].get("watts_source") for table in COST)


def test_without_measurements_the_report_says_which_are_missing() -> None:
    with pytest.raises(ValueError, match=r"^`aggregator` and `training` have not been measured yet$"):
        report([], 3)
