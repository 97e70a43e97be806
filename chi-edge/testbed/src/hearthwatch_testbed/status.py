"""`testbed status`: what exists with the project's suffix, in which state and why; and what of it is in no plan."""

from dataclasses import dataclass
from datetime import datetime

from hearthwatch_testbed.leases import EXTENSION_WINDOW, Lease, remaining
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.reserving import FloatingIp
from hearthwatch_testbed.site import Container, Site

#: From here on `status` tells to renew.
SOON = EXTENSION_WINDOW


@dataclass(frozen=True)
class Inventory:
    """Everything whose name ends in the suffix."""

    leases: tuple[Lease, ...]
    containers: tuple[Container, ...]
    floating_ips: tuple[FloatingIp, ...]

    def owned_by(self, names: Names) -> "Inventory":
        """The part that this testbed made."""
        return Inventory(
            tuple(one for one in self.leases if one.name == names.lease),
            tuple(one for one in self.containers if names.owns(one.name) and one.digest),
            tuple(one for one in self.floating_ips if one.description == names.floating_ip),
        )

    def lines(self) -> list[str]:
        """One a thing, for lists of what is left."""
        return [
            *(f"lease {one.name} ({one.status})" for one in self.leases),
            *(f"container {one.name} ({one.state()})" for one in self.containers),
            *(f"floating IP {one.address} ({one.description})" for one in self.floating_ips),
        ]


def inventory(site: Site, names: Names) -> Inventory:
    """Asks the site. A floating IP has no name; its description serves, and its port for one that lost it."""
    containers = tuple(one for one in site.containers() if names.is_of_the_project(one.name))
    ports = {one.port for one in containers if one.port}
    return Inventory(
        tuple(one for one in site.leases() if names.is_of_the_project(one.name)),
        containers,
        tuple(one for one in site.floating_ips() if names.is_of_the_project(one.description) or one.port in ports),
    )


def report(found: Inventory, names: Names, planned: tuple[str, ...] | None, now: datetime) -> str:
    """For people. `planned` are the names of the containers of the last `up`; none if it is not known here."""
    own = found.owned_by(names)
    lines = [
        f"{names.lease}: {len(own.leases)} lease, {len(own.containers)} containers, {len(own.floating_ips)} floating IPs"
    ]
    for lease in own.leases:
        lines.append(
            f"  lease        {lease.name}  {lease.status}, ends {lease.end:%Y-%m-%d %H:%M} UTC, {remaining(lease, now)}"
        )
        lines += [
            f"    reservation {one}  {state}"
            for one, state in zip(lease.reservations, lease.reservation_states, strict=True)
        ]
        if lease.status == "ACTIVE" and lease.end - now < SOON:
            lines.append("    It ends soon, and every agent loses its disk then: `testbed renew`.")
    lines += [
        f"  container    {one.name}  {one.state()}{f', {one.address}' if one.address else ''}" for one in own.containers
    ]
    lines += [f"  floating IP  {one.address}  {'bound' if one.port else 'not bound'}" for one in own.floating_ips]
    if planned is not None:
        there = {one.name for one in own.containers}
        lines += [f"  missing      {name}: `testbed up` makes it" for name in planned if name not in there]
        lines += [
            f"  not planned  {one.name}: `testbed down` deletes it" for one in own.containers if one.name not in planned
        ]
    known = set(own.lines())
    strangers = [line for line in found.lines() if line not in known]
    if strangers:
        lines.append(f"Also ends in -{names.suffix}, and was not made by this testbed:")
        lines += [f"  {line}" for line in strangers]
    return "\n".join(lines)
