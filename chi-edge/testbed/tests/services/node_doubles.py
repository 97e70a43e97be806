"""Doubles of Nova, Glance and what Blazar and Neutron have for nodes; beside those of doubles.py, on the same port."""

import base64
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

BARE_METAL_FLAVOR = "9f7e6a5b-0000-4000-8000-000000000001"
KVM_FLAVOR = "9f7e6a5b-0000-4000-8000-000000000002"
CUDA_IMAGE = "7a6b5c4d-0000-4000-8000-000000000001"
SHARED_NETWORK = "3c2b1a09-0000-4000-8000-000000000001"

HOSTS: list[dict[str, Any]] = [
    {
        "id": "1",
        "hypervisor_hostname": "h1",
        "node_name": "P3-GPU-001",
        "node_type": "gpu_rtx_6000",
        "reservable": True,
    },
    {
        "id": "2",
        "hypervisor_hostname": "h2",
        "node_name": "P3-GPU-002",
        "node_type": "gpu_rtx_6000",
        "reservable": True,
    },
    {
        "id": "3",
        "hypervisor_hostname": "h3",
        "node_name": "P3-CPU-001",
        "node_type": "compute_skylake",
        "reservable": True,
    },
]

Answer = tuple[int, object]


@dataclass
class NodeDoubles:
    """What they hold."""

    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    hosts: list[dict[str, Any]] = field(default_factory=lambda: list(HOSTS))
    host_allocations: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=lambda: ["laptop"])
    #: What a server becomes when it is asked for again.
    becomes: tuple[str, str] = ("ACTIVE", "")

    def reset(self) -> None:
        """As new."""
        self.servers.clear()
        self.hosts, self.host_allocations, self.keys = list(HOSTS), [], ["laptop"]
        self.becomes = ("ACTIVE", "")

    def routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        """Method, path, answer."""
        flavors = [{"id": BARE_METAL_FLAVOR, "name": "baremetal"}, {"id": KVM_FLAVOR, "name": "m1.xlarge"}]
        keys = [{"keypair": {"name": name}} for name in self.keys]
        return [
            ("GET", r"/reservation/v1/os-hosts", lambda _: (200, {"hosts": self.hosts})),
            ("GET", r"/reservation/v1/os-hosts/allocations", lambda _: (200, {"allocations": self.host_allocations})),
            ("GET", r"/compute/v2.1/flavors", lambda _: (200, {"flavors": flavors})),
            ("GET", r"/compute/v2.1/os-keypairs", lambda _: (200, {"keypairs": keys})),
            ("GET", r"/compute/v2.1/servers/detail", lambda _: (200, {"servers": list(self.servers.values())})),
            ("POST", r"/compute/v2.1/servers", self._create),
            ("GET", r"/compute/v2.1/servers/([^/]+)", self._server),
            ("DELETE", r"/compute/v2.1/servers/([^/]+)", self._delete),
            ("GET", r"/image/v2/images", self._images),
            ("GET", r"/network/v2.0/ports", self._ports),
        ]

    def _create(self, request: Any) -> Answer:
        server, hints = request.body["server"], request.body["os:scheduler_hints"]
        known = {"name", "imageRef", "flavorRef", "key_name", "networks", "metadata", "user_data"}
        # As Nova's schema: nothing beside what it knows, ids and not names, base64, texts of at most 255 characters.
        if set(server) - known or set(hints) != {"reservation"}:
            return 400, {"badRequest": {"code": 400, "message": "Additional properties are not allowed"}}
        base64.b64decode(server["user_data"], validate=True)
        uuid.UUID(server["networks"][0]["uuid"])
        assert all(isinstance(one, str) and len(one) <= 255 for one in server["metadata"].values())
        key = str(uuid.uuid4())
        created = f"2026-11-30T10:00:{len(self.servers):02}Z"
        self.servers[key] = {**server, "id": key, "status": "BUILD", "addresses": {}, "created": created}
        return 202, {"server": {"id": key, "links": [], "adminPass": "not used"}}

    def _server(self, _: Any, key: str) -> Answer:
        if key not in self.servers:
            return 404, {"itemNotFound": {"code": 404, "message": "Instance could not be found."}}
        status, reason = self.becomes
        server = self.servers[key]
        server["status"] = status
        if reason:
            server["fault"] = {"code": 500, "message": reason}
        server["addresses"] = {"sharednet1": [{"addr": "10.140.82.7", "version": 4}]}
        return 200, {"server": server}

    def _delete(self, _: Any, key: str) -> Answer:
        if key not in self.servers:
            return 404, {"itemNotFound": {"code": 404, "message": "Instance could not be found."}}
        del self.servers[key]
        return 204, None

    def _images(self, request: Any) -> Answer:
        wanted = re.search(r"name=([^&]+)", request.path)
        known = wanted and wanted[1] in ("CC-Ubuntu24.04-CUDA", "CC-Ubuntu24.04")
        return 200, {"images": [{"id": CUDA_IMAGE}] if known else []}

    def _ports(self, request: Any) -> Answer:
        wanted = re.search(r"device_id=([^&]+)", request.path)
        return 200, {"ports": [{"id": f"port-of-{wanted[1]}"}] if wanted and wanted[1] in self.servers else []}
