"""Writes Alertmanager's configuration with the webhook's address from a file, as chi-edge/monitoring/alertmanager/start.sh does."""

import argparse
import os
import re
import sys
from pathlib import Path

PLACE = "https://webhook.invalid/"
"""What the configuration in the tree has in its place."""

ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")


class Problem(Exception):
    """What is wrong, and what to do about it."""


def rendered(text: str, address: str) -> str:
    """The configuration with the address in its place."""
    if not ADDRESS.fullmatch(address.strip()):
        raise Problem("the Secret alertmanager-webhook must hold one address that begins with https:// or http://, and nothing else")
    if PLACE not in text:
        raise Problem(f"the configuration has no {PLACE} that the address could replace")
    return text.replace(PLACE, address.strip())


def main(arguments: list[str]) -> int:
    """Runs it; 78 is a configuration that cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--config", "--address", "--to"):
        parser.add_argument(option, type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        options.to.write_text(rendered(options.config.read_text(), options.address.read_text()))
    except (Problem, OSError) as problem:
        print(f"webhook: {problem}", file=sys.stderr)
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
