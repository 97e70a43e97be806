output "address" {
  description = "The fleet's address, from now until it is given back."
  value       = openstack_networking_floatingip_v2.node.address
}

output "volume" {
  description = "The volume with the fleet's data."
  value       = openstack_blockstorage_volume_v3.data.name
}

output "next" {
  description = "What to do next."
  value       = "testbed node lease --site KVM@TACC --flavor m1.xlarge --suffix ${var.suffix}"
}
