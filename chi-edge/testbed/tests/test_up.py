"""`up` run again, interrupted and out of date, against the real Zun with a double of its compute host."""

import re
from pathlib import Path

import pytest
from conftest import Testbed
from services.doubles import Refusal
from services.site import RealSite

from hearthwatch_testbed.site import Site

LEASES = "/reservation/v1/leases"
HOME_ASSISTANT = ("--home-assistant-url", "http://192.168.1.5:8123")


def token(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text("a long-lived token\n")
    return str(file)


def test_run_twice_it_makes_nothing_twice(site: RealSite, testbed: Testbed, keys: Path) -> None:
    site.hosts_answer("Running")
    assert testbed("up", "--devices", "2", "--floating-ip").code == 0
    before, asked = site.containers(), (keys / "asked").read_text()
    again = testbed("up", "--devices", "2", "--floating-ip")
    assert again.code == 0
    assert site.containers() == before
    assert (keys / "asked").read_text() == asked
    assert len(site.doubles.sent("POST", LEASES)) == len(site.doubles.sent("POST", "/network/v2.0/floatingips")) == 1
    assert "made" not in again.out


def test_an_answer_that_was_lost_is_found_by_its_name(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    site.doubles.lost_answers.add(("POST", LEASES))
    lost = testbed("up")
    assert lost.code == 1
    assert lost.err.startswith(
        "testbed: Making the lease: The connection was lost. It is not known whether the last request arrived. `testbed status` "
        "shows what exists; run the same command again, it continues where this one stopped."
    )
    assert len(site.doubles.sent("POST", LEASES)) == 1, "what makes something is never sent twice"
    site.doubles.lost_answers.clear()
    assert testbed("up").code == 0
    assert len(site.doubles.leases) == 1


def test_a_run_that_stopped_in_the_middle_continues(site: RealSite, testbed: Testbed, keys: Path) -> None:
    site.hosts_answer("Running", image="%emulator%")
    (keys / "provision").rename(keys / "away")
    stopped = testbed("up", "--devices", "2")
    assert stopped.code == 1
    assert "is not installed here: build it by `cargo build --release -p hearthwatch-provision`" in stopped.err
    assert len(site.containers()) == 2
    (keys / "away").rename(keys / "provision")
    site.hosts_answer("Running", image="%agent%")
    assert testbed("up", "--devices", "2").code == 0
    assert len({row["name"] for row in site.containers()}) == len(site.containers()) == 4


def test_an_interruption_by_the_keyboard_says_that_the_same_command_continues(
    site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.hosts_answer("Running")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Site, "create_container", interrupt)
        ran = testbed("up")
    assert (ran.code, ran.err) == (
        1,
        "testbed: interrupted. `testbed status` shows what exists; the same command continues.\n",
    )
    assert testbed("up").code == 0
    assert len(site.doubles.leases) == 1


def test_of_two_with_one_name_the_older_stays(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    first = site.containers()
    site.change_containers("name = 'somebody'", "image LIKE '%agent%'")
    testbed("up")
    site.change_containers("name = 'hearthwatch-agent-01-proj05'", "name = 'somebody'")
    assert len(site.containers()) == 3
    again = testbed("up")
    assert "hearthwatch-agent-01-proj05: there are two; the younger is deleted" in again.out
    assert site.containers()[:2] == first


def test_each_container_has_the_reservation_of_its_own_device(site: RealSite, testbed: Testbed, tmp_path: Path) -> None:
    site.hosts_answer("Running")
    testbed("up", "--devices", "2", *HOME_ASSISTANT, "--home-assistant-token", token(tmp_path))
    (lease,) = site.doubles.leases.values()
    # Upstream's Zun keeps the hints only for its scheduler; what was made from which reservation the label tells.
    assert len({reservation["id"] for reservation in lease["reservations"]}) == 2
    assert len({row["labels"] for row in site.containers()}) == 2


def test_a_lease_that_is_over_is_replaced_and_so_are_its_containers(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    (lease,) = site.doubles.leases.values()
    lease["status"] = "TERMINATED"
    old = {row["uuid"] for row in site.containers()}
    again = testbed("up")
    assert again.code == 0
    assert "lease hearthwatch-proj05: was TERMINATED, deleted" in again.out
    assert (
        again.out.count("was made from something else (another lease, image, address or option), so it is replaced")
        == 2
    )
    assert not old & {row["uuid"] for row in site.containers()}


def test_a_source_with_another_address_gets_its_agent_made_anew(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    moved = '{"caliconet": [{"addr": "192.168.64.99", "port": "p"}]}'
    site.change_containers(f"addresses = '{moved}'", "image LIKE '%emulator%'")
    again = testbed("up")
    assert again.code == 0
    assert re.search(r"agent-01-proj05: was made from something else .* replaced", again.out)
    assert "emulator-01-proj05: exists" in again.out
    assert 'url = "http://192.168.64.99:8123"' in site.mounted()[-3]


def test_a_failed_container_stays_until_it_is_to_be_replaced(site: RealSite, testbed: Testbed) -> None:
    assert testbed("up").code == 1
    failed = site.containers()
    assert testbed("up").code == 1
    assert [row["uuid"] for row in site.containers()] == [row["uuid"] for row in failed]
    site.hosts_answer("Running")
    replaced = testbed("up", "--replace-failed")
    assert replaced.code == 0
    assert "emulator-01-proj05: is Error: There are not enough hosts available., so it is replaced" in replaced.out


def test_claim_tokens_are_for_one_use_and_asked_for_only_when_a_container_is_made(
    site: RealSite, testbed: Testbed, keys: Path
) -> None:
    site.hosts_answer("Running")
    testbed("up", "--devices", "2")
    assert (keys / "asked").read_text().splitlines() == [
        "home add hearthwatch-01-proj05 --new-token --token-only",
        "home add hearthwatch-02-proj05 --new-token --token-only",
    ]
    # Zun shows the environment to the whole project: a token in it must be worthless once it was used.
    agents = [row for row in site.containers() if "agent" in str(row["name"])]
    assert ["hwc_token-1" in str(agents[0]["environment"]), "hwc_token-2" in str(agents[1]["environment"])] == [
        True,
        True,
    ]
    assert not any("hwc_" in text for text in site.mounted())


def test_a_reusable_token_is_asked_for_by_name(site: RealSite, testbed: Testbed, keys: Path) -> None:
    site.hosts_answer("Running")
    testbed("up", "--claim", "reusable")
    assert (keys / "asked").read_text() == "home add hearthwatch-01-proj05 --reusable --token-only\n"


def test_a_lease_cannot_get_more_devices(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    more = testbed("up", "--devices", "2")
    assert more.code == 1
    assert "is for 1 devices, and 2 are wanted. A lease cannot get more" in more.err


def test_down_says_what_is_left_and_what_was_not_ours(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    site.change_containers("labels = '{}', name = 'training-proj05'", "image LIKE '%agent%'")
    down = testbed("down")
    assert down.code == 3
    assert down.err.startswith("testbed: Not everything is gone:\n  container training-proj05 (Running)\n")
    assert "`testbed down` deletes it" not in testbed("status").out
    assert (
        "Also ends in -proj05, and was not made by this testbed:\n  container training-proj05 (Running)"
        in testbed("status").out
    )


def test_down_goes_on_where_one_thing_cannot_be_deleted(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up", "--floating-ip")
    site.doubles.refusals["DELETE", "/network"] = Refusal(
        500, {"NeutronError": {"message": "no", "type": "X", "detail": ""}}
    )
    down = testbed("down")
    assert down.code == 3
    assert site.doubles.leases == {}
    assert "Giving back the floating IP 129.114.34.129: the site has an error of its own." in down.err
    assert "floating IP 129.114.34.129 (hearthwatch-ip-proj05)" in down.err
    site.doubles.refusals.clear()
    assert testbed("down").code == 0


def test_down_revokes_the_homes_even_if_what_up_remembered_is_lost(
    site: RealSite, testbed: Testbed, keys: Path, tmp_path: Path
) -> None:
    site.hosts_answer("Running")
    testbed("up", "--devices", "2")
    (tmp_path / "state" / "hearthwatch-proj05.json").unlink()
    assert testbed("down").code == 0
    revoked = [line.split()[2] for line in (keys / "asked").read_text().splitlines() if "revoke" in line]
    assert revoked == ["hearthwatch-01-proj05", "hearthwatch-02-proj05"]


def test_a_feed_follows_its_home_assistant_to_another_address(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    assert testbed("up", "--home-assistant", "1").code == 0
    before = {row["name"]: row["environment"] for row in site.containers()}
    (address,) = re.findall(r"http://[0-9.]+:8123", str(before["hearthwatch-feed-01-proj05"]))
    assert f'url = "{address}"' in site.mounted()[-3], "where the agent finds it"
    moved = '{"caliconet": [{"addr": "192.168.64.99", "port": "p"}]}'
    site.change_containers(f"addresses = '{moved}'", "image LIKE '%home-assistant:%'")
    again = testbed("up", "--home-assistant", "1")
    assert again.code == 0
    assert re.search(r"feed-01-proj05: was made from something else .* replaced", again.out)
    assert "home-assistant-01-proj05: exists" in again.out
    after = {row["name"]: row["environment"] for row in site.containers()}
    assert "http://192.168.64.99:8123" in str(after["hearthwatch-feed-01-proj05"])


def test_a_feed_and_an_agent_wait_for_the_address_of_their_home_assistant(site: RealSite, testbed: Testbed) -> None:
    up = testbed("up", "--home-assistant", "1")
    assert up.code == 1
    because = "not made, because hearthwatch-home-assistant-01-proj05 has no address yet"
    assert f"  hearthwatch-feed-01-proj05: {because}\n  hearthwatch-agent-01-proj05: {because}\n" in up.err
    assert [row["name"] for row in site.containers()] == ["hearthwatch-home-assistant-01-proj05"]
    status = testbed("status").out
    assert "missing      hearthwatch-feed-01-proj05: `testbed up` makes it" in status


def test_a_home_assistant_that_is_no_longer_fed_is_made_anew_and_its_feed_is_deleted(
    site: RealSite, testbed: Testbed
) -> None:
    site.hosts_answer("Running")
    assert testbed("up", "--home-assistant", "1").code == 0
    assert len(site.containers()) == 3
    again = testbed("up", "--home-assistant", "1", "--no-feed")
    assert again.code == 0
    assert "hearthwatch-feed-01-proj05: --no-feed was given, so it is deleted" in again.out
    assert "hearthwatch-home-assistant-01-proj05: was made from something else" in again.out
    assert sorted(str(row["name"]) for row in site.containers()) == [
        "hearthwatch-agent-01-proj05",
        "hearthwatch-home-assistant-01-proj05",
    ]
    assert "made" not in testbed("up", "--home-assistant", "1", "--no-feed").out
    status = testbed("status").out
    assert ("missing" in status, "not planned" in status) == (False, False)


def test_the_emulator_can_be_given_another_command(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    assert testbed("up", "--emulator-command", "play 'home 1'").code == 0
    assert site.containers()[0]["command"] == '["play", "home 1"]'
