"""How much the agent and the aggregator take, in containers with limits; and what a fleet of any size costs.

Run as root on a machine with podman, runc, mosquitto, strip and readelf, after `cargo build --release --workspace --bins`, with the Python packages
of requirements.txt:

  measure.py --programs target/release agent        the agent with 1, 10 and 100 entities: time, processor, memory
  measure.py --programs target/release limits       the least memory with which it still works
  measure.py --programs target/release processors   what it does with fewer processors
  measure.py --programs target/release rest         processor time of an hour in which nothing happens
  measure.py --programs target/release aggregator   aggregator and broker with 1, 10 and 100 homes: at rest and in a burst of answers
  measure.py --programs target/release training     a training run
  measure.py --programs target/release cloud-limits the least memory with which the aggregator still works
  measure.py tables                                 what was measured, as tables
  measure.py scale                                  from one Raspberry Pi to 100,000 homes: machines, service units, money

Each adds its figures to the file of --results, with the time and the machine's load, and prints the table of what it added. `tables` and `scale` show
the figures on record, or those of --results: they start nothing, and anybody may run them. Repetitions are shown as minimum / median / maximum.
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scale
import tables

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
RECORD = TREE / "docs/measurements/2026-12-01-right-size.jsonl"
ENTITIES, HOMES = [1, 10, 100], [1, 10, 100]


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("what", choices=["agent", "limits", "processors", "rest", "aggregator", "training", "cloud-limits", "tables", "scale"])
    found.add_argument(
        "--results", type=Path, help="file with one line of JSON for each figure (default: FOLDER/results.jsonl; to show: those on record)"
    )
    found.add_argument("--programs", type=Path, default=TREE / "target/release", help="folder of our programs (default: %(default)s)")
    found.add_argument("--folder", type=Path, default=TREE / "target/size", help="for images and what is written (default: %(default)s)")
    found.add_argument("--entities", type=int, nargs="+", default=ENTITIES, help="sizes of a home (default: 1 10 100)")
    found.add_argument("--homes", type=int, nargs="+", default=HOMES, help="sizes of a fleet (default: 1 10 100)")
    found.add_argument("--repetitions", type=int, default=3, help="how often each is measured (default: %(default)s)")
    found.add_argument("--memory", type=int, help="limit in MiB (default: 64 for the agent, 1024 for the aggregator)")
    found.add_argument("--cpus", type=float, default=1.0, help="limit in processors (default: %(default)s)")
    found.add_argument("--minutes", type=float, default=20.0, help="rest: how long; a step is ten minutes (default: %(default)s)")
    found.add_argument("--every", type=float, default=60.0, help="seconds between two changes of an entity (default: %(default)s)")
    found.add_argument("--seconds", type=float, default=30.0, help="aggregator: how long at rest, and the burst (default: %(default)s)")
    found.add_argument("--answers", type=int, default=1000, help="training: answers that are stored before (default: %(default)s)")
    found.add_argument(
        "--corpus", type=Path, default=TREE / "chi-edge/emulator/data", help="training: recorded sets, a folder each (default: those of the tree)"
    )
    found.add_argument("--weekly", type=float, default=scale.ANSWERS_A_WEEK, help="scale: answers of a home in a week (default: %(default)s)")
    return found


class Writer:
    """Adds each figure to the results as soon as it is there: an interrupted measurement keeps what it has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.added: list[dict[str, Any]] = []

    def add(self, what: str, figures: dict[str, Any]) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"what": what, "at": at, "load": round(os.getloadavg()[0], 2), "processors": os.cpu_count(), **figures}
        rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in record.items()}
        self.added.append(rounded)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")


def measure(given: argparse.Namespace, writer: Writer) -> None:
    # Only this needs the packages of requirements.txt and a container engine.
    import images
    from engine import Failed
    from parts import Bench

    if os.geteuid() != 0:
        raise Failed("containers with limits, and folders of other users, need root; run this with sudo")
    given.folder.mkdir(parents=True, exist_ok=True)
    given.folder, given.programs = given.folder.resolve(), given.programs.resolve()
    images.prepare(given.folder)
    images.forget_containers("hearthwatch-size-")
    names = images.build(given.folder, TREE, given.programs)
    try:
        Bench(given, names, writer.add).run()
    finally:
        images.forget_containers("hearthwatch-size-")


def main() -> int:
    given = parser().parse_args()
    given.results = given.results or (RECORD if given.what in ("tables", "scale") else given.folder / "results.jsonl")
    if given.what in ("tables", "scale"):
        try:
            records = tables.read(given.results)
        except (OSError, ValueError) as error:
            print(
                f"measure.py: {given.results} has no results that can be read ({error}); measure first, or name another file by --results",
                file=sys.stderr,
            )
            return 66
        print(tables.everything(records) if given.what == "tables" else scale.report(records, given.weekly))
        return 0
    writer = Writer(given.results)
    try:
        measure(given, writer)
    except Exception as error:
        if type(error).__name__ not in ("Failed", "NotInTime"):
            raise
        print(f"measure.py: {error}", file=sys.stderr)
        return 1
    print(tables.everything(writer.added))
    return 0


if __name__ == "__main__":
    sys.exit(main())
