"""The few calls of Prometheus's HTTP API that the checks and the drawings need."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

# Grafana puts in the range of a rate; four scrapes of the checks' one second are less than this.
RATE_INTERVAL = "20s"
_TIMEOUT_SECONDS = 300


class Refused(Exception):
    """Prometheus's own word on why it did not answer."""


def get(base: str, path: str, **parameters: str) -> Any:
    """The data of `/api/v1/PATH`; [`Refused`] with Prometheus's reason."""
    url = f"{base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        try:
            raise Refused(json.load(error)["error"]) from error
        except (ValueError, KeyError):
            raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"Prometheus does not answer: {error}") from error


def query(base: str, text: str) -> list[dict[str, Any]]:
    """What `text` gives now."""
    result = get(base, "query", query=text.replace("$__rate_interval", RATE_INTERVAL))["result"]
    return result if isinstance(result, list) else [result]


def query_range(base: str, text: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
    """What `text` gave from `start` to `end`, Unix seconds."""
    text = text.replace("$__rate_interval", RATE_INTERVAL)
    data = get(base, "query_range", query=text, start=str(start), end=str(end), step=str(step))
    return list(data["result"])
