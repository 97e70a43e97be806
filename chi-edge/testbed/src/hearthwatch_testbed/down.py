"""`testbed down`: containers, then floating IPs, then the lease; afterwards it checks that nothing is left."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from hearthwatch_testbed.claims import Claims
from hearthwatch_testbed.clock import Clock
from hearthwatch_testbed.leases import Lease
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.problem import EXIT_LEFT, Problem
from hearthwatch_testbed.reserving import FloatingIp
from hearthwatch_testbed.site import Container, Site
from hearthwatch_testbed.status import Inventory, inventory

Thing = TypeVar("Thing")

PAUSE_SECONDS = 5.0
#: Deleting is done in the background; a pod has 30 s to end.
SETTLE = timedelta(minutes=2)


@dataclass
class Down:
    """One run. Where something cannot be deleted it goes on with the rest, and says so at the end."""

    names: Names
    site: Site
    #: None: the fleet's keys are not on this machine, so certificates stay valid until they expire.
    claims: Claims | None
    homes: tuple[str, ...]
    clock: Clock
    say: Callable[[str], None]
    refused: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Deletes and checks."""
        own = inventory(self.site, self.names).owned_by(self.names)
        self._each(own.containers, self._delete_container)
        # A port that goes takes its binding along, not the address.
        self._each(own.floating_ips, self._delete_floating_ip)
        self._each(own.leases, self._delete_lease)
        self._each(self._homes(own), self._revoke)
        left = self._left()
        if left.lines() or self.refused:
            raise Problem(
                "Not everything is gone:\n  "
                + "\n  ".join([*left.lines(), *self.refused])
                + "\nWhat is being deleted goes within minutes: run `testbed down` again. What was not made by this testbed "
                "stays: delete it by hand, or leave it if it is your colleagues'.",
                EXIT_LEFT,
            )
        self.say(f"Nothing is left with the suffix -{self.names.suffix}.")

    def _each(self, things: Iterable[Thing], delete: Callable[[Thing], str]) -> None:
        for thing in things:
            try:
                self.say(delete(thing))
            except Problem as problem:
                self.refused.append(str(problem))

    def _delete_container(self, container: Container) -> str:
        if self.site.delete_container(container):
            return f"container {container.name}: deleted"
        state = container.state()
        return f"container {container.name}: cannot be deleted while it is {state}; its lease takes it along"

    def _delete_floating_ip(self, floating_ip: FloatingIp) -> str:
        self.site.delete_floating_ip(floating_ip)
        return f"floating IP {floating_ip.address}: given back"

    def _delete_lease(self, lease: Lease) -> str:
        self.site.delete_lease(lease)
        return f"lease {lease.name}: deleted"

    def _homes(self, own: Inventory) -> list[str]:
        """Those that `up` remembered, and those whose agents were still there."""
        numbers = (self.names.number_of_agent(one.name) for one in own.containers)
        return sorted({*self.homes, *(self.names.home(number) for number in numbers if number is not None)})

    def _revoke(self, home: str) -> str:
        if self.claims is None:
            return (
                f"home {home}: its certificate stays valid until it expires (30 days); give --keys to revoke it, or call "
                f"POST /api/v1/homes/{home}/revoke"
            )
        self.claims.revoke(home)
        return f"home {home}: certificates and claim tokens revoked"

    def _left(self) -> Inventory:
        deadline = self.clock.now() + SETTLE
        while True:
            left = inventory(self.site, self.names)
            if not left.owned_by(self.names).lines() or self.clock.now() >= deadline:
                return left
            self.clock.sleep(PAUSE_SECONDS)
