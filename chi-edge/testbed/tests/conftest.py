"""What tests share: the real services with their doubles, started once; a fleet's keys; the program itself."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from services.site import RealSite, started

from hearthwatch_testbed import cli, down, up

#: The Python of the venv in which Keystone and Zun are; `check.sh` sets it.
SERVICES_PYTHON = "HEARTHWATCH_TESTBED_SERVICES"
SUFFIX = "proj05"


@pytest.fixture(scope="session")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSite]:
    python = os.environ.get(SERVICES_PYTHON)
    if not python:
        pytest.skip(f"{SERVICES_PYTHON} names no Python with Keystone and Zun; check.sh makes one")
    with started(tmp_path_factory.mktemp("site"), python) as site:
        yield site


@pytest.fixture
def site(running_site: RealSite, monkeypatch: pytest.MonkeyPatch) -> RealSite:
    """As new, and logged in."""
    running_site.reset()
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    for name, value in running_site.environment().items():
        monkeypatch.setenv(name, value)
    return running_site


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Testbed = Callable[..., Ran]

PROVISION = """#!{python}
# Stands for hearthwatch-provision: writes down what it was asked, and prints a token of its own for each.
import pathlib, sys
asked = pathlib.Path(sys.argv[sys.argv.index("--out") + 1]) / "asked"
lines = asked.read_text().splitlines() if asked.exists() else []
lines.append(" ".join(sys.argv[1:sys.argv.index("--out")]))
asked.write_text("\\n".join(lines) + "\\n")
if sys.argv[2] == "add":
    print(f"hwc_token-{{len(lines)}}")
"""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder as `hearthwatch-provision init` fills it, as far as the testbed reads it."""
    folder = tmp_path / "keys"
    (folder / "ca").mkdir(parents=True)
    (folder / "ca" / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    program = folder / "provision"
    program.write_text(PROVISION.format(python=sys.executable))
    program.chmod(0o755)
    return folder


@pytest.fixture
def testbed(tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Testbed:
    """Runs the program with the options that every test needs; it does not wait between two questions."""
    monkeypatch.setattr(up, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(down, "SETTLE", timedelta(0))

    def run(command: str, *options: str) -> Ran:
        arguments = [command, "--suffix", SUFFIX, "--state-dir", str(tmp_path / "state"), *options]
        if command in ("up", "doctor") and "--fleet-host" not in options:
            arguments += ["--fleet-host", "fleet.example"]
        if command in ("up", "doctor", "down"):
            arguments += ["--keys", str(keys), "--provision", str(keys / "provision")]
        capsys.readouterr()
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run
