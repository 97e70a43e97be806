"""`testbed up`: makes what the plan has and the site has not. Run again, it makes nothing twice and continues where it stopped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hearthwatch_testbed import containers, home_assistant
from hearthwatch_testbed.claims import Claims
from hearthwatch_testbed.clock import Clock
from hearthwatch_testbed.containers import ContainerRequest
from hearthwatch_testbed.devices import check_devices
from hearthwatch_testbed.leases import OVER, Lease, lease_request, remaining
from hearthwatch_testbed.plan import Home, Plan, Source
from hearthwatch_testbed.problem import RESUME, Problem
from hearthwatch_testbed.site import Container, Site

#: Between two questions to the site.
PAUSE_SECONDS = 5.0
#: A lease that begins now is active within a minute or two.
LEASE_WAIT = timedelta(minutes=5)
#: How much of a container's log is read to find why it failed.
LOG_LINES = 50
#: What the agent logs when its token is spent, expired or unknown: after a restart, a token for one use is.
REFUSED_ENROLMENT = "not enrolled: watching goes on without the fleet"
WRONG_ARCHITECTURE = "exec format error"


@dataclass(frozen=True)
class Options:
    """How `up` behaves, beside the plan."""

    wait: timedelta
    replace_failed: bool


@dataclass
class Up:
    """One run."""

    plan: Plan
    site: Site
    claims: Claims
    secret: str
    elsewhere_token: str
    clock: Clock
    options: Options
    say: Callable[[str], None]
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Lease, sources, feeds, agents, floating IP; in this order, since each needs the one before, or what it gives."""
        authority = self.claims.authority()
        lease = self.lease()
        existing = self.containers_by_name()
        sources = {home.number: self.source(home, lease, existing) for home in self.plan.homes if home.source_container}
        sources = {number: self.settled(container) for number, container in sources.items()}
        feeds = [feed for home in self.plan.homes if (feed := self.feed(home, lease, existing, sources))]
        agents = [agent for home in self.plan.homes if (agent := self.agent(home, lease, existing, sources, authority))]
        for container in [*feeds, *agents]:
            self.settled(container)
        if self.plan.floating_ip:
            self.floating_ip(sources)
        if self.failures:
            raise Problem("Not everything runs:\n  " + "\n  ".join(self.failures) + f"\n{RESUME}")
        end = f"{lease.end:%Y-%m-%d %H:%M} UTC"
        self.say(f"Homes that run: {len(self.plan.homes)}, on devices: {self.plan.devices}, until {end}.")

    def lease(self) -> Lease:
        """The one with our name, active."""
        found = [one for one in self.site.leases() if one.name == self.plan.names.lease]
        for old in [one for one in found if one.status in OVER or one.end <= self.clock.now()]:
            self.say(f"lease {old.name}: was {old.status}, deleted")
            self.site.delete_lease(old)
            found.remove(old)
        if found:
            lease = found[0]
            left = remaining(lease, self.clock.now())
            self.say(f"lease {lease.name}: exists, {lease.status}, ends in {left}")
            if len(lease.reservations) < self.plan.devices:
                raise Problem(
                    f"The lease {lease.name} is for {len(lease.reservations)} devices, and {self.plan.devices} are "
                    "wanted. A lease cannot get more: give a second testbed another --fleet-name, or run "
                    "`testbed down` first."
                )
        else:
            self.check_devices()
            lease = self.site.create_lease(lease_request(self.plan, self.clock.now()))
            self.say(f"lease {lease.name}: made, for {self.plan.devices} x {self.plan.machine_type}")
        return self.active(lease)

    def check_devices(self) -> None:
        """Blazar alone would say only that there are not enough."""
        listed = self.site.devices(self.clock.now())
        if listed is not None:
            check_devices(listed, self.plan.machine_type, self.plan.device_names, self.plan.devices)

    def active(self, lease: Lease) -> Lease:
        """Waits until it has begun."""
        deadline = self.clock.now() + LEASE_WAIT
        while lease.status != "ACTIVE":
            if lease.status in OVER or "error" in lease.reservation_states:
                raise Problem(
                    f"The lease {lease.name} has the status {lease.status} (its reservations: "
                    f"{', '.join(lease.reservation_states)}): a device did not come. Run `testbed up` again, which makes "
                    "the lease anew, or choose another device by --device."
                )
            if self.clock.now() >= deadline:
                raise Problem(f"The lease {lease.name} is still {lease.status}. {RESUME}")
            self.clock.sleep(PAUSE_SECONDS)
            lease = next((one for one in self.site.leases() if one.id == lease.id), lease)
        return lease

    def containers_by_name(self) -> dict[str, Container]:
        """Those of the plan. Of two with one name, which a lost answer may leave, the older stays."""
        kept: dict[str, Container] = {}
        for container in self.site.containers():
            if container.digest and container.name in self.plan.unwanted_feeds():
                self.say(f"{container.name}: --no-feed was given, so it is deleted")
                self.delete(container)
            if container.name not in self.plan.containers():
                continue
            if not container.digest:
                raise Problem(
                    f"The name {container.name} is taken by a container that this program did not make: give another "
                    "--fleet-name or --suffix, or delete that container."
                )
            if container.name in kept:
                self.say(f"{container.name}: there are two; the younger is deleted")
                self.delete(container)
            else:
                kept[container.name] = container
        return kept

    def source(self, home: Home, lease: Lease, existing: dict[str, Container]) -> Container:
        """The Home Assistant or emulator of a home."""
        request = containers.source_request(self.plan, home, lease.reservations[home.device], self.secret)
        return self.made(request, existing.get(request.name))

    def address(self, name: str, source: Container) -> str | None:
        """Where the source of the container `name` is; none, and a failure, while that is not known."""
        if source.failed or not source.address:
            self.failures.append(f"{name}: not made, because {source.name} has no address yet")
            return None
        return f"http://{source.address}:{home_assistant.PORT}"

    def feed(
        self, home: Home, lease: Lease, existing: dict[str, Container], sources: dict[int, Container]
    ) -> Container | None:
        """What feeds the home's Home Assistant; none where nothing is fed, or while it has no address."""
        if home.feed is None or (url := self.address(home.feed, sources[home.number])) is None:
            return None
        reservation = lease.reservations[home.device]
        request = containers.feed_request(self.plan, home, reservation, url=url, secret=self.secret)
        return self.made(request, existing.get(home.feed))

    def agent(
        self,
        home: Home,
        lease: Lease,
        existing: dict[str, Container],
        sources: dict[int, Container],
        authority: str,
    ) -> Container | None:
        """The agent of a home; none while its source has no address."""
        url, token = self.plan.home_assistant_url or "", self.elsewhere_token
        if home.source is not Source.ELSEWHERE:
            address = self.address(home.agent, sources[home.number])
            if address is None:
                return None
            url, token = address, containers.agent_token(self.secret, home)
        request = containers.agent_request(
            self.plan, home, lease.reservations[home.device], url=url, token=token, authority=authority, claim=""
        )
        return self.made(request, existing.get(home.agent), home)

    def made(self, request: ContainerRequest, existing: Container | None, home: Home | None = None) -> Container:
        """The container that the request describes: the existing one if it is that, else a new one."""
        if existing:
            why = self.why_replace(request, existing, agent=home is not None)
            if not why:
                self.say(f"{existing.name}: exists, {existing.state()}")
                return existing
            self.say(f"{existing.name}: {why}, so it is replaced")
            self.delete(existing)
        if home:
            # Shown only once, so it is asked for only when the container is made.
            request.fresh[containers.TOKEN_VARIABLE] = self.claims.issue(home.name, self.plan.claim)
        container = self.site.create_container(request)
        self.say(f"{container.name}: made")
        return container

    def why_replace(self, request: ContainerRequest, existing: Container, *, agent: bool) -> str | None:
        """Why an existing container cannot stay."""
        if existing.digest != request.digest():
            return "was made from something else (another lease, image, address or option)"
        if not self.options.replace_failed:
            return None
        if existing.failed:
            return f"is {existing.state()}"
        if agent and existing.running and REFUSED_ENROLMENT in self.site.logs(existing, LOG_LINES):
            return "restarted, and its claim token was spent"
        return None

    def delete(self, container: Container) -> None:
        """Before another gets its name."""
        if not self.site.delete_container(container):
            raise Problem(
                f"{container.name} is {container.state()} and cannot be deleted yet. Wait until `testbed status` says "
                "Running or Error, and run the same command again; or run `testbed down`, with whose lease it goes."
            )

    def settled(self, wanted: Container) -> Container:
        """Waits until it runs or has failed; a failure is kept for the end, so that the other homes go on."""
        deadline = self.clock.now() + self.options.wait
        said = ""
        while True:
            container = next((one for one in self.site.containers() if one.id == wanted.id), None)
            if container is None:
                self.failures.append(f"{wanted.name}: disappeared; somebody or the end of the lease deleted it")
                return wanted
            if container.running:
                return container
            if container.failed:
                self.failures.append(f"{container.name}: {self.why_failed(container)}")
                return container
            if self.clock.now() >= deadline:
                self.failures.append(
                    f"{container.name}: still {container.state()} after {self.options.wait.seconds} s; the first fetch "
                    "of an image takes long on a Raspberry Pi: run the same command again, or give a longer --wait"
                )
                return container
            if container.state() != said:
                said = container.state()
                self.say(f"{container.name}: {said}")
            self.clock.sleep(PAUSE_SECONDS)

    def why_failed(self, container: Container) -> str:
        """The reason that the site gives, and what it means."""
        if container.status != "Error":
            return failure(container, "")
        try:
            return failure(container, self.site.logs(container, LOG_LINES))
        except Problem:
            # One that never had a host has no log, and asking for it is an error of the site's.
            return failure(container, "")

    def floating_ip(self, sources: dict[int, Container]) -> None:
        """One, for the first home's Home Assistant."""
        target = sources.get(1)
        if target is None or not target.port:
            self.failures.append(
                "the floating IP: the first home's Home Assistant has no port yet; run the same command again"
            )
            return
        name = self.plan.names.floating_ip
        found = [one for one in self.site.floating_ips() if one.description == name]
        if not found:
            made = self.site.create_floating_ip(name, target.port)
            self.say(f"floating IP {made.address}: made, http://{made.address}:{home_assistant.PORT}")
        elif found[0].port != target.port:
            self.site.bind_floating_ip(found[0], target.port)
            self.say(f"floating IP {found[0].address}: bound to {target.name}")
        else:
            self.say(f"floating IP {found[0].address}: exists")


def failure(container: Container, log: str) -> str:
    """A sentence about a container that failed."""
    said = container.state().rstrip(".")
    if WRONG_ARCHITECTURE in log or WRONG_ARCHITECTURE in said:
        return (
            f"{said}. The image {container.image} is for another processor: CHI@Edge's devices are arm64. Build it with "
            "`--arch arm64` and push it again."
        )
    if container.detail in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
        return (
            f"{said}. The image {container.image} cannot be fetched: check its name and tag, that the registry shows it "
            "without a login (or that its login was given by `openstack appcontainer registry create`), and that it has "
            "an arm64 form."
        )
    if "enough hosts" in said or "Unschedulable" in said:
        return f"{said}. The leased device is not there: it may have lost power or network. Try another by --device."
    last = log.strip().splitlines()[-1:] or ["it printed nothing"]
    return f"{said}. Its log ends with: {last[0]}"
