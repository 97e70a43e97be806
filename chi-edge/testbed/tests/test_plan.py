"""What is decided without a network: homes, names, configurations, seeds, the extension of a lease."""

import base64
import hashlib
import hmac
import json
import tomllib
from datetime import UTC, datetime, timedelta

import pytest

from hearthwatch_testbed.containers import ContainerRequest, feed_request, source_request
from hearthwatch_testbed.edge_toml import edge_toml
from hearthwatch_testbed.home_assistant import Seed, seed
from hearthwatch_testbed.leases import Lease, extended, lease_of, remaining
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.plan import Claim, Fleet, Home, Images, Plan, allot, check_image, duration
from hearthwatch_testbed.problem import Problem
from hearthwatch_testbed.trace import request_text

NAMES = Names("hearthwatch", "proj05")
NOW = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)


def kinds(devices: int, home_assistant: int, emulated: int | None, *, elsewhere: bool = False) -> list[tuple[str, int]]:
    return [
        (str(home.source), home.device) for home in allot(NAMES, devices, home_assistant, emulated, elsewhere=elsewhere)
    ]


def test_every_device_has_a_home_and_more_homes_go_round() -> None:
    assert kinds(1, 0, None) == [("emulator", 0)]
    assert kinds(2, 0, None, elsewhere=True) == [("elsewhere", 0), ("elsewhere", 1)]
    assert kinds(3, 1, 1, elsewhere=True) == [("home-assistant", 0), ("emulator", 1), ("elsewhere", 2)]
    nine = kinds(4, 1, 8)
    assert [kind for kind, _ in nine] == ["home-assistant", *["emulator"] * 8]
    assert [device for _, device in nine] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_names_tell_the_fleet_the_part_and_the_project() -> None:
    (home,) = allot(NAMES, 1, 1, None, elsewhere=False)
    assert (home.name, home.agent, home.source_container, home.feed) == (
        "hearthwatch-01-proj05",
        "hearthwatch-agent-01-proj05",
        "hearthwatch-home-assistant-01-proj05",
        "hearthwatch-feed-01-proj05",
    )
    assert NAMES.owns(NAMES.lease)
    assert not NAMES.owns("training-proj05")
    assert not NAMES.owns("hearthwatch-agent-01-proj5")


def test_durations_and_names_of_images_are_read() -> None:
    assert [duration(text) for text in ("90m", "2h", "7d")] == [
        timedelta(minutes=90),
        timedelta(hours=2),
        timedelta(days=7),
    ]
    good = ["python", "ghcr.io/a/b:1", "localhost:5000/a_b/c-d:v1.2", f"quay.io/a/b@sha256:{'0' * 64}"]
    assert [check_image(image, "x") for image in good] == good
    for bad in ("", "https://ghcr.io/a", "a b", "a:", "a@sha256:12"):
        with pytest.raises(Problem, match="is not the name of an image"):
            check_image(bad, "x")


def test_the_agents_configuration_is_that_of_a_home_without_a_disk() -> None:
    assert tomllib.loads(edge_toml("home-1", Fleet("fleet.example", 1, 2), "http://192.168.64.7:8123")) == {
        "state": "none",
        "home_assistant": {"url": "http://192.168.64.7:8123", "token_file": "token"},
        "cloud": {
            "home": "home-1",
            "enrol": {"url": "https://fleet.example:2/", "ca_file": "ca.crt"},
            "mqtt": {"host": "fleet.example", "port": 1},
            "updates": {"url": "https://fleet.example:2/tuf/", "ca_file": "ca.crt"},
        },
    }


def groups_of(made: Seed, token: str) -> list[str]:
    """Those of the user whose grant has signed the token."""
    data = json.loads(made.auth)["data"]
    signed, _, signature = token.rpartition(".")
    claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
    (grant,) = [one for one in data["refresh_tokens"] if one["id"] == claims["iss"]]
    expected = hmac.new(grant["jwt_key"].encode(), signed.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected
    (groups,) = [one["group_ids"] for one in data["users"] if one["id"] == grant["user_id"]]
    return list(groups)


def test_the_tokens_of_a_seed_are_signed_by_the_keys_of_their_grants() -> None:
    made = seed("secret", "home-1", fed=True)
    assert made == seed("secret", "home-1", fed=True)
    assert made.owner_token
    assert groups_of(made, made.token) == ["system-users"], "the agent has no administrator's rights"
    assert groups_of(made, made.owner_token) == ["system-admin"]
    other = seed("secret", "home-2", fed=True)
    assert len({made.token, made.owner_token, other.token, other.owner_token}) == 4


def test_no_token_of_the_owner_is_valid_where_nothing_is_fed() -> None:
    made = seed("secret", "home-1", fed=False)
    assert made.owner_token is None
    assert len(json.loads(made.auth)["data"]["refresh_tokens"]) == 1
    assert made.token == seed("secret", "home-1", fed=True).token


def plan_of(homes: tuple[Home, ...]) -> Plan:
    return Plan(
        names=NAMES,
        devices=1,
        machine_type="raspberrypi5",
        device_names=(),
        lease=timedelta(days=1),
        images=Images("agent", "home-assistant", "emulator"),
        fleet=Fleet("fleet.example"),
        homes=homes,
        claim=Claim.ONCE,
        home_assistant_url=None,
        emulator_command=("home-assistant",),
        floating_ip=False,
    )


def test_a_feed_is_the_emulator_with_the_owners_token_of_its_home_assistant() -> None:
    homes = allot(NAMES, 1, 1, 1, elsewhere=False)
    plan = plan_of(homes)
    assert plan.containers() == (
        "hearthwatch-home-assistant-01-proj05",
        "hearthwatch-emulator-02-proj05",
        "hearthwatch-feed-01-proj05",
        "hearthwatch-agent-01-proj05",
        "hearthwatch-agent-02-proj05",
    )
    made = seed("secret", homes[0].name, fed=True)
    assert source_request(plan, homes[0], "r", "secret").files["/etc/hearthwatch/auth"] == made.auth
    assert feed_request(plan, homes[0], "r", url="http://192.168.64.1:8123", secret="secret") == ContainerRequest(
        name="hearthwatch-feed-01-proj05",
        image="emulator",
        reservation="r",
        environment={
            "HEARTHWATCH_EMULATOR_HOME": "1",
            "HEARTHWATCH_EMULATOR_FEED": "http://192.168.64.1:8123",
            "HEARTHWATCH_EMULATOR_TOKEN_FILE": "/etc/hearthwatch/token",
        },
        files={"/etc/hearthwatch/token": str(made.owner_token)},
        command=("feed",),
    )
    assert source_request(plan, homes[1], "r", "secret").command == ("home-assistant",)


def test_a_home_assistant_with_devices_of_its_own_is_not_fed() -> None:
    homes = allot(NAMES, 1, 1, 1, elsewhere=False, feed=False)
    plan = plan_of(homes)
    assert [home.feed for home in homes] == [None, None]
    assert plan.unwanted_feeds() == ("hearthwatch-feed-01-proj05",)
    stored = source_request(plan, homes[0], "r", "secret").files["/etc/hearthwatch/auth"]
    assert stored == seed("secret", homes[0].name, fed=False).auth
    with pytest.raises(ValueError, match="hearthwatch-01-proj05 is not fed"):
        feed_request(plan, homes[0], "r", url="http://192.168.64.1:8123", secret="secret")


def test_a_digest_depends_on_everything_but_the_claim_token() -> None:
    one = ContainerRequest("a", "i", "r", {}, {}, fresh={"HEARTHWATCH_CLAIM_TOKEN": "hwc_1"})
    assert one.digest() == ContainerRequest("a", "i", "r", {}, {}, fresh={"HEARTHWATCH_CLAIM_TOKEN": "hwc_2"}).digest()
    others = [
        ContainerRequest("b", "i", "r", {}, {}),
        ContainerRequest("a", "j", "r", {}, {}),
        ContainerRequest("a", "i", "s", {}, {}),
        ContainerRequest("a", "i", "r", {"A": "1"}, {}),
        ContainerRequest("a", "i", "r", {}, {"/f": "x"}),
        ContainerRequest("a", "i", "r", {}, {}, command=("x",)),
    ]
    assert len({request.digest() for request in [one, *others]}) == 7


def test_secrets_are_not_printed() -> None:
    mounts = [
        {"type": "bind", "source": "c2VjcmV0", "destination": "/etc/hearthwatch/token"},
        {"type": "bind", "source": "cHVibGlj", "destination": "/etc/hearthwatch/ca.crt"},
    ]
    body = {"environment": {"HEARTHWATCH_CLAIM_TOKEN": "hwc_1", "TZ": "UTC"}, "mounts": mounts}
    printed = request_text("POST", "https://zun/v1/containers", body)
    assert "hwc_1" not in printed
    assert "c2VjcmV0" not in printed
    assert printed.endswith("  # /etc/hearthwatch/ca.crt is\n  # | public")
    assert "(secret)" in request_text("POST", "x", {"auth": {"application_credential": {"id": "i", "secret": "s"}}})


def lease(end: datetime) -> Lease:
    return Lease("id", "name", "ACTIVE", end, (), ())


def test_a_lease_only_gets_longer() -> None:
    soon, late = NOW + timedelta(hours=1), NOW + timedelta(days=6)
    assert extended(lease(soon), timedelta(days=7), NOW) == datetime(2026, 12, 7, 12, 0, tzinfo=UTC)
    assert extended(lease(late), timedelta(days=1), NOW) == late
    with pytest.raises(Problem, match="A lease can be extended to 7 days from now, not further"):
        extended(lease(soon), timedelta(days=8), NOW)


def test_what_is_left_of_a_lease_is_said_for_people() -> None:
    assert remaining(lease(NOW + timedelta(days=2, hours=3, minutes=5)), NOW) == "2 d 3 h"
    assert remaining(lease(NOW + timedelta(hours=3, minutes=5)), NOW) == "3 h 5 min"
    assert remaining(lease(NOW - timedelta(minutes=1)), NOW) == "over"


def test_only_devices_are_reservations_of_the_testbed() -> None:
    raw = {
        "id": "l",
        "name": "n",
        "status": "active",
        "end_date": "2026-12-01T10:00:00.000000",
        "reservations": [{"id": "ip", "resource_type": "virtual:floatingip"}, {"id": "r", "resource_type": "device"}],
    }
    read = lease_of(raw)
    assert (read.reservations, read.status, read.end) == (("r",), "ACTIVE", datetime(2026, 12, 1, 10, tzinfo=UTC))
