"""Requests as text, with every secret replaced: what `--dry-run` prints."""

import base64
import json
import re
from typing import Any
from urllib.parse import unquote

HIDDEN = "(secret)"
#: Keys whose value is never shown, wherever they stand.
SECRET_KEYS = {"secret", "password", "HEARTHWATCH_CLAIM_TOKEN"}
#: The names of mounted files whose content is never shown.
SECRET_FILES = ("/token", "/auth")
#: A file that user data writes.
_WRITTEN = re.compile(r'content: "([A-Za-z0-9+/=]+)"')


def hidden(value: Any) -> Any:
    """The same without secrets."""
    if isinstance(value, dict):
        if value.get("type") == "bind" and str(value.get("destination", "")).endswith(SECRET_FILES):
            return value | {"source": HIDDEN}
        return {key: HIDDEN if key in SECRET_KEYS else hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hidden(one) for one in value]
    return value


def request_text(method: str, url: str, body: Any, version: str | None = None) -> str:
    """Method, address, version of the API and body; beneath it what the mounted files hold."""
    lines = [f"{method} {unquote(url)}"]
    if version:
        lines.append(f"OpenStack-API-Version: {version}")
    if body is not None:
        shown = hidden(body)
        lines.append(json.dumps(shown, indent=2))
        lines += _files(shown)
    return "\n".join(lines)


def _files(body: Any) -> list[str]:
    lines = _user_data(body)
    for mount in body.get("mounts", []) if isinstance(body, dict) else []:
        if mount.get("type") == "bind" and mount.get("source") != HIDDEN:
            content = base64.b64decode(mount["source"]).decode()
            lines.append(f"  # {mount['destination']} is")
            lines += [f"  # | {line}" for line in content.splitlines()]
    return lines


def _user_data(body: Any) -> list[str]:
    """What a server does at its first boot, and beneath it the files that it writes."""
    server = body.get("server") if isinstance(body, dict) else None
    if not isinstance(server, dict) or "user_data" not in server:
        return []
    text = base64.b64decode(server["user_data"]).decode()
    shown = _WRITTEN.sub("content: (below)", text)
    lines = ["  # user_data is", *(f"  # | {line}" for line in shown.splitlines())]
    for encoded in _WRITTEN.findall(text):
        lines += [
            "  # and the next file in it",
            *(f"  # | {line}" for line in base64.b64decode(encoded).decode().splitlines()),
        ]
    return lines
