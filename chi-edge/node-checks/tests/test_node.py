"""A node, set up in a root of Ubuntu 24.04 by the same script, the same Ansible and the same packages as at its first boot."""

import hashlib
import json
import re

import pytest

from ubuntu_root import Root, SetUp


def test_a_bare_machine_becomes_a_node(root: Root, first: SetUp) -> None:
    assert first.code == 0, first.output
    assert "docker : Install Docker and `docker compose` from the distribution" in first.changed
    assert re.search(
        r"^hearthwatch:x:10001:10001:.*:/nonexistent:/usr/sbin/nologin$", root.read("/etc/passwd"), re.MULTILINE
    )
    assert re.search(r"^hearthwatch:!:", root.read("/etc/shadow"), re.MULTILINE), "nobody logs in as it"
    data = (root.path / "srv/hearthwatch").stat()
    assert (oct(data.st_mode & 0o7777), data.st_uid, data.st_gid) == ("0o711", 0, 0)
    assert root.run("docker", "compose", "version").stdout.startswith("Docker Compose version")
    assert json.loads(root.read("/etc/docker/daemon.json")) == {
        "live-restore": True,
        "log-driver": "json-file",
        "log-opts": {"max-file": "5", "max-size": "10m"},
    }
    assert 'APT::Periodic::Unattended-Upgrade "1";' in root.read("/etc/apt/apt.conf.d/52hearthwatch")


def test_the_blank_disk_is_formatted_and_mounted_by_its_label(root: Root, first: SetUp) -> None:
    assert "data : Format the blank disk" in first.changed
    probed = root.run("blkid", "--probe", "--output", "export", "/disk").stdout
    assert {"LABEL=hearthwatch-data", "TYPE=ext4"} <= set(probed.splitlines())
    mount = root.read("/etc/systemd/system/srv-hearthwatch.mount")
    assert "What=/dev/disk/by-label/hearthwatch-data\nWhere=/srv/hearthwatch\n" in mount
    assert "RequiresMountsFor=/srv/hearthwatch" in root.read("/etc/systemd/system/docker.service.d/hearthwatch.conf")


def test_systemd_takes_the_units(root: Root, first: SetUp) -> None:
    # The program that it starts comes with Docker; the folder is that of the release.
    for unit in ("hearthwatch.service", "hearthwatch-firewall.service", "srv-hearthwatch.mount"):
        done = root.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit}")
        ours = [line for line in done.stderr.splitlines() if "hearthwatch" in line]
        assert ours == []


def test_compose_is_told_what_this_node_has(root: Root, first: SetUp) -> None:
    lines = root.read("/opt/hearthwatch/chi-edge/compose/.env").splitlines()
    assert lines[0] == "HEARTHWATCH_HOST=cloud.example", "the example comes first, and of two lines the last counts"
    assert lines[3:] == [
        "HEARTHWATCH_FOLDER=/srv/hearthwatch",
        "HEARTHWATCH_HOST=192.0.2.1",
        "HEARTHWATCH_API_ADDRESS=0.0.0.0",
        "HEARTHWATCH_REGISTRY=",
        "HEARTHWATCH_TAG=0.1.0-amd64",
        "HEARTHWATCH_CUDA_IMAGE=",
        "COMPOSE_PROFILES=mlflow",
        "COMPOSE_FILE=compose.yaml",
    ]


def test_a_gpu_that_nothing_would_use_is_refused(root: Root, first: SetUp) -> None:
    assert root.role("machine", hearthwatch_gpu=True).sentence == (
        "hearthwatch_gpu is set, and hearthwatch_cuda_image is not: name the image of an aggregator that was built with the "
        "feature cuda (docs/cloud.md), or the GPU would be leased and not used."
    )


def test_run_again_it_changes_nothing(root: Root, first: SetUp) -> None:
    before = hashlib.sha256((root.path / "disk").read_bytes()).digest()
    again = root.set_up()
    assert (again.code, again.changed) == (0, []), again.output
    assert hashlib.sha256((root.path / "disk").read_bytes()).digest() == before


def test_a_dry_run_of_the_playbook_finds_nothing_to_change(root: Root, first: SetUp) -> None:
    dry = root.role("all", "--check", "--diff")
    assert (dry.code, dry.changed) == (0, []), dry.output


def test_another_revision_restarts_the_fleet_and_changes_nothing_else(root: Root, first: SetUp) -> None:
    revision = root.release("a newer one")
    newer = root.set_up(revision)
    assert (newer.code, newer.changed) == (0, ["fleet : Describe the fleet to systemd"]), newer.output
    assert root.read("/opt/hearthwatch/chi-edge/compose/release") == "a newer one"
    assert json.loads(root.read("/etc/hearthwatch/node.json"))["hearthwatch_revision"] == revision


def test_a_branch_is_no_revision(root: Root, first: SetUp) -> None:
    refused = root.set_up("main")
    assert refused.code == 2
    assert refused.output == (
        "hearthwatch-node-setup: give the 40 digits of a commit, not main: branches and tags may move.\n"
    )


def test_a_disk_with_something_else_is_not_touched(root: Root, first: SetUp) -> None:
    disk = root.blank_disk("/other")
    assert root.run("mkfs.ext4", "-q", "-L", "photographs", "/other").returncode == 0
    before = hashlib.sha256(disk.read_bytes()).digest()
    refused = root.set_up(hearthwatch_data_device="/other")
    assert refused.code == 1
    assert refused.sentence == (
        "/other holds something that is not the fleet's data (ext4). Nothing was written. Name another disk by "
        "hearthwatch_data_device, or, if its content may be lost, empty it: sudo wipefs --all /other"
    )
    assert refused.output.endswith(
        "hearthwatch-node-setup: the node is not set up. Put right what the lines above say, then run: sudo "
        "hearthwatch-node-setup\n"
    )
    assert hashlib.sha256(disk.read_bytes()).digest() == before


def test_a_disk_that_does_not_come(root: Root, first: SetUp) -> None:
    assert root.role("data", hearthwatch_data_device="/dev/disk/by-id/virtio-none").sentence == (
        "/dev/disk/by-id/virtio-none did not appear within 1 s. Attach the volume (`terraform apply` does), look at `ls "
        "/dev/disk/by-id`, then run `sudo hearthwatch-node-setup`."
    )


@pytest.mark.parametrize("cidr", ["", "0.0.0.0/0", "203.0.113.7"])
def test_the_firewall_asks_who_administrators_are(root: Root, first: SetUp, cidr: str) -> None:
    assert root.role("firewall", hearthwatch_admin_cidr=cidr).sentence == (
        "Give hearthwatch_admin_cidr and hearthwatch_agent_cidr as IPv4 addresses with a length, such as 203.0.113.7/32. For "
        "administrators the whole internet (/0) is refused."
    )


def test_an_older_system_is_refused(root: Root, first: SetUp) -> None:
    known = root.read("/etc/os-release")
    root.write("/etc/os-release", known.replace("24.04", "22.04"))
    try:
        refused = root.role("machine")
    finally:
        root.write("/etc/os-release", known)
    assert refused.sentence == (
        "This machine has Ubuntu 22.04: take Ubuntu 24.04 or later (the image CC-Ubuntu24.04) or Debian 13 or later. Older "
        "ones have no package with `docker compose`."
    )
