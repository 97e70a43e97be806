"""Starts the pods of the aggregator and of the broker as processes of this machine: the rendered commands, on volumes that are folders.

What a pod calls /data/keys is a folder here, so each path at the beginning of a word is replaced by that of the folder. As root, the
programs run as the users of their containers. Ports are drawn, since two runs may go side by side.
"""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import yaml
from cluster import Document, Pod, of_kind, pods
from conftest import K8S, KUBECTL, documents

RELEASE = Path(os.environ.get("HEARTHWATCH_RELEASE", K8S.parents[1] / "target/release"))
USER, SIGNER = 10001, 10002
GROUP = USER
PROGRAMS = {"hearthwatch-provision": "hearthwatch-provision", "hearthwatch-aggregator": "hearthwatch-cloud"}
OVERLAY = "overlays/course"
PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable
"""One that the pods' user may run: root's own may lie where nobody else may go."""


def missing() -> str:
    """What is not there of what a fleet needs; nothing if all is."""
    programs = [str(RELEASE / name) for name in PROGRAMS.values() if not (RELEASE / name).is_file()]
    return ", ".join([*programs, *(one for one in ("mosquitto", PYTHON) if not shutil.which(one))])


def until(there: Callable[[], object], what: str) -> None:
    """Waits for something, and gives up after two minutes."""
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.05)


def ports(count: int) -> list[int]:
    """Free ones."""
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


class Fleet:
    """The two pods, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mqtt, self.https = ports(2)
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        for name in PROGRAMS.values():
            shutil.copy(RELEASE / name, folder)
        self.keys = folder / "operators-keys"
        self.volumes: dict[str, Path] = {}

    def operator(self) -> None:
        """Steps of docs/kubernetes.md: keys, Secrets."""
        hosts = [word for host in ("fleet.example", "aggregator", "broker") for word in ("--host", host)]
        subprocess.run([self.folder / "hearthwatch-provision", "init", "--out", self.keys, *hosts], check=True, capture_output=True)
        sent = subprocess.run([K8S / "secrets.sh", self.keys, "--print"], check=True, capture_output=True, env=os.environ | {"HEARTHWATCH_KUBECTL": KUBECTL})
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(sent.stdout)}
        for one in of_kind(documents(OVERLAY), "ConfigMap"):
            self.objects["ConfigMap", one["metadata"]["name"]] = one

    def content(self, kind: str, name: str) -> dict[str, bytes]:
        """The files of a Secret or ConfigMap."""
        data = self.objects[kind, name]["data"]
        found = {key: base64.b64decode(value) if kind == "Secret" else value.encode() for key, value in data.items()}
        if name.startswith("aggregator-config"):
            # What differs between a cluster and one machine: names and ports.
            text = found["10-cloud.toml"].decode()
            for old, new in (('"broker"', '"localhost"'), ("port = 8883", f"port = {self.mqtt}"), ("0.0.0.0:8443", f"127.0.0.1:{self.https}")):
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            text = text.replace("/run/hearthwatch/signer.sock", str(self.volume("socket") / "signer.sock"))
            found = {"10-cloud.toml": text.encode()}
        return found

    def volume(self, name: str) -> Path:
        """The folder of a volume."""
        if name not in self.volumes:
            self.volumes[name] = self.folder / "volumes" / name
            self.volumes[name].mkdir(parents=True)
        return self.volumes[name]

    def mount(self, pod: Pod) -> None:
        """Fills a pod's volumes as Kubernetes does: files of a Secret are root's, and the pod's group may read them."""
        for volume in pod.spec["volumes"]:
            folder = self.volume(volume["name"])
            for kind, field in (("Secret", "secret"), ("ConfigMap", "configMap")):
                if field in volume:
                    source = volume[field]
                    content = self.content(kind, source.get("secretName") or source["name"])
                    for item in source.get("items", [{"key": key, "path": key} for key in content]):
                        path = folder / item["path"]
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.unlink(missing_ok=True)
                        path.write_bytes(content[item["key"]])
                        path.chmod(source.get("defaultMode", 0o644))
        if os.geteuid() == 0:
            self._hand_over()

    def _hand_over(self) -> None:
        """Gives the files to whom they belong in a pod."""
        for path in [self.folder, *self.folder.rglob("*")]:
            # Programs of pods that run already write files under other names first.
            with contextlib.suppress(FileNotFoundError):
                secret = path.parent != self.folder and path.is_file() and path.stat().st_mode & 0o777 == 0o440
                if secret:
                    os.chown(path, 0, GROUP)
                elif path.stat().st_uid not in (USER, SIGNER) and not path.is_relative_to(self.keys):
                    os.chown(path, USER, GROUP)
        for path in self.volumes.values():
            # As `fsGroup` has it.
            if path.is_dir() and path.parent == self.folder / "volumes":
                path.chmod(0o2775)
        self.keys.chmod(0o700)

    def command(self, container: Document, environment: dict[str, str]) -> list[str]:
        """The container's command with this machine's paths."""
        image = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[0]
        words = [*container.get("command", []), *container.get("args", [])]
        here = [self.here(container, self.filled(word, environment)) for word in words]
        if image in PROGRAMS:
            init = ["--mqtt-port", str(self.mqtt)] if words[0] == "init" else []
            return [str(self.folder / PROGRAMS[image]), *here, *init]
        return [PYTHON, *here[1:]] if words[0] == "python3" else here

    @staticmethod
    def filled(word: str, environment: dict[str, str]) -> str:
        for name, value in environment.items():
            word = word.replace(f"$({name})", value)
        return word

    def here(self, container: Document, word: str) -> str:
        """The longest mount whose path the word begins with."""
        for mount in sorted(container["volumeMounts"], key=lambda one: -len(one["mountPath"])):
            if word == mount["mountPath"] or word.startswith(f"{mount['mountPath']}/"):
                folder = self.volume(mount["name"]) / mount.get("subPath", "")
                return str(folder) + word.removeprefix(mount["mountPath"])
        return word

    def run(self, pod: Pod, container: Document, *, lasts: bool) -> str:
        """Starts a container; waits for its end if it is one that ends."""
        environment = {"PATH": os.environ["PATH"], "RUST_LOG": "info"}
        for source in container.get("envFrom", []):
            environment |= {key: value.decode() for key, value in self.content("ConfigMap", source["configMapRef"]["name"]).items()}
        command = self.command(container, environment)
        log = (self.folder / f"{pod.owner}-{container['name']}.log").open("wb")
        self._logs.append(log)
        user = container["securityContext"].get("runAsUser", USER)
        as_user = {"user": user, "group": GROUP, "extra_groups": []} if os.geteuid() == 0 else {}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder, umask=0o022, **as_user)
        if lasts:
            self.started[container["name"]] = process
            return ""
        code = process.wait(timeout=120)
        said = self.said(pod.owner, container["name"])
        assert code == 0, f"{container['name']} ended with {code}: {said}"
        return said

    def said(self, owner: str, name: str) -> str:
        """The log of a container."""
        return (self.folder / f"{owner}-{name}.log").read_text()

    def start(self, owner: str) -> None:
        """Starts a pod as the kubelet does: its first containers one after the other, then the rest."""
        pod = next(pod for pod in pods(documents(OVERLAY)) if pod.owner == owner)
        if owner == "broker":
            # The same volume as the aggregator's; mosquitto's own folder lies where the mount is.
            self.volumes["messages"] = self.volume("state") / "keys/mosquitto/data"
        for claim in pod.claims:
            self.volume(claim)
        self.mount(pod)
        for container in pod.containers:
            self.run(pod, container, lasts=container in pod.lasting)

    def stop(self) -> None:
        """Ends everything."""
        for process in reversed(self.started.values()):
            process.terminate()
        for process in self.started.values():
            process.wait(timeout=60)
        for log in self._logs:
            log.close()
