#!/usr/bin/env python3
"""Runs one program on the aggregator's volume, in a pod that is deleted afterwards.

pod.py provision ARGUMENT...   hearthwatch-provision on the installation, such as: pod.py provision home add home-7 --token-only
pod.py corpus FOLDER           brings recorded sets, one folder each, to where the aggregator looks for them
pod.py archives                lists the backups
pod.py restore NAME            puts one back, while the aggregator is scaled to 0

It takes image and rights from the StatefulSet `aggregator`, prints what the program prints, and ends with its exit code.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]

KUBECTL = [os.environ.get("HEARTHWATCH_KUBECTL", "kubectl"), "--namespace", "hearthwatch"]

CLOSED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}

INSTALLATION = "/data/keys"

PATIENCE = 3600
"""Seconds that a pod may take."""

WAIT = "180s"

UNPACK = """
import os, sys, tarfile
os.umask(0o077)
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|gz") as tar:
    tar.extractall(sys.argv[1], filter="data")
print(*sorted(name for name in os.listdir(sys.argv[1])), sep="\\n")
"""
"""Run in a pod that has no tar."""


class Problem(Exception):
    """What is wrong, and what to do about it."""


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """Which container of the aggregator's pod has the image, and what to run in it."""
    match arguments:
        case ["provision", *rest] if rest:
            return "provision", ["/usr/local/bin/hearthwatch-provision", *rest]
        case ["corpus", _]:
            return "keys", ["python3", "-I", "-c", f"import time; time.sleep({PATIENCE})"]
        case ["archives"]:
            return "keys", ["python3", "-I", "-c", "import os; print(*sorted(os.listdir('/backup')), sep='\\n')"]
        case ["restore", name]:
            return "keys", ["python3", "-I", "/scripts/backup.py", "--from", INSTALLATION, "--to", "/backup", "--restore", name]
        case _:
            raise Problem(str(__doc__))


def pod(name: str, arguments: list[str], aggregator: Json) -> Json:
    """The pod's document, from the StatefulSet's."""
    holder, command = command_of(arguments)
    template = aggregator["spec"]["template"]["spec"]
    (like,) = [one for one in template["initContainers"] if one["name"] == holder]
    (scripts,) = [one for one in template["volumes"] if one["name"] == "scripts"]
    container: Json = {"name": "main", "image": like["image"], "command": command, "securityContext": CLOSED}
    container |= {"imagePullPolicy": like["imagePullPolicy"]} if "imagePullPolicy" in like else {}
    # Where hearthwatch-provision looks for the installation.
    container["env"] = [{"name": "HEARTHWATCH_KEYS", "value": INSTALLATION}]
    container["resources"] = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
    claims = {"state": "state-aggregator-0"} | ({"backup": "backup"} if holder == "keys" else {})
    volumes = [{"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()]
    mounts: list[Json] = [{"name": volume, "mountPath": {"state": "/data", "backup": "/backup"}[volume]} for volume in claims]
    if holder == "keys":
        volumes.append(scripts)
        mounts.append({"name": "scripts", "mountPath": "/scripts", "readOnly": True})
    container["volumeMounts"] = mounts
    labels = {"app.kubernetes.io/name": "by-hand", "app.kubernetes.io/part-of": "hearthwatch"}
    spec = {
        "serviceAccountName": "backup",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": PATIENCE,
        "securityContext": template["securityContext"],
        "containers": [container],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "hearthwatch", "labels": labels}, "spec": spec}


def kubectl(*arguments: str, given: str | None = None, file: IO[bytes] | None = None) -> str:
    """What kubectl says."""
    try:
        done = subprocess.run([*KUBECTL, *arguments], input=given, stdin=file, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Problem(f"{KUBECTL[0]} is missing: install it, or name it with HEARTHWATCH_KUBECTL") from None
    if done.returncode != 0:
        raise Problem(done.stderr.strip())
    return done.stdout


def send(name: str, folder: Path) -> None:
    """Packs the folders below `folder`, and unpacks them in the pod."""
    sets = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not sets:
        raise Problem(f"{folder} has no folders: name one that holds recorded sets, such as chi-edge/emulator/data")
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            for path in sets:
                tar.add(path, arcname=path.name)
        packed.seek(0)
        print(kubectl("exec", "--stdin", name, "--", "python3", "-I", "-c", UNPACK, f"{INSTALLATION}/corpus", file=packed), end="")


def run(arguments: list[str]) -> int:
    """Makes the pod, waits for its end, shows what it said, deletes it."""
    command_of(arguments)
    aggregator = json.loads(kubectl("get", "statefulset", "aggregator", "--output", "json"))
    if arguments[0] == "restore" and aggregator["spec"]["replicas"] != 0:
        raise Problem("the aggregator runs: kubectl -n hearthwatch scale statefulset/aggregator --replicas=0")
    name = f"by-hand-{uuid.uuid4().hex[:8]}"
    kubectl("create", "--filename", "-", given=json.dumps(pod(name, arguments, aggregator)))
    try:
        if arguments[0] == "corpus":
            kubectl("wait", f"pod/{name}", "--for", "condition=Ready", "--timeout", WAIT)
            send(name, Path(arguments[1]))
            return 0
        ended = "jsonpath={.status.containerStatuses[0].state.terminated.reason}"
        try:
            kubectl("wait", f"pod/{name}", "--for", ended, "--timeout", WAIT)
        except Problem as problem:
            raise Problem(f"{problem}\n{kubectl('describe', f'pod/{name}')}") from None
        print(kubectl("logs", name), end="")
        return int(kubectl("get", f"pod/{name}", "--output", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"))
    finally:
        kubectl("delete", f"pod/{name}", "--wait=false")


def main(arguments: list[str]) -> int:
    """Runs it."""
    try:
        return run(arguments)
    except Problem as problem:
        print(f"pod: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
