"""Options that all commands share."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TypeAlias

from hearthwatch_testbed.journal import default_folder


class Parser(argparse.ArgumentParser):
    """Reads options from a file that is named with an @ before it, too."""

    def convert_arg_line_to_args(self, arg_line: str) -> list[str]:
        """As a shell reads a line; # begins a comment."""
        return shlex.split(arg_line, comments=True)


Tasks: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 (it has no public name)


def task(tasks: Tasks, name: str, summary: str, description: str, site: str = "CHI@Edge") -> argparse.ArgumentParser:
    """One command, with what all have."""
    made = tasks.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    group = made.add_argument_group("which testbed")
    suffix = os.environ.get("HEARTHWATCH_TESTBED_SUFFIX")
    group.add_argument(
        "--suffix",
        default=suffix,
        required=suffix is None,
        help="how every name ends, such as proj05; staff delete what ends otherwise (or HEARTHWATCH_TESTBED_SUFFIX)",
    )
    group.add_argument("--fleet-name", default="hearthwatch", help="how every name begins (default: %(default)s)")
    group.add_argument("--site", default=site, help="the region (default: %(default)s)")
    group.add_argument("--os-cloud", help="a cloud of clouds.yaml; without it the variables OS_* are used")
    group.add_argument(
        "--state-dir",
        type=Path,
        default=default_folder(os.environ),
        help="what is remembered between commands; what exists is always asked of the site (default: %(default)s)",
    )
    return made


def dry_run(one: argparse.ArgumentParser, *, offline: str) -> None:
    """--dry-run."""
    one.add_argument(
        "--dry-run",
        nargs="?",
        const="offline",
        choices=("offline", "live"),
        help=f"print every request (method, address, body; secrets replaced) and send none. offline, the default: {offline}. "
        "live: as if from what exists at the site now, which is read",
    )
