output "address" {
  description = "Where administrators connect."
  value       = local.address
}

output "fleet_host" {
  description = "Where agents connect: `testbed up --fleet-host`."
  value       = local.fleet_host
}

output "next" {
  description = "Waits until the node is set up, and says whether it is."
  value       = "ssh cc@${local.address} cloud-init status --wait --long"
}
