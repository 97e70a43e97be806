"""`doctor`: a row a check, each with what to do; and `--help`, which teaches."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Ran, Testbed
from services.site import RealSite

from hearthwatch_testbed import cli


@pytest.fixture
def fleet() -> Iterator[tuple[str, ...]]:
    """Something that listens, as the options that name it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        yield "--fleet-host", "127.0.0.1", "--http-port", port, "--mqtt-port", port


def rows(ran: Ran) -> dict[str, str]:
    """Name of the check -> good, bad or note."""
    found = [line.split(maxsplit=2) for line in ran.out.splitlines() if line.startswith(("good", "bad", "note"))]
    return {name: verdict for verdict, name, *_ in found}


@pytest.fixture(autouse=True)
def without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "openssl" else which(name))


def test_everything_is_good(site: RealSite, testbed: Testbed, fleet: tuple[str, ...]) -> None:
    ran = testbed("doctor", *fleet)
    assert (ran.code, set(rows(ran).values())) == (0, {"good"}), ran.out
    assert "good  devices      7 of 7 raspberrypi5 are free" in ran.out
    assert "good  credentials  project CHI-000000 at CHI@Edge, catalogue complete" in ran.out
    assert "Zun (API 1.40)" in ran.out
    assert ran.out.splitlines()[-1] == "Everything that can be checked from here is good."
    made = [one for one in site.doubles.requests if one.method != "GET"]
    assert (made, site.containers()) == ([], []), "it makes nothing"


def test_each_bad_row_says_what_to_do_and_the_others_go_on(
    site: RealSite, testbed: Testbed, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (keys / "ca" / "ca.crt").unlink()
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", site.restricted_id)
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", site.restricted_secret)
    closed = ("--fleet-host", "127.0.0.1", "--http-port", "9", "--mqtt-port", "9")
    ran = testbed("doctor", "--agent-image", "No Image", "--devices", "8", *closed)
    assert ran.code == 1
    assert rows(ran) == {
        "images": "bad",
        "keys": "bad",
        "fleet": "bad",
        "credentials": "good",
        "roles": "good",
        "leases": "bad",
        "catalogue": "good",
        "in": "good",
        "devices": "bad",
    }
    assert "127.0.0.1:9 does not answer from here" in ran.out
    assert "7 of 7 raspberrypi5 are free, and 8 are wanted. Give fewer --devices" in ran.out
    assert ran.out.splitlines()[-1] == "5 to put right; `testbed up` would stop at the first of them."


def test_without_credentials_the_rest_is_still_checked(
    testbed: Testbed, fleet: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OS_AUTH_URL", "OS_CLOUD"):
        monkeypatch.delenv(name, raising=False)
    ran = testbed("doctor", *fleet)
    assert (ran.code, rows(ran)) == (1, {"images": "good", "keys": "good", "fleet": "good", "credentials": "bad"})


@pytest.mark.parametrize("command", ["", "doctor", "up", "status", "logs", "renew", "down"])
def test_help_teaches_without_an_account(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 500
