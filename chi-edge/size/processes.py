"""Programs that run beside what is measured, and free ports."""

import secrets
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

# Below those that the kernel gives to outgoing connections: between the draw and the listening nobody else takes one by chance.
FIRST_PORT, LAST_PORT = 20_000, 32_000


def ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.SystemRandom().randint(FIRST_PORT, LAST_PORT)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Beside:
    """Processes that end together."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, log: Path, *words: object) -> None:
        with log.open("wb") as file:
            started = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=file, stderr=file)
        self.running.append(started)

    def stop(self) -> None:
        for one in self.running:
            one.kill()
        for one in self.running:
            one.wait()
        self.running = []

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def owned(path: Path, user: int, words: Sequence[str] = ("chown", "-R")) -> None:
    """Gives a folder to the image's user."""
    subprocess.run([*words, f"{user}:{user}", str(path)], check=True)
