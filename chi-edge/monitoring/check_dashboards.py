#!/usr/bin/env python3
"""Checks Grafana's dashboards: their structure against Grafana's own model, what a reader needs, and that each metric exists.

`check_dashboards.py` prints a line for each dashboard and fails with every fault; `--queries` prints every query instead.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import promql

HERE = Path(__file__).resolve().parent
METRICS_PAGE = HERE.parents[1] / "docs/reference/metrics.md"
OURS = "hearthwatch_"
# What stands before the names in the section of that page with this heading; those of the process have no prefix.
SECTIONS = {"The aggregator": ["hearthwatch_cloud_"], "The agent": ["hearthwatch_edge_"], "Both": ["hearthwatch_cloud_", "hearthwatch_edge_"]}
# Grafana's grid.
COLUMNS = 24
# That of the newest release whose model is checked against; an older Grafana says so, and a newer one brings it up to date.
SCHEMA = 41
# Of the other exporters; that these exist is seen by reading them for real.
FOREIGN = re.compile(r"(up|ALERTS|scrape_duration_seconds|(node|probe|prometheus|alertmanager|mosquitto|mqtt2prometheus)_\w+)$")


@dataclass(frozen=True)
class Query:
    """A query of a panel."""

    dashboard: str
    panel: str
    legend: str
    text: str
    instant: bool


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by the name of its file."""
    files = sorted((HERE / "grafana/dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def queries() -> list[Query]:
    """Every query of every panel, in order."""
    return [
        Query(name, panel["title"], target.get("legendFormat", ""), target["expr"], bool(target.get("instant")))
        for name, board in dashboards().items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


def documented() -> set[str]:
    """The metrics of both programs as `/metrics` names them, from the page that describes them."""
    names = set()
    for section in METRICS_PAGE.read_text(encoding="utf-8").split("\n## "):
        starts = SECTIONS.get(section.partition("\n")[0], [])
        for name, kind in re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram|info)\b", section, re.MULTILINE):
            ends = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}[kind]
            names |= {f"{start}{name}{end}" for start in ([""] if name.startswith("process_") else starts) for end in ends}
    return names


def recorded() -> set[str]:
    """The series that rules record."""
    files = (HERE / "prometheus/rules").glob("*.yml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def unread(given: Any, read: Any, place: str = "") -> list[str]:
    """What of `given` Grafana's model did not take in, or changed."""
    if isinstance(given, dict) and isinstance(read, dict):
        return [line for key, value in given.items() for line in (unread(value, read[key], f"{place}/{key}") if key in read else [f"{place}/{key}"])]
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        return [line for number, pair in enumerate(zip(given, read)) for line in unread(*pair, f"{place}/{number}")]
    return [] if given == read else [place]


def overlaps(panels: list[dict[str, Any]]) -> list[str]:
    """Panels that cover one another or leave the grid."""
    taken: dict[tuple[int, int], str] = {}
    faults = []
    for panel in panels:
        at = panel["gridPos"]
        if at["x"] + at["w"] > COLUMNS:
            faults.append(f"panel {panel['title']!r} leaves the grid of {COLUMNS} columns")
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if taken.setdefault(cell, panel["title"]) != panel["title"]:
                faults.append(f"panel {panel['title']!r} covers {taken[cell]!r}")
                break
    return faults


def panel_faults(panel: dict[str, Any], source: str, known: set[str]) -> list[str]:
    """What is wrong with one panel."""
    faults = []
    title = panel.get("title")
    if not title or not panel.get("description"):
        faults.append(f"panel {panel.get('id')} needs a title and a description")
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        faults.append(f"panel {title!r} names no unit")
    if not panel.get("targets"):
        faults.append(f"panel {title!r} has no query")
    references = [target["refId"] for target in panel.get("targets", [])]
    if len(references) != len(set(references)):
        faults.append(f"panel {title!r} uses a refId twice")
    for part in [panel, *panel.get("targets", [])]:
        if part["datasource"]["uid"] != source:
            faults.append(f"panel {title!r} reads from {part['datasource']['uid']!r}, which is not provisioned; write {source!r}")
    for target in panel.get("targets", []):
        strange = sorted(name for name in promql.metrics(target["expr"]) if name not in known and not FOREIGN.match(name))
        if strange:
            faults.append(f"panel {title!r} names {', '.join(strange)}, which neither docs/reference/metrics.md nor a rule has")
    return faults


def board_faults(name: str, board: dict[str, Any], source: str, known: set[str]) -> list[str]:
    """What is wrong with one dashboard."""
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))
    faults = [f"Grafana's model does not know {place}" for place in unread(board, read)]
    if board.get("uid") != f"hearthwatch-{name}":
        faults.append(f"its uid must be hearthwatch-{name}")
    if board.get("schemaVersion") != SCHEMA:
        faults.append(f"its schemaVersion must be {SCHEMA}")
    identities = [panel["id"] for panel in board["panels"]]
    if len(identities) != len(set(identities)):
        faults.append("an id of a panel is used twice")
    faults += overlaps(board["panels"])
    return faults + [fault for panel in board["panels"] for fault in panel_faults(panel, source, known)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", action="store_true", help="print every query: dashboard, panel, query")
    if parser.parse_args().queries:
        for query in queries():
            print(f"{query.dashboard}\t{query.panel}\t{query.text}")
        return 0
    provisioned = yaml.safe_load((HERE / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    source = provisioned["datasources"][0]["uid"]
    known = documented() | recorded()
    faulty = 0
    for name, board in dashboards().items():
        faults = board_faults(name, board, source, known)
        faulty += len(faults)
        count = sum(len(panel["targets"]) for panel in board["panels"])
        print(f"dashboard {name}: {len(board['panels'])} panels, {count} queries, {len(faults)} faults")
        for fault in faults:
            print(f"  {fault}", file=sys.stderr)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
