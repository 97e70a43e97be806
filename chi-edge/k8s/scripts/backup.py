"""Copies the aggregator's state into one archive while it runs: databases by SQLite's own backup, then the files. No key is copied.

With --restore it puts an archive back, while the aggregator does not run.
"""

import argparse
import datetime
import os
import re
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

SECRET = re.compile(r"(\.key|ingest\.group)$")
"""Keys are in the operator's own folder and in Secrets; a copy here would be one more to lose."""

BESIDE = re.compile(r"-(wal|shm|journal)$")
"""What SQLite keeps beside a database is in the database's copy."""

NAME = re.compile(r"hearthwatch-\d{8}T\d{6}Z\.tar\.gz$")


class Problem(Exception):
    """What is wrong, and what to do about it."""


def is_database(path: Path) -> bool:
    """By its first bytes, as SQLite does."""
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def chosen(folder: Path) -> Iterator[Path]:
    """Files that belong into the archive, from the folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not SECRET.search(path.name) and not BESIDE.search(path.name):
            yield path.relative_to(folder)


def copy_database(source: Path, target: Path) -> None:
    """A copy that is whole although the aggregator writes on; checked before it counts."""
    with closing(sqlite3.connect(source, timeout=60)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=4096, sleep=0.01)
        (answer,) = copy.execute("PRAGMA quick_check").fetchone()
    if answer != "ok":
        raise Problem(f"the copy of {source} is damaged ({answer}): look at the volume, older archives are kept")


def archive(folder: Path, also: list[Path], target: Path) -> int:
    """Writes the archive; returns how many files it has."""
    count = 0
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, tarfile.open(target, "x:gz", compresslevel=1) as tar:
        # Databases first: a file that a row names was written before the row.
        names = sorted(chosen(folder), key=lambda name: (not is_database(folder / name), name))
        for name in names:
            path = folder / name
            if is_database(path):
                path = Path(scratch) / "database"
                path.unlink(missing_ok=True)
                copy_database(folder / name, path)
            try:
                tar.add(path, arcname=str(name), recursive=False)
            except FileNotFoundError:
                continue  # Something that was only in hand.
            count += 1
        for path in also:
            tar.add(path, arcname=f"also/{path.name}", recursive=False)
            count += 1
    return count


def run(folder: Path, also: list[Path], to: Path, keep: int) -> str:
    """Makes one archive and removes those beyond `keep`; returns what it did."""
    if not folder.is_dir():
        raise Problem(f"{folder} is not there: has the aggregator started once?")
    for path in also:
        if not path.is_file():
            raise Problem(f"{path} is not there: has the signer started once?")
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    whole = to / f"hearthwatch-{stamp}.tar.gz"
    partial = to / f".partial-{os.getpid()}"
    # What an earlier try left behind.
    for left in to.glob(".partial-*"):
        left.unlink()
    count = archive(folder, also, partial)
    partial.rename(whole)
    every = sorted(path for path in to.iterdir() if NAME.search(path.name))
    for old in every[:-keep]:
        old.unlink()
    return f"{whole.name}: {count} files, {whole.stat().st_size} bytes; {min(len(every), keep)} archives are kept"


def restore(folder: Path, to: Path, name: str) -> str:
    """Puts an archive back into a folder that has no state: what is there is set aside, and stays. Returns what it did."""
    whole = to / name
    if not NAME.fullmatch(name) or not whole.is_file():
        there = sorted(path.name for path in to.glob("hearthwatch-*"))
        raise Problem(f"there is no archive {name}; there are: {', '.join(there) or 'none'}")
    data = folder / "data"
    if data.exists():
        aside = folder / f"data.before-{name.removesuffix('.tar.gz')}"
        if aside.exists():
            raise Problem(f"{aside} is there from an earlier restoration of the same archive: move it away first")
        data.rename(aside)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tarfile.open(whole) as tar:
        members = [one for one in tar.getmembers() if not one.name.startswith("also/")]
        tar.extractall(folder, members=members, filter="data")
    for path in [folder / one.name for one in members]:
        for parent in path.parents:
            if folder in parent.parents:
                parent.chmod(0o700)
    return f"{name}: {len(members)} files are back in {folder}"


def main(arguments: list[str]) -> int:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="FOLDER", help="the aggregator's folder")
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="FILE", help="one more file")
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where archives lie")
    parser.add_argument("--restore", metavar="NAME", help="put this archive back")
    parser.add_argument("--keep", type=int, default=14, metavar="N", help="how many archives are kept")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        if options.restore:
            print(restore(options.folder, options.to, options.restore))
        else:
            print(run(options.folder, options.also, options.to, options.keep))
    except (Problem, OSError, sqlite3.Error, tarfile.TarError) as problem:
        print(f"backup: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
