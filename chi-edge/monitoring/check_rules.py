#!/usr/bin/env python3
"""Checks what promtool cannot see of the rules: that each alert has its words, its runbook, its tests, and metrics that exist."""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

import check_dashboards
import promql

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEVERITIES = {"critical", "warning", "info", "none"}


def rules() -> list[dict[str, Any]]:
    """Every rule, in order."""
    files = sorted((HERE / "prometheus/rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every alerting rule."""
    return [rule for rule in rules() if "alert" in rule]


def tested() -> tuple[set[str], set[str]]:
    """The alerts of which a test says that they fire, and those of which one says that they do not."""
    fires: set[str] = set()
    quiet: set[str] = set()
    for file in sorted((HERE / "prometheus/tests").glob("*.yml")):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                (fires if case["exp_alerts"] else quiet).add(case["alertname"])
    return fires, quiet


def anchors(page: str) -> set[str]:
    """The headings of a page, as links name them."""
    path = ROOT / page
    if not path.is_file():
        return set()
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def faults_of(rule: dict[str, Any], fires: set[str], quiet: set[str], known: set[str]) -> list[str]:
    """What is wrong with one alert."""
    name, words = rule["alert"], rule.get("annotations", {})
    faults = []
    if rule.get("labels", {}).get("severity") not in SEVERITIES or not rule["labels"].get("area"):
        faults.append(f"{name} needs an area and a severity out of {', '.join(sorted(SEVERITIES))}")
    if not words.get("summary") or "\n" in words["summary"].strip():
        faults.append(f"{name} needs a summary of one line")
    if not words.get("description") or ("$value" not in words["description"] and "$labels" not in words["description"] and name != "Watchdog"):
        faults.append(f"{name} needs a description with the value or the instance")
    page, _, anchor = words.get("runbook_url", "").partition("#")
    if anchor != name.lower() or anchor not in anchors(page):
        faults.append(f"{name}: there is no heading {name} in {page or 'its runbook'}; write one, and name it as runbook_url")
    if name not in fires:
        faults.append(f"{name}: no test says that it fires")
    if name not in quiet and name != "Watchdog":
        faults.append(f"{name}: no test says that it is quiet")
    strange = sorted(metric for metric in promql.metrics(rule["expr"]) if metric not in known and not check_dashboards.FOREIGN.match(metric))
    if strange:
        faults.append(f"{name} names {', '.join(strange)}, which neither docs/reference/metrics.md nor a rule has")
    return faults


def main() -> int:
    fires, quiet = tested()
    known = check_dashboards.documented() | check_dashboards.recorded()
    all_alerts = alerts()
    faults = [fault for rule in all_alerts for fault in faults_of(rule, fires, quiet, known)]
    print(f"rules: {len(all_alerts)} alerts, {len(check_dashboards.recorded())} recorded series, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
