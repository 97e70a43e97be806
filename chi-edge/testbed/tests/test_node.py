"""`testbed node` against the real Keystone, with doubles of Blazar, Nova, Glance and Neutron that check every body."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Ran, Testbed
from services.doubles import PUBLIC_NETWORK, Refusal
from services.node_doubles import BARE_METAL_FLAVOR, CUDA_IMAGE, KVM_FLAVOR, SHARED_NETWORK
from services.site import NODES_REGION, RealSite

from hearthwatch_testbed import cli
from hearthwatch_testbed.node import inventory, up

LEASES = "/reservation/v1/leases"
CLOUD_INIT = Path(__file__).parents[2] / "cloud-init"
REVISION = "0123456789abcdef0123456789abcdef01234567"
UP = (
    "up", "--node-type", "gpu_rtx_6000", "--gpu", "--cuda-image", "example.org/cuda:1", "--key", "laptop", "--admin-cidr", "203.0.113.7/32",
    "--repository", "https://example.org/hearthwatch.git", "--revision", REVISION, "--cloud-init", str(CLOUD_INIT),
)  # fmt: skip


@pytest.fixture
def node(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Testbed:
    """Runs `testbed node` at the site of nodes; it does not wait between two questions."""
    monkeypatch.setenv("OS_REGION_NAME", NODES_REGION)
    monkeypatch.setattr(up, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(inventory, "SETTLE", timedelta(0))

    def run(command: str, *options: str) -> Ran:
        capsys.readouterr()
        code = cli.main(["node", command, "--suffix", "proj05", *options])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def refused(ran: Ran, code: int = 1) -> str:
    assert (ran.code, "Traceback" in ran.err) == (code, False), ran
    return ran.err.removeprefix("testbed: ").strip()


def test_up_makes_a_lease_an_address_and_a_server(site: RealSite, node: Testbed) -> None:
    ran = node(*UP, "--lease", "7d")
    assert ran.code == 0, ran.err
    (lease,) = site.doubles.sent("POST", LEASES)
    assert lease["name"] == "hearthwatch-node-proj05"
    assert lease["reservations"] == [
        {
            "resource_type": "physical:host",
            "resource_properties": '["==", "$node_type", "gpu_rtx_6000"]',
            "hypervisor_properties": "",
            "min": 1,
            "max": 1,
        }
    ]
    end = datetime.strptime(lease["end_date"], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    assert timedelta(days=6, hours=23) < end - datetime.now(UTC) <= timedelta(days=7)
    assert site.doubles.sent("POST", "/network/v2.0/floatingips") == [
        {"floatingip": {"floating_network_id": PUBLIC_NETWORK, "description": "hearthwatch-node-ip-proj05"}}
    ]
    (body,) = site.doubles.sent("POST", "/compute/v2.1/servers")
    (made,) = site.doubles.leases.values()
    assert body["os:scheduler_hints"] == {"reservation": made["reservations"][0]["id"]}
    server = body["server"]
    assert (server["name"], server["key_name"]) == ("hearthwatch-node-proj05", "laptop")
    assert (server["imageRef"], server["flavorRef"]) == (CUDA_IMAGE, BARE_METAL_FLAVOR)
    assert server["networks"] == [{"uuid": SHARED_NETWORK}]
    (key,) = site.doubles.nodes.servers
    assert site.doubles.sent("PUT", "/network/v2.0/floatingips") == [{"floatingip": {"port_id": f"port-of-{key}"}}]
    assert ran.out.endswith("  ssh cc@129.114.34.129 cloud-init status --wait --long\n")


def test_the_server_is_told_what_to_run_and_no_secret(site: RealSite, node: Testbed) -> None:
    assert node(*UP).code == 0
    (body,) = site.doubles.sent("POST", "/compute/v2.1/servers")
    text = base64.b64decode(body["server"]["user_data"]).decode()
    settings, setup = (base64.b64decode(one).decode() for one in re.findall(r'content: "(.+)"', text))
    assert json.loads(settings) == {
        "hearthwatch_admin_cidr": "203.0.113.7/32",
        "hearthwatch_agent_cidr": "0.0.0.0/0",
        "hearthwatch_cuda_image": "example.org/cuda:1",
        "hearthwatch_firewall": True,
        "hearthwatch_fleet_host": "129.114.34.129",
        "hearthwatch_gpu": True,
        "hearthwatch_registry": "",
        "hearthwatch_repository": "https://example.org/hearthwatch.git",
        "hearthwatch_revision": REVISION,
        "hearthwatch_tag": "0.1.0-amd64",
    }
    assert setup == (CLOUD_INIT / "node-setup.sh").read_text()


def test_run_twice_it_makes_nothing_twice(site: RealSite, node: Testbed) -> None:
    assert node(*UP).code == 0
    changes = [one for one in site.doubles.requests if one.method != "GET"]
    again = node(*UP)
    assert again.code == 0
    assert [one for one in site.doubles.requests if one.method != "GET"] == changes
    assert "made" not in again.out


@pytest.mark.parametrize("beginning", [LEASES, "/network/v2.0/floatingips", "/compute/v2.1/servers"])
def test_an_answer_that_was_lost_is_found_by_its_name(site: RealSite, node: Testbed, beginning: str) -> None:
    site.doubles.lost_answers.add(("POST", beginning))
    assert "The connection was lost." in refused(node(*UP))
    site.doubles.lost_answers.clear()
    assert node(*UP).code == 0
    assert len(site.doubles.sent("POST", beginning)) == 1, "what makes something is never sent twice"
    assert len(site.doubles.nodes.servers) == len(site.doubles.leases) == len(site.doubles.floating_ips) == 1


def test_another_revision_keeps_the_server_and_its_disk(site: RealSite, node: Testbed) -> None:
    assert node(*UP).code == 0
    before = list(site.doubles.nodes.servers)
    other = [one if one != REVISION else "f" * 40 for one in UP]
    kept = node(*other)
    assert kept.code == 0
    assert "stays; --replace makes it anew, and everything on its disk is lost." in kept.out
    assert list(site.doubles.nodes.servers) == before
    assert node(*other, "--replace").code == 0
    assert len(site.doubles.nodes.servers) == 1
    assert list(site.doubles.nodes.servers) != before


def test_a_server_that_failed_is_made_anew_only_when_asked(site: RealSite, node: Testbed) -> None:
    site.doubles.nodes.becomes = ("ERROR", "No valid host was found.")
    sentence = "The server hearthwatch-node-proj05 is ERROR: No valid host was found."
    assert refused(node(*UP)) == (
        f"{sentence} Run the same command again with --replace; if it fails again, run `testbed node down` and take another "
        "node."
    )
    assert refused(node(*UP)).startswith(f"{sentence} Give --replace to make it anew;")
    site.doubles.nodes.becomes = ("ACTIVE", "")
    assert node(*UP, "--replace").code == 0


def test_status_renew_and_down(site: RealSite, node: Testbed) -> None:
    assert node(*UP, "--lease", "2h").code == 0
    shown = node("status").out
    assert shown.startswith("hearthwatch-node-proj05: 1 lease, 1 server, 1 floating IP\n")
    assert "  server       hearthwatch-node-proj05  ACTIVE  10.140.82.7\n" in shown
    assert "It ends soon, and bare metal loses its disk then: `testbed node renew`." in shown
    assert node("renew", "--for", "3d").code == 0
    assert len(site.doubles.sent("PUT", LEASES)) == 1
    down = node("down")
    assert (down.code, down.out) == (
        0,
        (
            "server hearthwatch-node-proj05: deleted\nfloating IP 129.114.34.129: given back\n"
            "lease hearthwatch-node-proj05: deleted\nNothing is left of hearthwatch-node-proj05.\n"
        ),
    )
    deleted = [one.path.split("/")[1] for one in site.doubles.requests if one.method == "DELETE"]
    assert deleted == ["compute", "network", "reservation"]
    assert node("down").out == "Nothing is left of hearthwatch-node-proj05.\n"


def test_without_a_lease_there_is_nothing_to_renew(site: RealSite, node: Testbed) -> None:
    assert refused(node("renew")) == "There is no lease hearthwatch-node-proj05 to renew: `testbed node up` makes one."
    assert node("status").out == "hearthwatch-node-proj05: 0 lease, 0 server, 0 floating IP\n"


def test_what_lasts_at_kvm_is_shown_and_stays(site: RealSite, node: Testbed) -> None:
    address = {"floating_ip_address": "192.5.86.10", "description": "hearthwatch-address-proj05", "port_id": None}
    site.doubles.floating_ips["lasting"] = {"id": "lasting", **address}
    assert node(*UP).code == 0
    assert node("down").code == 0
    assert list(site.doubles.floating_ips) == ["lasting"]
    assert node("status").out == (
        "hearthwatch-node-proj05: 0 lease, 0 server, 0 floating IP\n"
        "Also ends in -proj05, and was not made by this command:\n"
        "  floating IP 192.5.86.10 (hearthwatch-address-proj05)\n"
    )


def test_down_goes_on_where_one_thing_cannot_be_deleted(site: RealSite, node: Testbed) -> None:
    assert node(*UP).code == 0
    site.doubles.refusals["DELETE", "/network"] = Refusal(
        500, {"NeutronError": {"message": "no", "type": "X", "detail": ""}}
    )
    sentence = refused(node("down"), code=3)
    assert "floating IP 129.114.34.129 (hearthwatch-node-ip-proj05)" in sentence
    assert site.doubles.leases == {}
    site.doubles.refusals.clear()
    assert node("down").code == 0


def test_a_server_of_terraforms_does_not_go_with_its_lease(site: RealSite, node: Testbed) -> None:
    assert node("lease", "--node-type", "gpu_rtx_6000").code == 0
    site.doubles.nodes.servers["x"] = {"id": "x", "name": "hearthwatch-node-proj05", "status": "ACTIVE", "metadata": {}}
    assert refused(node("down")) == (
        "server hearthwatch-node-proj05 (ACTIVE) was not made by this command, and would go with its lease: first run "
        "`terraform destroy` in chi-edge/terraform/node, or delete it by hand."
    )
    assert len(site.doubles.leases) == 1


def test_lease_prints_a_line_for_terraform(site: RealSite, node: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    # KVM@TACC's form of lease, asked of the site that there is.
    monkeypatch.setattr("hearthwatch_testbed.node.plan.KVM", NODES_REGION)
    ran = node("lease", "--flavor", "m1.xlarge", "--lease", "30d")
    assert ran.code == 0, ran.err
    (body,) = site.doubles.sent("POST", LEASES)
    assert body["reservations"] == [
        {"resource_type": "flavor:instance", "flavor_id": KVM_FLAVOR, "amount": 1, "affinity": None}
    ]
    (lease,) = site.doubles.leases.values()
    assert ran.out.splitlines()[-1] == f'reservation = "{lease["reservations"][0]["id"]}"'
    assert node("lease", "--flavor", "m1.xlarge").out.splitlines()[-1] == ran.out.splitlines()[-1]
    assert len(site.doubles.leases) == 1


def changed(**changes: str) -> list[str]:
    """The options of `up` with others; an empty one leaves its option away."""
    options = list(UP)
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        if option in options:
            at = options.index(option)
            del options[at : at + 2]
        options += [option, value] if value else []
    return options


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"lease": "8d"},
            "A lease of 8d is too long: CHI@UC allows 7 days. Ask for 7d, and run `testbed node renew` in the last two days.",
        ),
        ({"lease": "5m"}, "A lease of 5m is over before the node runs: ask for 2h or more."),
        (
            {"node_type": ""},
            "CHI@UC leases nodes: give either --node-type, such as gpu_rtx_6000, or --node with the name of one.",
        ),
        (
            {"node_type": "gpu_mi100"},
            (
                "gpu_mi100 has GPUs of AMD, and the aggregator trains on those of NVIDIA: take gpu_rtx_6000 or another, or leave "
                "--gpu away."
            ),
        ),
        ({"admin_cidr": "me"}, "--admin-cidr is 'me': write IPv4 addresses with a length, such as 203.0.113.7/32."),
        (
            {"admin_cidr": "0.0.0.0/0"},
            (
                "--admin-cidr is the whole internet: name the addresses of administrators, such as 203.0.113.7/32 (yours: `curl "
                "-4 https://ifconfig.me`)."
            ),
        ),
        (
            {"repository": "https://user:secret@example.org/a.git"},
            (
                "--repository is no https address, or has a login in it: write https://HOST/PATH without one; the project can read "
                "it at the site."
            ),
        ),
        (
            {"registry": "ghcr.io/somebody"},
            (
                "--registry is 'ghcr.io/somebody': write HOST/PATH/ in small letters with a slash at its end, such as "
                "ghcr.io/somebody/; or leave it away and load images by hand."
            ),
        ),
        (
            {"cuda_image": ""},
            (
                "With --gpu also give --cuda-image, an aggregator that was built with the feature cuda: otherwise the GPU would be "
                "leased and not used."
            ),
        ),
        (
            {"revision": "main"},
            "--revision is 'main': give the 40 digits of a commit (`git rev-parse HEAD`); branches and tags may move.",
        ),
    ],
)
def test_wrong_options_are_said_before_anything_is_sent(
    site: RealSite, node: Testbed, changes: dict[str, str], sentence: str
) -> None:
    assert refused(node(*changed(**changes)), code=2) == sentence
    assert site.doubles.requests == []


def test_kvm_is_terraforms(node: Testbed) -> None:
    assert refused(node(*UP, "--site", "KVM@TACC"), code=2) == (
        "At KVM@TACC Terraform makes the node: run `testbed node lease --flavor FLAVOUR`, then `terraform apply` in "
        "chi-edge/terraform/node."
    )


def test_a_folder_without_the_user_data(site: RealSite, node: Testbed, tmp_path: Path) -> None:
    assert refused(node(*changed(cloud_init=str(tmp_path))), code=2) == (
        f"{tmp_path}/user-data.yaml cannot be read (No such file or directory): run this in a clone of the project, or name its "
        "folder chi-edge/cloud-init by --cloud-init."
    )


def test_nothing_is_leased_without_a_key(site: RealSite, node: Testbed) -> None:
    assert refused(node(*changed(key="other"))) == (
        "No key pair is called other; there are: laptop. Add one: `openstack keypair create --public-key "
        "~/.ssh/id_ed25519.pub other`. Each site has its own."
    )
    assert site.doubles.leases == {}


def test_a_type_that_does_not_exist_and_one_that_is_busy(site: RealSite, node: Testbed) -> None:
    assert refused(node(*changed(node_type="gpu_h200"))) == (
        "No node is a gpu_h200; there are: compute_skylake, gpu_rtx_6000. Give another --node-type."
    )
    start, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=5)
    times = {"start_date": start.strftime("%Y-%m-%dT%H:%M:%S.0"), "end_date": end.strftime("%Y-%m-%dT%H:%M:%S.0")}
    site.doubles.nodes.host_allocations = [
        {"resource_id": number, "reservations": [{"id": "r", "lease_id": "l", **times}]} for number in ("1", "2")
    ]
    assert refused(node(*UP)) == (
        f"None of 2 gpu_rtx_6000 is free; the next is free at {end:%Y-%m-%d %H:%M} UTC. Give another --node-type, or come later."
    )
    assert site.doubles.leases == {}
    assert refused(node(*changed(node_type="", node="P3-GPU-009"))).startswith("No node is called P3-GPU-009:")


def test_what_blazar_and_neutron_refuse(site: RealSite, node: Testbed) -> None:
    site.doubles.refusals["POST", LEASES] = Refusal(
        400, {"error_code": 400, "error_message": "Not enough hosts available"}
    )
    assert refused(node(*UP)).startswith(
        "Making the lease: No such node is free for that time: ask for a shorter lease, give another --node-type, or come later."
    )
    site.doubles.refusals.clear()
    site.doubles.refusals["POST", "/network/v2.0/floatingips"] = Refusal(
        409, {"NeutronError": {"type": "IpAddressGenerationFailure", "message": "No more IP addresses", "detail": ""}}
    )
    refused_address = refused(node(*UP))
    assert refused_address.startswith("Asking for a floating IP: The site has no floating IP left")
    assert site.doubles.nodes.servers == {}


def test_the_credential_of_another_site(site: RealSite, node: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_REGION_NAME", "CHI@TACC")
    assert refused(node(*UP)).startswith("The credential is for CHI@TACC, and the testbed is to be at CHI@UC:")
    monkeypatch.delenv("OS_REGION_NAME")
    assert refused(node(*UP, "--site", "CHI@TACC")) == (
        "The catalogue has no service 'reservation' (Blazar, for leases) in the region 'CHI@TACC'; it has it in: CHI@Edge, "
        "CHI@UC. Check --site (CHI@Edge for devices; CHI@UC, CHI@TACC or KVM@TACC for nodes), and that OS_AUTH_URL is "
        "https://chi.tacc.chameleoncloud.org:5000/v3."
    )


def test_a_restricted_credential(site: RealSite, node: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", site.restricted_id)
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", site.restricted_secret)
    assert refused(node(*UP)).startswith("The application credential is restricted,")
    assert site.doubles.requests == []


@pytest.mark.parametrize(("file", "image"), [("gpu", "CC-Ubuntu24.04-CUDA"), ("cpu", "CC-Ubuntu24.04")])
def test_options_come_from_a_file(site: RealSite, node: Testbed, file: str, image: str) -> None:
    shared = list(changed(node_type="", cuda_image=""))
    shared.remove("--gpu")
    options = [f"@{CLOUD_INIT.parent / 'bare-metal' / file}.args", *shared[1:], "--cuda-image", "example.org/cuda:1"]
    ran = node("up", *options)
    assert ran.code == 0, ran.err
    assert f"server hearthwatch-node-proj05: made from {image}\n" in ran.out
    (lease,) = site.doubles.leases.values()
    end = datetime.fromisoformat(lease["end_date"]).replace(tzinfo=UTC)
    assert end - datetime.now(UTC) > timedelta(days=6)
