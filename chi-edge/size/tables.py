"""What was measured, as tables: repetitions become minimum / median / maximum."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """The results, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def number(value: float) -> str:
    """Three significant digits, without a power of ten; whole numbers as they are."""
    if value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3g}" if size >= 0.001 else f"{value:.1g}"


def spread(values: Iterable[float]) -> str:
    """Minimum / median / maximum; one number where all are the same."""
    found = sorted(values)
    if not found:
        return ""
    shown = [number(one) for one in (found[0], median(found), found[-1])]
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def chosen(records: list[Record], what: str) -> list[Record]:
    return [one for one in records if one["what"] == what]


def groups(records: list[Record], keys: list[str]) -> list[list[Record]]:
    """Records that agree in these keys, in order."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for one in records:
        found.setdefault(tuple(one[key] for key in keys), []).append(one)
    return [found[key] for key in sorted(found)]


def figures(records: list[Record], what: str, keys: list[tuple[str, str]], columns: list[tuple[str, str]]) -> str:
    """A table: keys first, then the spread of each column. Empty where nothing was measured."""
    of = chosen(records, what)
    if not of:
        return ""
    rows = []
    for group in groups(of, [key for key, _ in keys]):
        shown = [str(group[0][key]).lower() if isinstance(group[0][key], bool) else number(group[0][key]) for key, _ in keys]
        rows.append([*shown, *(spread(one[column] for one in group if column in one) for column, _ in columns), str(len(group))])
    body = table([*(name for _, name in keys), *(name for _, name in columns), "times"], rows)
    loads = spread(one["load"] for one in of)
    return f"{body}\n\n{of[0]['at']} to {of[-1]['at']}, {of[0]['processors']} processors, load of the machine {loads}."


ENTITIES, HOMES, MEMORY, CPUS = ("entities", "entities"), ("homes", "homes"), ("memory_mib", "limit MiB"), ("cpus", "limit processors")

TABLES: list[tuple[str, str, list[tuple[str, str]], list[tuple[str, str]]]] = [
    (
        "agent",
        "The agent: learns a fortnight, raises an alarm, learns anew",
        [ENTITIES, MEMORY, CPUS],
        [
            ("history_s", "until it has learnt s"),
            ("history_cpu_s", "processor for that s"),
            ("alarm_s", "from event to alarm s"),
            ("anew_cpu_s", "processor to learn anew s"),
            ("resident_mib", "resident MiB"),
            ("allocated_mib", "of it allocated MiB"),
            ("resident_peak_mib", "peak resident MiB"),
            ("counted_peak_mib", "peak as the container counts it MiB"),
        ],
    ),
    ("agent-memory", "The least memory with which the agent works", [ENTITIES, CPUS], [("least_mib", "least limit MiB")]),
    (
        "agent-processors",
        "The agent with fewer processors",
        [ENTITIES, CPUS, MEMORY],
        [
            ("history_s", "until it has learnt s"),
            ("alarm_s", "from event to alarm s"),
            ("anew_s", "learns anew s"),
            ("resident_peak_mib", "peak resident MiB"),
        ],
    ),
    (
        "agent-rest",
        "The agent in an ordinary hour",
        [ENTITIES, ("every_s", "each changes every s")],
        [
            ("watched_minutes", "watched minutes"),
            ("cpu_s_per_hour", "processor seconds an hour"),
            ("resident_mib", "resident MiB"),
            ("allocated_mib", "of it allocated MiB"),
            ("resident_peak_mib", "peak resident MiB"),
        ],
    ),
    (
        "aggregator",
        "The aggregator",
        [HOMES, MEMORY, CPUS],
        [
            ("rest_resident_mib", "at rest resident MiB"),
            ("rest_cpu_share", "at rest processors"),
            ("answers_per_s", "burst: answers a second"),
            ("cpu_ms_per_answer", "processor an answer ms"),
            ("database_bytes_per_answer", "database an answer bytes"),
            ("burst_resident_peak_mib", "peak resident MiB"),
            ("burst_counted_peak_mib", "peak as the container counts it MiB"),
        ],
    ),
    (
        "aggregator",
        "Broker and signer beside it",
        [HOMES],
        [
            ("broker_rest_resident_mib", "broker at rest resident MiB"),
            ("broker_rest_cpu_share", "at rest processors"),
            ("broker_cpu_ms_per_answer", "processor an answer ms"),
            ("broker_burst_resident_peak_mib", "peak resident MiB"),
            ("signer_resident_peak_mib", "signer peak resident MiB"),
        ],
    ),
    (
        "training",
        "A training run",
        [("sets", "recorded sets"), MEMORY, CPUS],
        [
            ("answers", "answers stored before"),
            ("seconds", "run s"),
            ("cpu_s", "processor s"),
            ("before_resident_mib", "resident before MiB"),
            ("resident_peak_mib", "peak resident MiB"),
            ("counted_peak_mib", "peak as the container counts it MiB"),
            ("after_resident_mib", "resident after MiB"),
        ],
    ),
    (
        "aggregator-memory",
        "The least memory with which the aggregator works",
        [HOMES, ("trains", "and trains"), CPUS],
        [("least_mib", "least limit MiB")],
    ),
]


def everything(records: list[Record]) -> str:
    """All tables for which there are figures."""
    shown: Callable[[str, str], str] = lambda title, body: f"### {title}\n\n{body}\n"  # noqa: E731
    found = [(title, figures(records, what, keys, columns)) for what, title, keys, columns in TABLES]
    return "\n".join(shown(title, body) for title, body in found if body)
