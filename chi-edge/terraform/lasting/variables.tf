variable "cloud" {
  description = "The cloud of clouds.yaml that is KVM@TACC."
  type        = string
  default     = "openstack"
}

variable "suffix" {
  description = "How every name ends, such as proj05. Staff delete what ends otherwise."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.suffix))
    error_message = "The suffix becomes part of host names: use a-z, 0-9 and '-' (not at either end), at most 20 characters."
  }
}

variable "volume_gib" {
  description = "Size of the volume with all data of the fleet, in GiB. It can grow later, and never shrink."
  type        = number
  default     = 50

  validation {
    condition     = var.volume_gib >= 10 && var.volume_gib <= 1000 && floor(var.volume_gib) == var.volume_gib
    error_message = "Give volume_gib as a whole number from 10 to 1000: below 10 GiB the monitoring fills the disk, and above 1000 the project's quota ends."
  }
}

variable "pool" {
  description = "The network of floating IPs."
  type        = string
  default     = "public"
}
