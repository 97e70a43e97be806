# What depends on the variables alone. It needs no provider, so `chi-edge/node-checks` tests it without an account.
locals {
  volume_name         = "hearthwatch-data-${var.suffix}"
  address_description = "hearthwatch-address-${var.suffix}"
}
