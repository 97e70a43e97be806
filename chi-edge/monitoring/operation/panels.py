"""Whether the queries of Grafana's dashboards give data in an operation."""

from dataclasses import dataclass

import check_dashboards
import prometheus_api
import promql
from operation import recording

# What Grafana puts there where metrics are read each minute, four of them.
RATE_INTERVAL = "15m"
# Points over the whole operation; a query_range may give 11,000.
POINTS = 2_000


@dataclass(frozen=True)
class Empty:
    """A query without data, and why."""

    dashboard: str
    panel: str
    query: str
    # Selectors of the query that nothing has; empty if each has samples.
    missing: tuple[str, ...]
    # What Prometheus said, if it refused the query.
    refused: str = ""


def _given(base: str, text: str, evaluations: range) -> bool:
    return bool(prometheus_api.query_range(base, text, evaluations[0], evaluations[-1], evaluations.step))


def empty(base: str, begin: int, end: int) -> tuple[int, list[Empty]]:
    """How many queries there are, and those that give nothing from `begin` to `end`."""
    step = max(60, (end - begin) // POINTS // 60 * 60)
    evaluations = range(begin, end + 1, step)
    queries, records = check_dashboards.queries(), recording.records()
    without = []
    for query in queries:
        text = recording.inline(query.text.replace("$__rate_interval", RATE_INTERVAL), records)
        try:
            if _given(base, text, evaluations):
                continue
        except prometheus_api.Refused as refused:
            without.append(Empty(query.dashboard, query.panel, query.text, (), str(refused)))
            continue
        selectors = sorted(set(promql.selectors(text)))
        missing = tuple(selector for selector in selectors if not _given(base, selector, evaluations))
        without.append(Empty(query.dashboard, query.panel, query.text, missing))
    return len(queries), without
