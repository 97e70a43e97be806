"""A Prometheus that holds the metrics of an operation: its files become blocks, and a server is started on them."""

import contextlib
import gzip
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import prometheus_api

# promtool reads its input once for each block of this length, so each piece is no longer.
BLOCK_SECONDS = 7_200
# The names that jobs have in prometheus.yml; the rules ask for these.
JOBS = {"hearthwatch-cloud": "aggregator", "hearthwatch-edge": "agent"}
# Agents are read each five minutes or a little more, which is longer than Prometheus looks back by itself.
LOOK_BACK = "11m"
# A query_range may give 11,000 points.
CHUNK_SECONDS = 86_400
_TARGET = re.compile(r'job="([\w-]+)",instance="([^"]*)"')
_START_SECONDS = 120
_CONVERTERS = 2


class DatabaseError(Exception):
    """Why there is no database; a sentence."""


@dataclass(frozen=True)
class Extent:
    """From when to when there are samples, and of which homes."""

    begin: int
    end: int
    homes: frozenset[str]
    # Jobs that never answered: nothing of them was read.
    never_up: frozenset[str]


def series_as_scraped(series: str) -> str:
    """A series with the labels that it has where `prometheus.yml` reads it."""

    def labels(found: re.Match[str]) -> str:
        job, instance = found.groups()
        return f'job="{JOBS.get(job, job)}",instance="{instance}",machine="{instance}"'

    return _TARGET.sub(labels, series, count=1)


class _Pieces:
    """Writes one file of OpenMetrics as pieces of one block each; every piece has the type of each family it holds."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder, self.stem = folder, stem
        self.open: dict[int, TextIO] = {}
        self.typed: dict[int, str] = {}

    def put(self, block: int, kind: str, line: str) -> None:
        file = self.open.get(block)
        if file is None:
            file = self.open[block] = (self.folder / f"{self.stem}-{block}.om").open("w", encoding="utf-8")
        if kind and self.typed.get(block) != kind:
            self.typed[block] = kind
            file.write(kind)
        file.write(line)

    def close(self) -> list[Path]:
        for file in self.open.values():
            file.write("# EOF\n")
            file.close()
        return [Path(file.name) for file in self.open.values()]


def split(source: Path, folder: Path, ups: dict[tuple[str, str], bool]) -> tuple[list[Path], set[int]]:
    """Cuts one file of an operation into pieces of a block; notes in `ups` who ever answered. Gives the pieces and the times of samples of `up`."""
    pieces = _Pieces(folder, source.name.split(".")[0])
    kind, times = "", set()
    scraped: dict[str, str] = {}
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.startswith("#"):
                kind = line if line.startswith("# TYPE ") else kind
                continue
            try:
                series, value, at = line.rsplit(" ", 2)
                moment = int(at)
            except ValueError as error:
                raise DatabaseError(f"line {number} of {source} is no sample with a time; take the metrics as the operation wrote them") from error
            known = scraped.get(series)
            if known is None:
                # Series stand together, so few are kept at a time.
                scraped = {series: series_as_scraped(series)}
                known = scraped[series]
            if series.startswith("up{"):
                times.add(moment)
                target = _TARGET.search(series)
                if target:
                    key = (JOBS.get(target[1], target[1]), target[2])
                    ups[key] = ups.get(key, False) or value == "1"
            pieces.put(moment // BLOCK_SECONDS, kind, f"{known} {value} {at}")
    return pieces.close(), times


def create(metrics: Path, data: Path, work: Path) -> Extent:
    """Makes blocks in `data` of all files in `metrics`."""
    sources = sorted(metrics.glob("*.om.gz"))
    if not sources:
        raise DatabaseError(f"there are no metrics in {metrics}; an operation writes its first file after a day, and the last at its end")
    ups: dict[tuple[str, str], bool] = {}
    times: set[int] = set()
    for source in sources:
        pieces, moments = split(source, work, ups)
        times |= moments
        with ThreadPoolExecutor(_CONVERTERS) as pool:
            list(pool.map(lambda piece: _promtool("create-blocks-from", "openmetrics", str(piece), str(data)), pieces))
        for piece in pieces:
            piece.unlink()
    jobs = {job for job, _ in ups}
    never = frozenset(job for job in jobs if not any(up for (other, _), up in ups.items() if other == job))
    return Extent(min(times), max(times), frozenset(instance for job, instance in ups if job == "agent"), never)


def _promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", "tsdb", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DatabaseError(f"promtool tsdb {' '.join(arguments[:2])} failed: {said[-1] if said else 'it did not say why'}")


@contextlib.contextmanager
def server(data: Path, work: Path, look_back: str = LOOK_BACK) -> Iterator[str]:
    """A Prometheus on `data` for as long as the context lasts; its URL."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            raise DatabaseError(f"there is no {program}; install it with apt-get install prometheus")
    config = work / "prometheus.yml"
    config.write_text("{}\n", encoding="utf-8")
    log = work / "prometheus.log"
    address = f"127.0.0.1:{_free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        # The calendar of an operation is not today's.
        "--storage.tsdb.retention.time=100y",
        f"--query.lookback-delta={look_back}",
        "--query.timeout=10m",
        f"--web.listen-address={address}",
        f"--web.console.templates={work}",
        f"--web.console.libraries={work}",
        "--log.level=warn",
    ]
    with log.open("w", encoding="utf-8") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait(f"http://{address}", process, log)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _wait(base: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, prometheus_api.Refused):
            prometheus_api.query(base, "vector(1)")
            return
        time.sleep(0.1)
    said = log.read_text(encoding="utf-8").strip().splitlines()
    raise DatabaseError(f"Prometheus did not start: {said[-1] if said else 'it did not say why'}")


def ask(base: str, text: str, evaluations: range) -> list[dict[str, Any]]:
    """What `text` gives at each of `evaluations`, a day at a time; a series may come in several parts."""
    points = CHUNK_SECONDS // evaluations.step
    chunks = (evaluations[place : place + points] for place in range(0, len(evaluations), points))
    return [series for chunk in chunks for series in prometheus_api.query_range(base, text, chunk[0], chunk[-1], evaluations.step)]
