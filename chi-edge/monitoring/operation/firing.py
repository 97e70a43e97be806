"""When an alert fires, from when its expression gave something: `for` and `keep_firing_for` as Prometheus has them. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}


def seconds(text: str | None) -> float:
    """A duration of Prometheus: `1h30m`. None is 0."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text or "")
    if text and "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write one such as 5m or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class Rule:
    """An alert of a file of rules."""

    name: str
    expr: str
    hold: float
    keep: float
    labels: Mapping[str, str]

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Rule":
        """From the rule as YAML has it."""
        hold, keep = seconds(rule.get("for")), seconds(rule.get("keep_firing_for"))
        return cls(rule["alert"], rule["expr"], hold, keep, rule.get("labels", {}))


@dataclass(frozen=True)
class Span:
    """An alert fired from `begin` until before `end`; `end` is None if it fired at the last evaluation."""

    alert: str
    labels: Mapping[str, str]
    begin: int
    end: int | None


def fires(active: Collection[int], evaluations: range, hold: float, keep: float) -> list[tuple[int, int | None]]:
    """When one series of an alert fires, of which the expression gave a sample at the evaluations in `active`.

    This is `AlertingRule.Eval` of Prometheus for one series: it is pending from its first sample, fires once that was `hold` ago, and ends at
    the first evaluation without a sample, or with `keep` at the first that is so long after the first without one.
    """
    spans: list[tuple[int, int | None]] = []
    pending_since: int | None = None
    firing_since: int | None = None
    gone_since: int | None = None
    for now in evaluations:
        if now in active:
            gone_since = None
            if pending_since is None:
                pending_since = now
            if firing_since is None and now - pending_since >= hold:
                firing_since = now
            continue
        if firing_since is not None:
            gone_since = now if gone_since is None else gone_since
            if now - gone_since < keep:
                continue
            spans.append((firing_since, now))
        pending_since = firing_since = gone_since = None
    if firing_since is not None:
        spans.append((firing_since, None))
    return spans


def spans(rule: Rule, results: list[dict[str, Any]], evaluations: range) -> list[Span]:
    """The spans of an alert, from what a range query of its expression gave; parts of one series come together."""
    active: dict[tuple[tuple[str, str], ...], set[int]] = {}
    for series in results:
        # As Prometheus makes an alert's labels: the rule's own win, and the name of the metric goes.
        labels = {**series["metric"], **rule.labels}
        labels.pop("__name__", None)
        active.setdefault(tuple(sorted(labels.items())), set()).update(round(float(at)) for at, _ in series["values"])
    found = [
        Span(rule.name, dict(labels), begin, end)
        for labels, times in active.items()
        for begin, end in fires(times, evaluations, rule.hold, rule.keep)
    ]
    return sorted(found, key=lambda span: (span.begin, sorted(span.labels.items())))
