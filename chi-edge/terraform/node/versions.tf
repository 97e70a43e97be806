# 3.x, although the labs use 1.51: the provider's argument names can be checked here for 3.0 alone (chi-edge/node-checks), and the
# resources below have the same names in both.
#
# The state is a file in this folder, which git ignores. Nothing secret is in it: no key, token or password passes through Terraform, since
# hearthwatch-provision makes all of them on the node. A group that shares the state names its backend in backend_override.tf.
terraform {
  required_version = ">= 1.9"

  required_providers {
    openstack = {
      source  = "terraform-provider-openstack/openstack"
      version = "~> 3.0"
    }
  }
}

# Logs in by clouds.yaml; the credential is in that file and never in the state.
provider "openstack" {
  cloud = var.cloud
}
