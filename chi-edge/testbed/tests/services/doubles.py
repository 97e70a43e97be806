"""Small doubles of Blazar, Neutron and Placement on one port: they keep every request, so that tests can check its body."""

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .node_doubles import SHARED_NETWORK, NodeDoubles

PUBLIC_NETWORK = "17446dec-0c72-4d28-abf5-99f43e152221"
CONTAINER_NETWORK = "0b5e3a6e-51a0-4cf5-9b0a-111111111111"
# What their APIs accept as a time: UTC, to the minute.
BLAZAR_TIME = "%Y-%m-%d %H:%M"


# As the site lists them: a device's properties beside its own fields.
DEVICES: list[dict[str, Any]] = [
    {
        "id": str(number),
        "uid": f"uid-{number}",
        "name": f"nyu-rpi5-{number:02}",
        "machine_name": "raspberrypi5",
        "reservable": True,
    }
    for number in range(1, 8)
]


@dataclass(frozen=True)
class Request:
    """One that came in."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]


class Refusal(Exception):  # noqa: N818 (an answer, not an error)
    """What a double answers instead, once."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass
class Doubles:
    """The three services, what they hold, and what they were asked."""

    requests: list[Request] = field(default_factory=list)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    floating_ips: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: (method, beginning of the path) -> what is answered instead; `None` closes the connection without an answer.
    refusals: dict[tuple[str, str], Refusal | None] = field(default_factory=dict)
    #: As above, but the request is carried out first: an answer that is lost.
    lost_answers: set[tuple[str, str]] = field(default_factory=set)
    lease_status: str = "ACTIVE"
    devices: list[dict[str, Any]] = field(default_factory=lambda: list(DEVICES))
    allocations: list[dict[str, Any]] = field(default_factory=list)
    nodes: NodeDoubles = field(default_factory=NodeDoubles)

    def reset(self) -> None:
        """As new."""
        for kept in (self.requests, self.leases, self.floating_ips, self.refusals, self.lost_answers):
            kept.clear()
        self.lease_status = "ACTIVE"
        self.devices, self.allocations = list(DEVICES), []
        self.nodes.reset()

    def sent(self, method: str, beginning: str) -> list[Any]:
        """The bodies of the requests of this kind, in order."""
        return [one.body for one in self.requests if one.method == method and one.path.startswith(beginning)]

    def answer(self, request: Request) -> tuple[int, object] | None:
        """Status and body; `None` closes the connection."""
        self.requests.append(request)
        for (method, beginning), refusal in self.refusals.items():
            if request.method == method and request.path.startswith(beginning):
                return None if refusal is None else (refusal.status, refusal.body)
        try:
            answer = self._carry_out(request)
        except Refusal as refusal:
            return refusal.status, refusal.body
        lost = any(request.method == method and request.path.startswith(path) for method, path in self.lost_answers)
        return None if lost else answer

    def _carry_out(self, request: Request) -> tuple[int, object]:
        routes: list[tuple[str, str, Callable[..., tuple[int, object]]]] = [
            ("GET", r"/reservation/v1/leases", lambda _: (200, {"leases": list(self.leases.values())})),
            ("POST", r"/reservation/v1/leases", self._create_lease),
            ("GET", r"/reservation/v1/leases/([^/]+)", lambda _, key: (200, {"lease": self._lease(key)})),
            ("PUT", r"/reservation/v1/leases/([^/]+)", self._update_lease),
            ("DELETE", r"/reservation/v1/leases/([^/]+)", self._delete_lease),
            ("GET", r"/reservation/v1/devices", lambda _: (200, {"devices": self.devices})),
            ("GET", r"/reservation/v1/devices/allocations", lambda _: (200, {"allocations": self.allocations})),
            ("GET", r"/network/v2.0/networks", self._networks),
            ("GET", r"/network/v2.0/subnets", lambda _: (200, {"subnets": []})),
            ("GET", r"/network/v2.0/floatingips", lambda _: (200, {"floatingips": list(self.floating_ips.values())})),
            ("POST", r"/network/v2.0/floatingips", self._create_floating_ip),
            ("PUT", r"/network/v2.0/floatingips/([^/]+)", self._update_floating_ip),
            ("DELETE", r"/network/v2.0/floatingips/([^/]+)", self._delete_floating_ip),
            ("GET", r"/placement/traits", lambda _: (200, {"traits": []})),
            ("PUT", r"/placement/traits/[^/]+", lambda _: (201, {})),
            (
                "GET",
                r"/placement/allocation_candidates",
                lambda _: (200, {"allocation_requests": [], "provider_summaries": {}}),
            ),
            *self.nodes.routes(),
        ]
        path = request.path.split("?")[0].rstrip("/").removesuffix(".json")
        for method, pattern, action in routes:
            found = re.fullmatch(pattern, path)
            if found and method == request.method:
                return action(request, *found.groups())
        raise Refusal(404, {"error_message": f"no route for {request.method} {path}"})

    def _lease(self, key: str) -> dict[str, Any]:
        if key not in self.leases:
            raise Refusal(404, {"error_code": 404, "error_message": f"Lease not found: {key}"})
        return self.leases[key]

    def _create_lease(self, request: Request) -> tuple[int, object]:
        body = request.body
        if any(one["name"] == body["name"] for one in self.leases.values()):
            raise Refusal(409, {"error_message": f"The lease with name: {body['name']} already exists"})
        for reservation in body["reservations"]:
            if reservation["resource_type"] == "flavor:instance":
                # As Blazar's plugin for flavours reads it.
                if {"flavor_id", "amount", "affinity"} - set(reservation):
                    raise Refusal(400, {"error_message": "Missing parameter affinity"})
                continue
            # As Blazar's device plugin reads it: both have to be numbers.
            if not isinstance(reservation["min"], int) or not isinstance(reservation["max"], int):
                raise Refusal(400, {"error_message": "Malformed parameter min"})
        end = datetime.strptime(body["end_date"], BLAZAR_TIME).replace(tzinfo=UTC)
        key = str(uuid.uuid4())
        lease = {
            "id": key,
            "name": body["name"],
            "status": self.lease_status,
            "start_date": "2026-11-30T10:00:00.000000",
            "end_date": end.strftime("%Y-%m-%dT%H:%M:%S.000000"),
            "degraded": False,
            "reservations": [
                {**reservation, "id": str(uuid.uuid4()), "lease_id": key, "status": "active"}
                for reservation in body["reservations"]
            ],
            "events": [],
        }
        self.leases[key] = lease
        return 201, {"lease": lease}

    def _update_lease(self, request: Request, key: str) -> tuple[int, object]:
        end = datetime.strptime(request.body["end_date"], BLAZAR_TIME).replace(tzinfo=UTC)
        self._lease(key)["end_date"] = end.strftime("%Y-%m-%dT%H:%M:%S.000000")
        return 200, {"lease": self._lease(key)}

    def _delete_lease(self, _: Request, key: str) -> tuple[int, object]:
        self._lease(key)
        del self.leases[key]
        return 200, {}

    def _networks(self, request: Request) -> tuple[int, object]:
        # Zun asks for the project's own networks first, of which there are none, then for those that are shared.
        if "shared=False" in request.path:
            return 200, {"networks": []}
        common = {"created_at": "2026-01-01T00:00:00Z", "subnets": [], "shared": True}
        networks = [
            {"id": CONTAINER_NETWORK, "name": "caliconet", "router:external": False, **common},
            {"id": SHARED_NETWORK, "name": "sharednet1", "router:external": False, **common},
            {"id": PUBLIC_NETWORK, "name": "public", "router:external": True, **common},
        ]
        wanted = re.search(r"name=([^&]+)", request.path)
        return 200, {"networks": [one for one in networks if not wanted or one["name"] == wanted[1]]}

    def _create_floating_ip(self, request: Request) -> tuple[int, object]:
        wanted = request.body["floatingip"]
        key = str(uuid.uuid4())
        self.floating_ips[key] = {
            "id": key,
            "floating_ip_address": f"129.114.34.{129 + len(self.floating_ips)}",
            "port_id": None,
            "description": "",
            **wanted,
        }
        return 201, {"floatingip": self.floating_ips[key]}

    def _update_floating_ip(self, request: Request, key: str) -> tuple[int, object]:
        self.floating_ips[key].update(request.body["floatingip"])
        return 200, {"floatingip": self.floating_ips[key]}

    def _delete_floating_ip(self, _: Request, key: str) -> tuple[int, object]:
        del self.floating_ips[key]
        return 204, None


def serve(doubles: Doubles) -> ThreadingHTTPServer:
    """On a free port, in a thread that ends with the process."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw) if raw else None
            answer = doubles.answer(Request(self.command, self.path, body, dict(self.headers)))
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            status, content = answer
            encoded = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 (the names that http.server calls)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
