"""The same root, booted: systemd is its first process, in a container without a network, and Docker runs in it."""

import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ubuntu_root import Root, SetUp

PODMAN = ("podman", "--runtime", "runc")
BOOT_SECONDS = 120
# Where /sys cannot be written, systemd does not wait until udev has seen a disk: there is no udev in a container.
BOOT = "mount -o remount,bind,ro /sys && exec /sbin/init"


@dataclass(frozen=True)
class Booted:
    """A running node."""

    root: Root
    name: str

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in it, as root."""
        enter = [*PODMAN, "exec", "--env", "HEARTHWATCH_NODE_TRIES=1", self.name, *command]
        return subprocess.run(enter, capture_output=True, text=True, check=False)

    def out(self, *command: str) -> str:
        """What a command prints."""
        return self.run(*command).stdout.strip()

    def set_up(self, **settings: object) -> SetUp:
        """As the first boot does it."""
        self.root.write("/etc/hearthwatch/node.json", json.dumps(self.root.usual() | settings))
        done = self.run("/usr/local/sbin/hearthwatch-node-setup")
        return SetUp(done.returncode, done.stdout + done.stderr)


@contextmanager
def disk(node: Booted, file: str) -> Iterator[str]:
    """A file as a disk, with the names that udev would give it; udev does not run in a container."""
    loop = node.out("losetup", "--find", "--show", file)
    name = "/dev/disk/by-id/virtio-check"
    try:
        node.run("mkdir", "-p", "/dev/disk/by-id", "/dev/disk/by-label")
        node.run("ln", "-sfn", loop, name)
        node.run("ln", "-sfn", loop, "/dev/disk/by-label/hearthwatch-data")
        yield name
    finally:
        node.run("systemctl", "stop", "hearthwatch", "docker", "docker.socket", "srv-hearthwatch.mount")
        # This one alone: loop devices are the whole machine's.
        node.run("losetup", "--detach", loop)


def possible() -> bool:
    """Whether this machine can boot one."""
    return all(shutil.which(program) for program in ("podman", "runc", "losetup"))


@contextmanager
def booted(root: Root) -> Iterator[Booted]:
    """For as long as the context lasts."""
    name = f"hearthwatch-node-check-{uuid.uuid4().hex[:8]}"
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    # Docker's own layers cannot lie on layers.
    places = ["--tmpfs", "/var/lib/docker:rw,exec", "--network", "none", "--rootfs", str(root.path)]
    start = [
        *PODMAN,
        "run",
        "--detach",
        "--name",
        name,
        "--privileged",
        "--systemd=always",
        *limits,
        *places,
        "sh",
        "-c",
        BOOT,
    ]
    subprocess.run(start, check=True, capture_output=True)
    node = Booted(root, name)
    try:
        deadline = time.monotonic() + BOOT_SECONDS
        while node.out("systemctl", "is-system-running") not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node did not boot:\n{node.out('systemctl', '--no-pager', 'list-jobs')}")
            time.sleep(0.5)
        yield node
    finally:
        node.run("systemctl", "stop", "hearthwatch", "docker", "docker.socket", "srv-hearthwatch.mount")
        subprocess.run([*PODMAN, "rm", "--force", name], check=False, capture_output=True)
