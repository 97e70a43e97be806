#!/usr/bin/env python3
"""Prints what the integrations that the tests use ask for, following their dependencies.

Home Assistant installs such requirements when it starts; with all of them there, it starts with --skip-pip and fetches
nothing. Usage: requirements.py PATH-OF-THE-HOMEASSISTANT-PACKAGE
"""

import json
import pathlib
import sys

# In use by name. `frontend` is one that Home Assistant refuses to run without.
NAMED = {
    "analytics", "api", "application_credentials", "auth", "automation", "backup", "blueprint", "brands", "config",
    "diagnostics", "frontend", "hardware", "hassio", "history", "homeassistant", "http", "image_upload", "isal", "labs", "logbook",
    "logger", "lovelace", "map_tiles", "mobile_app", "mqtt", "network", "onboarding", "person", "persistent_notification",
    "recorder", "repairs", "scene", "script", "search", "system_health", "system_log", "tag", "trace", "webhook",
    "websocket_api", "zone",
}
# Voice libraries that come as source only and need a compiler; install.sh puts empty modules in their place.
SOURCE_ONLY = ("pymicro-vad", "pyspeex-noise")


def manifests(package: pathlib.Path) -> dict:
    found = {}
    for path in (package / "components").glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        found[manifest["domain"]] = manifest
    return found


def wanted(known: dict) -> set:
    # Every kind of entity besides: MQTT imports them all.
    waiting = NAMED | {name for name, manifest in known.items() if manifest.get("integration_type") == "entity"}
    done = set()
    while waiting:
        name = waiting.pop()
        done.add(name)
        manifest = known.get(name, {})
        waiting |= {other for other in manifest.get("dependencies", []) if other not in done}
    return done


def main() -> None:
    known = manifests(pathlib.Path(sys.argv[1]))
    lines = {line for name in wanted(known) for line in known.get(name, {}).get("requirements", [])}
    for line in sorted(lines):
        if not line.startswith(SOURCE_ONLY):
            print(line)


main()
