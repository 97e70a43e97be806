data "openstack_blockstorage_volume_v3" "lasting" {
  name = local.volume_name
}

locals {
  volume_id = data.openstack_blockstorage_volume_v3.lasting.id
  address   = data.openstack_networking_floatingip_v2.lasting.address
}

resource "openstack_compute_instance_v2" "node" {
  name       = local.name
  image_name = local.image
  # A reserved flavour has the id of its reservation.
  flavor_id = var.reservation
  key_pair  = var.key
  user_data = local.user_data

  network {
    port = openstack_networking_port_v2.node.id
  }

  lifecycle {
    precondition {
      condition     = length(base64encode(local.user_data)) < 65536
      error_message = "The user data is longer than Nova takes (64 KiB): shorten chi-edge/cloud-init."
    }
  }
}

# The node waits for it at its first boot.
resource "openstack_compute_volume_attach_v2" "data" {
  instance_id = openstack_compute_instance_v2.node.id
  volume_id   = local.volume_id
}
