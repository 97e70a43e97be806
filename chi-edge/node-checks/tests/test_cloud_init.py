"""The user data, held against the schema of the cloud-init that the node has."""

import base64
import json
import re
from pathlib import Path

from ubuntu_root import CHI_EDGE, Root

USER_DATA = CHI_EDGE / "cloud-init" / "user-data.yaml"
SETUP = CHI_EDGE / "cloud-init" / "node-setup.sh"


def rendered() -> str:
    settings = base64.b64encode(json.dumps({"hearthwatch_gpu": False}).encode()).decode()
    filled = USER_DATA.read_text().replace("@SETTINGS@", settings)
    return filled.replace("@SETUP@", base64.b64encode(SETUP.read_bytes()).decode())


def test_cloud_init_takes_the_user_data(root: Root) -> None:
    root.write("/user-data", rendered())
    done = root.run("cloud-init", "schema", "--config-file", "/user-data")
    assert (done.returncode, done.stdout + done.stderr) == (0, "Valid schema /user-data\n")


def test_a_fault_would_be_found(root: Root) -> None:
    root.write("/user-data", rendered().replace("permissions:", "permission:"))
    assert root.run("cloud-init", "schema", "--config-file", "/user-data").returncode == 1


def test_two_words_are_filled_in_and_nothing_else() -> None:
    assert re.findall(r"@[A-Z]+@", USER_DATA.read_text()) == ["@SETTINGS@", "@SETUP@"]
    assert "@" not in re.sub(r"(?m)^\s*#.*$", "", rendered())


def test_it_fits_into_what_nova_takes() -> None:
    assert len(base64.b64encode(rendered().encode())) < 65_536


def test_the_script_is_that_of_the_tree() -> None:
    assert Path(SETUP).stat().st_mode & 0o111


def test_terraform_and_testbed_send_only_settings_that_the_playbook_has() -> None:
    known = set(re.findall(r"(?m)^#? ?(hearthwatch_\w+):", (CHI_EDGE / "ansible/group_vars/all.yml").read_text()))
    terraform = re.findall(r"(?m)^ +(hearthwatch_\w+) += ", (CHI_EDGE / "terraform/node/decisions.tf").read_text())
    testbed = re.findall(
        r'"(hearthwatch_\w+)"', (CHI_EDGE / "testbed/src/hearthwatch_testbed/node/commands.py").read_text()
    )
    assert len(terraform) == 9
    assert set(terraform) - known == set(testbed) - known == set()
