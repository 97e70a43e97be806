"""A site of nodes: the calls that reach Nova, Glance and Neutron, and their answers as values with types."""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hearthwatch_testbed.credentials import Connection
from hearthwatch_testbed.leases import Lease, lease_of
from hearthwatch_testbed.node.hosts import Host, hosts_of
from hearthwatch_testbed.node.plan import BARE_METAL_FLAVOR, PLAN_KEY, NodePlan
from hearthwatch_testbed.problem import FORBIDDEN, NOT_FOUND, Problem, Rule, answer_of, explained, first_line
from hearthwatch_testbed.reserving import ReservingSite

#: What such a site must have.
SERVICES = {
    "reservation": "Blazar, for leases",
    "compute": "Nova, for servers",
    "image": "Glance, for images",
    "network": "Neutron, for addresses",
}
RULES: list[Rule] = [
    (
        lambda answer: answer.says("not enough .*available|no free|allocation_candidates"),
        lambda answer: (
            "No such node is free for that time: ask for a shorter lease, give another --node-type, or come later. "
            f"({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.says("floating IP|IpAddressGenerationFailure|No more IP addresses"),
        lambda answer: (
            "The site has no floating IP left, and agents need one to reach their fleet: give back one that is not in "
            f"use (`openstack floating ip list`), or try later. ({first_line(answer)})"
        ),
    ),
]


@dataclass(frozen=True)
class Server:
    """One that exists."""

    id: str
    name: str
    status: str
    reason: str
    #: What it was made from; empty for one that this program did not make.
    digest: str
    addresses: tuple[str, ...]
    created: str

    def state(self) -> str:
        """For people: the status, and why."""
        return f"{self.status}: {self.reason}" if self.reason else self.status


def server_of(raw: Any) -> Server:
    """From the answer of Nova."""
    fault = raw.get("fault") or {}
    addresses = [one["addr"] for many in (raw.get("addresses") or {}).values() for one in many]
    return Server(
        id=str(raw["id"]),
        name=str(raw["name"]),
        status=str(raw.get("status") or "UNKNOWN"),
        reason=str(fault.get("message") or ""),
        digest=str((raw.get("metadata") or {}).get(PLAN_KEY, "")),
        addresses=tuple(str(one) for one in addresses),
        created=str(raw.get("created") or ""),
    )


class NodeSite(ReservingSite):
    """Every call that changes something stands here, or in what it extends."""

    def __init__(self, connection: Connection, region: str) -> None:
        super().__init__(connection)
        from keystoneauth1.adapter import Adapter

        # By the services' own addresses. python-chi's `connection` forgets the region, and a catalogue has all regions.
        session = connection.adapter.session
        self._nova = Adapter(session, service_type="compute", interface="public", region_name=region)
        self._glance = Adapter(session, service_type="image", interface="public", region_name=region)

    def _get(self, adapter: Any, path: str) -> Any:
        return adapter.get(path).json()

    def create_lease(self, request: dict[str, Any]) -> Lease:
        """Blazar says why not in words of its own."""
        with explained("Making the lease", RULES):
            return lease_of(self._blazar.lease.create(**request))

    def hosts(self, now: datetime) -> list[Host] | None:
        """Those that exist; none where the site does not list them to this credential."""
        with explained("Listing the nodes"):
            try:
                rows = self._blazar.host.list()
                allocations = self._blazar.allocation.list("os-hosts")
            except Exception as error:
                if answer_of(error).status in (FORBIDDEN, NOT_FOUND):
                    return None
                raise
        return hosts_of(rows, allocations, now)

    def servers(self) -> list[Server]:
        """All of the project, the oldest first."""
        with explained("Listing the servers"):
            found = [server_of(one) for one in self._get(self._nova, "/servers/detail")["servers"]]
        return sorted(found, key=lambda one: one.created)

    def server(self, key: str) -> Server | None:
        """One, with the reason if it failed."""
        with explained("Asking for the server"):
            try:
                return server_of(self._get(self._nova, f"/servers/{key}")["server"])
            except Exception as error:
                if answer_of(error).status == NOT_FOUND:
                    return None
                raise

    def flavor_id(self, name: str) -> str:
        """A flavour's id."""
        with explained("Listing the flavours"):
            found = {str(one["name"]): str(one["id"]) for one in self._get(self._nova, "/flavors")["flavors"]}
        if name not in found:
            raise Problem(f"No flavour is called {name}; there are: {', '.join(sorted(found)) or 'none'}.")
        return found[name]

    def image_id(self, name: str) -> str:
        """An image's id; of two with one name the newer, as the site's own pages choose."""
        with explained("Listing the images"):
            found = self._get(self._glance, f"/v2/images?name={name}&status=active&sort=created_at:desc")["images"]
        if not found:
            raise Problem(f"No image is called {name}: `openstack image list` shows those of the site. Give --image.")
        return str(found[0]["id"])

    def network_id(self, name: str) -> str:
        """A network's id."""
        with explained("Listing the networks"):
            found = self._neutron.list_networks(name=name)["networks"]
        if not found:
            raise Problem(
                f"No network is called {name}: `openstack network list` shows those of the site. Give --network."
            )
        return str(found[0]["id"])

    def check_key(self, name: str) -> None:
        """Before a node is made to which nobody can log in."""
        with explained("Listing the key pairs"):
            found = [str(one["keypair"]["name"]) for one in self._get(self._nova, "/os-keypairs")["keypairs"]]
        if name not in found:
            raise Problem(
                f"No key pair is called {name}; there are: {', '.join(found) or 'none'}. Add one: `openstack keypair create "
                f"--public-key ~/.ssh/id_ed25519.pub {name}`. Each site has its own."
            )

    def create_server(self, plan: NodePlan, reservation: str, user_data: str) -> Server:
        """On the reservation."""
        server = {
            "name": plan.names.lease,
            "imageRef": self.image_id(plan.image),
            "flavorRef": self.flavor_id(BARE_METAL_FLAVOR),
            "key_name": plan.key,
            "networks": [{"uuid": self.network_id(plan.network)}],
            "metadata": {PLAN_KEY: plan.digest(reservation, user_data)},
            "user_data": base64.b64encode(user_data.encode()).decode(),
        }
        body = {"server": server, "os:scheduler_hints": {"reservation": reservation}}
        with explained(f"Making the server {plan.names.lease}", RULES):
            made = self._nova.post("/servers", json=body).json()["server"]
        return server_of(server | {"status": "BUILD"} | made)

    def delete_server(self, server: Server) -> None:
        """And what is on its disk."""
        with explained(f"Deleting the server {server.name}"):
            try:
                self._nova.delete(f"/servers/{server.id}")
            except Exception as error:
                if answer_of(error).status != NOT_FOUND:
                    raise

    def port_of(self, server: Server) -> str | None:
        """Where the floating IP is bound; none as long as there is no port."""
        with explained("Listing the ports"):
            found = self._neutron.list_ports(device_id=server.id)["ports"]
        return str(found[0]["id"]) if found else None

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Leases, servers and floating IPs as the site writes them, by their ids: where a dry run begins."""
        with explained("Reading what exists"):
            return (
                {one["id"]: one for one in self._blazar.lease.list()},
                {one["id"]: one for one in self._get(self._nova, "/servers/detail")["servers"]},
                {one["id"]: one for one in self._neutron.list_floatingips()["floatingips"]},
            )
