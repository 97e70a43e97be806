"""Starts the two real services and the doubles, and makes in Keystone what Chameleon has: a region, a catalogue, a project, credentials."""

import base64
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path

import requests

from .doubles import Doubles, serve

REGION = "CHI@Edge"
#: Where nodes are: the catalogue has no Zun there, as at Chameleon.
NODES_REGION = "CHI@UC"
PASSWORD = "of the tests alone"
HERE = Path(__file__).parent
#: A start that takes longer has failed: it takes ten seconds, and has taken two minutes on two cores that had much else to do.
START_SECONDS = 300


@dataclass(frozen=True)
class RealSite:
    """What tests need to know of it."""

    keystone: str
    zun_database: Path
    doubles: Doubles
    credential_id: str
    credential_secret: str
    restricted_id: str
    restricted_secret: str
    expired_id: str
    expired_secret: str

    def environment(self) -> dict[str, str]:
        """The variables of Chameleon's openrc file."""
        return {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_AUTH_URL": self.keystone,
            "OS_APPLICATION_CREDENTIAL_ID": self.credential_id,
            "OS_APPLICATION_CREDENTIAL_SECRET": self.credential_secret,
            "OS_REGION_NAME": REGION,
            "OS_INTERFACE": "public",
            "OS_IDENTITY_API_VERSION": "3",
        }

    def containers(self) -> list[dict[str, object]]:
        """The rows of the real Zun."""
        with contextlib.closing(sqlite3.connect(self.zun_database)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM container ORDER BY id")]

    def hosts_answer(self, status: str, detail: str | None = None, reason: str | None = None, image: str = "%") -> None:
        """Stands for the absent compute host: what it would write once a container of this image was scheduled.

        Without it Zun finds no host, which it says in the row; that moment the trigger uses.
        """
        address = """'{"caliconet": [{"addr": "192.168.64.' || NEW.id || '", "port": "port-' || NEW.id || '"}]}'"""
        trigger = f"""
            CREATE TRIGGER hosts_{abs(hash(image))} AFTER UPDATE OF status_reason ON container
            WHEN NEW.status_reason LIKE '%enough hosts%' AND NEW.image LIKE '{image}'
            BEGIN UPDATE container SET status = '{status}', status_detail = {_literal(detail)},
            status_reason = {_literal(reason)}, addresses = {address} WHERE id = NEW.id; END"""
        with self._database() as database:
            database.execute(trigger)

    def change_containers(self, assignments: str, where: str = "1") -> None:
        """What a compute host would write later."""
        with self._database() as database:
            database.execute(f"UPDATE container SET {assignments} WHERE {where}")

    def mounted(self) -> list[str]:
        """The contents of all bind mounts, decoded."""
        with self._database() as database:
            found = database.execute("SELECT contents FROM volume ORDER BY id").fetchall()
        return [base64.b64decode(row[0]).decode() for row in found]

    def reset(self) -> None:
        """As new."""
        self.doubles.reset()
        with self._database() as database:
            for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {trigger}")
            for table in ("volume_mapping", "volume", "container_actions_events", "container_actions", "container"):
                database.execute(f"DELETE FROM {table}")

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.zun_database, timeout=30)) as database, database:
            yield database


def _literal(text: str | None) -> str:
    return "NULL" if text is None else f"'{text}'"


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until something answers there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, timeout=5)
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer; {log} ends with:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def started(folder: Path, python: str) -> Iterator[RealSite]:
    """The site, for as long as the context lasts; `python` is that of the services' venv."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
        log = folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, "-W", "ignore", str(HERE / f"{name}_service.py"), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={key: value for key, value in os.environ.items() if not key.startswith("OS_")},
            )
        processes.append(process)
        return process, log

    doubles = Doubles()
    server = serve(doubles)
    keystone_port, zun_port = free_port(), free_port()
    keystone = f"http://127.0.0.1:{keystone_port}/v3"
    try:
        first = start("keystone", str(folder / "keystone"), str(keystone_port), PASSWORD, REGION)
        second = start("zun", str(folder / "zun"), keystone, PASSWORD, REGION, str(zun_port))
        wait_for(keystone, *first)
        wait_for(f"http://127.0.0.1:{zun_port}/", *second)
        yield _furnish(folder, keystone, zun_port, server, doubles)
    finally:
        server.shutdown()
        for process in processes:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _furnish(folder: Path, keystone: str, zun_port: int, server: ThreadingHTTPServer, doubles: Doubles) -> RealSite:
    import openstack

    cloud = openstack.connect(
        auth_type="password",
        auth={
            "auth_url": keystone,
            "username": "admin",
            "password": PASSWORD,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        region_name=REGION,
    )
    identity = cloud.identity
    doubled = f"http://127.0.0.1:{server.server_address[1]}"
    identity.create_region(id=NODES_REGION)
    both, edge, nodes = (REGION, NODES_REGION), (REGION,), (NODES_REGION,)
    for name, kind, url, regions in [
        ("zun", "container", f"http://127.0.0.1:{zun_port}/v1", edge),
        ("blazar", "reservation", f"{doubled}/reservation/v1", both),
        ("neutron", "network", f"{doubled}/network", both),
        ("placement", "placement", f"{doubled}/placement", edge),
        ("nova", "compute", f"{doubled}/compute/v2.1", nodes),
        ("glance", "image", f"{doubled}/image", nodes),
    ]:
        service = identity.create_service(name=name, type=kind)
        for region in regions:
            identity.create_endpoint(service_id=service.id, interface="public", region_id=region, url=url)
    project = identity.create_project(name="CHI-000000", domain_id="default")
    user = identity.create_user(name="student", password=PASSWORD, domain_id="default")
    for role in ("member", "reader"):
        identity.assign_project_role_to_user(project, user, identity.find_role(role))
    student = openstack.connect(
        auth_type="password",
        auth={
            "auth_url": keystone,
            "username": "student",
            "password": PASSWORD,
            "project_id": project.id,
            "user_domain_id": "default",
        },
        region_name=REGION,
    )

    def credential(name: str, **properties: object) -> tuple[str, str]:
        made = student.identity.create_application_credential(user=user.id, name=name, **properties)
        return str(made.id), str(made.secret)

    unrestricted = credential("testbed", unrestricted=True)
    restricted = credential("restricted")
    expired = credential("expired", unrestricted=True, expires_at="2099-01-01T00:00:00Z")
    # Keystone makes none that is over already; so its end is moved.
    with contextlib.closing(sqlite3.connect(folder / "keystone" / "keystone.db", timeout=30)) as database, database:
        database.execute("UPDATE application_credential SET expires_at = 1000000 WHERE name = 'expired'")
    return RealSite(keystone, folder / "zun" / "zun.db", doubles, *unrestricted, *restricted, *expired)
