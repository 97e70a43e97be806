"""What exists of a node; `testbed node status` and `down`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from hearthwatch_testbed.clock import Clock
from hearthwatch_testbed.leases import EXTENSION_WINDOW, Lease, remaining
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.node.site import NodeSite, Server
from hearthwatch_testbed.problem import EXIT_LEFT, Problem
from hearthwatch_testbed.reserving import FloatingIp

PAUSE_SECONDS = 10.0
#: A node of bare metal is cleaned before it is free again.
SETTLE = timedelta(minutes=5)


@dataclass(frozen=True)
class Inventory:
    """What this program made, and what else ends in the suffix."""

    leases: tuple[Lease, ...]
    servers: tuple[Server, ...]
    floating_ips: tuple[FloatingIp, ...]
    others: tuple[str, ...]

    def lines(self) -> list[str]:
        """One a thing."""
        return [
            *(f"server {one.name} ({one.state()})" for one in self.servers),
            *(f"floating IP {one.address} ({one.description})" for one in self.floating_ips),
            *(f"lease {one.name} ({one.status})" for one in self.leases),
        ]


def inventory(site: NodeSite, names: Names) -> Inventory:
    """Asks the site."""
    leases, servers, addresses = site.leases(), site.servers(), site.floating_ips()
    own = tuple(one for one in servers if one.name == names.lease and one.digest)
    others = [f"lease {one.name} ({one.status})" for one in leases if _other(names, one.name)]
    others += [
        f"server {one.name} ({one.state()})" for one in servers if names.is_of_the_project(one.name) and one not in own
    ]
    others += [
        f"floating IP {one.address} ({one.description})"
        for one in addresses
        if names.is_of_the_project(one.description) and one.description != names.floating_ip
    ]
    return Inventory(
        leases=tuple(one for one in leases if one.name == names.lease),
        servers=own,
        floating_ips=tuple(one for one in addresses if one.description == names.floating_ip),
        others=tuple(others),
    )


def _other(names: Names, name: str) -> bool:
    return names.is_of_the_project(name) and name != names.lease


def report(found: Inventory, names: Names, now: datetime) -> str:
    """For people."""
    lines = [
        f"{names.lease}: {len(found.leases)} lease, {len(found.servers)} server, {len(found.floating_ips)} floating IP"
    ]
    for lease in found.leases:
        lines.append(
            f"  lease        {lease.name}  {lease.status}, ends {lease.end:%Y-%m-%d %H:%M} UTC, {remaining(lease, now)}"
        )
        lines += [
            f"    reservation {one}  {state}"
            for one, state in zip(lease.reservations, lease.reservation_states, strict=True)
        ]
        if lease.status == "ACTIVE" and lease.end - now < EXTENSION_WINDOW:
            lines.append("    It ends soon, and bare metal loses its disk then: `testbed node renew`.")
    lines += [f"  server       {one.name}  {one.state()}  {', '.join(one.addresses)}".rstrip() for one in found.servers]
    lines += [f"  floating IP  {one.address}  {'bound' if one.port else 'not bound'}" for one in found.floating_ips]
    if found.others:
        lines.append(f"Also ends in -{names.suffix}, and was not made by this command:")
        lines += [f"  {line}" for line in found.others]
    return "\n".join(lines)


@dataclass
class NodeDown:
    """One run of `testbed node down`: server, floating IP, lease. What cannot be deleted does not stop the rest."""

    names: Names
    site: NodeSite
    clock: Clock
    say: Callable[[str], None]

    def run(self) -> None:
        """Deletes, and checks that nothing is left."""
        own = inventory(self.site, self.names)
        foreign = [line for line in own.others if line.startswith(f"server {self.names.lease} ")]
        if foreign:
            raise Problem(
                f"{foreign[0]} was not made by this command, and would go with its lease: first run `terraform destroy` in "
                "chi-edge/terraform/node, or delete it by hand."
            )
        refused: list[str] = []
        steps = [
            *((f"server {one.name}: deleted", partial(self.site.delete_server, one)) for one in own.servers),
            *(
                (f"floating IP {one.address}: given back", partial(self.site.delete_floating_ip, one))
                for one in own.floating_ips
            ),
            *((f"lease {one.name}: deleted", partial(self.site.delete_lease, one)) for one in own.leases),
        ]
        for done, delete in steps:
            try:
                delete()
            except Problem as problem:
                refused.append(str(problem))
            else:
                self.say(done)
        left = self._left()
        if left or refused:
            raise Problem(
                "Not everything is gone:\n  "
                + "\n  ".join([*left, *refused])
                + "\nWhat is being deleted goes within minutes: run `testbed node down` again.",
                EXIT_LEFT,
            )
        self.say(f"Nothing is left of {self.names.lease}.")

    def _left(self) -> list[str]:
        deadline = self.clock.now() + SETTLE
        while True:
            left = inventory(self.site, self.names).lines()
            if not left or self.clock.now() >= deadline:
                return left
            self.clock.sleep(PAUSE_SECONDS)
