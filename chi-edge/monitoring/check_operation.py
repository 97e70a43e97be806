#!/usr/bin/env python3
"""Asks the rules about an operation of `hearthwatch-emulator operate`: which alert each incident raised, and which fired without one.

`check_operation.py FOLDER` makes a Prometheus database of FOLDER/metrics, evaluates every alert over the whole time, prints a table, and writes
FOLDER/alerts.json, which the operation's report shows. It ends with 1 if an alert is missing or fired outside of all incidents, with 2 if it
could not be checked. `--panels` also lists the queries of the dashboards that give no data.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import check_rules
import prometheus_api
import promql
from operation import database, journal, judge, panels, recording
from operation.firing import Rule, Span, spans

# The aggregator is read each minute, so the rules see nothing new more often.
EVERY_SECONDS = 60


def evaluate(base: str, rules: Sequence[Rule], evaluations: range, never_up: frozenset[str]) -> list[Span]:
    """When each alert fired; what is said of jobs that were never read is left out."""
    records = recording.records()
    found = [span for rule in rules for span in spans(rule, database.ask(base, recording.inline(rule.expr, records), evaluations), evaluations)]
    return [span for span in found if span.labels.get("job") not in never_up]


def unread(base: str, rules: Sequence[Rule], evaluations: range) -> dict[str, list[str]]:
    """Alerts that ask for metrics of which the operation has none, and these metrics."""
    records = recording.records()
    metrics = {rule.name: promql.metrics(recording.inline(rule.expr, records)) for rule in rules}
    names = set().union(*metrics.values())
    whole = range(evaluations[0], evaluations[-1] + 1, max(EVERY_SECONDS, len(evaluations) // panels.POINTS * EVERY_SECONDS))
    absent = {name for name in names if not prometheus_api.query_range(base, f"count({name})", whole[0], whole[-1], whole.step)}
    return {name: sorted(of & absent) for name, of in metrics.items() if of & absent}


def others(found: Sequence[Span], begin: int, end: int) -> list[str]:
    """Spans that belong to no incident, in words: one line for each alert, and for each home of an alert of agents."""
    together: dict[str, list[Span]] = {}
    for span in found:
        of = f" of {span.labels.get('instance', '')}" if span.labels.get("job") == "agent" else ""
        together.setdefault(span.alert + of, []).append(span)

    def words(name: str, spans: Sequence[Span]) -> str:
        lasted = journal.length(sum((span.end or end) - span.begin for span in spans))
        first = journal.when(spans[0].begin, begin)
        return f"{name} ({first}, {lasted})" if len(spans) == 1 else f"{name} ({first}, {len(spans)} times, {lasted} together)"

    return [words(name, spans) for name, spans in together.items()]


def table(findings: Sequence[judge.Finding], begin: int) -> list[str]:
    """A line for each incident: what it should raise, what it raised, after how many minutes."""
    head = ("no.", "incident", "began", "expected", "raised, after minutes")
    rows = [head]
    for finding in findings:
        incident = finding.incident
        if not incident.number and not finding.raised:
            continue
        wanted = ", ".join(" or ".join(names) for names in finding.expectation.expected) or "none"
        raised = ", ".join(f"{alert} {(at - incident.began) // 60}" for alert, at in finding.raised.items()) or "none"
        lack = f"; MISSING {', '.join(finding.missing)}" if finding.missing else ""
        lack = f"; not to be seen: {finding.excuse}" if finding.excuse else lack
        rows.append((str(incident.number or ""), incident.kind, journal.when(incident.began, begin), wanted, raised + lack))
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def show_panels(base: str, extent: database.Extent) -> None:
    """Prints the dashboards' queries that give nothing."""
    count, without = panels.empty(base, extent.begin, extent.end)
    print(f"panels: {count - len(without)} of {count} queries give data")
    for query in without:
        reason = query.refused or (f"nothing has {', '.join(query.missing)}" if query.missing else f"its metrics have samples: {query.query}")
        print(f"  no data: {query.dashboard}, {query.panel}: {reason}")


def check(folder: Path, work: Path, *, with_panels: bool) -> bool:
    """Checks the operation in `folder`; whether all is as it should be."""
    read = journal.read(folder)
    rules = [Rule.of(rule) for rule in check_rules.alerts() if rule["labels"]["severity"] != "none"]
    rows = judge.table(judge.TABLE.read_text(encoding="utf-8"), {rule.name for rule in rules})
    for incident in read.incidents:
        # Before anything that takes minutes.
        judge.expectation(incident, rows)
    data = work / "data"
    begun = time.monotonic()
    extent = database.create(folder / "metrics", data, work)
    begin, end = extent.begin, extent.end
    evaluations = range(begin - begin % EVERY_SECONDS, end + 1, EVERY_SECONDS)
    print(f"database: {journal.length(end - begin)} of {len(extent.homes)} homes, made in {time.monotonic() - begun:.0f} s")
    with database.server(data, work) as base:
        begun = time.monotonic()
        found = evaluate(base, rules, evaluations, extent.never_up)
        without = unread(base, rules, evaluations)
        print(f"rules: {len(rules)} alerts at {len(evaluations)} moments in {time.monotonic() - begun:.0f} s; they fired {len(found)} times")
        findings, left = judge.judge(read, found, rows, extent.homes)
        show(findings, others(left, begin, end), without, extent)
        if with_panels:
            show_panels(base, extent)
    written = judge.document(findings, others(left, begin, end), without)
    (folder / "alerts.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return not left and not any(finding.missing for finding in findings)


def show(findings: Sequence[judge.Finding], left: Sequence[str], without: Mapping[str, Sequence[str]], extent: database.Extent) -> None:
    """Prints what was found."""
    for line in table(findings, extent.begin):
        print(line)
    print(f"outside of all incidents:{'' if left else ' none'}")
    for line in left:
        print(f"  {line}")
    for job in sorted(extent.never_up):
        print(f"not checked: alerts of job {job}, which never answered")
    if without:
        lacking = sorted({metric for metrics in without.values() for metric in metrics})
        print(f"not or only partly checked, as an operation has no {', '.join(lacking)}: {', '.join(without)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what hearthwatch-emulator operate was given as --out")
    parser.add_argument("--panels", action="store_true", help="also list the dashboards' queries without data")
    parser.add_argument("--report-only", action="store_true", help="end with 0 whatever is found")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="hearthwatch-") as work:
            well = check(given.folder, Path(work), with_panels=given.panels)
    except (database.DatabaseError, journal.JournalError, judge.TableError, prometheus_api.Refused, recording.RecordError) as error:
        print(f"check_operation.py: {error}", file=sys.stderr)
        return 2
    return 0 if well or given.report_only else 1


if __name__ == "__main__":
    sys.exit(main())
