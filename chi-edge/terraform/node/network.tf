# KVM@TACC lets nothing in that no security group allows, and a new group lets everything out.

data "openstack_networking_network_v2" "shared" {
  name = var.network
}

resource "openstack_networking_secgroup_v2" "node" {
  name        = local.name
  description = "Agents to broker and aggregator, administrators to ssh. Made by chi-edge/terraform/node."
}

resource "openstack_networking_secgroup_rule_v2" "ingress" {
  for_each = local.ingress

  security_group_id = openstack_networking_secgroup_v2.node.id
  description       = each.key
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value.port
  port_range_max    = each.value.port
  remote_ip_prefix  = each.value.cidr
}

resource "openstack_networking_port_v2" "node" {
  name               = local.name
  network_id         = data.openstack_networking_network_v2.shared.id
  security_group_ids = [openstack_networking_secgroup_v2.node.id]
  admin_state_up     = true
}

data "openstack_networking_floatingip_v2" "lasting" {
  description = local.address_description
}

resource "openstack_networking_floatingip_associate_v2" "node" {
  floating_ip = data.openstack_networking_floatingip_v2.lasting.address
  port_id     = openstack_networking_port_v2.node.id

  # Before there is a node behind the port, the address would lead nowhere.
  depends_on = [openstack_compute_instance_v2.node]
}
