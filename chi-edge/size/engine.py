"""Containers with limits, run by podman and runc, and what the kernel counts of them, in cgroups of version 1 or 2."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
MIB = 1 << 20
CGROUPS = Path("/sys/fs/cgroup")
# The image's user.
USER = 10001
POLL_SECONDS = 0.05
# crun refuses hosts with both versions of cgroups, and not every host may raise limits.
ENGINE = ["podman", "--runtime", "runc"]
FLAGS = ["--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--read-only"]


class Failed(Exception):
    """What did not work; a sentence that says what to do next."""


class NotInTime(Failed):
    """Something that was waited for did not come."""


@dataclass(frozen=True)
class Limits:
    """What a container may take."""

    memory_mib: int
    cpus: float


@dataclass(frozen=True)
class Usage:
    """What a container and its one process have taken, in bytes and seconds."""

    cpu_seconds: float
    # As the cgroup counts it: what was allocated, and pages of files that this container was the first to read.
    peak: int
    # The process alone: everything resident, pages of the program's file among it; its peak; what it allocated.
    resident: int
    resident_peak: int
    allocated: int


def until(what: str, seconds: float, ask: Callable[[], T | None]) -> T:
    """The first answer that is not None and not False."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(POLL_SECONDS)
    raise NotInTime(f"{what}: not within {seconds:.0f} s")


def run(*words: object) -> str:
    """What a program prints; its error as a sentence where it fails."""
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Failed(f"`{' '.join(str(word) for word in words[:4])} …` ended with {ended.returncode}: {ended.stderr.strip()[-600:]}")
    return ended.stdout


def group(text: str, controller: str) -> tuple[str, int]:
    """Path of the cgroup below the mount, and the version, from the text of /proc/PID/cgroup. The empty name is version 2's only one."""
    unified = ""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return f"{controller}{path}", 1
        if not controllers:
            unified = path
    return unified.lstrip("/"), 2


def kibibytes(status: str, key: str) -> int:
    """Bytes of a line of /proc/PID/status."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def processor_seconds(text: str, version: int) -> float:
    """From `cpuacct.usage` (nanoseconds) or `cpu.stat` (microseconds)."""
    if version == 1:
        return int(text) / 1e9
    found = re.search(r"^usage_usec (\d+)$", text, re.MULTILINE)
    return int(found[1]) / 1e6 if found else 0.0


class Container:
    """One container, from its start until it is removed."""

    def __init__(self, name: str, image: str, arguments: list[str], limits: Limits, volumes: list[Path], ready: bool = True) -> None:
        self.name = name
        mounts = [word for path in volumes for word in ("--volume", f"{path}:{path}")]
        memory = f"{limits.memory_mib}m"
        bounds = ["--memory", memory, "--memory-swap", memory, "--cpus", str(limits.cpus), "--pids-limit", "1024"]
        self.remove()
        self.begun = time.monotonic()
        words = [*ENGINE, "run", "--detach", "--name", name, *FLAGS, "--tmpfs", "/tmp:size=64m", *bounds, *mounts, image, *arguments]
        run(*words)
        if ready:
            self.process = int(self._state("Pid"))

    def _state(self, key: str) -> str:
        return run(*ENGINE, "inspect", "--format", f"{{{{.State.{key}}}}}", self.name).strip()

    def runs(self) -> bool:
        return self._state("Running") == "true"

    def was_killed(self) -> bool:
        """Whether the kernel ended it for its memory."""
        return self._state("OOMKilled") == "true" or self._state("ExitCode") == "137"

    def log(self) -> str:
        ended = subprocess.run([*ENGINE, "logs", self.name], capture_output=True, text=True, check=False)
        return ended.stdout + ended.stderr

    def usage(self) -> Usage:
        """What it has taken until now."""
        try:
            groups = Path(f"/proc/{self.process}/cgroup").read_text(encoding="utf-8")
            status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
            memory, version = group(groups, "memory")
            counts, processor = group(groups, "cpuacct")
            peak = int((CGROUPS / memory / ("memory.max_usage_in_bytes" if version == 1 else "memory.peak")).read_text(encoding="utf-8"))
            time_file = CGROUPS / counts / ("cpuacct.usage" if processor == 1 else "cpu.stat")
            seconds = processor_seconds(time_file.read_text(encoding="utf-8"), processor)
        except OSError as error:
            raise Failed(f"{self.name} does not run any more ({error}); its last lines: {self.log()[-400:]}") from error
        sizes = [kibibytes(status, key) for key in ("VmRSS", "VmHWM", "RssAnon")]
        return Usage(seconds, peak, sizes[0], sizes[1], sizes[2])

    def remove(self) -> None:
        subprocess.run([*ENGINE, "rm", "--force", "--time", "2", self.name], capture_output=True, check=False)


def forget_file(path: Path) -> None:
    """Drops a file's pages from memory, so that the container that reads it next is the one that they are counted for."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
