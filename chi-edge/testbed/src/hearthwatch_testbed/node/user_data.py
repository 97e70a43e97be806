"""The user data of a node: chi-edge/cloud-init, with its two words filled in, as Terraform does it too."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from hearthwatch_testbed.problem import EXIT_USAGE, Problem

#: What Nova takes, encoded.
BYTES_MAX = 65_535


def user_data(folder: Path, settings: Mapping[str, object]) -> str:
    """As text; no secret is in it."""
    try:
        template = (folder / "user-data.yaml").read_text()
        setup = (folder / "node-setup.sh").read_bytes()
    except OSError as error:
        raise Problem(
            f"{error.filename} cannot be read ({error.strerror}): run this in a clone of the project, or name its folder "
            "chi-edge/cloud-init by --cloud-init.",
            EXIT_USAGE,
        ) from error
    filled = template.replace("@SETTINGS@", _encoded(json.dumps(dict(settings), sort_keys=True).encode()))
    filled = filled.replace("@SETUP@", _encoded(setup))
    if len(_encoded(filled.encode())) > BYTES_MAX:
        raise Problem(f"The user data is longer than Nova takes ({BYTES_MAX} bytes, encoded): shorten {folder}.")
    return filled


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
