# What outlives a lease: the data, and the address under which homes know their fleet.

resource "openstack_blockstorage_volume_v3" "data" {
  name        = local.volume_name
  description = "All data of a Hearthwatch fleet. Made by chi-edge/terraform/lasting."
  size        = var.volume_gib

  lifecycle {
    prevent_destroy = true
  }
}

resource "openstack_networking_floatingip_v2" "node" {
  pool        = var.pool
  description = local.address_description
}
