"""The aggregator's admin API, as far as the pipeline needs it. Only the standard library: the image is Python's own."""

import http.client
import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT = 30.0
"""Seconds for one call."""

BODY_MAX = 16 * 1024 * 1024
"""Longest answer that is read, in bytes."""

Json = dict[str, Any]


class Later(Exception):
    """The aggregator is away or busy: the same may work later."""


class Refused(Exception):
    """It does not work like this, now or later."""


class Conflict(Refused):
    """Not in the present state, which the words tell."""


class Missing(Refused):
    """There is no such thing."""


class Api:
    """One aggregator, asked with one token."""

    def __init__(self, url: str, token: str, context: ssl.SSLContext) -> None:
        """Asks `url`, an address without a path; `context` trusts the fleet's own authority and no other."""
        if not url.startswith("https://"):
            raise Refused(f"{url} is no address that begins with https://")
        self._url = url.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    @classmethod
    def from_environment(cls) -> "Api":
        """As the workflow sets it."""
        try:
            url, authority, token_file = (os.environ[f"HEARTHWATCH_{name}"] for name in ("URL", "CA", "TOKEN_FILE"))
        except KeyError as missing:
            raise Refused(f"{missing.args[0]} is not set: the workflow's template sets it") from None
        try:
            token = Path(token_file).read_text().strip()
            context = ssl.create_default_context(cafile=authority)
            # As Python does by itself from 3.13 on.
            context.verify_flags |= ssl.VERIFY_X509_STRICT
        except (OSError, ssl.SSLError) as error:
            raise Refused(f"{error}: make the Secret retrain-token and the ConfigMap fleet-ca, see docs/kubernetes.md") from None
        return cls(url, token, context)

    def get(self, path: str) -> Json:
        """Reads something below /api/v1/."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Json | None = None) -> Json:
        """Asks for something to be done."""
        return self._call("POST", path, body)

    def every(self, path: str) -> Iterator[Json]:
        """The items of a list, over all its pages, newest first."""
        after = None
        while True:
            query = urllib.parse.urlencode({"limit": 200} | ({"after": after} if after else {}))
            page = self.get(f"{path}?{query}")
            yield from page["items"]
            after = page.get("next")
            if not after:
                return

    def _call(self, method: str, path: str, body: Json | None) -> Json:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(f"{self._url}/api/v1/{path}", data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return _json(answer.read(BODY_MAX))
        except urllib.error.HTTPError as error:
            raise _problem(f"{method} {path}", error) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Refused(f"{self._url} has another certificate than expected: {reason.verify_message}") from None
            raise Later(f"{self._url} does not answer: {reason}") from None


def _json(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        raise Later("the answer is not JSON: something else than the aggregator answers") from None
    if not isinstance(value, dict):
        raise Later("the answer is not an object: something else than the aggregator answers")
    return value


def _problem(what: str, error: urllib.error.HTTPError) -> Exception:
    """What an answer that is none of success means: RFC 9457 says why."""
    try:
        problem = _json(error.read(BODY_MAX))
        words = str(problem.get("detail") or problem.get("title") or error.reason)
    except Later:
        words = str(error.reason)
    text = f"{what}: {error.code}: {words}"
    match error.code:
        case 401:
            return Refused(f"{text}; make a token of the role operator anew, see docs/kubernetes.md")
        case 403:
            return Refused(f"{text}; the token needs the role operator")
        case 404:
            return Missing(text)
        case 409:
            return Conflict(text)
        case 408 | 429 | 500 | 502 | 503 | 504:
            return Later(text)
        case _:
            return Refused(text)
