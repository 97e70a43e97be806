"""`--dry-run`: every request in order, no secret, nothing sent."""

import os
import re
from pathlib import Path

import pytest
import requests
from conftest import Testbed
from services.site import RealSite

from hearthwatch_testbed import cli

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account, and a network that must not be used."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run sends nothing")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)


def compare(name: str, printed: str) -> None:
    """With the committed text; UPDATE_GOLDEN=1 writes it anew. Only the time of the end differs from run to run."""
    printed = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "YYYY-MM-DD HH:MM", printed)
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(printed)
    assert printed == path.read_text()


def test_up_prints_what_two_homes_need(offline: None, testbed: Testbed) -> None:
    ran = testbed("up", "--dry-run", "--devices", "2", "--home-assistant", "1", "--floating-ip", "--lease", "7d")
    assert ran.code == 0, ran.err
    compare("up.txt", ran.out)


def test_renew_and_down_begin_where_the_last_up_ended(offline: None, testbed: Testbed) -> None:
    compare("renew.txt", testbed("renew", "--dry-run").out)
    compare("down.txt", testbed("down", "--dry-run").out)


def test_no_token_is_issued_and_nothing_is_remembered(
    offline: None, testbed: Testbed, keys: Path, tmp_path: Path
) -> None:
    printed = testbed("up", "--dry-run", "--claim", "reusable").out
    assert not (keys / "asked").exists()
    assert not (tmp_path / "state").exists()
    assert "hwc_" not in printed
    assert '"HEARTHWATCH_CLAIM_TOKEN": "(secret)"' in printed


def test_it_sends_what_the_real_run_sends(site: RealSite, testbed: Testbed, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a long-lived token")
    options = ("--home-assistant-url", "http://192.168.1.5:8123", "--home-assistant-token", str(token))
    printed = testbed("up", "--dry-run", *options).out
    assert "a long-lived token" not in printed
    assert site.doubles.requests == []
    site.hosts_answer("Running")
    testbed("up", *options)
    shown = [line for line in printed.splitlines() if re.match(r"(POST|PUT|DELETE) ", line)]
    sent = [
        f"{one.method} {one.path}"
        for one in site.doubles.requests
        if one.method == "POST" and "/reservation" in one.path
    ]
    assert [line.rsplit("/", 1)[1] for line in shown] == ["tokens", "leases", "containers"]
    assert len(sent) == 1
    assert len(site.containers()) == 1


def test_live_begins_with_what_exists(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    (lease,) = site.doubles.leases
    before = site.containers()
    ran = testbed("down", "--dry-run=live")
    assert ran.code == 0, ran.err
    for row in before:
        assert f"DELETE https://zun.of.the.site/v1/containers/{row['uuid']}?stop=True" in ran.out
    assert f"DELETE https://blazar.of.the.site/v1/leases/{lease}" in ran.out
    assert site.containers() == before


NODE = (
    "--node-type", "gpu_rtx_6000", "--gpu", "--cuda-image", "example.org/cuda:1", "--key", "laptop", "--admin-cidr", "203.0.113.7/32",
    "--repository", "https://example.org/hearthwatch.git", "--revision", "0123456789abcdef0123456789abcdef01234567",
    "--cloud-init", str(Path(__file__).parents[2] / "cloud-init"),
)  # fmt: skip


def test_a_node_prints_all_that_makes_it_and_gives_it_back(offline: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["node", "up", "--suffix", "proj05", "--dry-run", *NODE]) == 0
    compare("node-up.txt", capsys.readouterr().out)
    assert cli.main(["node", "renew", "--suffix", "proj05", "--dry-run"]) == 0
    assert cli.main(["node", "down", "--suffix", "proj05", "--dry-run"]) == 0
    compare("node-renew-and-down.txt", capsys.readouterr().out)


def test_a_lease_for_terraform(offline: None, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--site", "KVM@TACC", "--flavor", "m1.xlarge", "--lease", "30d", "--suffix", "proj05"]
    assert cli.main(["node", "lease", "--dry-run", *options]) == 0
    compare("node-lease.txt", capsys.readouterr().out)
