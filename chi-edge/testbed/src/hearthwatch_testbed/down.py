"""`testbed down`: containers, then floating IPs, then the lease; afterwards it checks that nothing is left."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from hearthwatch_testbed.claims import Claims
from hearthwatch_testbed.clock import Clock
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.problem import EXIT_LEFT, Problem
from hearthwatch_testbed.site import Site
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

    def run(self) -> None:
        """Deletes and checks."""
        refused: list[str] = []
        own = inventory(self.site, self.names).owned_by(self.names)
        for container in own.containers:
            if self.site.delete_container(container):
                self.say(f"container {container.name}: deleted")
            else:
                self.say(
                    f"container {container.name}: cannot be deleted while it is {container.state()}; its lease takes it along"
                )
        # A port that goes takes its binding along, not the address.
        self._each(
            own.floating_ips,
            self.site.delete_floating_ip,
            lambda one: f"floating IP {one.address}: given back",
            refused,
        )
        self._each(own.leases, self.site.delete_lease, lambda one: f"lease {one.name}: deleted", refused)
        self._revoke()
        left = self._left()
        if left.lines() or refused:
            raise Problem(
                "Still there:\n  "
                + "\n  ".join([*left.lines(), *refused])
                + "\nWhat is being deleted goes within minutes: run `testbed down` again. What was not made by this testbed "
                "stays: delete it by hand, or leave it if it is your colleagues'.",
                EXIT_LEFT,
            )
        self.say(f"Nothing is left with the suffix -{self.names.suffix}.")

    def _each(
        self, things: Iterable[Thing], delete: Callable[[Thing], None], done: Callable[[Thing], str], refused: list[str]
    ) -> None:
        for thing in things:
            try:
                delete(thing)
                self.say(done(thing))
            except Problem as problem:
                refused.append(str(problem))

    def _revoke(self) -> None:
        if self.claims is None:
            if self.homes:
                self.say(
                    "The homes' certificates stay valid until they expire (30 days): give --keys to revoke them, or call "
                    "POST /api/v1/homes/HOME/revoke."
                )
            return
        for home in self.homes:
            self.claims.revoke(home)
            self.say(f"home {home}: certificates and claim tokens revoked")

    def _left(self) -> Inventory:
        deadline = self.clock.now() + SETTLE
        while True:
            left = inventory(self.site, self.names)
            if not left.owned_by(self.names).lines() or self.clock.now() >= deadline:
                return left
            self.clock.sleep(PAUSE_SECONDS)
