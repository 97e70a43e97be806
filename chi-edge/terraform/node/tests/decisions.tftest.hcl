# `terraform test` runs them where the provider is installed; `chi-edge/node-checks` runs them without it, on the files that need none.
variables {
  suffix      = "proj05"
  reservation = "5d2e1c3b-8f7a-4e6d-9c0b-a1b2c3d4e5f6"
  key         = "laptop"
  admin_cidr  = "203.0.113.7/32"
  repository  = "https://example.org/somebody/hearthwatch.git"
  revision    = "0123456789abcdef0123456789abcdef01234567"
}

run "a_node_without_gpu" {
  command = plan

  assert {
    condition     = local.name == "hearthwatch-node-proj05" && local.image == "CC-Ubuntu24.04"
    error_message = "The name ends in the suffix, and the image is the one without CUDA."
  }

  assert {
    condition = local.ingress == {
      admin-22    = { port = 22, cidr = "203.0.113.7/32" }
      agents-8443 = { port = 8443, cidr = "0.0.0.0/0" }
      agents-8883 = { port = 8883, cidr = "0.0.0.0/0" }
    }
    error_message = "Agents reach aggregator and broker, administrators ssh, and nobody anything else."
  }
}

run "a_node_with_a_gpu" {
  command = plan

  variables {
    gpu        = true
    cuda_image = "ghcr.io/somebody/hearthwatch-aggregator-cuda:1"
  }

  assert {
    condition     = local.image == "CC-Ubuntu24.04-CUDA" && local.settings.hearthwatch_gpu
    error_message = "gpu chooses the image, and what the playbook installs."
  }
}

run "a_part_of_a_gpu" {
  command = plan

  variables {
    gpu        = true
    image      = "CC-Ubuntu24.04-CUDA-VGPU"
    cuda_image = "ghcr.io/somebody/hearthwatch-aggregator-cuda:1"
  }

  assert {
    condition     = local.image == "CC-Ubuntu24.04-CUDA-VGPU"
    error_message = "A named image is taken."
  }
}

run "more_ports_for_administrators" {
  command = plan

  variables {
    admin_ports = [22, 3000]
  }

  assert {
    condition     = toset([for rule in local.ingress : rule.port if rule.cidr == "203.0.113.7/32"]) == toset([22, 3000])
    error_message = "Other ports are for administrators alone, and ssh is named once."
  }
}

run "user_data_is_complete" {
  command = plan

  assert {
    condition     = !strcontains(local.user_data, "@S") && length(base64encode(local.user_data)) < 65536
    error_message = "Both words between @ signs are filled in, and Nova takes it."
  }
}
