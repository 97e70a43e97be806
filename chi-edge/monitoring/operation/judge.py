"""Which alerts belong to which incident, and which are missing. Pure but for `expectations`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from operation.firing import Span, seconds
from operation.journal import Incident, Journal

TABLE = Path(__file__).with_name("incidents.yml")
_KEYS = {"kind", "detail", "shorter_than", "expected", "may", "grace", "why", "needs_run", "needs_answers", "real_seconds", "real_grace"}


class TableError(Exception):
    """Why the table of incidents cannot be used; a sentence."""


@dataclass(frozen=True)
class Expectation:
    """What an incident of one kind should raise."""

    kind: str
    # Each is one alert, or several of which one is enough.
    expected: tuple[tuple[str, ...], ...]
    may: frozenset[str]
    grace: float
    detail: re.Pattern[str] | None = None
    shorter_than: float | None = None
    # Only a retraining can show it.
    needs_run: bool = False
    # Answers that one of its homes must have given, as less is taken for chance.
    needs_answers: int = 0
    # A grace in seconds of real time: programs try again after pauses that no calendar makes shorter.
    real_grace: float = 0
    # How long the incident must last in real time, as programs look so seldom.
    real_seconds: float = 0

    def holds_for(self, incident: Incident) -> bool:
        """Whether this row is about `incident`."""
        short = self.shorter_than is None or (incident.ended is not None and incident.ended - incident.began < self.shorter_than)
        return self.kind == incident.kind and short and (self.detail is None or bool(self.detail.search(incident.detail)))

    @property
    def wanted(self) -> frozenset[str]:
        """Every alert that is expected or counts as one that is."""
        return frozenset(name for names in self.expected for name in names)


@dataclass
class Finding:
    """What one incident raised."""

    incident: Incident
    expectation: Expectation
    # Alert to when it first fired.
    raised: dict[str, int] = field(default_factory=dict)
    # Why nothing can be expected of this one; empty if it can.
    excuse: str = ""

    @property
    def missing(self) -> list[str]:
        """What is expected and did not fire."""
        if self.excuse:
            return []
        return [" or ".join(names) for names in self.expectation.expected if not set(names) & set(self.raised)]


def table(text: str, known: set[str]) -> list[Expectation]:
    """The rows of the table of incidents; every alert that they name must be one of `known`."""
    rows = []
    for place, row in enumerate(yaml.safe_load(text)["incidents"], 1):
        if strange := sorted(set(row) - _KEYS):
            raise TableError(f"incident {place} of the table has {', '.join(strange)}; it may have {', '.join(sorted(_KEYS))}")
        expected = tuple((names,) if isinstance(names, str) else tuple(names) for names in row.get("expected", []))
        may = frozenset(row.get("may", []))
        named = may | {name for names in expected for name in names}
        if unknown := sorted(named - known):
            raise TableError(f"incident {place} of the table names {', '.join(unknown)}, which no rule has; mend the name")
        if not expected and not row.get("why"):
            raise TableError(f"incident {place} of the table expects no alert; say why")
        detail = re.compile(row["detail"]) if "detail" in row else None
        short = seconds(row["shorter_than"]) if "shorter_than" in row else None
        grace, needs_run = seconds(row.get("grace", "1h")), bool(row.get("needs_run"))
        needs_answers, real_seconds = row.get("needs_answers", 0), row.get("real_seconds", 0)
        real_grace = row.get("real_grace", 0)
        rows.append(Expectation(row["kind"], expected, may, grace, detail, short, needs_run, needs_answers, real_grace, real_seconds))
    return rows


def expectation(incident: Incident, rows: Sequence[Expectation]) -> Expectation:
    """The first row that is about `incident`."""
    for row in rows:
        if row.holds_for(incident):
            return row
    raise TableError(f"no row of {TABLE.name} is about an incident {incident.kind}; add one that says which alerts it should raise")


def excuse(incident: Incident, row: Expectation, journal: Journal) -> str:
    """Why an incident cannot raise what its row expects, or nothing."""
    until = float("inf") if incident.ended is None else incident.ended + row.grace
    if row.needs_run and not any(incident.began < at <= until for at in journal.runs):
        return "no retraining ended in time"
    homes = _named(incident)
    given = Counter(home for at, home in journal.answers if home in homes and incident.began < at <= until)
    if max(given.values(), default=0) < row.needs_answers:
        return f"none of its homes answered {row.needs_answers} times"
    lasted = float("inf") if incident.ended is None else (incident.ended - incident.began) / journal.speed
    return f"shorter than {row.real_seconds:.0f} s of real time" if lasted < row.real_seconds else ""


def judge(
    journal: Journal, spans: Sequence[Span], rows: Sequence[Expectation], homes: frozenset[str]
) -> tuple[list[Finding], list[Span]]:
    """What each incident raised, and the spans that belong to none.

    A span belongs to an incident if it began between its begin and its end with the grace, and the incident's row names it. An alert of one of
    `homes` does not belong to an incident that names other homes.
    """
    findings = []
    for incident in journal.incidents:
        row = expectation(incident, rows)
        findings.append(Finding(incident, row, excuse=excuse(incident, row, journal)))
    others = []
    for span in sorted(spans, key=lambda span: span.begin):
        owners = [finding for finding in findings if _belongs(span, finding, homes, journal.speed)]
        # Where several incidents last, it is that of the one that must raise it.
        owners = [finding for finding in owners if span.alert in finding.expectation.wanted] or owners
        for finding in owners:
            finding.raised.setdefault(span.alert, span.begin)
        if not owners:
            others.append(span)
    return findings, others


def _named(incident: Incident) -> set[str]:
    """Words of what was done; homes that it concerns are among them."""
    return set(re.findall(r"[\w-]+", incident.detail))


def _belongs(span: Span, finding: Finding, homes: frozenset[str], speed: float) -> bool:
    incident, row = finding.incident, finding.expectation
    if span.alert not in row.wanted | row.may or span.begin < incident.began:
        return False
    if incident.ended is not None and span.begin > incident.ended + max(row.grace, row.real_grace * speed):
        return False
    concerned = homes & _named(incident)
    home = span.labels.get("instance", "")
    return home not in homes or not concerned or home in concerned


def document(findings: Sequence[Finding], others: Sequence[str], unread: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What `alerts.json` holds; the report of an operation reads `incidents` and `others`. Starts have no number and are left out."""
    findings = [finding for finding in findings if finding.incident.number]
    return {
        "incidents": {str(finding.incident.number): list(finding.raised) for finding in findings},
        "others": list(others),
        "missing": {str(finding.incident.number): finding.missing for finding in findings if finding.missing},
        "not_to_be_seen": {str(finding.incident.number): finding.excuse for finding in findings if finding.excuse},
        "minutes": {
            str(finding.incident.number): {alert: (at - finding.incident.began) // 60 for alert, at in finding.raised.items()}
            for finding in findings
        },
        "without_metrics": {alert: list(metrics) for alert, metrics in unread.items()},
    }
