"""What surprises at CHI@Edge, row by row: that the real clients and services do it, and that the testbed does not fall into it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import chi.clients
import pytest
from conftest import Testbed
from services.site import RealSite
from zunclient.common.apiclient import exceptions as zun_errors
from zunclient.exceptions import InvalidAttribute

from hearthwatch_testbed import credentials
from hearthwatch_testbed.containers import ContainerRequest
from hearthwatch_testbed.names import Names
from hearthwatch_testbed.problem import Problem
from hearthwatch_testbed.site import Container, Site

IMAGE = "ghcr.io/hearthwatch/agent:1"


@pytest.fixture
def real(site: RealSite) -> Site:
    """Our calls, to the real services."""
    return Site(credentials.connect(site.environment(), None, "CHI@Edge", credentials.transport()))


def request(**changes: Any) -> ContainerRequest:
    wanted: dict[str, Any] = {"name": "a-container", "image": IMAGE, "reservation": "r", "environment": {}, "files": {}}
    return ContainerRequest(**wanted | changes)


def test_the_stock_client_refuses_device_profiles_so_none_is_sent(real: Site) -> None:
    with pytest.raises(InvalidAttribute, match="Key must be in name,image"):
        real._zun.containers.create(name="a-container", image=IMAGE, device_profiles=[])
    assert real.create_container(request()).name == "a-container"


def test_the_stock_client_has_no_call_for_devices_and_they_are_listed_all_the_same(real: Site) -> None:
    assert not hasattr(real._blazar, "device")
    devices = real.devices(datetime.now(UTC))
    assert devices is not None
    assert {one.machine_type for one in devices} == {"raspberrypi5"}


def test_the_status_error_is_shown_with_its_reason_and_is_a_failure(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Error", "ContainersNotReady", "containers with unready status: [agent]")
    up = testbed("up")
    assert up.code == 1
    assert "Error: ContainersNotReady containers with unready status: [agent]" in up.err


def test_force_is_not_allowed_and_not_needed(real: Site) -> None:
    container = real.create_container(request())
    with pytest.raises(zun_errors.Forbidden, match="Policy doesn't allow container:delete_force"):
        real._zun.containers.delete(container.id, force=True)
    assert real.delete_container(container)
    assert real.containers() == []


def test_a_container_that_is_being_made_cannot_be_deleted_and_down_says_so(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Creating", "ImagePullBackOff", "back-off")
    testbed("up")
    down = testbed("down")
    assert down.code == 3
    assert "cannot be deleted while it is Creating: ImagePullBackOff back-off; its lease takes it along" in down.out
    assert site.doubles.leases == {}


def test_a_container_that_is_gone_counts_as_deleted(real: Site) -> None:
    container = real.create_container(request())
    assert real.delete_container(container)
    assert real.delete_container(container)


def test_every_reservation_has_an_amount(site: RealSite, testbed: Testbed) -> None:
    testbed("up", "--devices", "3", "--device", "nyu-rpi5-07", "--lease", "2h")
    (body,) = site.doubles.sent("POST", "/reservation/v1/leases")
    wanted = [json.loads(one.pop("resource_properties")) for one in body["reservations"]]
    assert wanted == [["==", "$name", "nyu-rpi5-07"], *[["==", "$machine_name", "raspberrypi5"]] * 2]
    assert body.pop("reservations") == [{"resource_type": "device", "min": 1, "max": 1}] * 3
    end = datetime.strptime(body.pop("end_date"), "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert abs(end - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5), "the end is in UTC"
    assert body == {"name": "hearthwatch-proj05", "start_date": "now", "events": [], "before_end_date": None}


def test_zun_takes_names_that_kubernetes_does_not_and_the_testbed_makes_none(real: Site) -> None:
    assert real._zun.containers.create(name="Not_A_Label", image=IMAGE).name == "Not_A_Label"
    for fleet, suffix in [
        ("hearth_watch", "proj05"),
        ("Hearthwatch", "proj05"),
        ("hearthwatch", "proj05-"),
        ("h" * 21, "p"),
    ]:
        with pytest.raises(Problem, match="becomes part of a name in Kubernetes: use a-z, 0-9 and '-'"):
            Names(fleet, suffix)
    assert len(Names("h" * 20, "p" * 20).container("home-assistant", 99)) <= 63


def test_zun_refuses_a_variable_that_is_no_text(real: Site) -> None:
    with pytest.raises(zun_errors.BadRequest):
        real._zun.containers.create(name="a-container", image=IMAGE, environment={"PORT": 8883})
    with pytest.raises(TypeError, match="PORT of a-container is no text"):
        request(environment={"PORT": 8883}).arguments()


def test_ports_are_left_out_where_there_are_none(real: Site) -> None:
    assert "exposed_ports" not in request().arguments()
    assert real.create_container(request(exposed_ports=("8123/tcp",))).name == "a-container"


def test_ports_and_security_groups_exclude_each_other_and_privileges_are_refused(real: Site) -> None:
    create = real._zun.containers.create
    with pytest.raises(zun_errors.BadRequest):
        create(name="a-container", image=IMAGE, exposed_ports={"80": {}}, security_groups=["default"])
    with pytest.raises(zun_errors.Forbidden):
        create(name="a-container", image=IMAGE, privileged=True)
    allowed = {"name", "image", "hints", "environment", "labels", "mounts", "entrypoint", "command", "exposed_ports"}
    sent = request(entrypoint=("sh",), command=("-c",), exposed_ports=("80",), files={"/f": "content"}).arguments()
    assert set(sent) == allowed


def test_a_mount_carries_the_content_of_a_file_not_its_path(site: RealSite, real: Site) -> None:
    with pytest.raises(KeyError):
        real._zun.containers.create(name="a-container", image=IMAGE, mounts=[{"type": "bind", "destination": "/f"}])
    real.create_container(request(files={"/etc/hearthwatch/ca.crt": "-----BEGIN CERTIFICATE-----"}))
    assert site.mounted() == ["-----BEGIN CERTIFICATE-----"]


def test_a_file_that_is_too_large_for_kubernetes_is_refused_here() -> None:
    with pytest.raises(Problem, match="has more than 524288 bytes, which CHI@Edge cannot mount"):
        request(files={"/f": "x" * 524_289}).arguments()


def test_the_hint_is_the_reservation_not_the_lease(
    site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ContainerRequest] = []
    create = Site.create_container

    def keep(self: Site, wanted: ContainerRequest) -> Container:
        made.append(wanted)
        return create(self, wanted)

    monkeypatch.setattr(Site, "create_container", keep)
    testbed("up", "--devices", "2")
    (lease,) = site.doubles.leases.values()
    hints = [one.arguments()["hints"] for one in made]
    assert hints == [{"reservation": one["id"]} for one in lease["reservations"]]


def test_an_older_zun_is_asked_in_its_own_version(real: Site) -> None:
    assert real.zun_version == "1.40"
    assert chi.clients.ZUN_API_VERSION == "1.41"
    with pytest.raises(zun_errors.HttpError):
        chi.clients.zun(real._adapter).containers.list()


def test_the_log_is_asked_for_as_zun_accepts_it(site: RealSite, real: Site) -> None:
    container = real.create_container(request())
    # It has no host, so nobody has a log; that Zun looks for one shows that it accepted the question.
    with pytest.raises(Problem, match="the site has an error of its own"):
        real.logs(container, 50)
    with pytest.raises(zun_errors.BadRequest, match="'None' does not match"):
        real._zun.containers.logs(container.id, stdout=True, stderr=True, since=None)


def test_a_floating_ip_is_never_somebody_elses(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    other = {"id": "other", "floating_ip_address": "129.114.34.200", "port_id": None, "description": "our colleagues'"}
    site.doubles.floating_ips["other"] = other
    assert testbed("up", "--floating-ip").code == 0
    (body,) = site.doubles.sent("POST", "/network/v2.0/floatingips")
    assert body["floatingip"]["description"] == "hearthwatch-ip-proj05"
    assert testbed("down").code == 0
    assert list(site.doubles.floating_ips) == ["other"]


def test_no_floating_ip_is_asked_for_without_the_option(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up", "--home-assistant", "1")
    assert site.doubles.sent("POST", "/network/v2.0/floatingips") == []
    assert all(row["exposed_ports"] == "{}" for row in site.containers())


def test_an_image_that_cannot_be_fetched_stays_creating_and_is_a_failure(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Creating", "ErrImagePull", "manifest unknown")
    up = testbed("up")
    assert up.code == 1
    assert (
        "Creating: ErrImagePull manifest unknown. The image ghcr.io/hearthwatch/emulator:latest cannot be fetched: check its "
        "name and tag" in up.err
    )
