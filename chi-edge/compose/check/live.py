"""The running cloud side, looked at as an operator, a resident and a thief would: `check.sh` brings it up and calls this."""

import argparse
import json
import re
import shlex
import sqlite3
import stat
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stack import Failed, Network, Stack, output, run, until

HOME = "home-7"
AGENT_PAGE, HOME_ASSISTANT = 8099, 8123
AGENT = "10001:10001"
SERVICES = ("aggregator", "signer", "broker", "prometheus", "alertmanager", "blackbox", "node", "mlflow", "backup")
# Those of prometheus.yml, each with a target.
JOBS = {"aggregator", "node", "prometheus", "alertmanager", "blackbox", "alive", "tls"}
CLOSED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", AGENT]

EDGE_TOML = f"""\
state = "state"
[home_assistant]
url = "http://127.0.0.1:{HOME_ASSISTANT}"
token_file = "token"
[page]
listen = "127.0.0.1:{AGENT_PAGE}"
[cloud]
home = "{HOME}"
renew_url = "https://aggregator:8443/"
[cloud.mqtt]
host = "broker"
ca_file = "ca.crt"
cert_file = "agent.crt"
key_file = "agent.key"
[cloud.updates]
url = "https://aggregator:8443/tuf/"
ca_file = "ca.crt"
root_file = "root.json"
director_file = "director.pub"
"""


def each_service_is_healthy_and_closed(stack: Stack) -> None:
    for service in SERVICES:
        until(f"{service} is healthy", partial(stack.healthy, service))
        host = stack.inspect(service)["HostConfig"]
        user = stack.inspect(service)["Config"]["User"]
        closed = host["ReadonlyRootfs"] and host["SecurityOpt"] == ["no-new-privileges"] and host["Memory"] > 0
        if not closed or host["CapAdd"] or user.split(":")[0] in ("", "0", "root"):
            raise Failed(f"{service} runs with more than it needs: {host}")
        status = Path(f"/proc/{stack.process(stack.container(service))}/status").read_text(encoding="utf-8")
        facts = dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\t(\S+)", status, re.MULTILINE))
        if facts != {"Uid": user.split(":")[0], "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}:
            raise Failed(f"the kernel sees {service} with {facts}")
    print(f"live: {len(SERVICES)} services are healthy; each is an unprivileged user without capabilities, by the kernel's word")


def nobody_writes_to_a_root(stack: Stack) -> None:
    shell = [service for service in SERVICES if service not in ("aggregator", "signer")]
    tries = {service: ["/bin/sh", "-c", "echo x >/file"] for service in shell}
    # Their images have no program but their own.
    tries["signer"] = ["/usr/local/bin/hearthwatch-provision", "init", "--out", "/file"]
    token = ["token", "add", "thief", "--config", "/data/keys/cloud.toml", "--file", "/file"]
    tries["aggregator"] = ["/usr/local/bin/hearthwatch-cloud", *token]
    for service, words in tries.items():
        tried = stack.inside(service, *words)
        if tried.returncode == 0 or "Read-only file system" not in tried.stderr:
            raise Failed(f"{service} could write to /: {tried.stderr or 'it did'}")
    print(f"live: `podman exec` could write to / in none of {len(tries)} containers")


def signers_socket(stack: Stack) -> tuple[str, int, int]:
    """Mode, user and group of the socket, as the signer's container has it; nothing where it is not there."""
    try:
        found = Path(f"/proc/{stack.process(stack.container('signer'))}/root/run/hearthwatch/signer.sock").lstat()
    except OSError:
        return "", 0, 0
    return stat.filemode(found.st_mode), found.st_uid, found.st_gid


OPEN_TO_THE_GROUP = ("srw-rw----", 10002, 10001)


def the_signer_is_alone(stack: Stack) -> None:
    process = stack.process(stack.container("signer"))
    devices = re.findall(r"^\s*(\S+):", Path(f"/proc/{process}/net/dev").read_text(encoding="utf-8"), re.MULTILINE)
    if devices != ["lo"] or signers_socket(stack) != OPEN_TO_THE_GROUP:
        raise Failed(f"the signer has the devices {devices} and the socket {signers_socket(stack)}")
    below = Path(f"/proc/{process}/root")
    folder = (below / "run/hearthwatch").stat()
    if (stat.filemode(folder.st_mode), folder.st_uid, folder.st_gid) != ("drwxr-x---", 10002, 10001):
        raise Failed(f"the socket's folder is {folder}")
    keys = sorted(path.name for path in (below / "data").iterdir())
    if keys != ["gate.pub", "signer"]:
        raise Failed(f"the signer sees {keys}")
    print("live: the signer has no device but lo, a socket (0660) for its user and the aggregator's group, and no key but its own")


def a_signer_that_is_killed_comes_back(stack: Stack) -> None:
    before = stack.process(stack.container("signer"))
    run("kill", "-KILL", before)

    def back() -> bool:
        now = run("podman", "inspect", "--format", "{{.State.Pid}}", stack.container("signer")).stdout.strip()
        return now not in ("0", before) and signers_socket(stack) == OPEN_TO_THE_GROUP and stack.healthy("signer")

    until("the signer is back", back)
    print("live: a signer that was killed was started again, and its socket is as before")


def the_keys_of_others_are_out_of_sight(stack: Stack) -> None:
    process = stack.process(stack.container("aggregator"))
    names = {path.name for path in Path(f"/proc/{process}/root/data/keys").rglob("*")}
    if found := names & {"targets.key", "root-1.key", "root-2.key", "root-3.key"}:
        raise Failed(f"the aggregator sees {found}")
    for service in ("broker", "prometheus", "backup"):
        below = Path(f"/proc/{stack.process(stack.container(service))}/root")
        for place in ("data/keys/ca", "data/keys/tuf/online", "data/keys/cloud"):
            if (below / place).exists():
                raise Failed(f"{service} sees {place}")
    for path in stack.fleet.rglob("*"):
        if (
            path.is_file()
            and (path.suffix in (".key", ".token", ".password") or path.parent.name == "secrets")
            and path.stat().st_mode & 0o077
        ):
            raise Failed(f"{path} is open to others: {path.stat().st_mode:o}")
    print("live: nobody but the signer sees the targets key, no service sees the root keys, and every key and secret is its owner's alone")


def an_agent_enrols(stack: Stack, compose: list[str], folder: Path, tag: str) -> str:
    home = folder / "home"
    home.mkdir(mode=0o700)
    provision = [*compose, "--profile", "tools", "run", "--rm", "--no-deps", "provision"]
    claim = output(*provision, "home", "add", HOME, "--token-only", "--out", "/data/keys")
    files = {"claim": claim.strip().splitlines()[-1], "token": "none", "edge.toml": EDGE_TOML}
    files["fleet-ca.crt"] = (stack.fleet / "public/ca.crt").read_text(encoding="utf-8")
    for name, text in files.items():
        (home / name).write_text(text, encoding="utf-8")
        (home / name).chmod(0o600)
    run("chown", "-R", AGENT, home)
    agent = ["podman", "run", "--network", f"{stack.project}_public", "--volume", f"{home}:/data", *CLOSED]
    enrol = ["enrol", "--url", "https://aggregator:8443", "--ca", "/data/fleet-ca.crt", "--home", HOME, "--token-file", "/data/claim"]
    output(*agent, "--rm", f"hearthwatch-agent:{tag}", *enrol, "--out", "/data")
    again = run(*agent, "--rm", f"hearthwatch-agent:{tag}", *enrol, "--out", "/data")
    if again.returncode == 0:
        raise Failed("the claim token can be used twice")
    name = f"{stack.project}-agent"
    output(*agent, "--detach", "--name", name, f"hearthwatch-agent:{tag}")

    def online() -> bool | None:
        homes = stack.api("GET", "homes")["items"]
        return (homes and homes[0]["home"] == HOME and (homes[0]["agent"] or {}).get("online")) or None

    until(f"{HOME} is online", online)
    print(f"live: {HOME} enrolled with a claim token that works once, and is online by the admin API")
    return name


def an_answer_arrives(stack: Stack, agent: str, folder: Path, here: Path) -> None:
    network, breaks = Network(stack.process(agent)), folder / "breaks"
    page = f"http://127.0.0.1:{AGENT_PAGE}"
    double = network.start(folder / "home_assistant.log", sys.executable, here / "home_assistant.py", str(HOME_ASSISTANT), breaks)
    try:
        until("the agent sees the thermometer", lambda: "Freezer" in network.fetch(f"{page}/") or None)
        breaks.touch()
        found = until("the alarm is on the page", lambda: re.search(r'name="alarm" value="([0-9a-f]+)"', network.fetch(f"{page}/")))
        secret = re.search(r'name="token" value="([^"]+)"', network.fetch(f"{page}/"))
        if not secret:
            raise Failed("the page has no form")
        # The secret is no argument: it stands in a file, as a form would send it.
        form = folder / "form"
        form.write_text(f"token={secret[1]}&alarm={found[1]}&verdict=confirmed", encoding="utf-8")
        network.fetch(f"{page}/answer", "--header", f"Origin: {page}", "--data", f"@{form}")
        stored = until("the answer is in the aggregator", lambda: stack.api("GET", f"feedback?home={HOME}")["items"])
    finally:
        double.terminate()
    record: dict[str, Any] = stored[0]
    if len(stored) != 1 or record["home"] != HOME or "confirmed" not in json.dumps(record):
        raise Failed(f"the aggregator holds {stored}")
    totals = stack.api("GET", "feedback/totals")
    if (totals["records"], totals["confirmed"]) != (1, 1):
        raise Failed(f"the aggregator counts {totals}")
    print(f"live: alarm {found[1]} was answered on the agent's page, and is stored once by the aggregator: {json.dumps(record)[:200]}")


def networks_are_apart(stack: Stack, agent: str) -> None:
    def address(service: str) -> str:
        networks = stack.inspect(service)["NetworkSettings"]["Networks"]
        return str(next(iter(networks.values()))["IPAddress"])

    # With the name that the aggregator calls: MLflow answers to no other.
    named = ["--resolve", f"mlflow:5000:{address('mlflow')}"]
    aggregator = Network(stack.process(stack.container("aggregator")))
    aggregator.fetch("http://mlflow:5000/api/2.0/mlflow/experiments/search?max_results=1", *named)
    for who, service, port in (("the agent", "prometheus", 9090), ("the agent", "mlflow", 5000), ("node", "mlflow", 5000)):
        network = Network(stack.process(agent if who == "the agent" else stack.container(who)))
        try:
            network.fetch(f"http://{address(service)}:{port}/", "--max-time", "2")
        except Failed:
            continue
        raise Failed(f"{who} reaches {service}")
    print("live: the aggregator reaches MLflow; a home reaches neither MLflow nor Prometheus, and the exporter not MLflow")


def prometheus_reads_everything(stack: Stack) -> None:
    network = Network(stack.process(stack.container("prometheus")))

    def up() -> dict[str, str] | None:
        active = json.loads(network.fetch("http://127.0.0.1:9090/api/v1/targets?state=active"))["data"]["activeTargets"]
        health = {f"{target['labels']['job']} {target['labels']['instance']}": target["health"] for target in active}
        whole = {name.split()[0] for name in health} == JOBS and set(health.values()) == {"up"}
        return health if whole else None

    targets = until("every target is up", up)

    def ask(query: str) -> Any:
        return json.loads(network.fetch(f"http://127.0.0.1:9090/api/v1/query?query={quote(query)}"))["data"]["result"]

    until("the aggregator is alive by its probe, and both certificates are trusted", lambda: len(ask("probe_success==1")) >= 3 or None)
    until("the disk of the folder is measured", lambda: ask('node_filesystem_avail_bytes{mountpoint="/srv/hearthwatch"}') or None)
    print(f"live: Prometheus reads {', '.join(sorted(targets))}; every probe succeeds")


def a_home_that_is_shut_out_is_refused_by_the_broker(stack: Stack) -> None:
    log = Path(stack.inspect("broker")["HostConfig"]["LogConfig"]["Path"])
    stack.api("POST", f"homes/{HOME}/revoke")

    def refused() -> bool:
        # An open session lasts; each start of the agent begins a new one.
        if re.search("certificate revoked|certificate verify failed", log.read_text(encoding="utf-8")):
            return True
        output("podman", "restart", "--time", "1", f"{stack.project}-agent")
        return False

    until("the broker refuses the certificate", refused)
    print("live: after POST /homes/HOME/revoke mosquitto read the list again by itself and refuses the home")


def a_backup_can_be_used_and_old_ones_go(stack: Stack, folder: Path, programs: Path) -> None:
    sent = stack.fleet / "data/backup/sent"
    for _ in range(3):
        ended = stack.inside("backup", "/bin/sh", "/hearthwatch/backup.sh", "once")
        if ended.returncode:
            raise Failed(f"the backup failed: {ended.stderr}")
    copies = sorted(sent.glob("hearthwatch-*.tar.gz"))
    if len(copies) != 2:
        raise Failed(f"{len(copies)} copies are kept: {copies}")
    if not stack.healthy("backup"):
        raise Failed("the backup's health check does not see the copy")
    restored = folder / "restored"
    with tarfile.open(copies[-1]) as archive:
        names = archive.getnames()
        archive.extractall(restored, filter="data")
    if keys := [name for name in names if name.endswith((".key", ".group", "claims.json")) or "/ca/" in name]:
        raise Failed(f"the backup holds keys: {keys}")
    if b"PRIVATE KEY" in subprocess.run(["grep", "-rl", "PRIVATE KEY", restored], capture_output=True, check=False).stdout:
        raise Failed("the backup holds a private key")
    with sqlite3.connect(restored / "store/aggregator.db") as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
    config = (stack.fleet / "keys/cloud.toml").read_text(encoding="utf-8")
    for place, here in (("/data/store", restored / "store"), ("/data/corpus", restored)):
        config = config.replace(place, str(here))
    beside = stack.fleet / "keys/restored.toml"
    beside.write_text(config, encoding="utf-8")
    run("chmod", "-R", "go=", restored)
    lineage = output(programs / "hearthwatch-cloud", "verify-lineage", "--config", beside).splitlines()[-1]
    beside.unlink()
    print(f"live: of 4 backups 2 are kept; the newest has {len(names)} files, {tables} tables and no key; verify-lineage: {lineage}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("compose", "project", "tag"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("run", "programs"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    given = parser.parse_args()
    compose, here = shlex.split(given.compose), Path(__file__).resolve().parent
    variables = dict(re.findall(r"^(\w+)=(.*)$", (given.run / "env").read_text(encoding="utf-8"), re.MULTILINE))
    stack = Stack(given.project, given.run / "fleet", int(variables["HEARTHWATCH_API_PORT"]))
    try:
        each_service_is_healthy_and_closed(stack)
        nobody_writes_to_a_root(stack)
        the_signer_is_alone(stack)
        a_signer_that_is_killed_comes_back(stack)
        the_keys_of_others_are_out_of_sight(stack)
        agent = an_agent_enrols(stack, compose, given.run, given.tag)
        an_answer_arrives(stack, agent, given.run, here)
        networks_are_apart(stack, agent)
        prometheus_reads_everything(stack)
        a_home_that_is_shut_out_is_refused_by_the_broker(stack)
        a_backup_can_be_used_and_old_ones_go(stack, given.run, given.programs)
    except Failed as failed:
        print(f"live: {failed}", file=sys.stderr)
        for service in SERVICES:
            logs = run("podman", "logs", "--tail", "15", stack.container(service))
            (given.run / f"{service}.log").write_text(logs.stdout + logs.stderr, encoding="utf-8")
        logs = run("podman", "logs", "--tail", "40", f"{stack.project}-agent")
        (given.run / "agent.log").write_text(logs.stdout + logs.stderr, encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
