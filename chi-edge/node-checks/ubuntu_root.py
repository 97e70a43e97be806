"""A root of Ubuntu 24.04, in which a node is set up as at its first boot. There is no systemd in it, so services are only described."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHI_EDGE = Path(__file__).resolve().parents[1]
ENTER = """
mount -t proc proc {root}/proc
mount --rbind /dev {root}/dev
mount --bind {packages} {root}/var/cache/apt/archives
exec chroot {root} "$@"
"""


@dataclass(frozen=True)
class SetUp:
    """How a set-up ended."""

    code: int
    output: str

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something."""
        tasks = re.split(r"^(?:TASK|RUNNING HANDLER) ", self.output, flags=re.MULTILINE)[1:]
        return [task[1 : task.index("]")] for task in tasks if re.search(r"^changed: ", task, re.MULTILINE)]

    @property
    def sentence(self) -> str:
        """What the task says that failed."""
        found = re.search(r'"msg": ("(?:[^"\\]|\\.)*")', self.output[self.output.find("fatal: ") :])
        return str(json.loads(found[1])) if found else self.output


class Root:
    """One such root, as new."""

    def __init__(self, tar: Path, folder: Path) -> None:
        self.path = folder / "root"
        self.path.mkdir()
        subprocess.run(["tar", "--extract", "--file", str(tar), "--directory", str(self.path)], check=True)
        # Fetched once for all runs.
        self._packages = tar.parent / "archives"
        (self._packages / "partial").mkdir(parents=True, exist_ok=True)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(name, self.path / name.lstrip("/"))
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.write("/etc/apt/apt.conf.d/99keep", 'APT::Keep-Downloaded-Packages "true";\nAPT::Sandbox::User "root";\n')
        (self.path / "run" / "lock").mkdir(exist_ok=True)
        setup = (CHI_EDGE / "cloud-init" / "node-setup.sh").read_text()
        self.write("/usr/local/sbin/hearthwatch-node-setup", setup, 0o755)
        self.revision = self.release("the release")

    def write(self, path: str, content: str, mode: int = 0o644) -> None:
        """One file."""
        file = self.path / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(mode)

    def read(self, path: str) -> str:
        """One file."""
        return (self.path / path.lstrip("/")).read_text()

    def blank_disk(self, name: str) -> Path:
        """A file in the place of a disk: wipefs and mkfs read both alike."""
        disk = self.path / name.lstrip("/")
        with disk.open("wb") as file:
            file.truncate(64 << 20)
        return disk

    def release(self, message: str) -> str:
        """A commit of what a node needs of this tree, in a repository that the node can fetch."""
        work, bare = self.path / "work", self.path / "release.git"
        shutil.rmtree(work, ignore_errors=True)
        if bare.exists():
            subprocess.run(["git", "clone", "--quiet", str(bare), str(work)], check=True)
        else:
            subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch", "main", str(bare)], check=True)
            subprocess.run(["git", "clone", "--quiet", str(bare), str(work)], check=True, capture_output=True)
            for name in ("ansible", "cloud-init"):
                shutil.copytree(CHI_EDGE / name, work / "chi-edge" / name)
            shutil.copytree(CHI_EDGE / "node-checks" / "stub-compose", work / "chi-edge" / "compose")
        (work / "chi-edge" / "compose" / "release").write_text(message)
        identity = ["-c", "user.name=check", "-c", "user.email=check@example.org"]
        for command in (
            ["add", "--all"],
            ["commit", "--quiet", "--message", message],
            ["push", "--quiet", "origin", "HEAD:main"],
        ):
            subprocess.run(["git", "-C", str(work), *identity, *command], check=True)
        head = subprocess.run(["git", "-C", str(work), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
        return head.stdout.strip()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in it, as root, with a /proc of its own."""
        script = ENTER.format(root=self.path, packages=self._packages)
        enter = ["unshare", "--mount", "--pid", "--fork", "bash", "-euc", script, "enter", *command]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HEARTHWATCH_NODE_TRIES": "1",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        return subprocess.run(enter, env=environment, capture_output=True, text=True, check=False)

    def set_up(self, *arguments: str, **settings: object) -> SetUp:
        """As the first boot does it, with these settings beside the usual ones."""
        self._settings(settings)
        done = self.run("/usr/local/sbin/hearthwatch-node-setup", *arguments)
        return SetUp(done.returncode, done.stdout + done.stderr)

    def role(self, name: str, *options: str, **settings: object) -> SetUp:
        """One role of the playbook, or "all", on a node that was set up before."""
        self._settings(settings)
        play = ["ansible-playbook", "--connection", "local", "--inventory", "localhost,", "--extra-vars"]
        done = self.run(
            *play, "@/etc/hearthwatch/node.json", "--tags", name, *options, "/opt/hearthwatch/chi-edge/ansible/node.yml"
        )
        return SetUp(done.returncode, done.stdout + done.stderr)

    def usual(self) -> dict[str, object]:
        """The settings of a node that nothing is wrong with."""
        return {
            "hearthwatch_repository": "file:///release.git",
            "hearthwatch_revision": self.revision,
            "hearthwatch_fleet_host": "192.0.2.1",
            "hearthwatch_firewall": True,
            "hearthwatch_admin_cidr": "203.0.113.7/32",
            "hearthwatch_data_device": "/disk",
            "hearthwatch_data_wait": 1,
        }

    def _settings(self, settings: dict[str, object]) -> None:
        self.write("/etc/hearthwatch/node.json", json.dumps(self.usual() | {"hearthwatch_services": False} | settings))
