# What depends on the variables alone. It needs no provider, so `chi-edge/node-checks` tests it without an account.
locals {
  name                = "hearthwatch-node-${var.suffix}"
  volume_name         = "hearthwatch-data-${var.suffix}"
  address_description = "hearthwatch-address-${var.suffix}"
  image               = coalesce(var.image, var.gpu ? "CC-Ubuntu24.04-CUDA" : "CC-Ubuntu24.04")
  fleet_host          = coalesce(var.fleet_host, local.address)

  # Enrolment, updates and admin API; the broker.
  agent_ports = [8443, 8883]

  ingress = merge(
    { for port in local.agent_ports : "agents-${port}" => { port = port, cidr = var.agent_cidr } },
    { for port in setunion([22], var.admin_ports) : "admin-${port}" => { port = port, cidr = var.admin_cidr } },
  )

  # What the playbook is told. No secret: `hearthwatch-provision` makes all of them on the node. No address of administrators either:
  # they stand in the security groups, and a change of them would make another node if they stood here too.
  settings = {
    hearthwatch_repository = var.repository
    hearthwatch_revision   = var.revision
    hearthwatch_registry   = var.registry
    hearthwatch_tag        = var.tag
    hearthwatch_cuda_image = var.cuda_image
    hearthwatch_fleet_host = local.fleet_host
    hearthwatch_gpu        = var.gpu
    hearthwatch_firewall   = false
    # How a disk of KVM is called: the first 20 characters of the volume's id.
    hearthwatch_data_device = "/dev/disk/by-id/virtio-${substr(local.volume_id, 0, 20)}"
  }

  cloud_init = "${path.module}/../../cloud-init"
  user_data = replace(
    replace(file("${local.cloud_init}/user-data.yaml"), "@SETTINGS@", base64encode(jsonencode(local.settings))),
    "@SETUP@", filebase64("${local.cloud_init}/node-setup.sh"),
  )
}
