"""pod.py against a kubectl that writes down what it is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
from cluster import Document, of_kind
from conftest import K8S, documents

KUBECTL = """#!/bin/sh
here=$(dirname "$0")
shift 2
echo "$@" >> "$here/asked"
case $1 in
    get) case $2 in statefulset) cat "$here/aggregator.json" ;; *) printf 3 ;; esac ;;
    create) cat > "$here/pod.json" ;;
    wait) test -z "$STUCK" || { echo 'timed out' >&2; exit 1; } ;;
    describe) echo 'Events: no node has the volume' ;;
    logs) echo said ;;
    exec) shift 7; exec "$PYTHON" -I -c "$1" "$here/corpus" ;;
esac
"""

Done = subprocess.CompletedProcess[str]


def by_hand(tmp_path: Path, *arguments: str, replicas: int = 1, stuck: str = "") -> Done:
    (aggregator,) = [one for one in of_kind(documents("overlays/course"), "StatefulSet") if one["metadata"]["name"] == "aggregator"]
    changed = aggregator | {"spec": aggregator["spec"] | {"replicas": replicas}}
    (tmp_path / "aggregator.json").write_text(json.dumps(changed))
    (tmp_path / "kubectl").write_text(KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    environment = os.environ | {"HEARTHWATCH_KUBECTL": str(tmp_path / "kubectl"), "STUCK": stuck, "PYTHON": sys.executable}
    return subprocess.run([sys.executable, str(K8S / "pod.py"), *arguments], capture_output=True, text=True, check=False, env=environment)


def made(tmp_path: Path) -> Document:
    found: Document = json.loads((tmp_path / "pod.json").read_text())
    kubernetes_validate.validate(found, "1.33", strict=True)
    return found


def test_a_program_runs_on_the_volume_and_its_words_and_exit_code_come_back(tmp_path: Path) -> None:
    done = by_hand(tmp_path, "provision", "home", "add", "home-7", "--token-only")
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "")
    spec = made(tmp_path)["spec"]
    (container,) = spec["containers"]
    assert container["command"] == ["/usr/local/bin/hearthwatch-provision", "home", "add", "home-7", "--token-only"]
    assert container["image"] == "docker.io/library/hearthwatch-provision:0.1.0-amd64"
    assert container["imagePullPolicy"] == "Never"
    assert [volume["name"] for volume in spec["volumes"]] == ["state"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["get", "create", "wait", "logs", "get", "delete"]


def test_the_pod_is_as_closed_as_those_that_last(tmp_path: Path) -> None:
    by_hand(tmp_path, "archives")
    spec = made(tmp_path)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert {mount["name"] for mount in container["volumeMounts"]} == {"state", "backup", "scripts"}


def test_recorded_sets_are_brought_to_the_aggregator(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    done = by_hand(tmp_path, "corpus", str(K8S.parent / "emulator/data"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "citylearn_2022_homes\nriver_water_flow\nsuthaharan_wsn\n", "")
    for path in (K8S.parent / "emulator/data").rglob("*.gz"):
        assert (tmp_path / "corpus" / path.relative_to(K8S.parent / "emulator/data")).read_bytes() == path.read_bytes()
    asked = (tmp_path / "asked").read_text()
    assert "-- python3 -I -c" in asked
    assert "delete pod/by-hand-" in asked


def test_a_folder_without_sets_is_named(tmp_path: Path) -> None:
    done = by_hand(tmp_path, "corpus", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr == f"pod: {tmp_path / 'none'} has no folders: name one that holds recorded sets, such as chi-edge/emulator/data\n"
    assert "delete pod/by-hand-" in (tmp_path / "asked").read_text()


def test_nothing_is_put_back_under_an_aggregator_that_runs(tmp_path: Path) -> None:
    done = by_hand(tmp_path, "restore", "hearthwatch-20260101T000000Z.tar.gz")
    sentence = "the aggregator runs: kubectl -n hearthwatch scale statefulset/aggregator --replicas=0"
    assert (done.returncode, done.stderr) == (1, f"pod: {sentence}\n")
    assert not (tmp_path / "pod.json").exists()
    assert by_hand(tmp_path, "restore", "hearthwatch-20260101T000000Z.tar.gz", replicas=0).returncode == 3


def test_a_pod_that_does_not_start_is_described_and_deleted(tmp_path: Path) -> None:
    done = by_hand(tmp_path, "archives", stuck="1")
    assert (done.returncode, done.stderr) == (1, "pod: timed out\nEvents: no node has the volume\n\n")
    assert "delete pod/by-hand-" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("arguments", [(), ("provision",), ("restore",), ("something",)])
def test_other_words_show_what_there_is(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = by_hand(tmp_path, *arguments)
    assert done.returncode == 1
    assert "pod.py provision ARGUMENT..." in done.stderr
    assert not (tmp_path / "asked").exists()
