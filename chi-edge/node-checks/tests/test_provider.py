"""Terraform's files, held against the schema of the provider openstack 3.0."""

from pathlib import Path

import hcl2
import pytest

from configuration import blocks, faults
from provider import Argument, kind, snake

TERRAFORM = Path(__file__).parents[2] / "terraform"


@pytest.mark.parametrize("folder", ["lasting", "node"])
def test_every_argument_and_attribute_exists_and_none_is_missing(folder: str) -> None:
    assert faults(TERRAFORM / folder) == []


def test_both_folders_use_what_they_are_said_to_use() -> None:
    used = {
        (data, name)
        for folder in ("lasting", "node")
        for path in (TERRAFORM / folder).glob("*.tf")
        for data, name, _, _ in blocks(
            hcl2.loads(path.read_text(), serialization_options=hcl2.SerializationOptions(strip_string_quotes=True))
        )
    }
    assert used == {
        (False, "openstack_blockstorage_volume_v3"),
        (False, "openstack_compute_instance_v2"),
        (False, "openstack_compute_volume_attach_v2"),
        (False, "openstack_networking_floatingip_associate_v2"),
        (False, "openstack_networking_floatingip_v2"),
        (False, "openstack_networking_port_v2"),
        (False, "openstack_networking_secgroup_rule_v2"),
        (False, "openstack_networking_secgroup_v2"),
        (True, "openstack_blockstorage_volume_v3"),
        (True, "openstack_networking_floatingip_v2"),
        (True, "openstack_networking_network_v2"),
    }


def test_a_wrong_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.tf").write_text(
        """
        resource "openstack_compute_instance_v2" "node" {
          names      = "node"
          depends_on = []
          network {
            ports = openstack_networking_port_v2.node.identity
          }
        }
        resource "openstack_networking_port_v2" "node" {
          network_id = data.openstack_networking_network_v2.shared.id
        }
        resource "openstack_networking_secgroup_rule_v2" "rule" {
          direction         = "ingress"
          ethertype         = "IPv4"
        }
        resource "openstack_compute_floatingip_associate_v2" "gone" {
        }
        """
    )
    assert faults(tmp_path) == [
        "wrong.tf: openstack_compute_instance_v2.node: has no argument 'names'",
        "wrong.tf: openstack_compute_instance_v2.node.network: has no argument 'ports'",
        "wrong.tf: openstack_compute_instance_v2.node: the argument 'name' is missing",
        "wrong.tf: openstack_networking_secgroup_rule_v2.rule: the argument 'security_group_id' is missing",
        "wrong.tf: openstack_compute_floatingip_associate_v2.gone: the provider has no resource of this type",
        "wrong.tf: openstack_networking_port_v2.node: has no attribute 'identity'",
        "wrong.tf: data.openstack_networking_network_v2.shared: is referred to, and is not declared",
    ]


def test_an_override_may_leave_out_what_is_required(tmp_path: Path) -> None:
    (tmp_path / "node.tf").write_text('resource "openstack_compute_instance_v2" "node" {\n  name = "node"\n}\n')
    (tmp_path / "node_override.tf").write_text(
        'resource "openstack_compute_instance_v2" "node" {\n  key_par = "a"\n}\n'
    )
    assert faults(tmp_path) == ["node_override.tf: openstack_compute_instance_v2.node: has no argument 'key_par'"]


def test_the_schema_says_what_is_required() -> None:
    rule = kind("openstack_networking_secgroup_rule_v2", data=False)
    assert rule is not None
    assert {name for name, one in rule.arguments.items() if one.required} == {
        "direction",
        "ethertype",
        "security_group_id",
    }
    instance = kind("openstack_compute_instance_v2", data=False)
    assert instance is not None
    block = instance.arguments["network"].block
    assert block is not None
    assert block["port"] == Argument(required=False, block=None)
    assert snake("accessIpV4") == "access_ip_v4"
