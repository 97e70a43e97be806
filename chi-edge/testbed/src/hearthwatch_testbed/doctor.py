"""`testbed doctor`: checks everything that `up` needs and makes nothing; for each row it says what to do."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from hearthwatch_testbed.claims import Provision
from hearthwatch_testbed.credentials import Connection, connect, present
from hearthwatch_testbed.devices import check_devices
from hearthwatch_testbed.plan import Images, check_image
from hearthwatch_testbed.problem import CREDENTIALS_HOW, NO_CREDENTIALS, RESTRICTED_CREDENTIAL, Problem
from hearthwatch_testbed.site import Site

ROLES = {"member", "reader"}
#: Longest wait for each of the fleet's ports.
SECONDS_MAX = 10.0
#: A certificate that ends within a lease and its renewal is said.
CERTIFICATE_SOON = timedelta(days=14)


@dataclass(frozen=True)
class Wanted:
    """What `up` would be given."""

    site: str
    os_cloud: str | None
    machine_type: str
    device_names: tuple[str, ...]
    devices: int
    images: Images
    provision: Provision | None
    fleet_host: str | None
    ports: tuple[int, ...]


class Doctor:
    """One run. Each check prints a row; a check that needs a failed one is left out."""

    def __init__(
        self, wanted: Wanted, environment: Mapping[str, str], session: requests.Session, say: Callable[[str], None]
    ) -> None:
        self._wanted = wanted
        self._environment = environment
        self._session = session
        self._say = say
        self.bad = 0

    def run(self) -> int:
        """How many rows are bad."""
        self._check("images", self._images)
        self._check("keys", self._keys)
        self._check("fleet", self._fleet)
        connection = self._check("credentials", self._credentials)
        if connection:
            self._check("roles", lambda: self._roles(connection))
            self._check("leases", lambda: self._may_lease(connection))
            site = self._check("catalogue", lambda: self._site(connection))
            if site:
                self._check("in use", lambda: self._in_use(site))
                self._check("devices", lambda: self._devices(site))
        self._say(
            "Everything that can be checked from here is good."
            if not self.bad
            else f"{self.bad} to put right; `testbed up` would stop at the first of them."
        )
        return self.bad

    def _check(self, name: str, check: Callable[[], tuple[Any, str]]) -> Any:
        try:
            value, sentence = check()
        except Problem as problem:
            self.bad += 1
            self._say(f"bad   {name:12} {problem}")
            return None
        self._say(f"{'good' if value is not None else 'note'}  {name:12} {sentence}")
        return value

    def _images(self) -> tuple[Any, str]:
        for image in (self._wanted.images.agent, self._wanted.images.home_assistant, self._wanted.images.emulator):
            check_image(image, "an image")
        return True, (
            f"{self._wanted.images.agent}, {self._wanted.images.home_assistant}, {self._wanted.images.emulator}: the names "
            "can be read. That they exist for arm64 is seen only by a device."
        )

    def _keys(self) -> tuple[Any, str]:
        provision = self._wanted.provision
        if provision is None:
            raise Problem("--keys is missing: the folder that `hearthwatch-provision init` filled.")
        provision.authority()
        if not shutil.which(provision.program):
            raise Problem(
                f"{provision.program} is not installed here: build it by `cargo build --release -p "
                "hearthwatch-provision`, and name it by --provision."
            )
        end = certificate_end(provision)
        if end and end - datetime.now(UTC) < CERTIFICATE_SOON:
            raise Problem(f"{provision.keys}/ca/ca.crt ends {end:%Y-%m-%d}: make a new authority before the fleet.")
        return True, f"{provision.keys}/ca/ca.crt is a certificate{f' until {end:%Y-%m-%d}' if end else ''}"

    def _fleet(self) -> tuple[Any, str]:
        host = self._wanted.fleet_host
        if not host:
            raise Problem("--fleet-host is missing: the name under which devices reach the aggregator and the broker.")
        for port in self._wanted.ports:
            try:
                socket.create_connection((host, port), SECONDS_MAX).close()
            except OSError as error:
                raise Problem(
                    f"{host}:{port} does not answer from here ({error}). Start the fleet first, and open the port in its "
                    "security group; devices connect from outside."
                ) from error
        return True, f"{host} answers on {', '.join(str(port) for port in self._wanted.ports)}"

    def _credentials(self) -> tuple[Connection, str]:
        if not present(self._environment, self._wanted.os_cloud):
            raise Problem(NO_CREDENTIALS)
        connection = connect(self._environment, self._wanted.os_cloud, self._wanted.site, self._session)
        project = (connection.token.get("project") or {}).get("name", "unknown")
        return connection, f"project {project} at {self._wanted.site}, catalogue complete"

    def _roles(self, connection: Connection) -> tuple[Any, str]:
        missing = ROLES - set(connection.roles)
        if missing:
            raise Problem(
                f"The credential lacks the role {', '.join(sorted(missing))}. Make another {CREDENTIALS_HOW}."
            )
        return True, ", ".join(connection.roles)

    def _may_lease(self, connection: Connection) -> tuple[Any, str]:
        if connection.restricted:
            raise Problem(RESTRICTED_CREDENTIAL)
        return True, "the credential is unrestricted"

    def _site(self, connection: Connection) -> tuple[Site, str]:
        site = Site(connection)
        return site, f"Blazar, Zun (API {site.zun_version}) and Neutron can be asked"

    def _in_use(self, site: Site) -> tuple[Any, str]:
        leases, containers, addresses = len(site.leases()), len(site.containers()), site.floating_ips()
        unbound = sum(1 for one in addresses if not one.port)
        return True, (
            f"the project has {leases} leases, {containers} containers, {len(addresses)} floating IPs, {unbound} not bound. "
            "How much is left of the allocation shows only the dashboard: Project, Allocations"
        )

    def _devices(self, site: Site) -> tuple[Any, str]:
        wanted = self._wanted
        listed = site.devices(datetime.now(UTC))
        if listed is None:
            return None, "the site does not list its devices to this credential; Blazar decides when the lease is made"
        return True, check_devices(listed, wanted.machine_type, wanted.device_names, wanted.devices)


def certificate_end(provision: Provision) -> datetime | None:
    """Until when the authority is valid; none where `openssl` is not installed."""
    openssl = shutil.which("openssl")
    if not openssl:
        return None
    command = [openssl, "x509", "-enddate", "-noout", "-in", str(provision.keys / "ca" / "ca.crt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode:
        raise Problem(f"{provision.keys}/ca/ca.crt cannot be read as a certificate: {done.stderr.strip()}")
    return datetime.strptime(done.stdout.strip().removeprefix("notAfter="), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
