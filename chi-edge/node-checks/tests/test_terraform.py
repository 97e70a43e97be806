"""Form, decisions and validation of Terraform's files, by Terraform itself. The decisions need no provider."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHI_EDGE = Path(__file__).parents[2]
TERRAFORM = shutil.which("terraform")

pytestmark = pytest.mark.skipif(TERRAFORM is None, reason="terraform is not installed; check.sh says so")

VOLUME, ADDRESS = "1b9a6f7e-3d2c-4b5a-9e8f-0123456789ab", "192.5.86.10"
GOOD = {
    "lasting": {"suffix": "proj05"},
    "node": {
        "suffix": "proj05",
        "reservation": "5d2e1c3b-8f7a-4e6d-9c0b-a1b2c3d4e5f6",
        "key": "laptop",
        "admin_cidr": "203.0.113.7/32",
        "repository": "https://example.org/somebody/hearthwatch.git",
        "revision": "0123456789abcdef0123456789abcdef01234567",
    },
}
#: Stands for what the provider would answer, and shows the decisions.
HARNESS = {
    "lasting": 'output "decisions" {\n  value = { volume = local.volume_name, address = local.address_description }\n}\n',
    "node": f"""
locals {{
  volume_id = "{VOLUME}"
  address   = "{ADDRESS}"
}}
output "decisions" {{
  value = {{
    name = local.name, image = local.image, fleet_host = local.fleet_host, volume = local.volume_name,
    description = local.address_description, ingress = local.ingress, settings = local.settings
  }}
}}
output "user_data" {{
  value = local.user_data
}}
""",
}


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert TERRAFORM
    # Without the user's own configuration, and without asking whether there is a newer version.
    environment = os.environ | {"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    return subprocess.run(
        [TERRAFORM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module", params=["lasting", "node"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return offline(str(request.param), tmp_path_factory)


def offline(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with all that needs no provider."""
    top = tmp_path_factory.mktemp("offline")
    shutil.copytree(CHI_EDGE / "cloud-init", top / "cloud-init")
    folder = top / "terraform" / name
    folder.mkdir(parents=True)
    for file in ("variables.tf", "decisions.tf"):
        shutil.copy(CHI_EDGE / "terraform" / name / file, folder)
    if (CHI_EDGE / "terraform" / name / "tests").is_dir():
        shutil.copytree(CHI_EDGE / "terraform" / name / "tests", folder / "tests")
    (folder / "harness.tf").write_text(HARNESS[name])
    done = terraform(folder, "init", "-no-color")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return offline("node", tmp_path_factory)


def variables(name: str, **changes: object) -> list[str]:
    values: dict[str, object] = GOOD[name] | changes
    return [
        f"-var={key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in values.items()
        if value is not None
    ]


def decided(folder: Path, **changes: object) -> dict[str, object]:
    done = terraform(folder, "apply", "-auto-approve", "-no-color", *variables(folder.name, **changes))
    assert done.returncode == 0, done.stderr
    outputs = json.loads(terraform(folder, "output", "-json").stdout)
    return {key: one["value"] for key, one in outputs.items()}


def refused(folder: Path, **changes: object) -> str:
    """The sentence with which a value is refused."""
    done = terraform(folder, "plan", "-input=false", "-no-color", *variables(folder.name, **changes))
    assert done.returncode == 1
    text = re.sub(r"[│╷╵]", "", done.stderr)
    found = re.search(r"\n\s*\n\s*([A-Z].*?)\s*\n\s*\n\s*This was checked", text, re.DOTALL)
    assert found, text
    return " ".join(found[1].split())


def test_the_files_are_formatted() -> None:
    done = terraform(CHI_EDGE / "terraform", "fmt", "-check", "-recursive", "-diff")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_decisions_pass_their_own_tests(node: Path) -> None:
    done = terraform(node, "test", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Success! \d+ passed, 0 failed\.", done.stdout)


def test_a_suffix_that_makes_no_name_is_refused(root: Path) -> None:
    sentence = "The suffix becomes part of host names: use a-z, 0-9 and '-' (not at either end), at most 20 characters."
    for suffix in ("Proj05", "proj_05", "-proj05", "proj05-", "", "a" * 21):
        assert refused(root, suffix=suffix) == sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"reservation": "the-lease"},
            "Give the id of a reservation (not of its lease): 36 characters, as `testbed node lease` prints it.",
        ),
        (
            {"key": " "},
            "Give the name of a key pair: `openstack keypair list` shows those of KVM@TACC. Without one nobody can log in.",
        ),
        (
            {"admin_cidr": "0.0.0.0/0"},
            "Give the IPv4 addresses of administrators, such as 203.0.113.7/32 (yours: `curl -4 https://ifconfig.me`). "
            "The whole internet (/0) is refused.",
        ),
        ({"admin_ports": [70000]}, "Give admin_ports as whole numbers from 1 to 65535."),
        (
            {"agent_cidr": "everywhere"},
            "Give the IPv4 addresses of agents, such as 0.0.0.0/0 for everywhere: broker and aggregator check "
            "certificates and tokens.",
        ),
        (
            {"fleet_host": "https://fleet.example"},
            "Give fleet_host as a name in the DNS (fleet.example.org) or an IPv4 address, without https:// and without a "
            "port.",
        ),
        (
            {"repository": "https://user:secret@example.org/a.git"},
            "Give repository as https://HOST/PATH without a login in it: it is kept in the state and on the node, in clear.",
        ),
        (
            {"registry": "ghcr.io/somebody"},
            "Give registry as HOST/PATH/ in small letters with a slash at its end, such as ghcr.io/somebody/; or leave it "
            "empty and load images by hand.",
        ),
        (
            {"gpu": True},
            "With gpu = true also give cuda_image, an aggregator that was built with the feature cuda: otherwise the GPU "
            "would be leased and not used.",
        ),
        (
            {"revision": "main"},
            "Give revision as the 40 digits of a commit (`git rev-parse HEAD`), not as a branch or tag: those may move.",
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(node: Path, changes: dict[str, object], sentence: str) -> None:
    assert refused(node, **changes) == sentence


def test_a_volume_of_no_use_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = offline("lasting", tmp_path_factory)
    for size in (5, 2000, 10.5):
        assert refused(folder, volume_gib=size).startswith("Give volume_gib as a whole number from 10 to 1000:")
    assert decided(folder)["decisions"] == {
        "volume": "hearthwatch-data-proj05",
        "address": "hearthwatch-address-proj05",
    }


def test_the_node_finds_what_lasts_by_the_names_that_it_was_given(node: Path) -> None:
    decisions = decided(node)["decisions"]
    assert isinstance(decisions, dict)
    assert (decisions["volume"], decisions["description"]) == ("hearthwatch-data-proj05", "hearthwatch-address-proj05")


def test_no_secret_and_no_address_of_administrators_is_in_the_user_data(node: Path) -> None:
    answers = decided(node, fleet_host="fleet.example.org", gpu=True, cuda_image="example.org/cuda:1")
    assert isinstance(answers["decisions"], dict)
    assert answers["decisions"]["settings"] == {
        "hearthwatch_cuda_image": "example.org/cuda:1",
        "hearthwatch_data_device": f"/dev/disk/by-id/virtio-{VOLUME[:20]}",
        "hearthwatch_firewall": False,
        "hearthwatch_fleet_host": "fleet.example.org",
        "hearthwatch_gpu": True,
        "hearthwatch_registry": "",
        "hearthwatch_repository": "https://example.org/somebody/hearthwatch.git",
        "hearthwatch_revision": "0123456789abcdef0123456789abcdef01234567",
        "hearthwatch_tag": "0.1.0-amd64",
    }
    assert "203.0.113" not in str(answers)[str(answers).index("user_data") :]


def test_the_volume_is_deleted_only_with_the_override(tmp_path: Path) -> None:
    # By a resource of Terraform's own in the place of the volume.
    lasting = (CHI_EDGE / "terraform/lasting/lasting.tf").read_text()
    assert lasting.count("prevent_destroy = true") == 1
    (tmp_path / "main.tf").write_text(
        'resource "terraform_data" "data" {\n  lifecycle {\n    prevent_destroy = true\n  }\n}\n'
    )
    assert terraform(tmp_path, "init").returncode == 0
    assert terraform(tmp_path, "apply", "-auto-approve").returncode == 0
    assert "Instance cannot be destroyed" in terraform(tmp_path, "destroy", "-auto-approve", "-no-color").stderr
    example = (CHI_EDGE / "terraform/lasting/give-back_override.tf.example").read_text()
    (tmp_path / "give-back_override.tf").write_text(
        example.replace("openstack_blockstorage_volume_v3", "terraform_data")
    )
    assert terraform(tmp_path, "destroy", "-auto-approve", "-no-color").returncode == 0
