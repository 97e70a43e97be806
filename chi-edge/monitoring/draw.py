#!/usr/bin/env python3
"""Draws the queries of each dashboard as one picture a dashboard, with figures from a running Prometheus.

These are drawings, not Grafana: they show that the queries have data, and which. `draw.py --prometheus URL --out FOLDER [--minutes 3]`
"""

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.dates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import check_dashboards
import prometheus_api

# Points of a line; more cannot be told apart in a picture this wide.
POINTS = 240
# One row of Grafana's grid, and one column, in inches.
ROW, COLUMN = 0.34, 0.62
# Names in a legend; a panel with more says how many there are.
LEGEND_MAX = 6


def figure_of(value: float, unit: str) -> str:
    """A value as the panel's unit has it, in short."""
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s":
        days = value / 86400
        return f"{days:.0f} days" if days >= 2 else f"{value:.3g} s"
    return f"{value:.4g}"


def legend(pattern: str, labels: dict[str, str]) -> str:
    """What Grafana would write for a series."""
    for key, value in labels.items():
        pattern = pattern.replace("{{" + key + "}}", value)
    return pattern or ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__") or "value"


def lines(axes: Axes, panel: dict[str, Any], base: str, start: float, end: float) -> None:
    """A panel with lines."""
    drawn = 0
    for target in panel["targets"]:
        for series in prometheus_api.query_range(base, target["expr"], start, end, max(1.0, (end - start) / POINTS)):
            moments = [float(at) / 86400 for at, _ in series["values"]]
            name = legend(target["legendFormat"], series["metric"]) if drawn < LEGEND_MAX else None
            axes.plot(moments, [float(value) for _, value in series["values"]], linewidth=1, label=name)
            drawn += 1
    axes.set_xlim(start / 86400, end / 86400)
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M:%S"))  # type: ignore[no-untyped-call]
    axes.tick_params(labelsize=5)
    axes.grid(alpha=0.3)
    if drawn:
        axes.legend(fontsize=4.5, loc="upper left", title=f"{drawn} series" if drawn > LEGEND_MAX else None, title_fontsize=4.5)
    else:
        axes.text(0.5, 0.5, "no data in this run", transform=axes.transAxes, ha="center", va="center", fontsize=7, color="grey")


def words(axes: Axes, panel: dict[str, Any], base: str) -> None:
    """A panel with one figure, or a table."""
    result = prometheus_api.query(base, panel["targets"][0]["expr"])
    if panel["type"] == "table":
        text = "\n".join(legend("{{alertname}} ({{severity}}) {{instance}}", one["metric"]) for one in result) or "nothing fires"
    else:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        text = figure_of(float(result[0]["value"][1]), unit) if result else "no data in this run"
        for mapping in panel["fieldConfig"]["defaults"]["mappings"]:
            text = mapping["options"].get(text, {}).get("text", text)
    size = 7 if len(text) > 12 else 13
    axes.text(0.5, 0.45, text, transform=axes.transAxes, ha="center", va="center", fontsize=size)
    axes.set_xticks([])
    axes.set_yticks([])


def draw(board: dict[str, Any], base: str, start: float, end: float, file: Path) -> None:
    """Writes the picture of one dashboard."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    width, height = check_dashboards.COLUMNS * COLUMN, rows * ROW + 0.5
    figure = plt.figure(figsize=(width, height), dpi=110)
    figure.suptitle(f"{board['title']}: a drawing of the dashboard’s queries, not Grafana", fontsize=9, y=1 - 0.2 / height)
    for panel in board["panels"]:
        at = panel["gridPos"]
        left, bottom = (at["x"] * COLUMN + 0.35) / width, ((rows - at["y"] - at["h"]) * ROW + 0.25) / height
        axes = figure.add_axes((left, bottom, (at["w"] * COLUMN - 0.5) / width, (at["h"] * ROW - 0.55) / height))
        axes.set_title(panel["title"], fontsize=6.5, loc="left")
        if panel["type"] == "timeseries":
            lines(axes, panel, base, start, end)
        else:
            words(axes, panel, base)
    figure.savefig(file)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3, help="how far back")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    end = time.time()
    for name, board in check_dashboards.dashboards().items():
        file = given.out / f"{name}.png"
        draw(board, given.prometheus, end - given.minutes * 60, end, file)
        print(file)


if __name__ == "__main__":
    main()
