"""The whole way against a real Keystone and a real Zun: up, status, logs, renew, down."""

from pathlib import Path

from conftest import Testbed
from services.site import RealSite


def test_without_a_host_everything_is_made_up_to_the_reason_and_given_back(site: RealSite, testbed: Testbed) -> None:
    up = testbed("up", "--devices", "1")
    assert up.code == 1
    assert up.out.splitlines() == [
        "lease hearthwatch-proj05: made, for 1 x raspberrypi5",
        "hearthwatch-emulator-01-proj05: made",
    ]
    assert up.err.splitlines() == [
        "testbed: Not everything runs:",
        (
            "  hearthwatch-emulator-01-proj05: Error: There are not enough hosts available. The leased device is not there: it "
            "may have lost power or network. Try another by --device."
        ),
        "  hearthwatch-agent-01-proj05: not made, because hearthwatch-emulator-01-proj05 has no address yet",
        "`testbed status` shows what exists; run the same command again, it continues where this one stopped.",
    ]

    status = testbed("status")
    assert "container    hearthwatch-emulator-01-proj05  Error: There are not enough hosts available." in status.out
    assert "missing      hearthwatch-agent-01-proj05: `testbed up` makes it" in status.out

    logs = testbed("logs")
    assert (logs.code, logs.out.splitlines()[0]) == (
        0,
        "== hearthwatch-emulator-01-proj05  Error: There are not enough hosts available.",
    )
    assert "(no log: Reading the log of hearthwatch-emulator-01-proj05: the site has an error of its own." in logs.out
    assert testbed("logs", "another").err == (
        "testbed: There is no container another; there are: hearthwatch-emulator-01-proj05.\n"
    )

    down = testbed("down")
    assert (down.code, down.out.splitlines()[-1]) == (0, "Nothing is left with the suffix -proj05.")
    assert site.containers() == []
    assert site.doubles.leases == {}


def test_two_devices_run_and_are_given_back_in_the_right_order(site: RealSite, testbed: Testbed, keys: Path) -> None:
    site.hosts_answer("Running")
    up = testbed("up", "--devices", "2", "--home-assistant", "1", "--emulated", "2", "--floating-ip", "--lease", "2h")
    assert (up.code, up.err) == (0, "")
    assert up.out.splitlines()[-1].startswith("Homes that run: 3, on devices: 2, until ")
    assert [row["name"] for row in site.containers()] == [
        "hearthwatch-home-assistant-01-proj05",
        "hearthwatch-emulator-02-proj05",
        "hearthwatch-emulator-03-proj05",
        "hearthwatch-feed-01-proj05",
        "hearthwatch-agent-01-proj05",
        "hearthwatch-agent-02-proj05",
        "hearthwatch-agent-03-proj05",
    ]
    commands = {str(row["name"]): row["command"] for row in site.containers()}
    assert commands["hearthwatch-emulator-02-proj05"] == '["home-assistant"]'
    assert commands["hearthwatch-feed-01-proj05"] == '["feed"]'
    # The agents' configurations name the addresses that their sources were given.
    assert [text.count("http://192.168.64.") for text in site.mounted()].count(1) == 3
    (floating,) = site.doubles.floating_ips.values()
    assert floating["description"] == "hearthwatch-ip-proj05"

    status = testbed("status").out
    assert "hearthwatch-proj05: 1 lease, 7 containers, 1 floating IPs" in status
    assert "It ends soon, and every agent loses its disk then: `testbed renew`." in status
    assert "missing" not in status
    assert "not planned" not in status
    assert "== hearthwatch-feed-01-proj05  Running\n" in testbed("logs").out

    site.doubles.requests.clear()
    down = testbed("down")
    assert down.code == 0
    deleted = [one.path.split("/")[1] for one in site.doubles.requests if one.method == "DELETE"]
    assert deleted == ["network", "reservation"]
    assert "container hearthwatch-feed-01-proj05: deleted" in down.out
    assert site.containers() == []
    assert down.out.index("agent-03-proj05: deleted") < down.out.index("floating IP") < down.out.index("lease hearth")
    assert (keys / "asked").read_text().splitlines()[
        -1
    ] == "home revoke hearthwatch-03-proj05 --reason the testbed was taken down"


def test_a_lease_is_renewed_once(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    assert testbed("up", "--lease", "2h").code == 0
    first = testbed("renew", "--for", "1d")
    assert first.code == 0
    assert "UTC, in 23 h" in first.out or "UTC, in 1 d 0 h" in first.out
    second = testbed("renew", "--for", "2h")
    assert "already" in second.out
    assert len(site.doubles.sent("PUT", "/reservation/v1/leases")) == 1
