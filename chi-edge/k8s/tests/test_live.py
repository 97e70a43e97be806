"""The pods' own commands, run: keys from the Secrets, a signer, an aggregator and a broker that work together, and a pipeline on them."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import named, pods
from conftest import K8S, documents
from fleet import Fleet, missing, until

if missing() and os.environ.get("CI") == "true":
    pytest.fail(f"missing: {missing()}; build the programs with: cargo build --release --workspace --bins", pytrace=False)
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"missing: {missing()}; no fleet was started from the pods' commands")


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    # Not pytest's own folder, which the pods' user could not enter.
    folder = Path(tempfile.mkdtemp(prefix="hearthwatch-k8s-"))
    folder.chmod(0o711)
    found = Fleet(folder)
    try:
        found.operator()
        found.start("aggregator")
        found.start("broker")
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder)


def ask(fleet: Fleet, path: str) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=fleet.keys / "ca/ca.crt")
    try:
        with urllib.request.urlopen(f"https://localhost:{fleet.https}/{path}", context=context, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, None


def test_the_secrets_have_every_key_that_pods_name(fleet: Fleet) -> None:
    for pod in pods(documents("overlays/course")):
        for one in named(pod):
            if (one.kind, one.name) in fleet.objects:
                assert set(one.keys) <= fleet.objects[one.kind, one.name]["data"].keys(), one.name


def test_no_root_key_and_no_signing_key_reaches_the_aggregator(fleet: Fleet) -> None:
    secret = [path.read_bytes() for path in [*(fleet.keys / "tuf/offline").iterdir(), fleet.keys / "tuf/signer/targets.key"]]
    for path in fleet.volume("state").rglob("*"):
        if path.is_file():
            assert path.read_bytes() not in secret, path
    sent = json.dumps([fleet.objects[name]["data"] for name in fleet.objects if name != ("Secret", "signer-keys")])
    import base64

    assert all(base64.b64encode(key).decode() not in sent for key in secret)


def test_every_part_of_the_aggregator_is_able(fleet: Fleet) -> None:
    until(lambda: ask(fleet, "readyz")[0] == 200, "an aggregator that is able")
    parts = {part["part"]: part["state"] for part in ask(fleet, "readyz")[1]["parts"]}
    assert parts["signer"] == parts["broker"] == parts["disk"] == "able"


def as_pods_user() -> dict[str, Any]:
    """For a program that works on the volume."""
    return {"user": 10001, "group": 10001, "extra_groups": []} if os.geteuid() == 0 else {}


def provision(fleet: Fleet, *arguments: str) -> str:
    """As pod.py runs it: the program, as the pods' user, on the aggregator's volume."""
    command: list[str | Path] = [fleet.folder / "hearthwatch-provision", *arguments]
    environment = {"HEARTHWATCH_KEYS": str(fleet.volume("state") / "keys")}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, cwd=fleet.folder, **as_pods_user()
    )
    return done.stdout


def is_let_in(fleet: Fleet, home: Path) -> bool:
    """Whether the broker answers a client with this certificate: it says so only after it has read the client's first packet."""
    context = ssl.create_default_context(cafile=fleet.keys / "ca/ca.crt")
    context.load_cert_chain(home / "agent.crt", home / "agent.key")
    connect = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x06home-7"
    try:
        with socket.create_connection(("localhost", fleet.mqtt), timeout=10) as plain, context.wrap_socket(plain, server_hostname="localhost") as link:
            link.sendall(connect)
            return link.recv(4) == b"\x20\x02\x00\x00"
    except OSError:
        return False


def test_mosquitto_shuts_a_home_out_without_a_restart(fleet: Fleet) -> None:
    until(lambda: ask(fleet, "readyz")[0] == 200, "an aggregator that is able")
    provision(fleet, "home", "add", "home-7", "--issue")
    home = fleet.volume("state") / "keys/homes/home-7"
    assert is_let_in(fleet, home)
    provision(fleet, "home", "revoke", "home-7", "--reason", "a test")
    until(lambda: not is_let_in(fleet, home), "the end of the home's access")
    assert "reads them again" in fleet.said("broker", "reload")
    assert fleet.started["broker"].poll() is None


def broker_certificate(fleet: Fleet) -> bytes:
    context = ssl.create_default_context(cafile=fleet.keys / "ca/ca.crt")
    with socket.create_connection(("localhost", fleet.mqtt), timeout=10) as plain, context.wrap_socket(plain, server_hostname="broker") as link:
        found = link.getpeercert(binary_form=True)
    assert found
    return found


def test_a_new_certificate_reaches_the_broker_at_the_aggregators_next_start(fleet: Fleet) -> None:
    before = broker_certificate(fleet)
    for name in ("server.crt", "server.key"):
        (fleet.keys / "broker" / name).unlink()
    fleet.operator()
    pod = next(pod for pod in pods(documents("overlays/course")) if pod.owner == "aggregator")
    fleet.mount(pod)
    for container in pod.containers[:2]:
        fleet.run(pod, container, lasts=False)
    until(lambda: broker_certificate(fleet) != before, "the broker with its new certificate")


def step(fleet: Fleet, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (fleet.folder / "token").write_text(token)
    environment = {
        "HEARTHWATCH_URL": f"https://localhost:{fleet.https}",
        "HEARTHWATCH_CA": str(fleet.keys / "ca/ca.crt"),
        "HEARTHWATCH_TOKEN_FILE": str(fleet.folder / "token"),
    }
    command: list[str | Path] = [sys.executable, "-I", K8S / "argo/steps/pipeline.py", "--pause", "0.2", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def token(fleet: Fleet, name: str) -> str:
    """As docs/kubernetes.md makes one."""
    until(lambda: ask(fleet, "readyz")[0] == 200, "an aggregator that is able")
    command: list[str | Path] = [fleet.folder / "hearthwatch-cloud", "token", "add", name, "--role", "operator"]
    command += ["--config", fleet.volume("state") / "keys/cloud.toml"]
    made: str = subprocess.run(command, check=True, capture_output=True, text=True, cwd=fleet.folder, **as_pods_user()).stdout
    assert len(made.split()) == 1, "the token alone, since it is piped into a Secret"
    return made


def test_a_real_aggregator_is_asked_once_and_says_why_there_is_no_run(fleet: Fleet) -> None:
    mine, out = token(fleet, "without-sets"), fleet.folder / "out-without-sets"
    asking = ("retrain", "--since", "0", "--token-name", "without-sets", "--out", str(out))
    first, again = step(fleet, mine, *asking), step(fleet, mine, *asking)
    assert (first.returncode, again.returncode) == (0, 0), first.stdout + again.stdout
    request = (out / "request").read_text()
    assert again.stdout.startswith(f"request {request} is there already: ")
    done = step(fleet, mine, "gate", "--request", request, "--out", str(out))
    assert done.returncode == 1
    assert "gate: the run did not come to a verdict: failed: " in done.stdout
    assert "corpus holds none of the sets whose weights may ship" in done.stdout
    not_yet = step(fleet, mine, "canary", "--version", "99")
    assert (not_yet.returncode, not_yet.stdout) == (75, "there is no rollout of version 99 yet; tried again later\n")
    refused = step(fleet, "x" * 43, "canary", "--version", "99")
    assert refused.returncode == 1
    assert "make a token of the role operator anew" in refused.stdout


def test_the_whole_pipeline_makes_a_model_and_the_pods_signer_signs_it(fleet: Fleet) -> None:
    """From the recorded sets that are in the tree. There is no home, so the waves are opened by hand and nobody is ordered back."""
    mine, out = token(fleet, "retrain"), fleet.folder / "out"
    for sets in (K8S.parent / "emulator/data").iterdir():
        shutil.copytree(sets, fleet.volume("state") / "keys/corpus" / sets.name, copy_function=shutil.copyfile)
    for path in [fleet.volume("state") / "keys/corpus", *(fleet.volume("state") / "keys/corpus").rglob("*")]:
        os.chown(path, *(2 * (as_pods_user().get("user", -1),)))
    said = []
    for arguments in (
        ["retrain", "--since", "0", "--token-name", "retrain", "--out", str(out)],
        ["gate", "--request", "@request", "--out", str(out)],
        # Where the gate holds it back on another processor, this overrules it, as a person may.
        ["sign", "--run", "@run", "--reason", "workflow test", "--out", str(out)],
        ["promote", "--version", "@version", "--how", "now", "--reason", "workflow test"],
        ["canary", "--version", "@version"],
    ):
        done = step(fleet, mine, *((out / word[1:]).read_text() if word.startswith("@") else word for word in arguments))
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    print(*said, sep="\n")
    assert "model 1 is signed and released\n" in said[2]
    assert said[3].endswith("the rollout of version 1 is complete\n")
    assert said[4].endswith("the canaries are well\n")
    assert "targets metadata signed" in fleet.said("aggregator", "signer")
    undone = step(fleet, mine, "undo", "--version", "1", "--reason", "workflow test")
    assert undone.returncode == 1
    assert undone.stdout.endswith("undo: the rollout of version 1 stays complete\n")


def test_a_backup_of_the_running_aggregator_is_sound(fleet: Fleet) -> None:
    until(lambda: ask(fleet, "readyz")[0] == 200, "an aggregator that is able")
    (pod,) = [pod for pod in pods(documents("overlays/course")) if pod.owner == "backup"]
    fleet.mount(pod)
    *_, said = [fleet.run(pod, container, lasts=False) for container in pod.containers]
    (archive,) = fleet.volume("backup").iterdir()
    assert said.startswith(f"{archive.name}: ")
    restored = fleet.folder / "restored"
    shutil.copytree(fleet.volume("state") / "keys", restored / "keys", ignore=shutil.ignore_patterns("data"))
    command: list[str | Path] = [
        sys.executable,
        "-I",
        K8S / "scripts/backup.py",
        "--from",
        restored / "keys",
        "--to",
        archive.parent,
        "--restore",
        archive.name,
    ]
    subprocess.run(command, check=True, capture_output=True)
    verify: list[str | Path] = [fleet.folder / "hearthwatch-cloud", "verify-lineage", "--config", restored / "keys/cloud.toml"]
    checked = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.endswith("sound: every row is as it was written, and follows from what it names\n")
