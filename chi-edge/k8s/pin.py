#!/usr/bin/env python3
"""Writes the digest of each image into components/images/kustomization.yaml: what its registry has now under the tag beside it.

pin.py [IMAGE]...   IMAGE: short names; all without one. It asks the registries by skopeo, without a login, and changes nothing else.
"""

import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent / "components/images/kustomization.yaml"

ENTRY = re.compile(r"(?P<head>  - name: (?P<name>\S+)\n    newName: (?P<image>\S+) # tag: (?P<tag>\S+)\n    digest: )(?P<digest>\S+)\n")

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Problem(Exception):
    """What is wrong, and what to do about it."""


def digest(image: str, tag: str) -> str:
    """What the registry says."""
    command = ["skopeo", "inspect", "--override-os", "linux", "--override-arch", "amd64", "--format", "{{.Digest}}", f"docker://{image}:{tag}"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError:
        raise Problem("skopeo is missing: apt-get install skopeo") from None
    found = asked.stdout.strip()
    if asked.returncode != 0 or not DIGEST.fullmatch(found):
        last = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Problem(f"{image}:{tag} has no digest: {last}. Name another registry or tag in {FILE.name}")
    return found


def pin(text: str, wanted: list[str]) -> str:
    """The file with new digests for those that are wanted."""
    known = [entry["name"] for entry in ENTRY.finditer(text)]
    if unknown := [name for name in wanted if name not in known]:
        raise Problem(f"no image {', '.join(unknown)}; there are {', '.join(known)}")

    def replaced(entry: re.Match[str]) -> str:
        if wanted and entry["name"] not in wanted:
            return entry[0]
        found = digest(entry["image"], entry["tag"])
        print(f"{entry['name']}: {entry['image']}:{entry['tag']} {found}")
        return f"{entry['head']}{found}\n"

    return ENTRY.sub(replaced, text)


def main(arguments: list[str]) -> int:
    """Runs it. All digests or none."""
    if any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 64
    try:
        FILE.write_text(pin(FILE.read_text(), arguments))
    except Problem as problem:
        print(f"pin: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
