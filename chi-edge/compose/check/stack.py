"""What the check asks of the containers: podman, the admin API, and programs in the network of the agent's container."""

import http.client
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

# Longest wait for something that takes seconds. Reached only when the check fails.
PATIENCE_SECONDS = 90.0
EVERY_SECONDS = 0.5

Found = TypeVar("Found")


class Failed(Exception):
    """What was expected and not seen."""


def until(what: str, look: Callable[[], Found | None]) -> Found:
    """What `look` finds at last."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {PATIENCE_SECONDS:.0f} s")
        time.sleep(EVERY_SECONDS)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program to its end, whatever that is."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def output(*words: str | Path) -> str:
    """What a program says; [`Failed`] with its last line when it fails."""
    ended = run(*words)
    if ended.returncode:
        raise Failed(f"{' '.join(map(str, words))}: {ended.stderr.strip() or ended.stdout.strip()}")
    return ended.stdout


class Stack:
    """The containers of one `up`."""

    def __init__(self, project: str, fleet: Path, api_port: int) -> None:
        self.project = project
        self.fleet = fleet
        self.api_port = api_port

    def container(self, service: str) -> str:
        """The name that Compose gives the container of a service."""
        return f"{self.project}_{service}_1"

    def inspect(self, service: str) -> dict[str, Any]:
        """What podman knows of it."""
        found: list[dict[str, Any]] = json.loads(output("podman", "inspect", self.container(service)))
        return found[0]

    def healthy(self, service: str) -> bool:
        """Whether its health check, run now, succeeds."""
        return run("podman", "healthcheck", "run", self.container(service)).returncode == 0

    def inside(self, service: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A program in the container of a service."""
        return run("podman", "exec", self.container(service), *words)

    def process(self, container: str) -> str:
        """The number of the container's first process on this machine."""
        return output("podman", "inspect", "--format", "{{.State.Pid}}", container).strip()

    def api(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """A call of the admin API with the token that setup.sh made, over TLS that trusts the fleet's authority alone."""
        trust = ssl.create_default_context(cafile=str(self.fleet / "public/ca.crt"))
        connection = http.client.HTTPSConnection("localhost", self.api_port, timeout=10, context=trust)
        token = (self.fleet / "admin.token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, f"/api/v1/{path}", json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {text}")
        return json.loads(text) if text else None


class Network:
    """The network of a container, with this machine's programs in it."""

    def __init__(self, process: str) -> None:
        self.words = ["nsenter", "--net", "--target", process]

    def start(self, log: Path, *words: str | Path) -> subprocess.Popen[bytes]:
        """A program that goes on."""
        with log.open("wb") as file:
            return subprocess.Popen([*self.words, *map(str, words)], stdout=file, stderr=subprocess.STDOUT)

    def fetch(self, url: str, *more: str) -> str:
        """What curl gets from `url`."""
        return output(*self.words, "curl", "--silent", "--show-error", "--fail", "--max-time", "10", *more, url)
