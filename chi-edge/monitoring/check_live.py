#!/usr/bin/env python3
"""Asks a Prometheus that reads a real fleet: whether every rule works, every query gives data, and every metric exists.

`check_live.py --prometheus URL --alertmanager URL --notices FILE --deadline SECONDS`; `check.sh` starts all of them.
"""

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import check_dashboards
import check_rules
import prometheus_api
import promql

# What a run of a few minutes shows first last: a retraining that ended.
LAST_TO_COME = "hearthwatch_cloud_runs_total > 0"
EVERY_SECONDS = 1.0


def until(deadline: float, what: str, holds: Callable[[], bool]) -> None:
    """Looks again and again whether `holds`; ends the program with `what` when it does not in time."""
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"live: {what}, and the time is over; the logs are in the folder that check.sh named")
        time.sleep(EVERY_SECONDS)


def targets_down(base: str) -> list[str]:
    """Targets that Prometheus could not read, with its reason."""
    active = prometheus_api.get(base, "targets", state="active")["activeTargets"]
    if not active:
        return ["there are no targets"]
    down = [target for target in active if target["health"] != "up"]
    return [f"{target['labels']['job']} {target['labels'].get('instance')}: {target['lastError'] or 'not read yet'}" for target in down]


def rules_unwell(base: str) -> list[str]:
    """Rules that Prometheus cannot evaluate, or has not yet."""
    groups = prometheus_api.get(base, "rules")["groups"]
    return [f"{rule['name']}: {rule.get('lastError', 'not evaluated yet')}" for group in groups for rule in group["rules"] if rule["health"] != "ok"]


def sampled(base: str) -> set[str]:
    """Every name of a series that Prometheus holds."""
    return set(prometheus_api.get(base, "label/__name__/values"))


def check_queries(base: str, names: set[str]) -> list[str]:
    """Asks every query of every dashboard; tells of those without data. A fault is one whose selectors all have samples."""
    faults = []
    given = empty = 0
    for query in check_dashboards.queries():
        place = f"{query.dashboard}, {query.panel}"
        try:
            if prometheus_api.query(base, query.text):
                given += 1
                continue
        except prometheus_api.Refused as refused:
            faults.append(f"{place}: {refused}")
            continue
        empty += 1
        missing = sorted({selector for selector in promql.selectors(query.text) if not prometheus_api.query(base, selector)})
        if missing:
            print(f"  no data yet: {place}: nothing has {', '.join(missing)}")
        elif " > 0)" in query.text:
            print(f"  no data yet: {place}: it divides by something that is 0")
        else:
            faults.append(f"{place}: its metrics have samples and it gives nothing: {query.text}")
    print(f"live: {given} queries of dashboards give data, {empty} do not yet")
    strange = {metric for query in check_dashboards.queries() for metric in promql.metrics(query.text)}
    strange |= {metric for rule in check_rules.alerts() for metric in promql.metrics(rule["expr"])}
    ours = check_dashboards.documented() | check_dashboards.recorded()
    faults += [f"{metric} is in a dashboard or a rule, and no exporter has it" for metric in sorted(strange - names - ours)]
    return faults


def check_names(names: set[str]) -> list[str]:
    """Whether what both programs say and what their page says are the same metrics."""
    documented = check_dashboards.documented()
    shown = {name for name in names if name.startswith(check_dashboards.OURS)}
    print(f"live: {len(names & documented)} metrics of both programs have samples; without: {', '.join(sorted(documented - names)) or 'none'}")
    return [f"{name} is not in docs/reference/metrics.md" for name in sorted(shown - documented)]


def alert(name: str, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus sends it."""
    rule = next(rule for rule in check_rules.alerts() if rule["alert"] == name)
    return {"labels": {"alertname": name, **rule["labels"], **labels}, "annotations": {"summary": rule["annotations"]["summary"]}}


def check_notices(alertmanager: str, notices: Path, deadline: float) -> None:
    """The way to a person: Prometheus's sign of life arrives, a critical alert too, and what follows from it is held back."""
    place = {"machine": "notices", "instance": "notices:1", "job": "aggregator"}
    body = json.dumps([alert("DiskFull", **place), alert("StoreFailing", **place)]).encode()
    request = urllib.request.Request(f"{alertmanager}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).close()

    def told() -> set[str]:
        lines = notices.read_text(encoding="utf-8").splitlines() if notices.exists() else []
        return {one["labels"]["alertname"] for line in lines for one in json.loads(line)["alerts"]}

    def held_back() -> bool:
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts", timeout=10) as answer:
            states = {one["labels"]["alertname"]: one["status"] for one in json.load(answer) if one["labels"].get("machine") == "notices"}
        return bool(states.get("StoreFailing", {}).get("inhibitedBy")) and not states["DiskFull"]["inhibitedBy"]

    until(deadline, "StoreFailing is not held back by DiskFull", held_back)
    until(deadline, "the webhook has not had the notices Watchdog and DiskFull", lambda: {"Watchdog", "DiskFull"} <= told())
    print("live: the webhook has had Watchdog from Prometheus and DiskFull; StoreFailing is held back")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--alertmanager", required=True)
    parser.add_argument("--notices", type=Path, required=True)
    parser.add_argument("--deadline", type=float, required=True, help="seconds for all of it")
    given = parser.parse_args()
    base, deadline = given.prometheus, time.monotonic() + given.deadline

    until(deadline, "Prometheus does not answer", lambda: _answers(base))
    until(deadline, "a target cannot be read", lambda: not targets_down(base) or _said(targets_down(base)))
    check_notices(given.alertmanager, given.notices, deadline)
    until(deadline, "no retraining ended", lambda: prometheus_api.query(base, LAST_TO_COME))
    until(deadline, "a rule is not well", lambda: not rules_unwell(base))
    groups = prometheus_api.get(base, "rules")["groups"]
    firing = prometheus_api.query(base, 'ALERTS{alertstate="firing", alertname!="Watchdog"}')
    print(f"live: {sum(len(group['rules']) for group in groups)} rules evaluated without an error")
    print(f"live: firing beside Watchdog: {', '.join(sorted({one['metric']['alertname'] for one in firing})) or 'nothing'}")
    names = sampled(base)
    faults = check_queries(base, names) + check_names(names)
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    return 1 if faults else 0


def _answers(base: str) -> bool:
    try:
        prometheus_api.get(base, "status/buildinfo")
    except (OSError, prometheus_api.Refused):
        return False
    return True


_told: set[str] = set()


def _said(lines: list[str]) -> bool:
    """Prints each line once; the targets are not well."""
    for line in lines:
        if "not read yet" not in line and line not in _told:
            _told.add(line)
            print(f"  waiting for {line}", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main())
