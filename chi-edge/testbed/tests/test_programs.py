"""With this tree's own programs, where they are built: claim tokens from hearthwatch-provision, the agent reads what is mounted."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import SUFFIX
from services.site import RealSite

from hearthwatch_testbed import cli

#: Another folder of built programs than the repository's.
RELEASE_VARIABLE = "HEARTHWATCH_RELEASE"


def program(name: str) -> str:
    folder = Path(os.environ.get(RELEASE_VARIABLE) or Path(__file__).parents[3] / "target" / "release")
    if not (folder / name).exists():
        pytest.skip(f"{folder / name} is not built")
    return str(folder / name)


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """What `hearthwatch-provision init` makes."""
    folder = tmp_path / "installation"
    # Root's would else leave the broker's files outside, for a user who cannot come here.
    broker = ["--broker-dir", str(tmp_path / "broker")]
    command = [program("hearthwatch-provision"), "init", "--out", str(folder), "--host", "127.0.0.1", *broker]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def run(tmp_path: Path, installation: Path, command: str, *options: str) -> int:
    common = ["--suffix", SUFFIX, "--state-dir", str(tmp_path / "state"), "--keys", str(installation)]
    return cli.main([command, *common, "--provision", program("hearthwatch-provision"), *options])


def test_the_agent_accepts_what_is_mounted_and_its_token_is_revoked_by_down(
    site: RealSite, installation: Path, tmp_path: Path
) -> None:
    site.hosts_answer("Running")
    assert run(tmp_path, installation, "up", "--fleet-host", "127.0.0.1") == 0
    _, configuration, authority, token = site.mounted()
    assert authority == (installation / "ca" / "ca.crt").read_text()
    environment = str(site.containers()[-1]["environment"])
    assert '"HEARTHWATCH_CLAIM_TOKEN": "hwc_' in environment

    home = tmp_path / "home"
    home.mkdir()
    for name, content in (("edge.toml", configuration), ("ca.crt", authority), ("token", token)):
        (home / name).write_text(content)
    checked = subprocess.run(
        [program("hearthwatch-edge"), "run", "--check-config"],
        env={"HEARTHWATCH_EDGE_CONFIG": str(home / "edge.toml"), "HEARTHWATCH_CLAIM_TOKEN": "hwc_x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout.splitlines()[0] == "The configuration is good.", checked.stderr
    assert (
        "cloud: as hearthwatch-01-proj05; broker 127.0.0.1:8883; updates https://127.0.0.1:8443/tuf/" in checked.stdout
    )

    claims = (installation / "claims.json").read_text()
    assert run(tmp_path, installation, "down") == 0
    assert (installation / "claims.json").read_text() != claims
