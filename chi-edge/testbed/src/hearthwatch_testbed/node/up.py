"""`testbed node up` and `lease`: make what is missing. Run again, they make nothing twice and continue where they stopped."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from hearthwatch_testbed.clock import Clock
from hearthwatch_testbed.leases import OVER, Lease, remaining
from hearthwatch_testbed.node.hosts import check_hosts
from hearthwatch_testbed.node.plan import NodePlan, lease_request
from hearthwatch_testbed.node.site import NodeSite, Server
from hearthwatch_testbed.node.user_data import user_data
from hearthwatch_testbed.problem import RESUME, Problem
from hearthwatch_testbed.reserving import FloatingIp

#: Between two questions to the site.
PAUSE_SECONDS = 10.0
LEASE_WAIT = timedelta(minutes=5)


@dataclass
class NodeUp:
    """One run."""

    plan: NodePlan
    site: NodeSite
    clock: Clock
    say: Callable[[str], None]
    #: chi-edge/cloud-init; not needed for a lease alone.
    cloud_init: Path
    wait: timedelta
    replace: bool

    def run(self) -> None:
        """Lease, address, server, binding; in this order: the server is told its address when it is made."""
        self.site.check_key(self.plan.key)
        lease = self.lease()
        address = self.address()
        settings = {"hearthwatch_fleet_host": address.address} | self.plan.settings
        server = self.settled(self.server(lease, user_data(self.cloud_init, settings)))
        self.bound(address, server)
        self.say(f"The node runs until {lease.end:%Y-%m-%d %H:%M} UTC. It sets itself up now; this waits for it:")
        self.say(f"  ssh cc@{address.address} cloud-init status --wait --long")

    def lease(self) -> Lease:
        """The one with our name, active."""
        names = self.plan.names
        found = [one for one in self.site.leases() if one.name == names.lease]
        for old in [one for one in found if one.status in OVER or one.end <= self.clock.now()]:
            self.say(f"lease {old.name}: was {old.status}, deleted")
            self.site.delete_lease(old)
            found.remove(old)
        if found:
            self.say(f"lease {names.lease}: exists, {found[0].status}, ends in {remaining(found[0], self.clock.now())}")
            return self.active(found[0])
        wanted = self.plan.reserved
        flavor = self.site.flavor_id(wanted.flavor) if wanted.flavor else None
        listed = None if wanted.flavor else self.site.hosts(self.clock.now())
        if listed is not None:
            self.say(check_hosts(listed, wanted))
        lease = self.site.create_lease(lease_request(names, wanted, flavor, self.plan.lease, self.clock.now()))
        self.say(f"lease {lease.name}: made, for {wanted.words()}")
        return self.active(lease)

    def active(self, lease: Lease) -> Lease:
        """Waits until it has begun."""
        deadline = self.clock.now() + LEASE_WAIT
        while lease.status != "ACTIVE" or not lease.reservations:
            if lease.status in OVER or "error" in lease.reservation_states:
                raise Problem(
                    f"The lease {lease.name} has the status {lease.status} (its reservations: "
                    f"{', '.join(lease.reservation_states)}). Run `testbed node down`, then the same command again with "
                    "another --node-type or --node."
                )
            if self.clock.now() >= deadline:
                raise Problem(f"The lease {lease.name} is still {lease.status}. {RESUME}")
            self.clock.sleep(PAUSE_SECONDS)
            lease = next((one for one in self.site.leases() if one.id == lease.id), lease)
        return lease

    def address(self) -> FloatingIp:
        """Before the server: its certificate is for this address."""
        name = self.plan.names.floating_ip
        found = [one for one in self.site.floating_ips() if one.description == name]
        if found:
            self.say(f"floating IP {found[0].address}: exists")
            return found[0]
        made = self.site.create_floating_ip(name, None)
        self.say(f"floating IP {made.address}: made")
        return made

    def server(self, lease: Lease, data: str) -> Server:
        """The one that the plan describes."""
        reservation = lease.reservations[0]
        digest = self.plan.digest(reservation, data)
        found = [one for one in self.site.servers() if one.name == self.plan.names.lease]
        if found and not found[0].digest:
            raise Problem(
                f"The name {found[0].name} is taken by a server that this program did not make: give another --fleet-name or "
                "--suffix, or delete that server."
            )
        for younger in found[1:]:
            self.say(f"server {younger.name}: there are two; the younger is deleted")
            self.site.delete_server(younger)
        if found and not self.must_go(found[0], digest):
            self.say(f"server {found[0].name}: exists, {found[0].state()}")
            return found[0]
        if found:
            self.say(f"server {found[0].name}: is replaced")
            self.site.delete_server(found[0])
            self.gone(found[0])
        made = self.site.create_server(self.plan, reservation, data)
        self.say(f"server {self.plan.names.lease}: made from {self.plan.image}")
        return replace(made, name=self.plan.names.lease)

    def must_go(self, server: Server, digest: str) -> bool:
        """Never without being asked: its disk holds the fleet's data."""
        if server.digest == digest and server.status != "ERROR":
            return False
        if self.replace:
            return True
        if server.status == "ERROR":
            raise Problem(
                f"The server {server.name} is {server.state().rstrip('.')}. Give --replace to make it anew; if it fails again, run "
                "`testbed node down` and take another node."
            )
        self.say(
            f"server {server.name}: was made from something else (another lease, image, revision or option), and stays; "
            "--replace makes it anew, and everything on its disk is lost. For another revision alone: "
            "ssh cc@ADDRESS sudo hearthwatch-node-setup REVISION"
        )
        return False

    def gone(self, server: Server) -> None:
        """The reservation is for one server: the next needs the node free."""
        deadline = self.clock.now() + self.wait
        while self.site.server(server.id):
            if self.clock.now() >= deadline:
                raise Problem(f"The server {server.name} is still being deleted. {RESUME}")
            self.clock.sleep(PAUSE_SECONDS)

    def settled(self, server: Server) -> Server:
        """Waits until it runs. Bare metal takes its time: the image is written to the disk, and the machine restarts twice."""
        deadline = self.clock.now() + self.wait
        while server.status != "ACTIVE":
            found = self.site.server(server.id)
            if found is None:
                raise Problem(f"The server {server.name} disappeared; somebody or the end of the lease deleted it.")
            server = found
            if server.status == "ERROR":
                raise Problem(
                    f"The server {server.name} is {server.state().rstrip('.')}. Run the same command again with --replace; if it fails "
                    "again, run `testbed node down` and take another node."
                )
            if server.status != "ACTIVE":
                if self.clock.now() >= deadline:
                    raise Problem(f"The server {server.name} is still {server.state()}. {RESUME}")
                self.clock.sleep(PAUSE_SECONDS)
        return server

    def bound(self, address: FloatingIp, server: Server) -> None:
        """To the server's port."""
        port = self.site.port_of(server)
        if port is None:
            raise Problem(f"The server {server.name} has no port yet. {RESUME}")
        if address.port != port:
            self.site.bind_floating_ip(address, port)
            self.say(f"floating IP {address.address}: bound to {server.name}")
