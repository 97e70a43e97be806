"""The packet filter that the playbook writes for bare metal, tried with real packets."""

import subprocess
from pathlib import Path

import pytest

from ubuntu_root import Root, SetUp

HERE = Path(__file__).resolve().parents[1]


def test_agents_and_administrators_reach_what_is_theirs_and_nobody_anything_else(root: Root, first: SetUp) -> None:
    assert first.code == 0, first.output
    # The rules are those of the node, and so is the program that loads them.
    nft = f"chroot {root.path} /usr/sbin/nft"
    command = ["unshare", "--net", "--mount", str(HERE / "firewall.sh"), nft, "/etc/hearthwatch/firewall.nft"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.splitlines() == [
        "admin 22 open",
        "admin 3000 closed",
        "admin 8443 open",
        "admin 8883 open",
        # Docker's published ports are filtered by the port that the packet came to.
        "admin 9000 closed",
        "anybody 22 closed",
        "anybody 3000 closed",
        "anybody 8443 open",
        "anybody 8883 open",
        "anybody 9000 closed",
        "1",
    ]


@pytest.mark.parametrize("wrong", ["203.0.113.7/32; drop", "fleet.example/32", "203.0.113.999/32"])
def test_rules_that_the_filter_does_not_take_are_not_written(root: Root, first: SetUp, wrong: str) -> None:
    before = root.read("/etc/hearthwatch/firewall.nft")
    assert root.role("firewall", hearthwatch_admin_cidr=wrong).code != 0
    assert root.read("/etc/hearthwatch/firewall.nft") == before
