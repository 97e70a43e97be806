"""A site of nodes in memory, for `testbed node … --dry-run`."""

import os
from argparse import Namespace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hearthwatch_testbed import credentials, dry_run
from hearthwatch_testbed.dry_site import BLAZAR, NEUTRON, DrySite, Route
from hearthwatch_testbed.leases import HOST
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.node.plan import PLAN_KEY
from hearthwatch_testbed.node.site import SERVICES, NodeSite

NOVA, GLANCE = "https://nova.of.the.site/v2.1", "https://glance.of.the.site"
#: What stands for whichever flavour is asked for.
_FLAVORS = ["baremetal", "m1.medium", "m1.large", "m1.xlarge", "m1.xxlarge", "g1.h100.pci.1", "g1.h100.vgpu.1g.12gb"]


@dataclass
class NodeDrySite(DrySite):
    """Nova and Glance beside Blazar and Neutron."""

    key: str = ""
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def services(self) -> list[tuple[str, str]]:
        """Its catalogue."""
        return [("reservation", BLAZAR), ("compute", NOVA), ("image", GLANCE), ("network", NEUTRON)]

    def routes(self) -> list[Route]:
        """What it answers."""
        flavors = [{"id": f"(flavour {name})", "name": name} for name in _FLAVORS]
        port = {"id": "(port 1)"}
        return [
            # Whatever is asked for is free: a dry run knows no hardware.
            (
                "GET",
                f"{BLAZAR}/os-hosts(/allocations)?",
                lambda *_: (404, {"error_message": "a dry run knows no hosts"}),
            ),
            ("GET", f"{NOVA}/servers/detail", lambda _: (200, {"servers": list(self.servers.values())})),
            ("POST", f"{NOVA}/servers", self._create_server),
            ("GET", f"{NOVA}/servers/([^/]+)", self._server),
            ("DELETE", f"{NOVA}/servers/(.+)", lambda _, key: (204, self.servers.pop(key) and None)),
            ("GET", f"{NOVA}/flavors", lambda _: (200, {"flavors": flavors})),
            ("GET", f"{NOVA}/os-keypairs", lambda _: (200, {"keypairs": [{"keypair": {"name": self.key}}]})),
            ("GET", f"{GLANCE}/v2/images", lambda _: (200, {"images": [{"id": "(image)"}]})),
            ("GET", f"{NEUTRON}/v2.0/ports", lambda _: (200, {"ports": [port]})),
            ("GET", f"{NEUTRON}/v2.0/networks", self._network),
            *super().routes(),
        ]

    def _network(self, _: Any) -> tuple[int, Any]:
        name = self.query.removeprefix("name=")
        return 200, {"networks": [{"id": f"(network {name})", "name": name}]}

    def _create_server(self, body: Any) -> tuple[int, Any]:
        key = f"(server {len(self.servers) + 1})"
        self.servers[key] = body["server"] | {"id": key, "status": "ACTIVE", "created": key}
        return 202, {"server": {"id": key}}

    def _server(self, _: Any, key: str) -> tuple[int, Any]:
        if key not in self.servers:
            return 404, {"itemNotFound": {"code": 404, "message": "Instance could not be found."}}
        return 200, {"server": self.servers[key]}


def prepared(options: Namespace, names: Names, now: datetime, *, made: bool) -> NodeDrySite:
    """Empty, as `up` left it, or as the real one is now."""
    dry_site = NodeDrySite(options.site, print, key=getattr(options, "key", ""))
    if options.dry_run == "live":
        connection = credentials.connect(os.environ, options.os_cloud, options.site, credentials.transport(), SERVICES)
        dry_site.leases, dry_site.servers, dry_site.floating_ips = NodeSite(connection, options.site).snapshot()
    elif made:
        end = (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000000")
        reservation = {"id": "(reservation 1)", "resource_type": HOST, "status": "active"}
        lease = {
            "id": "(lease 1)",
            "name": names.lease,
            "status": "ACTIVE",
            "end_date": end,
            "reservations": [reservation],
        }
        dry_site.leases["(lease 1)"] = lease
        server = {"id": "(server 1)", "name": names.lease, "status": "ACTIVE", "metadata": {PLAN_KEY: "assumed"}}
        dry_site.servers["(server 1)"] = server
        address = {"id": "(floating IP 1)", "floating_ip_address": "129.114.34.x", "description": names.floating_ip}
        dry_site.floating_ips["(floating IP 1)"] = address | {"port_id": "(port 1)"}
    return dry_site


def site(dry_site: NodeDrySite) -> NodeSite:
    """The real clients, above the site in memory."""
    return NodeSite(credentials.opened(dry_run.adapter(dry_site), dry_site.site, SERVICES), dry_site.site)
