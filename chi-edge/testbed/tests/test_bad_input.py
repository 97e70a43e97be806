"""Everything that can be wrong, and the sentence that says what to do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Ran, Testbed
from services.doubles import Refusal
from services.site import RealSite

from hearthwatch_testbed.site import container_of
from hearthwatch_testbed.up import failure

LEASES = "/reservation/v1/leases"


def refused(testbed: Testbed, *options: str, code: int = 1) -> str:
    ran: Ran = testbed("up", *options)
    assert (ran.code, "Traceback" in ran.err) == (code, False), ran
    return ran.err.removeprefix("testbed: ").strip()


def blazar_says(site: RealSite, status: int, message: str) -> None:
    site.doubles.refusals["POST", LEASES] = Refusal(status, {"error_code": status, "error_message": message})


def test_no_credentials(testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OS_AUTH_URL", "OS_CLOUD"):
        monkeypatch.delenv(name, raising=False)
    assert refused(testbed) == (
        "There are no credentials: neither OS_AUTH_URL nor OS_CLOUD is set. Make one in the site's dashboard: Identity, "
        "Application Credentials, Create; tick the roles member and reader, and 'Unrestricted'; download the openrc file and "
        "`source` it (or name a cloud of clouds.yaml by --os-cloud)."
    )


def test_half_of_the_credentials(site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OS_APPLICATION_CREDENTIAL_SECRET")
    assert refused(testbed).startswith("The credentials are not complete: ")


def test_a_cloud_that_clouds_yaml_does_not_have(testbed: Testbed) -> None:
    assert refused(testbed, "--os-cloud", "nowhere").startswith(
        "The credentials are not complete: Cloud nowhere was not found"
    )


def test_the_credential_of_another_site(site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_REGION_NAME", "CHI@UC")
    assert refused(testbed) == (
        "The credential is for CHI@UC, and the testbed is to be at CHI@Edge: `source` the openrc file of CHI@Edge, or give "
        "--site CHI@UC. Each site has its own credentials."
    )


def test_a_region_that_the_catalogue_does_not_have(
    site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OS_REGION_NAME")
    assert refused(testbed, "--site", "CHI@Edg") == (
        "The catalogue has no service 'reservation' (Blazar, for leases) in the region 'CHI@Edg'; it has it in: CHI@Edge, CHI@UC. "
        "Check --site (CHI@Edge for devices; CHI@UC, CHI@TACC or KVM@TACC for nodes), and that OS_AUTH_URL is "
        "https://chi.edge.chameleoncloud.org:5000/v3."
    )


def test_an_expired_credential(site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", site.expired_id)
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", site.expired_secret)
    assert refused(testbed).startswith(
        "Logging in: Keystone refuses the application credential: it is expired or deleted, its secret is wrong, or it belongs "
        "to another site (each site has its own). Make a new one in the site's dashboard"
    )


def test_a_restricted_credential_is_found_before_blazar_fails_on_it(
    site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", site.restricted_id)
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", site.restricted_secret)
    assert refused(testbed).startswith(
        "The application credential is restricted, and Blazar needs an unrestricted one to make a lease"
    )
    assert site.doubles.sent("POST", LEASES) == []


def test_an_unknown_device(site: RealSite, testbed: Testbed) -> None:
    assert refused(testbed, "--device", "nyu-rpi5-99").startswith(
        "No device is called nyu-rpi5-99; there are: nyu-rpi5-01, nyu-rpi5-02"
    )


def test_an_unknown_type_of_device(site: RealSite, testbed: Testbed) -> None:
    assert refused(testbed, "--machine-type", "raspberrypi6") == (
        "No device is a raspberrypi6; there are: raspberrypi5. Give --machine-type."
    )


def reserve(site: RealSite, *devices: str) -> str:
    """By somebody else, for another three hours; when that is."""
    start, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=3)
    reservation = {"start_date": start.isoformat()[:19], "end_date": end.isoformat()[:19]}
    site.doubles.allocations = [{"resource_id": one, "reservations": [reservation]} for one in devices]
    return f"{end:%Y-%m-%d %H:%M} UTC"


def test_a_busy_device(site: RealSite, testbed: Testbed) -> None:
    until = reserve(site, "3")
    assert refused(testbed, "--device", "nyu-rpi5-03") == (
        f"The device nyu-rpi5-03 is reserved until {until}. Choose another by --device, or come later."
    )


def test_too_few_free_devices(site: RealSite, testbed: Testbed) -> None:
    until = reserve(site, "1", "2", "3", "4", "5", "6")
    assert refused(testbed, "--devices", "2") == (
        f"1 of 7 raspberrypi5 are free, and 2 are wanted; the next is free at {until}. Give fewer --devices or another "
        "--machine-type, or come later."
    )


def test_a_device_that_somebody_else_gets_first(site: RealSite, testbed: Testbed) -> None:
    blazar_says(site, 500, "Not enough resources available")
    assert refused(testbed).startswith(
        "Making the lease: No such device is free: it is reserved by others, switched off"
    )


def test_a_site_that_does_not_list_its_devices_is_asked_all_the_same(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    site.doubles.refusals["GET", "/reservation/v1/devices"] = Refusal(403, {"error_message": "Policy doesn't allow"})
    assert testbed("up").code == 0


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (
            403,
            "Quota exceeded for resources: lease",
            "Making the lease: The project's quota is used up: give something back",
        ),
        (
            400,
            "Reservation for project CHI-1 would spend 900 SUs, only 100 left of the allocation",
            "Making the lease: The project's allocation does not suffice: ask for fewer devices or a shorter lease",
        ),
        (
            400,
            "Lease duration of 700000.0 seconds must be less than or equal to the maximum lease duration of 604800 seconds.",
            "Making the lease: The site says that the lease is too long: ask for at most 7 days",
        ),
        (
            409,
            "The lease with name: hearthwatch-proj05 already exists",
            "Making the lease: The name of the lease is taken: it belongs to somebody else of the project",
        ),
        (500, "Internal Server Error", "Making the lease: the site has an error of its own. Try again in a minute"),
        (418, "I am a teapot", "Making the lease: the site refuses. ERROR: I am a teapot"),
    ],
)
def test_what_blazar_refuses(site: RealSite, testbed: Testbed, status: int, message: str, sentence: str) -> None:
    blazar_says(site, status, message)
    assert refused(testbed).startswith(sentence)


def test_a_lease_that_is_too_long_is_not_asked_for(testbed: Testbed) -> None:
    assert refused(testbed, "--lease", "8d", code=2) == (
        "A lease of 8d is too long: the site allows 7 days. Ask for 7d, and run `testbed renew` in the last two days."
    )
    assert refused(testbed, "--lease", "a week", code=2) == "'a week' is not a duration: write 90m, 2h or 7d."


def test_an_extension_too_early(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up", "--lease", "5d")
    message = "Lease can only be extended within 172800 seconds of the leases current end time."
    site.doubles.refusals["PUT", LEASES] = Refusal(400, {"error_message": message})
    renewed = testbed("renew")
    assert renewed.code == 1
    assert "the site may refuse an extension before" in renewed.out
    assert renewed.err.startswith(
        "testbed: Extending the lease: A lease can be extended only shortly before its end (two days"
    )


def test_the_name_of_an_image_that_cannot_be_one(testbed: Testbed) -> None:
    assert refused(testbed, "--agent-image", "GHCR.io/Agent:1", code=2).startswith(
        "--agent-image is 'GHCR.io/Agent:1', which is not the name of an image: write HOST/PATH/NAME:TAG in small letters"
    )


def test_an_image_for_another_processor(site: RealSite) -> None:
    raw = {
        "uuid": "u",
        "name": "n",
        "image": "ghcr.io/x/agent:1",
        "status": "Error",
        "status_detail": "ContainersNotReady",
    }
    assert failure(container_of(raw), "exec /hearthwatch-edge: exec format error\n") == (
        "Error: ContainersNotReady. The image ghcr.io/x/agent:1 is for another processor: CHI@Edge's devices are arm64. Build it "
        "with `--arch arm64` and push it again."
    )


def test_a_program_that_ends_says_its_last_line(site: RealSite) -> None:
    raw = {"uuid": "u", "name": "n", "image": "i", "status": "Error", "status_detail": "ContainersNotReady"}
    assert (
        failure(container_of(raw), "one\nno claim token\n")
        == "Error: ContainersNotReady. Its log ends with: no claim token"
    )


def test_a_name_that_is_taken(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    testbed("up")
    site.change_containers("labels = '{}'", "image LIKE '%agent%'")
    before = site.containers()
    assert refused(testbed) == (
        "The name hearthwatch-agent-01-proj05 is taken by a container that this program did not make: give another --fleet-name "
        "or --suffix, or delete that container."
    )
    assert site.containers() == before


@pytest.mark.parametrize(
    ("status", "kind", "message", "sentence"),
    [
        (
            409,
            "IpAddressGenerationFailure",
            "No more IP addresses available on network 17446dec.",
            "Asking for a floating IP: The site has no floating IP left. A fleet needs none: leave --floating-ip away",
        ),
        (
            409,
            "OverQuota",
            "Quota exceeded for resources: ['floatingip'].",
            "Asking for a floating IP: The project's quota is used up",
        ),
    ],
)
def test_no_floating_ip_is_left(
    site: RealSite, testbed: Testbed, status: int, kind: str, message: str, sentence: str
) -> None:
    site.hosts_answer("Running")
    error = {"NeutronError": {"type": kind, "message": message, "detail": ""}}
    site.doubles.refusals["POST", "/network/v2.0/floatingips"] = Refusal(status, error)
    assert refused(testbed, "--floating-ip").startswith(sentence)


def test_a_connection_that_is_lost_in_the_middle(site: RealSite, testbed: Testbed) -> None:
    site.hosts_answer("Running")
    site.doubles.refusals["POST", "/network/v2.0/floatingips"] = None
    assert refused(testbed, "--floating-ip").startswith(
        "Asking for a floating IP: The connection was lost. It is not known whether the last request arrived. `testbed status` "
        "shows what exists; run the same command again, it continues where this one stopped."
    )
    assert "hearthwatch-proj05: 1 lease, 2 containers, 0 floating IPs" in testbed("status").out
    site.doubles.refusals.clear()
    assert testbed("up", "--floating-ip").code == 0


def test_a_site_that_does_not_answer(site: RealSite, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_URL", "http://127.0.0.1:9/v3")
    assert refused(testbed).startswith("Logging in: The connection was lost.")


def test_a_role_that_is_missing(site: RealSite, testbed: Testbed) -> None:
    blazar_says(site, 403, "Policy doesn't allow blazar:leases:post to be performed.")
    assert refused(testbed).startswith(
        "Making the lease: The site does not allow this: the credential needs the roles member and reader."
    )


def test_a_lease_whose_device_did_not_come(site: RealSite, testbed: Testbed) -> None:
    site.doubles.lease_status = "ERROR"
    assert refused(testbed).startswith("The lease hearthwatch-proj05 has the status ERROR")
    site.doubles.lease_status = "ACTIVE"
    site.hosts_answer("Running")
    assert testbed("up").code == 0


def test_keys_that_are_not_there(site: RealSite, testbed: Testbed, keys: Path) -> None:
    (keys / "ca" / "ca.crt").unlink()
    assert "ca.crt cannot be read (No such file or directory): --keys names the folder" in refused(testbed)
    (keys / "ca" / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    assert "is not a certificate, or holds a private key beside it: it goes to every device." in refused(testbed)
    assert site.doubles.leases == {}


def test_a_journal_that_is_damaged(site: RealSite, testbed: Testbed, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "hearthwatch-proj05.json").write_text("{")
    assert "hearthwatch-proj05.json cannot be read" in refused(testbed)
    assert "remove it: what exists is asked of the site anyway." in refused(testbed)


def test_options_that_contradict_each_other(testbed: Testbed) -> None:
    elsewhere = ("--home-assistant-url", "http://192.168.1.5:8123")
    for options, sentence in [
        (("--devices", "0"), "A testbed has at least one device: --devices 1."),
        (("--devices", "3", "--emulated", "1"), "2 of 3 devices would have an agent and no Home Assistant to watch"),
        (("--device", "a", "--device", "b"), "2 devices are named, and --devices is 1."),
        (("--emulated", "100"), "100 homes are more than a testbed names, 99."),
        (
            ("--floating-ip", *elsewhere),
            "--floating-ip leads to a Home Assistant in a container: give --home-assistant 1.",
        ),
        (("--emulated", "-1"), "--home-assistant and --emulated are counts: 0 or more."),
    ]:
        assert refused(testbed, *options, code=2).startswith(sentence)
