"""The configuration of an agent in a container: a home without a disk."""

import json

from hearthwatch_testbed.plan import Fleet

#: Where the files are in the container. Each is one bind mount; the agent finds them beside its configuration.
FOLDER = "/etc/hearthwatch"
CONFIGURATION, AUTHORITY, TOKEN = f"{FOLDER}/edge.toml", f"{FOLDER}/ca.crt", f"{FOLDER}/token"


def edge_toml(home: str, fleet: Fleet, home_assistant_url: str) -> str:
    """As docs/reference/diskless.md describes it. JSON's strings are TOML's."""
    page = f"https://{fleet.host}:{fleet.http_port}/"
    return "\n".join(
        [
            "# Written by `testbed up`: a home without a disk.",
            'state = "none"',
            "",
            "[home_assistant]",
            f"url = {json.dumps(home_assistant_url)}",
            'token_file = "token"',
            "",
            "[cloud]",
            f"home = {json.dumps(home)}",
            "[cloud.enrol]",
            f"url = {json.dumps(page)}",
            'ca_file = "ca.crt"',
            "[cloud.mqtt]",
            f"host = {json.dumps(fleet.host)}",
            f"port = {fleet.mqtt_port}",
            "[cloud.updates]",
            f"url = {json.dumps(page + 'tuf/')}",
            'ca_file = "ca.crt"',
            "",
        ]
    )
