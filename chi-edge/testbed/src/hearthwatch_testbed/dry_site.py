"""A site in memory for `--dry-run`: it answers as Keystone, Blazar, Zun and Neutron would if all went well.

It stands where the network would, below the real clients; so what is printed is what they would have sent.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import requests
from requests.adapters import BaseAdapter

from hearthwatch_testbed.leases import BLAZAR_TIME
from hearthwatch_testbed.trace import request_text

#: The catalogue of the real site says where its services are.
BLAZAR, ZUN, NEUTRON = "https://blazar.of.the.site/v1", "https://zun.of.the.site/v1", "https://neutron.of.the.site"
_TOKEN_LIFE = "2099-01-01T00:00:00.000000Z"  # noqa: S105 (a date)
Route = tuple[str, str, Callable[..., tuple[int, Any]]]
_PUBLIC = {"id": "(network of floating IPs)", "name": "public", "router:external": True}


@dataclass
class DrySite:
    """What exists in it."""

    site: str
    say: Callable[[str], None]
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    floating_ips: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Of the request in hand.
    query: str = ""

    def session(self) -> requests.Session:
        """For keystoneauth, in the place of the network."""
        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, _InMemory(self))
        return session

    def answer(self, method: str, url: str, body: Any, version: str | None) -> tuple[int, Any]:
        """Status and body."""
        self.say(request_text(method, url, body, version))
        address, _, self.query = url.partition("?")
        path = address.rstrip("/")
        for wanted, pattern, action in self.routes():
            found = re.fullmatch(pattern, path)
            if found and method == wanted:
                return action(body, *found.groups())
        return 404, {"error": f"a dry run knows no {method} {path}"}

    def routes(self) -> list[Route]:
        """What it answers."""
        return [
            ("POST", r".*/auth/tokens", lambda _: (201, self._token())),
            ("GET", f"{BLAZAR}/leases", lambda _: (200, {"leases": list(self.leases.values())})),
            ("POST", f"{BLAZAR}/leases", self._create_lease),
            ("GET", f"{BLAZAR}/leases/(.+)", lambda _, key: (200, {"lease": self.leases[key]})),
            ("PUT", f"{BLAZAR}/leases/(.+)", self._update_lease),
            ("DELETE", f"{BLAZAR}/leases/(.+)", lambda _, key: (204, self.leases.pop(key) and None)),
            ("GET", ZUN.removesuffix("/v1"), lambda _: (200, {"versions": [{"id": "v1", "max_version": "1.41"}]})),
            ("GET", f"{ZUN}/containers", lambda _: (200, {"containers": list(self.containers.values())})),
            ("POST", f"{ZUN}/containers", self._create_container),
            ("GET", f"{ZUN}/containers/([^/]+)/logs", lambda _, key: (200, "")),
            ("GET", f"{ZUN}/containers/([^/]+)", lambda _, key: (200, self.containers[key])),
            ("DELETE", f"{ZUN}/containers/(.+)", lambda _, key: (204, self.containers.pop(key) and None)),
            ("GET", f"{NEUTRON}/v2.0/networks", lambda _: (200, {"networks": [_PUBLIC]})),
            ("GET", f"{NEUTRON}/v2.0/floatingips", lambda _: (200, {"floatingips": list(self.floating_ips.values())})),
            ("POST", f"{NEUTRON}/v2.0/floatingips", self._create_floating_ip),
            ("PUT", f"{NEUTRON}/v2.0/floatingips/(.+)", self._update_floating_ip),
            ("DELETE", f"{NEUTRON}/v2.0/floatingips/(.+)", lambda _, key: (204, self.floating_ips.pop(key) and None)),
        ]

    def services(self) -> list[tuple[str, str]]:
        """Its catalogue."""
        return [("reservation", BLAZAR), ("container", ZUN), ("network", NEUTRON)]

    def _token(self) -> dict[str, Any]:
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {"interface": "public", "region": self.site, "region_id": self.site, "url": url, "id": kind}
                ],
            }
            for kind, url in self.services()
        ]
        return {
            "token": {
                "methods": ["application_credential"],
                "user": {"id": "user", "name": "user", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "project", "name": "project", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": name, "name": name} for name in ("member", "reader")],
                "catalog": catalog,
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "expires_at": _TOKEN_LIFE,
                "application_credential": {"id": "credential", "name": "credential", "restricted": False},
            }
        }

    def _create_lease(self, body: Any) -> tuple[int, Any]:
        key = f"(lease {len(self.leases) + 1})"
        reservations = [
            one | {"id": f"(reservation {number})", "status": "active"}
            for number, one in enumerate(body["reservations"], start=1)
        ]
        self.leases[key] = body | {"id": key, "status": "ACTIVE", "reservations": reservations}
        self.leases[key]["end_date"] = _stored_time(body["end_date"])
        return 201, {"lease": self.leases[key]}

    def _update_lease(self, body: Any, key: str) -> tuple[int, Any]:
        self.leases[key]["end_date"] = _stored_time(body["end_date"])
        return 200, {"lease": self.leases[key]}

    def _create_container(self, body: Any) -> tuple[int, Any]:
        number = len(self.containers) + 1
        key = f"(container {number})"
        address = {"addr": f"192.168.64.{number}", "version": 4, "port": f"(port {number})"}
        self.containers[key] = body | {"uuid": key, "status": "Running", "addresses": {"caliconet": [address]}}
        return 202, self.containers[key]

    def _create_floating_ip(self, body: Any) -> tuple[int, Any]:
        key = f"(floating IP {len(self.floating_ips) + 1})"
        empty = {"id": key, "floating_ip_address": "129.114.34.x", "port_id": None}
        self.floating_ips[key] = empty | body["floatingip"]
        return 201, {"floatingip": self.floating_ips[key]}

    def _update_floating_ip(self, body: Any, key: str) -> tuple[int, Any]:
        self.floating_ips[key] |= body["floatingip"]
        return 200, {"floatingip": self.floating_ips[key]}


def _stored_time(text: str) -> str:
    return datetime.strptime(text, BLAZAR_TIME).replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%S.000000")


class _InMemory(BaseAdapter):
    """Hands requests to the site in memory."""

    def __init__(self, dry_site: DrySite) -> None:
        super().__init__()
        self._dry_site = dry_site

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answers at once."""
        body = json.loads(request.body) if request.body else None
        url = unquote(str(request.url))
        version = request.headers.get("OpenStack-API-Version")
        status, content = self._dry_site.answer(str(request.method), url, body, version)
        response = requests.Response()
        response.status_code = status
        response.url = str(request.url)
        response.request = request
        response.headers["Content-Type"] = "application/json"
        response.headers["X-Subject-Token"] = "of a dry run"
        response.raw = BytesIO(b"" if content is None else json.dumps(content).encode())
        return response

    def close(self) -> None:
        """Nothing to close."""
