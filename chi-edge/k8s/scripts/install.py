"""Puts keys and configuration where the programs want them: owned by their user, closed to everybody else, written whole.

The files of a Secret can be read by the pod's group, and Hearthwatch refuses keys that others can read; so they are copied at each start.
"""

import argparse
import os
import string
import sys
from collections.abc import Iterator
from pathlib import Path


class Problem(Exception):
    """What is wrong, and what to do about it."""


def files_of(folder: Path) -> Iterator[Path]:
    """Names the files below a mounted volume, from the folder. Kubernetes keeps its versions in names that begin with two dots, and
    links to the present one, whole folders too.
    """
    if not folder.is_dir():
        raise Problem(f"{folder} is not there: the pod must mount it")
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".."))
        for name in sorted(files):
            if not name.startswith(".."):
                yield (Path(place) / name).relative_to(folder)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents, each open to this user only."""
    for one in [*reversed(folder.parents), folder]:
        if not one.exists():
            one.mkdir(mode=0o700)


def write(target: Path, data: bytes) -> bool:
    """Writes a file of mode 0600 in one step; says whether it was different before."""
    make_folder(target.parent)
    if target.is_file() and target.stat().st_mode & 0o777 == 0o600 and target.read_bytes() == data:
        return False
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    beside.touch(mode=0o600, exist_ok=False)
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(target)
    return True


def render(folder: Path, values: dict[str, str]) -> bytes:
    """Joins the configuration's files in the order of their names, with each ${NAME} replaced."""
    text = "\n".join((folder / name).read_text() for name in files_of(folder) if name.suffix == ".toml")
    try:
        return string.Template(text).substitute(values).encode()
    except KeyError as missing:
        raise Problem(f"the configuration names {missing.args[0]}, which the ConfigMap `fleet` does not have: add it there") from None
    except ValueError as error:
        raise Problem(f"the configuration has a $ that begins no name ({error}): write $$ for the sign itself") from None


def install(options: argparse.Namespace, values: dict[str, str]) -> list[str]:
    """Does all of it; returns a line for each file."""
    lines = []
    for folder, always in ((options.keys, True), (options.seed, False)):
        for name in files_of(folder) if folder else ():
            target = options.to / name
            if always or not target.exists():
                written = write(target, (folder / name).read_bytes())
                lines.append(f"{'written' if written else 'kept   '} {name}")
            else:
                lines.append(f"kept    {name}")
    for name in options.directory:
        make_folder(options.to / name)
    if options.config:
        written = write(options.to / "cloud.toml", render(options.config, values))
        lines.append(f"{'written' if written else 'kept   '} cloud.toml")
    return lines


def main(arguments: list[str]) -> int:
    """Runs it; 78 is a configuration that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the programs look")
    parser.add_argument("--keys", type=Path, metavar="FOLDER", help="copied at each start")
    parser.add_argument("--seed", type=Path, metavar="FOLDER", help="copied where nothing is there yet")
    parser.add_argument("--config", type=Path, metavar="FOLDER", help="joined to cloud.toml")
    parser.add_argument("--directory", action="append", default=[], metavar="NAME", help="made in the folder")
    try:
        print(*install(parser.parse_args(arguments), dict(os.environ)), sep="\n")
    except (Problem, OSError) as problem:
        print(f"install: {problem}", file=sys.stderr)
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
