"""A small file that remembers between two commands: the options of `up`, and the secret of the emulated homes' tokens.

What exists is asked of the site, never of this file. Without it `up` makes a new secret and replaces the containers that know
the old one.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hearthwatch_testbed.problem import Problem


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where a program keeps its state, by the rules of freedesktop."""
    base = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", ".")) / ".local" / "state")
    return Path(base) / "hearthwatch-testbed"


@dataclass(frozen=True)
class Journal:
    """The file of one testbed."""

    path: Path

    def read(self) -> dict[str, object]:
        """What is remembered; nothing when there is no file."""
        try:
            content = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Problem(
                f"{self.path} cannot be read ({error}); remove it: what exists is asked of the site anyway."
            ) from error
        return content if isinstance(content, dict) else {}

    def write(self, **changes: object) -> None:
        """Adds to what is remembered, for this user's eyes alone."""
        content = json.dumps(self.read() | changes, indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
        draft.replace(self.path)

    def secret(self) -> str:
        """That of the emulated homes' tokens; made at the first use."""
        known = self.read().get("secret")
        if isinstance(known, str):
            return known
        made = secrets.token_hex(32)
        self.write(secret=made)
        return made

    def forget(self) -> None:
        """After `down`."""
        self.path.unlink(missing_ok=True)
