"""From one Raspberry Pi to a hundred thousand homes: what was measured, carried on by a straight line, and what that costs."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tables import Record, chosen, number, table

ANSWERS_A_WEEK = 3.0
PRICES = Path(__file__).with_name("prices.toml")
WEEK_SECONDS, WEEK_HOURS, YEAR_WEEKS, YEAR_HOURS = 604_800, 168, 52, 8760
FLEETS = [1, 10, 100, 1_000, 10_000, 100_000]
# The cloud's machine also carries what watches it: the limits of Prometheus, Alertmanager, exporter and Grafana together, in MiB and processors.
WATCHERS_MIB, WATCHERS_PROCESSORS = 1792, 0.5
TRAINING_PROCESSORS = 1
# The most that a run holds of residents' answers, MiB (docs/measurements/2026-11-30-serving.md).
WINDOWS_MIB = 384
# Of processors and memory this share stays free.
RESERVE = 0.3
MIB_A_GB = 1024


@dataclass(frozen=True)
class Line:
    """A straight line through what was measured."""

    base: float
    slope: float
    # The largest distance of a point from it.
    residual: float

    def at(self, where: float) -> float:
        return self.base + self.slope * where


def fit(points: list[tuple[float, float]]) -> Line:
    """Least squares. A slope below zero is what chance makes of nothing: it counts as none."""
    if not points:
        raise ValueError("nothing was measured that a line could go through")
    count = len(points)
    middle_x, middle_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = max(0.0, sum((x - middle_x) * (y - middle_y) for x, y in points) / spread) if spread else 0.0
    base = middle_y - slope * middle_x
    return Line(base, slope, max(abs(y - base - slope * x) for x, y in points))


@dataclass(frozen=True)
class Model:
    """What a fleet takes, by its homes."""

    memory: Line
    processors: Line
    broker_memory: Line
    broker_processors: Line
    answer_cpu_ms: float
    answer_bytes: float
    training_mib: float
    training_cpu_s: float
    # What a burst of answers takes beyond rest, in aggregator and broker.
    burst_mib: float
    measured: int

    @classmethod
    def of(cls, records: list[Record]) -> "Model":
        found, runs = chosen(records, "aggregator"), chosen(records, "training")
        if not found or not runs:
            raise ValueError("`aggregator` and `training` have not been measured yet")

        def line(key: str) -> Line:
            return fit([(one["homes"], one[key]) for one in found])

        largest = max(one["homes"] for one in found)
        busy = [one for one in found if one["homes"] == largest]
        both = [one["cpu_ms_per_answer"] + one["broker_cpu_ms_per_answer"] for one in busy]
        return cls(
            line("rest_resident_mib"),
            line("rest_cpu_share"),
            line("broker_rest_resident_mib"),
            line("broker_rest_cpu_share"),
            median(both),
            median(one["database_bytes_per_answer"] for one in busy),
            max(one["resident_peak_mib"] - one["before_resident_mib"] for one in runs),
            max(one["cpu_s"] for one in runs),
            max(sum(one[f"{who}burst_resident_peak_mib"] - one[f"{who}rest_resident_mib"] for who in ("", "broker_")) for one in found),
            largest,
        )


@dataclass(frozen=True)
class Need:
    """What a fleet of this size takes."""

    homes: int
    memory_mib: float
    # What goes on all the time; a training run takes one more while it lasts.
    processors: float
    disk_gb_a_year: float
    answers_a_day: float


def need(model: Model, homes: int, weekly: float) -> Need:
    """Memory with a training run in it; processors without."""
    answers = homes * weekly / WEEK_SECONDS
    year = homes * weekly * YEAR_WEEKS * model.answer_bytes
    memory = model.memory.at(homes) + model.broker_memory.at(homes) + model.burst_mib + WATCHERS_MIB
    training = model.training_mib + min(WINDOWS_MIB, year / 2**20)
    steady = model.processors.at(homes) + model.broker_processors.at(homes) + answers * model.answer_cpu_ms / 1000
    return Need(homes, memory + training, max(0.0, steady) + WATCHERS_PROCESSORS, year / 1e9, answers * 86_400)


def smallest(machines: list[dict[str, Any]], asked: Need) -> dict[str, Any] | None:
    """The first machine, in order, that has the reserve too, and a processor for a training run."""
    for machine in machines:
        enough_memory = machine["memory_gb"] * MIB_A_GB * (1 - RESERVE) >= asked.memory_mib
        if enough_memory and machine["processors"] - TRAINING_PROCESSORS >= asked.processors / (1 - RESERVE):
            return machine
    return None


def units_a_week(flavour: dict[str, Any], chameleon: dict[str, Any]) -> float:
    return float(max(flavour["processors"] / chameleon["cores"], flavour["memory_gb"] / chameleon["memory_gb"]) * WEEK_HOURS)


def report(records: list[Record], weekly: float) -> str:
    cost = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    model = Model.of(records)
    return "\n\n".join([fleets(model, weekly, cost), lines(model), sources(cost), boards(records, cost)])


def fleets(model: Model, weekly: float, cost: dict[str, Any]) -> str:
    rows = []
    for homes in FLEETS:
        asked = need(model, homes, weekly)
        flavour, machine = smallest(cost["chameleon"]["flavours"], asked), smallest(cost["cloud"]["machines"], asked)
        shown = [f"{homes:,}", "homes measured" if homes <= model.measured else "by the line, not measured"]
        shown += [number(round(asked.memory_mib)), number(asked.processors), number(asked.disk_gb_a_year), number(asked.answers_a_day)]
        shown += [flavour["name"], number(units_a_week(flavour, cost["chameleon"]))] if flavour else ["", ""]
        if machine:
            each = [machine.get(one) for one in ("aws", "hetzner", "ovhcloud")]
            shown += [f"{machine['processors']} / {machine['memory_gb']}", *(number(one) if one else "" for one in each)]
            cheapest = min(one for one in each if one)
            shown.append(number(cheapest / homes))
        else:
            shown += [""] * 5
        rows.append(shown)
    head = ["homes", "how known", "memory MiB", "processors", "disk GB a year", "answers a day", "Chameleon flavour", "service units a week"]
    head += ["elsewhere: processors / GB", "AWS EUR a month", "Hetzner EUR", "OVHcloud EUR", "EUR a home and month, the cheapest"]
    note = (
        f"Aggregator with a training run, broker and monitoring on one machine, {number(weekly)} answers of a home in a week, {RESERVE:.0%} of the "
        f"machine free. Monitoring counts with its limits: {WATCHERS_MIB} MiB and {WATCHERS_PROCESSORS} of a processor. A run counts with the "
        f"windows of a year's answers, {WINDOWS_MIB} MiB at the most, and the machine has a processor more for it."
    )
    return f"{note}\n\n{table(head, rows)}"


def lines(model: Model) -> str:
    named = [
        ("aggregator at rest, MiB", model.memory),
        ("aggregator at rest, processors", model.processors),
        ("broker at rest, MiB", model.broker_memory),
        ("broker at rest, processors", model.broker_processors),
    ]
    rows = [[name, number(one.base), number(one.slope), number(one.residual)] for name, one in named]
    head = ["line through 1 to " + f"{model.measured:,} homes", "without a home", "for each home", "largest distance of a point"]
    rest = (
        f"An answer takes {number(model.answer_cpu_ms)} ms of a processor in aggregator and broker together, and {number(model.answer_bytes)} bytes. "
        f"A burst of answers takes {number(model.burst_mib)} MiB beyond rest, in both. "
        f"The largest training run took {number(model.training_mib)} MiB more, and {number(model.training_cpu_s)} seconds of a processor."
    )
    return f"{table(head, rows)}\n\n{rest}"


def sources(cost: dict[str, Any]) -> str:
    chameleon = cost["chameleon"]
    units, graphics = WEEK_HOURS, chameleon["gpu_node_units"] * WEEK_HOURS
    return (
        f"Service units: {chameleon['source']}. By that page a whole server without a GPU takes {units} units in a lease of 7 days, one with a GPU "
        f"{graphics}, and a first allocation holds {chameleon['allocation_units']:,}. What a device of CHI@Edge takes was not found. "
        f"Other machines: {cost['cloud']['source']}."
    )


def boards(records: list[Record], cost: dict[str, Any]) -> str:
    """What one home's own board costs and emits, and the agent's part of its processor."""
    board, carbon = cost["board"], cost["carbon"]
    kilowatt_hours = carbon["watts"] * YEAR_HOURS / 1000
    rows = []
    for entities in sorted({one["entities"] for one in chosen(records, "agent-rest")}):
        rest = [one for one in chosen(records, "agent-rest") if one["entities"] == entities]
        seconds = median(one["cpu_s_per_hour"] for one in rest)
        peak = max(one["resident_peak_mib"] for one in [*rest, *(one for one in chosen(records, "agent") if one["entities"] == entities)])
        rows.append([str(entities), number(seconds), f"{seconds / 3600:.3%}", number(peak)])
    head = ["entities", "agent: processor seconds an hour, of this machine", "of one processor", "peak resident MiB"]
    grams = ", ".join(f"{place} {number(kilowatt_hours * value / 1000)} kg" for place, value in carbon["grams_per_kwh"].items())
    text = (
        f"A board: {board['name']}, {board['usd']} USD ({board['source']}). A whole {carbon['board']} at rest takes {carbon['watts']} W "
        f"({carbon['watts_source']}): {number(kilowatt_hours)} kWh a year, with the grid's carbon {grams} of CO2 equivalents a year "
        f"({carbon['grams_source']}). That is the board with everything on it, not the agent's part."
    )
    return f"{table(head, rows)}\n\n{text}" if rows else text
