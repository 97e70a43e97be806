"""Every service of compose.yaml is closed: no root, nothing to write on, limits, a health check, and no secret where others see it.

What is read is the file with its variables filled in from example.env, as `docker compose config` fills them in.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parent.parent
# Programs that run once and end, by `docker compose run`.
TOOLS = {"provision"}
# What Compose writes as ${NAME}, ${NAME:-default} and ${NAME:?message}.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])((?:[^${}]|\$\{[^{}]*\})*))?\}")
SECRET = re.compile(r"token|password|secret|key|credential", re.IGNORECASE)


def variables() -> dict[str, str]:
    """What example.env sets."""
    lines = (FOLDER / "example.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def fill(text: str, known: dict[str, str]) -> str:
    """`text` with its variables replaced, the inner ones of a default too."""

    def one(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if value := known.get(name):
            return value
        if kind == "?":
            raise KeyError(f"{name}: {rest}")
        return fill(rest or "", known)

    return VARIABLE.sub(one, text)


def load(name: str, known: dict[str, str]) -> dict[str, Any]:
    """A Compose file with its variables filled in."""
    loaded = yaml.safe_load(fill((FOLDER / name).read_text(encoding="utf-8"), known))
    assert isinstance(loaded, dict)
    return loaded


COMPOSE = load("compose.yaml", variables())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
every_service = pytest.mark.parametrize("name", SERVICES)


@every_service
def test_runs_as_an_unprivileged_user_with_a_number(name: str) -> None:
    user, group = SERVICES[name]["user"].split(":")
    assert int(user) >= 10001
    assert int(group) >= 10001


@every_service
def test_has_a_read_only_root_no_capability_and_no_way_to_get_one(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    for forbidden in ("cap_add", "privileged", "pid", "ipc", "devices", "userns_mode"):
        assert forbidden not in service


@every_service
def test_has_limits_of_memory_processors_processes_and_logs(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < float(service["cpus"]) <= 2
    assert 0 < service["pids_limit"] <= 256
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


@every_service
def test_is_restarted_and_asked_for_its_health_unless_it_runs_once(name: str) -> None:
    service = SERVICES[name]
    if name in TOOLS:
        assert service["profiles"] == ["tools"]
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    health = service["healthcheck"]
    assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "start_period", "retries"} <= health.keys()


@every_service
def test_has_no_secret_in_its_environment_or_its_arguments(name: str) -> None:
    service = SERVICES[name]
    for key, value in service.get("environment", {}).items():
        # A file that holds a secret may be named; Grafana reads it where the variable ends in __FILE.
        assert not SECRET.search(key) or (key.endswith("__FILE") and value.startswith("/run/secrets/")), key
    arguments = [*service.get("command", []), *service.get("entrypoint", [])]
    assert not [word for word in arguments if "token=" in word or "password=" in word]


@every_service
def test_writes_only_to_volumes_of_its_own_and_to_memory(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, *mode = volume.split(":")
        named = source in COMPOSE["volumes"]
        assert named or mode[0].startswith("ro"), volume


def test_no_two_services_write_to_the_same_volume_but_the_aggregator_and_what_makes_its_keys() -> None:
    writers: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, _, *mode = volume.split(":")
            if source in COMPOSE["volumes"] and not mode:
                writers.setdefault(source, set()).add(name)
    shared = {volume: names for volume, names in writers.items() if len(names) > 1}
    assert shared == {"keys": {"aggregator", "provision"}}


def test_the_signer_has_a_user_of_its_own_and_no_network_and_shares_only_its_socket() -> None:
    signer = SERVICES["signer"]
    user, group = signer["user"].split(":")
    others = {service["user"].split(":")[0] for name, service in SERVICES.items() if name != "signer"}
    assert user not in others
    assert group == SERVICES["aggregator"]["user"].split(":")[1]
    assert signer["network_mode"] == "none"
    assert "networks" not in signer and "ports" not in signer
    shared = {volume.split(":")[0] for name, service in SERVICES.items() if name != "signer" for volume in service.get("volumes", [])} & {
        volume.split(":")[0] for volume in signer["volumes"]
    }
    assert shared == {"signer-socket"}
    options = COMPOSE["volumes"]["signer-socket"]["driver_opts"]
    assert options == {"type": "tmpfs", "device": "tmpfs", "o": f"nr_blocks=64,uid={user},gid={group},mode=0750"}


def test_only_the_broker_and_the_api_are_published_and_the_api_to_this_node_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"aggregator": ["127.0.0.1:8443:8443"], "broker": ["0.0.0.0:8883:8883"]}


def test_monitoring_has_no_way_out_and_homes_have_no_way_to_it() -> None:
    networks = COMPOSE["networks"]
    inner = {name for name, network in networks.items() if network.get("internal")}
    assert inner == {"fleet", "monitoring", "tracking"}
    reached = {name for name, service in SERVICES.items() if "public" in service.get("networks", [])}
    assert reached == {"aggregator", "broker"}
    monitored = {name for name, service in SERVICES.items() if "monitoring" in service.get("networks", [])}
    assert not monitored & reached
    out = {name for name, service in SERVICES.items() if set(service.get("networks", [])) - inner} - reached
    assert out == {"alertmanager", "backup"}


def test_every_image_is_named_by_a_variable_of_the_example_and_fixed_to_a_version() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    for image in re.findall(r"^    image: (.+)$", text, re.MULTILINE):
        assert set(VARIABLE.sub(lambda found: f"<{found[1]}>", image)) >= {"<", ">"}, image
    for name, service in SERVICES.items():
        assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"]), f"{name}: {service['image']}"
        assert not service["image"].endswith(":latest")


def test_the_example_explains_each_variable_that_the_files_use_and_no_other() -> None:
    texts = [(FOLDER / name).read_text(encoding="utf-8") for name in ("compose.yaml", "compose.gpu.yaml", "setup.sh")]
    used = {name for text in texts for name in re.findall(r"HEARTHWATCH_[A-Z_]+", text)}
    # Of the scripts: another file of variables; in containers.
    used -= {"HEARTHWATCH_ENV", "HEARTHWATCH_PROMETHEUS_URL"}
    assert used == set(variables())


def test_secrets_are_files_of_the_folder_that_setup_makes() -> None:
    folder = variables()["HEARTHWATCH_FOLDER"]
    assert {name: secret["file"] for name, secret in COMPOSE["secrets"].items()} == {
        name: f"{folder}/secrets/{name}" for name in ("alertmanager.yml", "grafana.password", "rclone.conf")
    }


def test_without_a_file_of_variables_the_error_says_what_to_do() -> None:
    with pytest.raises(KeyError, match=r"copy example\.env and read docs/cloud\.md"):
        load("compose.yaml", {})
    with pytest.raises(KeyError, match="the image of an aggregator built with the feature cuda"):
        load("compose.gpu.yaml", variables())


def test_the_gpu_form_changes_the_aggregator_alone_and_asks_for_one_gpu() -> None:
    gpu = load("compose.gpu.yaml", variables() | {"HEARTHWATCH_CUDA_IMAGE": "registry.example/hearthwatch-aggregator:0.1.0-cuda"})
    assert set(gpu["services"]) == {"aggregator"}
    aggregator = gpu["services"]["aggregator"]
    assert aggregator["deploy"]["resources"]["reservations"]["devices"] == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    for closed in ("user", "read_only", "cap_drop", "security_opt"):
        assert closed not in aggregator
