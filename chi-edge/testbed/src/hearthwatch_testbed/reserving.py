"""What every site has: leases by Blazar and floating IPs by Neutron, called by python-chi's clients."""

import logging
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hearthwatch_testbed.credentials import Connection
from hearthwatch_testbed.leases import BLAZAR_TIME, Lease, lease_of
from hearthwatch_testbed.problem import Problem, explained


@dataclass(frozen=True)
class FloatingIp:
    """One of the project."""

    id: str
    address: str
    description: str
    port: str | None


class ReservingSite:
    """Leases and addresses."""

    def __init__(self, connection: Connection) -> None:
        # The binding for Neutron says on stderr that it is deprecated; python-chi uses it all the same.
        warnings.filterwarnings("ignore", module=r"neutronclient|zunclient|blazarclient|chi|debtcollector")
        logging.getLogger("neutronclient").setLevel(logging.ERROR)
        import chi.clients

        self._clients = chi.clients
        self._adapter = connection.adapter
        with explained("Asking the site for its services"):
            self._blazar = self._clients.blazar(self._adapter)
            self._neutron = self._clients.neutron(self._adapter)

    def leases(self) -> list[Lease]:
        """All of the project."""
        with explained("Listing the leases"):
            return [lease_of(raw) for raw in self._blazar.lease.list()]

    def create_lease(self, request: dict[str, Any]) -> Lease:
        """By Blazar's own client: python-chi's `create_lease` only logs why Blazar refuses."""
        with explained("Making the lease"):
            return lease_of(self._blazar.lease.create(**request))

    def extend_lease(self, lease: Lease, end: datetime) -> Lease:
        """To a later end."""
        with explained("Extending the lease"):
            answer = self._blazar.lease.update(lease.id, end_date=end.strftime(BLAZAR_TIME))
            return lease_of(answer) if isinstance(answer, dict) and "id" in answer else lease

    def delete_lease(self, lease: Lease) -> None:
        """Blazar then also removes what runs on its reservations."""
        with explained(f"Deleting the lease {lease.name}"):
            self._blazar.lease.delete(lease.id)

    def floating_ips(self) -> list[FloatingIp]:
        """All of the project."""
        with explained("Listing the floating IPs"):
            found = self._neutron.list_floatingips()["floatingips"]
        return [
            FloatingIp(
                str(one["id"]), str(one["floating_ip_address"]), str(one.get("description") or ""), one.get("port_id")
            )
            for one in found
        ]

    def create_floating_ip(self, description: str, port: str | None) -> FloatingIp:
        """A new one, bound at once if there is a port. python-chi would take any unbound one of the project, perhaps somebody else's."""
        with explained("Asking for a floating IP"):
            networks = self._neutron.list_networks(name="public")["networks"]
            if not networks:
                raise Problem("The site has no network 'public', so no floating IPs: leave --floating-ip away.")
            wanted = {"floating_network_id": networks[0]["id"], "description": description}
            wanted |= {"port_id": port} if port else {}
            made = self._neutron.create_floatingip({"floatingip": wanted})["floatingip"]
        return FloatingIp(str(made["id"]), str(made["floating_ip_address"]), description, port)

    def bind_floating_ip(self, floating_ip: FloatingIp, port: str) -> None:
        """After its container was replaced."""
        with explained(f"Binding the floating IP {floating_ip.address}"):
            self._neutron.update_floatingip(floating_ip.id, {"floatingip": {"port_id": port}})

    def delete_floating_ip(self, floating_ip: FloatingIp) -> None:
        """Gives it back."""
        with explained(f"Giving back the floating IP {floating_ip.address}"):
            self._neutron.delete_floatingip(floating_ip.id)
